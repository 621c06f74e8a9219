"""Find tool calls in a text: a model without tools was asked to write them as JSON.

Source: reference seeds 14.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import ToolCall

_START: Final = re.compile(r'\{\s*"tool_calls"\s*:')
_FENCE: Final = re.compile(r"```[a-zA-Z]*\s*```")
_MOST_STARTS: Final = 16
_DECODER: Final = json.JSONDecoder()


def take_calls(text: str, names: tuple[str, ...]) -> tuple[str, tuple[ToolCall, ...]]:
    """Split a text into what it says and what it calls.

    Shapes:  the first balanced object with calls of tools in ``names`` is taken out;
             a brace inside a string is text. ``arguments`` come back as a JSON object.
    Fails:   never; what cannot be read, or calls what nobody offered, stays text.
    """
    if not names or '"tool_calls"' not in text:
        return text, ()
    for tried, found in enumerate(_START.finditer(text)):
        if tried >= _MOST_STARTS:
            break
        start = found.start()
        try:
            value, end = _DECODER.raw_decode(text, start)
        except UNREADABLE:
            continue
        calls = _calls(value["tool_calls"], names)
        if calls:
            rest = _FENCE.sub("", text[:start] + text[end:])
            return rest.strip(), calls
    return text, ()


def _calls(values: Any, names: tuple[str, ...]) -> tuple[ToolCall, ...]:
    if not isinstance(values, list):
        return ()
    calls = []
    for value in values:
        call = _call(value, names)
        if call is None:
            return ()
        calls.append(call)
    return _with_ids_of_their_own(calls)


def _call(value: Any, names: tuple[str, ...]) -> ToolCall | None:
    """Read one call; name and arguments stand in ``function`` or beside it."""
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    inner = inner if isinstance(inner, dict) else {}
    name = inner.get("name") or value.get("name")
    if name not in names:
        return None
    arguments = inner.get("arguments", value.get("arguments"))
    call_id = value.get("id")
    return ToolCall(
        name=name,
        arguments=_object(arguments),
        id=call_id if isinstance(call_id, str) else "",
    )


def _object(arguments: Any) -> str:
    """Return arguments as the text of a JSON object, an empty one for anything else."""
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    if isinstance(arguments, str):
        try:
            if isinstance(msgspec.json.decode(arguments), dict):
                return arguments
        except UNREADABLE:
            return "{}"
    return "{}"


def _with_ids_of_their_own(calls: list[ToolCall]) -> tuple[ToolCall, ...]:
    # A model counts from call_1 in every answer, or copies the example; results are
    # told apart by these ids over a whole conversation.
    return tuple(
        msgspec.structs.replace(call, id=f"call_{uuid.uuid4().hex[:24]}")
        for call in calls
    )
