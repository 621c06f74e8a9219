"""An upstream's chunk or answer as it is translated, read in one pass.

The fast path is typed; what does not fit the types is read again for what it plainly
means (reference wire 1.13).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.openai_chat.chunks import loose_text, plain_json
from providers.formats.openai_chat.fields import UNSET

_LONGEST_INDEX: Final = 9


class Function(msgspec.Struct, gc=False):
    """Hold what a call says so far."""

    name: str | None = None
    arguments: str | None = None


class Custom(msgspec.Struct, gc=False):
    """Hold what a call of free text says so far."""

    name: str | None = None
    input: str | None = None


class Call(msgspec.Struct, gc=False):
    """Hold one fragment of a call."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: msgspec.Raw = UNSET


class Delta(msgspec.Struct, gc=False):
    """Hold what a chunk adds, or a whole message; aliases are those of servers."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    audio: msgspec.Raw = UNSET
    thinking: msgspec.Raw = UNSET
    reasoning_details: msgspec.Raw = UNSET
    thinking_blocks: msgspec.Raw = UNSET
    images: msgspec.Raw = UNSET
    annotations: msgspec.Raw = UNSET

    @property
    def is_rare(self) -> bool:
        """There is more than text, plain reasoning and calls."""
        return not (
            self.thinking is UNSET
            and self.reasoning_details is UNSET
            and self.thinking_blocks is UNSET
            and self.images is UNSET
            and self.annotations is UNSET
            and self.audio is UNSET
        )


class Choice(msgspec.Struct, gc=False):
    """Hold one choice; ``message`` where servers send whole answers."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs: msgspec.Raw = UNSET
    stop_reason: msgspec.Raw = UNSET
    matched_stop: msgspec.Raw = UNSET


class Chunk(msgspec.Struct, gc=False):
    """Hold one chunk or one answer; ``UNSET`` tells a missing member from null."""

    choices: list[Choice] | None = None
    model: str | None = None
    id: str | None = None
    created: msgspec.Raw = UNSET
    usage: msgspec.Raw = UNSET
    error: msgspec.Raw = UNSET
    service_tier: str | None = None


DECODER: Final = msgspec.json.Decoder(Chunk)
_RAWS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_wire(payload: bytes) -> Chunk | None:
    """Read one chunk or answer, whatever its types; None for what is no object."""
    try:
        return DECODER.decode(payload)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        plain = plain_json(payload)
        return None if plain is None else read_wire(plain)
    try:
        return _lenient(payload)
    except UNREADABLE:
        return None


def read_created(raw: msgspec.Raw) -> int:
    """Return Unix seconds, also out of a float or a text; 0 for anything else."""
    try:
        value = msgspec.json.decode(raw)
        return int(float(value)) if isinstance(value, int | float | str) else 0
    except (*UNREADABLE, OverflowError):
        return 0


def _lenient(payload: bytes) -> Chunk | None:
    """Read what has other types than the documented ones.

    Errors:  ``UNREADABLE``.
    """
    value = msgspec.json.decode(payload)
    if not isinstance(value, dict):
        return None
    raws = _RAWS.decode(payload)
    choices = value.get("choices")
    return Chunk(
        choices=[_choice(each) for each in choices if isinstance(each, dict)]
        if isinstance(choices, list)
        else None,
        model=_text(value.get("model")),
        id=_text(value.get("id")),
        created=raws.get("created", UNSET),
        usage=raws.get("usage", UNSET),
        error=raws.get("error", UNSET),
        service_tier=_text(value.get("service_tier")),
    )


def _choice(value: dict[str, Any]) -> Choice:
    """Read one choice of any types."""
    finish = value.get("finish_reason")
    return Choice(
        delta=_delta(value.get("delta")),
        message=_delta(value.get("message")),
        finish_reason=None if finish is None else str(finish),
        index=_index(value.get("index")),
        logprobs=_raw(value, "logprobs"),
        stop_reason=_raw(value, "stop_reason"),
        matched_stop=_raw(value, "matched_stop"),
    )


def _delta(value: Any) -> Delta | None:
    """Read one delta of any types."""
    if not isinstance(value, dict):
        return None
    calls = value.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    content = value.get("content")
    reasoning = loose_text(value.get("reasoning_content"))
    return Delta(
        content=loose_text(content),
        reasoning_content=reasoning or _thought(content),
        reasoning=loose_text(value.get("reasoning")),
        refusal=loose_text(value.get("refusal")),
        tool_calls=[_call(each) for each in calls if isinstance(each, dict)]
        if isinstance(calls, list)
        else None,
        function_call=_function(value.get("function_call")),
        audio=_raw(value, "audio"),
        thinking=_raw(value, "thinking"),
        reasoning_details=_raw(value, "reasoning_details"),
        thinking_blocks=_raw(value, "thinking_blocks"),
        images=_raw(value, "images"),
        annotations=_raw(value, "annotations"),
    )


def _thought(content: Any) -> str | None:
    """Return the words of the thinking parts of a content list (Mistral)."""
    if not isinstance(content, list):
        return None
    found = [
        loose_text(part.get("thinking"))
        for part in content
        if isinstance(part, dict) and part.get("type") == "thinking"
    ]
    return "".join(text for text in found if text) or None


def _call(value: dict[str, Any]) -> Call:
    """Read one fragment of any types."""
    custom = value.get("custom")
    return Call(
        index=_index(value.get("index")),
        id=_id(value.get("id")),
        type=_text(value.get("type")),
        function=_function(value.get("function")),
        custom=Custom(_text(custom.get("name")), loose_text(custom.get("input")))
        if isinstance(custom, dict)
        else None,
        extra_content=_raw(value, "extra_content"),
    )


def _function(value: Any) -> Function | None:
    """Read one function of any types; arguments may come as an object."""
    if not isinstance(value, dict):
        return None
    arguments = value.get("arguments")
    if isinstance(arguments, list):
        arguments = msgspec.json.encode(arguments).decode()
    return Function(_text(value.get("name")), loose_text(arguments))


def _index(value: Any) -> int | None:
    """Return a number, also where it comes as text."""
    if isinstance(value, str):
        short = len(value) <= _LONGEST_INDEX and value.isascii() and value.isdecimal()
        return int(value) if short else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id(value: Any) -> str | None:
    """Return an id, also where it is a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _raw(value: dict[str, Any], name: str) -> msgspec.Raw:
    """Return a member as JSON again."""
    found = value.get(name)
    return UNSET if found is None else msgspec.Raw(msgspec.json.encode(found))


def _text(value: Any) -> str | None:
    """Return a string, None for anything else."""
    return value if isinstance(value, str) else None
