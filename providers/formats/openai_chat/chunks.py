"""What one chunk of a chat completions stream says, as a meter needs it.

Only the fields that decide something are decoded; everything else passes by unread.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.framings import event_name
from providers.formats.openai_chat.errors import is_error

NULL: Final = msgspec.Raw(b"null")
UNSET: Final = msgspec.Raw(b"")
_LONGEST_INDEX: Final = 9
_NO_NUMBER: Final = re.compile(rb"(?<=[:\[,])(\s*)(?:NaN|-?Infinity)(?=\s*[,\]}])")


class Function(msgspec.Struct, gc=False):
    """Hold what a call says so far."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """Hold one fragment of a call; a custom call is text only measured."""

    function: Function | None = None
    custom: msgspec.Raw = UNSET


class Delta(msgspec.Struct, gc=False):
    """Name what counts as content; aliases are those of compatible servers."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    audio: msgspec.Raw = NULL
    thinking: msgspec.Raw = NULL
    reasoning_details: msgspec.Raw = NULL
    images: msgspec.Raw = NULL
    annotations: msgspec.Raw = NULL


class Choice(msgspec.Struct, gc=False):
    """Hold one choice of one chunk."""

    delta: Delta | None = None
    finish_reason: str | None = None
    index: int | None = None


class Chunk(msgspec.Struct, gc=False):
    """Hold one chunk; ``UNSET`` tells a missing member from a null one."""

    choices: list[Choice] | None = None
    model: str | None = None
    usage: msgspec.Raw = UNSET
    error: msgspec.Raw = UNSET
    id: str | None = None
    service_tier: str | None = None


DECODER: Final = msgspec.json.Decoder(Chunk)


def delta_size(delta: Delta) -> int:
    """Count the bytes of text, reasoning, refusal and arguments."""
    size = 0
    text = delta.content
    if text:
        size = len(text) if text.isascii() else len(text.encode())
    text = delta.reasoning_content or delta.reasoning
    if text:
        size += len(text) if text.isascii() else len(text.encode())
    if delta.refusal:
        size += len(delta.refusal.encode())
    if delta.tool_calls:
        for call in delta.tool_calls:
            if call.function is not None:
                size += len((call.function.arguments or "").encode())
                size += len((call.function.name or "").encode())
            elif call.custom is not UNSET:
                size += len(memoryview(call.custom))
    if delta.function_call is not None:
        size += len((delta.function_call.arguments or "").encode())
        size += len((delta.function_call.name or "").encode())
    return size


def plain_size(chunk: Chunk, model: str, opened: set[int]) -> int:
    """Measure a chunk that only continues one open choice with text.

    Fails:   0 for a chunk that says anything else, or names another model.
    """
    choices = chunk.choices
    if (
        not choices
        or len(choices) != 1
        or chunk.model != model
        or chunk.usage is not UNSET
        or chunk.error is not UNSET
        or chunk.service_tier is not None
    ):
        return 0
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason is not None or choice.index not in opened:
        return 0
    return delta_size(delta)


def says_something(delta: Delta) -> bool:
    """Tell whether a delta without text still is the answer's beginning."""
    if delta.tool_calls or delta.function_call is not None:
        return True
    return any(
        is_error(raw)
        for raw in (
            delta.audio,
            delta.thinking,
            delta.reasoning_details,
            delta.images,
            delta.annotations,
        )
    )


def is_event_error(raw: bytes, payload: bytes, chunk: Chunk) -> bool:
    """Tell whether a frame without choices is an error in another's clothes."""
    if raw[:5] != b"data:" and event_name(raw) == b"error":
        return True
    # vLLM before 0.6 and SGLang: {"object":"error","message":...} without "error".
    return chunk.usage is UNSET and b'"object":"error"' in payload.replace(b" ", b"")


def read_chunk(payload: bytes) -> Chunk | None:
    """Read one chunk, whatever its types; None for what is no JSON object."""
    try:
        return DECODER.decode(payload)
    except msgspec.ValidationError:
        try:
            return lenient_chunk(payload)
        except UNREADABLE:
            return None
    except UNREADABLE:
        return None


def lenient_chunk(payload: bytes) -> Chunk:
    """Read a chunk whose types are not the documented ones.

    Errors:  ``UNREADABLE``: a type is refused before the rest of the bytes is read.

    Source:  reference wire 1.13: content as a list of parts, arguments as an object,
             index as text, error as a number; each is read for what it plainly means.
    """
    value = msgspec.json.decode(payload)
    raws = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    if not isinstance(value, dict):
        return Chunk()
    choices = value.get("choices")
    return Chunk(
        choices=[
            _lenient_choice(choice) for choice in choices if isinstance(choice, dict)
        ]
        if isinstance(choices, list)
        else None,
        model=_text(value.get("model")),
        usage=raws.get("usage", UNSET),
        error=raws.get("error", UNSET),
        id=_text(value.get("id")),
        service_tier=_text(value.get("service_tier")),
    )


def _lenient_choice(choice: dict[str, Any]) -> Choice:
    """Read one choice of any types."""
    index = choice.get("index")
    delta = choice.get("delta")
    finish = choice.get("finish_reason")
    return Choice(
        delta=_lenient_delta(delta) if isinstance(delta, dict) else None,
        finish_reason=None if finish is None else str(finish),
        index=_index(index),
    )


def _index(value: Any) -> int | None:
    """Return a choice's number, also where it comes as text."""
    if isinstance(value, str):
        short = len(value) <= _LONGEST_INDEX and value.isascii() and value.isdecimal()
        return int(value) if short else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _lenient_delta(delta: dict[str, Any]) -> Delta:
    """Read one delta of any types."""
    calls = delta.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    return Delta(
        content=loose_text(delta.get("content")),
        reasoning_content=loose_text(delta.get("reasoning_content")),
        reasoning=loose_text(delta.get("reasoning")),
        refusal=loose_text(delta.get("refusal")),
        tool_calls=[
            ToolCall(function=_lenient_function(call.get("function")))
            for call in calls
            if isinstance(call, dict)
        ]
        if isinstance(calls, list)
        else None,
        function_call=_lenient_function(delta.get("function_call")),
    )


def _lenient_function(function: Any) -> Function | None:
    """Read one function of any types; arguments may come as an object."""
    if not isinstance(function, dict):
        return None
    return Function(_text(function.get("name")), loose_text(function.get("arguments")))


def plain_json(payload: bytes) -> bytes | None:
    """Return a payload with NaN and Infinity as null, None when it has neither.

    JSON has no such numbers; servers written in Python send them all the same, mostly
    among logprobs, and no client outside Python could read them.
    """
    plain, count = _NO_NUMBER.subn(rb"\1null", payload)
    return plain if count else None


def loose_text(value: Any) -> str | None:
    """Return the text of a value that should be a string.

    Shapes:  a list of parts is the text of its parts; any other object its JSON.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in value)
        return "".join(part for part in parts if isinstance(part, str))
    return msgspec.json.encode(value).decode()


def _text(value: Any) -> str | None:
    """Return a string, None for anything else."""
    return value if isinstance(value, str) else None
