"""Take a conversation apart into instructions and turns.

Source: reference wire 1.1, 2.1, 2.5, 2.7.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import FormatError
from providers.formats.neutral.types import (
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)
from providers.formats.openai_chat.fields import (
    UNSET,
    as_object,
    as_objects,
    as_text,
    invalid,
    is_said,
    parsed,
)
from providers.formats.openai_chat.parts import DIALECT, read_cache, read_content
from providers.formats.openai_chat.reasoning import read_blocks, read_details


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = UNSET


class _Custom(msgspec.Struct):
    name: str | None = None
    input: msgspec.Raw = UNSET


class _Call(msgspec.Struct):
    """Hold a call; some clients send its fields flat, as Responses does."""

    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None
    name: str | None = None
    arguments: msgspec.Raw = UNSET
    input: msgspec.Raw = UNSET
    extra_content: msgspec.Raw = UNSET
    cache_control: msgspec.Raw = UNSET


class _Message(msgspec.Struct):
    role: str
    content: str | list[msgspec.Raw] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    tool_call_id: str | None = None
    reasoning_content: msgspec.Raw = UNSET
    reasoning: msgspec.Raw = UNSET
    reasoning_details: msgspec.Raw = UNSET
    thinking_blocks: msgspec.Raw = UNSET
    audio: msgspec.Raw = UNSET
    cache_control: msgspec.Raw = UNSET


_MESSAGES: Final = msgspec.json.Decoder(list[_Message])


def read_messages(raw: msgspec.Raw) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Take the messages apart: (leading instructions, all other turns).

    Shapes:  tool messages in a row are one turn of results.
    Errors:  FormatError with the field at fault.
    """
    instructions: list[Turn] = []
    turns: list[Turn] = []
    results: list[ToolResult] = []
    messages: list[_Message] = parsed(raw, _MESSAGES, "messages")
    for place, message in enumerate(messages):
        param = f"messages[{place}]"
        if message.role in ("tool", "function"):
            results.append(_result(message, param))
            continue
        if results:
            turns.append(Turn(role="tool", parts=tuple(results)))
            results = []
        turn = _turn(message, param)
        leads = turn.role == "instruction" and not turns
        (instructions if leads else turns).append(turn)
    if results:
        turns.append(Turn(role="tool", parts=tuple(results)))
    return tuple(instructions), tuple(turns)


def _turn(message: _Message, param: str) -> Turn:
    """Take one message apart that is no tool's."""
    name = message.name or ""
    role = message.role
    if role == "assistant":
        return Turn(role="assistant", parts=_spoken(message, param), name=name)
    parts = _marked(read_content(message.content, f"{param}.content"), message)
    if role == "user":
        return Turn(role="user", parts=parts, name=name)
    if role in ("system", "developer"):
        return Turn(
            role="instruction",
            parts=parts,
            authority="developer" if role == "developer" else "system",
            name=name,
        )
    raise invalid(f"{param}.role", f"is unknown: '{role[:50]}'")


def _marked(parts: list[Part], message: _Message) -> tuple[Part, ...]:
    """Move a message's own cache mark to its last part, where marks belong."""
    mark = read_cache(message.cache_control)
    if mark is not None and parts:
        last = parts[-1]
        if isinstance(last, Text) and last.cache is None:
            parts[-1] = replace(last, cache=mark)
    return tuple(parts)


def _spoken(message: _Message, param: str) -> tuple[Part, ...]:
    """Take an assistant's message apart: reasoning, words, then calls."""
    parts: list[Part] = [*_reasoning(message)]
    parts += _marked(read_content(message.content, f"{param}.content"), message)
    if message.refusal:
        parts.append(Refusal(text=message.refusal))
    if is_said(message.audio):
        parts.append(Unknown(dialect=DIALECT, type="audio", payload=message.audio))
    for place, call in enumerate(message.tool_calls or ()):
        parts.append(_call(call, f"{param}.tool_calls[{place}]"))
    if message.function_call is not None and not message.tool_calls:
        legacy = _Call(type="function", function=message.function_call)
        parts.append(_call(legacy, f"{param}.function_call"))
    return tuple(parts)


def _reasoning(message: _Message) -> list[Reasoning]:
    """Read what was thought; proof goes before plain text, which it repeats."""
    details = read_details(as_objects(message.reasoning_details))
    if not details:
        details = read_blocks(as_objects(message.thinking_blocks))
    if any(part.text for part in details):
        return details
    text = as_text(message.reasoning_content) or as_text(message.reasoning)
    return [Reasoning(text=text), *details] if text else details


def _call(call: _Call, param: str) -> ToolCall:
    """Read one call, nested or flat."""
    cache = read_cache(call.cache_control)
    if call.type == "custom" or call.custom is not None:
        custom = call.custom or _Custom(call.name, call.input)
        return ToolCall(
            kind="custom",
            id=call.id or "",
            name=_named(custom.name, f"{param}.custom.name"),
            arguments=as_text(custom.input),
            cache=cache,
        )
    function = call.function or _Function(call.name, call.arguments)
    google = as_object(call.extra_content).get("google")
    signed = google.get("thought_signature") if isinstance(google, dict) else None
    proof: tuple[Opaque, ...] = ()
    if isinstance(signed, str) and signed:
        proof = (Opaque(family="google", slot="thought_signature", data=signed),)
    return ToolCall(
        id=call.id or "",
        name=_named(function.name, f"{param}.function.name"),
        arguments=as_text(function.arguments),
        opaque=proof,
        cache=cache,
    )


def _named(name: str | None, param: str) -> str:
    """Return a name that must be there."""
    if not name:
        raise FormatError(
            f"The field '{param}' is missing.", code="missing_field", param=param
        )
    return name


def _result(message: _Message, param: str) -> ToolResult:
    """Read a tool's answer; the legacy kind knows its function by name only."""
    parts = _marked(read_content(message.content, f"{param}.content"), message)
    if message.role == "tool" and not message.tool_call_id:
        raise FormatError(
            f"The field '{param}.tool_call_id' is missing.",
            code="missing_field",
            param=f"{param}.tool_call_id",
        )
    return ToolResult(
        call_id=message.tool_call_id or "",
        content=tuple(
            Text(text=part.text) if isinstance(part, Refusal | Reasoning) else part
            for part in parts
            if not isinstance(part, ToolCall | ToolResult)
        ),
        name=message.name or "",
    )
