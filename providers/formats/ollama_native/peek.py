"""Peek into a request: what the rooms must know, and nothing more."""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec

from pricing.tokens import MAX_COUNT
from providers.formats import base
from providers.formats.base import UNREADABLE, Arrival, ChatRequest, FormatError
from providers.formats.jsonspans import (
    DuplicateKeyError,
    Members,
    TooManyMembersError,
    read_members,
)

CHAT: Final = "/api/chat"
GENERATE: Final = "/api/generate"
EMBED: Final = "/api/embed"
MAX_MODEL_CHARS: Final = 512

_READ_BY_MODEL: Final = (
    "messages",
    "prompt",
    "system",
    "suffix",
    "tools",
    "format",
    "input",
)
# An unescaped quote cannot stand inside a JSON string, so this never matches text.
_IMAGES: Final = re.compile(rb'"images"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*"')
_OFF: Final = frozenset({b"null", b"false", b'""'})

_T = TypeVar("_T")


class _Options(msgspec.Struct):
    num_predict: int | float | None = None


_BOOL: Final = msgspec.json.Decoder(bool | None)
_STR: Final = msgspec.json.Decoder(str | None)
_OPTIONS: Final = msgspec.json.Decoder(_Options | None)


def read_request(body: bytes, arrival: Arrival) -> ChatRequest:
    """Read what the proxy must know; leave judging the rest to the upstream.

    Shapes:  a stream unless the client says no; ``include_usage`` always, for this
             dialect's last line has the counts.
    Errors:  FormatError with the field at fault in ``param``.
    """
    if arrival.path_model is not None:
        raise FormatError("This path takes no model.", code="wrong_endpoint")
    members = _members(body)
    values = members.values
    spans = members.spans
    model = _model(values)
    is_chat = arrival.op == "chat"
    if is_chat and arrival.path != GENERATE:
        _check_messages(values)
    stream = is_chat and _typed(values, "stream", _BOOL, "a boolean") is not False
    return ChatRequest(
        dialect="ollama",
        body=body,
        model=model,
        members=members,
        content_spans=tuple(spans[key][1:] for key in _READ_BY_MODEL if key in spans),
        stream=stream,
        include_usage=is_chat,
        max_output_tokens=_max_output(values) if is_chat else None,
        needs=_needs(members) if is_chat else 0,
        arrival=arrival,
    )


def invalid(param: str, words: str) -> FormatError:
    """Word the refusal of one field."""
    return FormatError(f"'{param}' {words}.", code="invalid_value", param=param)


def _members(body: bytes) -> Members:
    """Find the top-level members, or say what is wrong with the body."""
    try:
        return read_members(body)
    except DuplicateKeyError:
        words, code = "names a field twice", "duplicate_field"
    except TooManyMembersError:
        words, code = "has too many fields", "too_many_fields"
    except msgspec.ValidationError:
        words, code = "must be a JSON object", "invalid_json"
    except RecursionError:
        words, code = "is nested too deeply", "too_deep"
    except UNREADABLE:
        words, code = "is not valid JSON", "invalid_json"
    raise FormatError(f"The request body {words}.", code=code)


def _model(values: dict[str, msgspec.Raw]) -> str:
    if "model" not in values:
        raise FormatError(
            "You must name a model: the field 'model' is missing.",
            code="missing_field",
            param="model",
        )
    model: str | None = _typed(values, "model", _STR, "a string")
    if not model or not model.strip():
        raise invalid("model", "must not be empty")
    if len(model) > MAX_MODEL_CHARS:
        raise invalid("model", f"must be at most {MAX_MODEL_CHARS} characters")
    return model


def _check_messages(values: dict[str, msgspec.Raw]) -> None:
    """Refuse what is plainly no chat; no messages at all asks to load the model."""
    messages = values.get("messages")
    if messages is not None and memoryview(messages)[0] not in b"[n":
        raise invalid("messages", "must be an array")


def _typed(
    values: dict[str, msgspec.Raw],
    key: str,
    decoder: msgspec.json.Decoder[_T],
    words: str,
) -> _T | None:
    """Return a field the proxy depends on; absent and null are None."""
    raw = values.get(key)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        raise invalid(key, f"must be {words}") from None


def _max_output(values: dict[str, msgspec.Raw]) -> int | None:
    """Return the output the client allows at most; below one means no bound."""
    options = _typed(values, "options", _OPTIONS, "an object of numbers")
    asked = None if options is None else options.num_predict
    if asked is None or asked < 1:
        return None
    return int(min(asked, MAX_COUNT))


def _needs(members: Members) -> int:
    """Collect what the model must be able to do."""
    values, spans = members.values, members.spans
    needs = 0
    if "messages" in spans:
        _, start, end = spans["messages"]
        if _IMAGES.search(members.body, start, end):
            needs |= base.NEED_VISION
    if len(memoryview(values.get("images", b""))) > len(b"null"):
        needs |= base.NEED_VISION
    if len(memoryview(values.get("tools", b""))) > len(b"null"):
        needs |= base.NEED_TOOLS
    if bytes(values.get("format", b""))[:1] == b"{":
        needs |= base.NEED_JSON_SCHEMA
    if bytes(values.get("think", b"false")) not in _OFF:
        needs |= base.NEED_REASONING
    if bytes(values.get("logprobs", b"")) == b"true":
        needs |= base.NEED_LOGPROBS
    return needs
