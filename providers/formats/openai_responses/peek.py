"""Peek into a Responses request: what the rooms must know, and no more."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from pricing.tokens import MAX_COUNT
from providers.formats import base
from providers.formats.base import (
    UNREADABLE,
    Arrival,
    ChatRequest,
    FormatError,
)
from providers.formats.jsonspans import (
    DuplicateKeyError,
    Members,
    TooManyMembersError,
    read_members,
)

DIALECT: Final = "responses"
MAX_MODEL_CHARS: Final = 512
STATE_FIELDS: Final = ("previous_response_id", "conversation", "prompt")
"""Without one of these there must be an input."""

_NEEDLES: Final = (
    (b'"input_image"', base.NEED_VISION),
    (b'"input_audio"', base.NEED_AUDIO),
    (b'"input_file"', base.NEED_FILES),
    (b'"additional_tools"', base.NEED_TOOLS),
)
_READ_BY_MODEL: Final = ("instructions", "input", "tools", "text")
_SESSION_FIELDS: Final = (b"session-id", b"session_id", b"thread-id")
_T = TypeVar("_T")


class _Reasoning(msgspec.Struct):
    effort: str | None = None


class _Format(msgspec.Struct):
    type: str | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    session_id: str | None = None
    thread_id: str | None = None


_BOOL: Final[msgspec.json.Decoder[bool | None]] = msgspec.json.Decoder(bool | None)
_INT: Final[msgspec.json.Decoder[int | None]] = msgspec.json.Decoder(int | None)
_STR: Final[msgspec.json.Decoder[str | None]] = msgspec.json.Decoder(str | None)
_WORDS: Final[dict[object, str]] = {
    _BOOL: "a boolean",
    _INT: "an integer",
    _STR: "a string",
}
_REASONING: Final[msgspec.json.Decoder[_Reasoning | None]] = msgspec.json.Decoder(
    _Reasoning | None
)
_TEXT: Final[msgspec.json.Decoder[_Text | None]] = msgspec.json.Decoder(_Text | None)
_METADATA: Final[msgspec.json.Decoder[_Metadata | None]] = msgspec.json.Decoder(
    _Metadata | None
)
_INCLUDE: Final[msgspec.json.Decoder[list[str] | None]] = msgspec.json.Decoder(
    list[str] | None
)


def read_responses_request(body: bytes, arrival: Arrival) -> ChatRequest:
    """Read what the proxy must know; leave judging the rest to the upstream.

    Shapes:  see ``ChatRequest``; the body stays as it is.
    Errors:  FormatError with the field at fault in ``param``.
    Cost:    one scan of the body and four searches in its input.
    """
    members = _members(body)
    values = members.values
    model = _model(values)
    _check_input(values)
    stream = _typed(values, "stream", _BOOL)
    most = _typed(values, "max_output_tokens", _INT)
    if most is not None and most < 1:
        raise invalid("max_output_tokens", "must be at least 1")
    return ChatRequest(
        dialect=DIALECT,
        body=body,
        model=model,
        members=members,
        content_spans=tuple(
            members.spans[key][1:] for key in _READ_BY_MODEL if key in members.spans
        ),
        stream=stream or False,
        include_usage=True,
        max_output_tokens=None if most is None else min(most, MAX_COUNT),
        needs=_needs(members),
        end_user=_text(values, "safety_identifier") or _text(values, "user"),
        session=_session(values, arrival),
        prompt_cache_key=_text(values, "prompt_cache_key"),
        service_tier=_text(values, "service_tier"),
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
    """Return the model that was asked for."""
    if "model" not in values:
        raise FormatError(
            "You must name a model: the field 'model' is missing.",
            code="missing_field",
            param="model",
        )
    model = _typed(values, "model", _STR)
    if not model or not model.strip():
        raise invalid("model", "must not be empty")
    if len(model) > MAX_MODEL_CHARS:
        raise invalid("model", f"must be at most {MAX_MODEL_CHARS} characters")
    return model


def _check_input(values: dict[str, msgspec.Raw]) -> None:
    """Refuse what is plainly not a Responses request."""
    raw = values.get("input")
    if raw is None:
        if "messages" in values:
            raise FormatError(
                "This body is a chat completions request: it has 'messages' and no "
                "'input'. Send it to /v1/chat/completions.",
                code="wrong_endpoint",
                param="messages",
            )
        if not any(field in values for field in STATE_FIELDS):
            raise FormatError(
                "The field 'input' is missing.", code="missing_field", param="input"
            )
    elif memoryview(raw)[0] not in b'["':
        raise invalid("input", "must be a string or an array")


def _typed(
    values: dict[str, msgspec.Raw], key: str, decoder: msgspec.json.Decoder[_T]
) -> _T | None:
    """Return a field the proxy depends on; absent and null are None."""
    raw = values.get(key)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        raise invalid(key, f"must be {_WORDS[decoder]}") from None


def _loose(
    values: dict[str, msgspec.Raw], key: str, decoder: msgspec.json.Decoder[_T]
) -> _T | None:
    """Return a field nothing depends on; odd types read as absent."""
    raw = values.get(key)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        return None


def _text(values: dict[str, msgspec.Raw], key: str) -> str | None:
    found = _loose(values, key, _STR)
    return found if found else None


def _needs(members: Members) -> int:
    """Collect what the model must be able to do, without parsing the input.

    Shapes:  an unescaped quote cannot stand inside a JSON string, so the names are
             never found in text; a tool's schema that has one asks for too much,
             which only leaves out upstreams that lack it.
    """
    values, needs = members.values, 0
    if "input" in members.spans:
        _, start, end = members.spans["input"]
        for needle, bit in _NEEDLES:
            if members.body.find(needle, start, end) >= 0:
                needs |= bit
    if "tools" in values and len(memoryview(values["tools"])) > 4:
        needs |= base.NEED_TOOLS
    text = _loose(values, "text", _TEXT)
    if text and text.format and text.format.type == "json_schema":
        needs |= base.NEED_JSON_SCHEMA
    if "message.output_text.logprobs" in (_loose(values, "include", _INCLUDE) or ()):
        needs |= base.NEED_LOGPROBS
    reasoning = _loose(values, "reasoning", _REASONING)
    if reasoning and reasoning.effort not in (None, "none"):
        needs |= base.NEED_REASONING
    return needs


def _session(values: dict[str, msgspec.Raw], arrival: Arrival) -> str | None:
    """Return the conversation a client names; Codex does so in a header."""
    for key in ("client_metadata", "metadata"):
        found = _loose(values, key, _METADATA)
        if found and (found.session_id or found.thread_id):
            return found.session_id or found.thread_id
    for field in _SESSION_FIELDS:
        if value := arrival.fields.get(field):
            return value.decode("latin-1")
    return None
