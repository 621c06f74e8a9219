"""Read a buffered chat completion and make the client's body of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    ResponseMeta,
    UpstreamRequest,
    is_bulky,
)
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import patch, read_members
from providers.formats.openai_chat.chunks import NULL, UNSET, loose_text, plain_json
from providers.formats.openai_chat.convert import completion_of_stream
from providers.formats.openai_chat.errors import is_error, read_error_body
from providers.formats.openai_chat.usage import read_usage


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Completion(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = UNSET
    service_tier: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Completion)


def read_chat_response(
    request: ChatRequest, _sent: UpstreamRequest, body: bytes
) -> ResponseMeta:
    """Read a 2xx answer to a request that did not ask for a stream.

    Shapes:  the body comes back as it was, except for the model's name where the
             client asked by another one. An upstream that streams anyway is gathered
             into one answer.
    Fails:   never: what is no answer comes back with ``error`` set.
    """
    if body[:1] != b"{":
        head = body.lstrip()[:16]
        if head.startswith((b"data:", b"event:", b":", b"id:", b"\xef\xbb\xbfdata:")):
            gathered = completion_of_stream(body)
            if isinstance(gathered, ErrorDetail):
                return ResponseMeta(body=body, error=gathered)
            body = gathered
    return read_completion(body, request.model)


def read_completion(body: bytes, requested_model: str) -> ResponseMeta:
    """Read one completion object and put the requested model's name into it."""
    try:
        wire = _DECODER.decode(body)
    except msgspec.ValidationError:
        lenient = _lenient(body)
        if lenient is None:
            return ResponseMeta(body=body, error=_no_answer(body))
        wire = lenient
    except UNREADABLE:
        plain = plain_json(body)
        if plain is None:
            return ResponseMeta(body=body, error=_no_answer(body))
        return read_completion(plain, requested_model)
    if is_error(wire.error):
        return ResponseMeta(body=body, error=read_error_body(None, body))
    if wire.choices is None and wire.usage == NULL:
        return ResponseMeta(body=body, error=_error_or_nothing(body))
    read = read_usage(None if wire.usage == NULL else wire.usage)
    out = body
    if wire.model and wire.model != requested_model:
        out = _renamed(body, requested_model)
    return ResponseMeta(
        body=out,
        usage=read.usage,
        flags=read.flags,
        vendor_cost_nano_usd=read.vendor_cost_nano_usd,
        model=wire.model,
        response_id=wire.id,
        service_tier=wire.service_tier,
        finish_reasons=tuple(
            choice.finish_reason
            for choice in wire.choices or ()
            if choice.finish_reason
        ),
        text_bytes=0 if read.usage is not None else _text_bytes(body),
    )


def _renamed(body: bytes, model: str) -> bytes:
    """Exchange the model's name, by span; an odd object stays as it is."""
    try:
        members = read_members(body)
    except UNREADABLE:
        return body
    return patch(members, {"model": msgspec.json.encode(model)})


def _lenient(body: bytes) -> _Completion | None:
    """Read a completion whose types are not the documented ones."""
    if is_bulky(body):
        return None
    try:
        value = msgspec.json.decode(body)
        raws = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return None
    choices = value.get("choices")
    return _Completion(
        id=_text(value.get("id")),
        model=_text(value.get("model")),
        choices=[
            _Choice(_text(choice.get("finish_reason")))
            for choice in choices
            if isinstance(choice, dict)
        ]
        if isinstance(choices, list)
        else None,
        usage=raws.get("usage", NULL),
        error=raws.get("error", UNSET),
        service_tier=_text(value.get("service_tier")),
    )


def _text_bytes(body: bytes) -> int:
    """Count the bytes the model wrote, for an answer without usage."""
    if is_bulky(body):
        return len(body)
    try:
        choices = msgspec.json.decode(body).get("choices")
    except UNREADABLE:
        return len(body)
    total = 0
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            total += _message_bytes(message)
    return total


def _message_bytes(message: dict[str, Any]) -> int:
    """Count one message: text, reasoning, refusal and calls."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    total = 0
    for value in (message.get("content"), reasoning, message.get("refusal")):
        total += len((loose_text(value) or "").encode())
    for key in ("tool_calls", "function_call"):
        if message.get(key):
            total += len(msgspec.json.encode(message[key]))
    return total


def _error_or_nothing(body: bytes) -> ErrorDetail:
    """Word an object that has neither choices nor an error member."""
    detail = read_error_body(None, body)
    return detail if detail.message else _no_answer(body)


def _no_answer(body: bytes) -> ErrorDetail:
    """Word a 2xx body that is no completion."""
    return ErrorDetail(
        message="The upstream's answer is not a chat completion.",
        type="server_error",
        code="upstream_invalid_response",
        raw=body[:65_536],
    )


def _text(value: Any) -> str | None:
    """Return a string, None for anything else."""
    return value if isinstance(value, str) else None
