"""Take a client's Responses request apart into the neutral form.

Source: reference wire 1.2, 2.1 to 2.13, 2.18.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.neutral.types import (
    OutputFormat,
    Request,
    Sampling,
    State,
    Text,
    Thinking,
    Turn,
)
from providers.formats.openai_responses.items import Items, refuse_state
from providers.formats.openai_responses.peek import DIALECT, invalid
from providers.formats.openai_responses.tools import merged, read_choice, read_tools
from providers.formats.openai_responses.wire import UNSET

LOGPROBS: Final = "message.output_text.logprobs"
_UNDERSTOOD: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "conversation",
        "prompt",
        "store",
        "background",
        "stream",
        "include",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "text",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
    }
)
_REASONING_FIELDS: Final = frozenset({"effort", "summary", "generate_summary"})
_NULL: Final = b"null"


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Format(msgspec.Struct):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = UNSET
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Conversation(msgspec.Struct):
    id: str = ""


class _Fields(msgspec.Struct):
    """Name the scalar fields that are read at once."""

    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | _Conversation | None = None
    prompt: _Conversation | None = None
    store: bool | None = None
    background: bool | None = None
    include: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None


_FIELDS: Final = msgspec.json.Decoder(_Fields)
_PLACE: Final = re.compile(r"`\$\.(\w+)")


def parse_request(request: ChatRequest, *, is_relayed: bool = False) -> Request:
    """Return the neutral form of a request.

    Shapes:  ``is_relayed`` = the vendor's own upstream answers it, so state the vendor
             keeps is no obstacle.
    Errors:  FormatError with the field at fault; state that cannot be resolved by
             another upstream names ``previous_response_id``.
    """
    values = request.members.values
    fields = _fields(request.body)
    items = Items()
    if "input" in values:
        items.read(values["input"])
    if not is_relayed:
        _refuse(fields, items.reference)
    include = fields.include or ()
    text = fields.text or _Text()
    return Request(
        dialect=DIALECT,
        model=request.model,
        instructions=(*_instructions(fields), *items.leading),
        turns=tuple(items.turns),
        tools=tuple(merged(read_tools(values.get("tools")), items.tools)),
        tool_choice=read_choice(
            values.get("tool_choice"), values.get("parallel_tool_calls")
        ),
        sampling=Sampling(
            temperature=fields.temperature,
            top_p=fields.top_p,
            logprobs=True if LOGPROBS in include or fields.top_logprobs else None,
            top_logprobs=fields.top_logprobs,
        ),
        max_output=request.max_output_tokens,
        max_output_field="max_output_tokens" if request.max_output_tokens else "",
        thinking=_thinking(fields.reasoning),
        output=_output(text.format),
        verbosity=text.verbosity or "",
        cache_key=request.prompt_cache_key or "",
        state=_state(fields),
        stream=request.stream,
        include_usage=True,
        end_user=request.end_user or "",
        metadata=_metadata(values.get("metadata")),
        service_tier=request.service_tier or "",
        ext=_ext(values),
    )


def _fields(body: bytes) -> _Fields:
    """Read the scalar fields; a wrong type names its field."""
    try:
        return _FIELDS.decode(body)
    except UNREADABLE as error:
        place = _PLACE.search(str(error))
        raise invalid(place[1] if place else "body", "cannot be read") from None


def _instructions(fields: _Fields) -> tuple[Turn, ...]:
    if not fields.instructions:
        return ()
    return (Turn(role="instruction", parts=(Text(text=fields.instructions),)),)


def _refuse(fields: _Fields, reference: str) -> None:
    refuse_state("previous_response_id", fields.previous_response_id or "")
    refuse_state("conversation", _conversation(fields))
    refuse_state("prompt", "" if fields.prompt is None else "prompt")
    refuse_state("item_reference", reference)


def _conversation(fields: _Fields) -> str:
    found = fields.conversation
    return (found.id if isinstance(found, _Conversation) else found) or ""


def _state(fields: _Fields) -> State | None:
    state = State(
        previous_id=fields.previous_response_id or "",
        conversation=_conversation(fields),
        store=fields.store,
        background=fields.background or False,
        include=tuple(fields.include or ()),
    )
    return None if state == State() else state


def _thinking(wire: _Reasoning | None) -> Thinking | None:
    if wire is None:
        return None
    show = wire.summary or wire.generate_summary or ""
    if wire.effort == "none":
        return Thinking(mode="off")
    if wire.effort:
        return Thinking(mode="effort", effort=wire.effort, show=show)
    return Thinking(mode="adaptive", show=show) if show else None


def _output(wire: _Format | None) -> OutputFormat | None:
    if wire is None or wire.type == "text":
        return None
    if wire.type == "json_object":
        return OutputFormat(kind="json")
    if wire.type != "json_schema" or wire.schema == UNSET:
        raise invalid("text", "has a format that cannot be read")
    return OutputFormat(
        kind="schema",
        name=wire.name or "",
        description=wire.description or "",
        schema=msgspec.Raw(bytes(wire.schema)),
        strict=wire.strict,
    )


def _metadata(raw: msgspec.Raw | None) -> dict[str, str]:
    if raw is None or bytes(raw) == _NULL:
        return {}
    try:
        values: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    except UNREADABLE:
        raise invalid("metadata", "must be an object") from None
    return {key: each for key, each in values.items() if isinstance(each, str)}


def _ext(values: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Keep what is not understood; ``reasoning`` too where it says more than that."""
    kept = {
        key: msgspec.Raw(bytes(raw))
        for key, raw in values.items()
        if key not in _UNDERSTOOD and bytes(raw) != _NULL
    }
    reasoning = kept.pop("reasoning", None)
    if reasoning is not None:
        said: dict[str, msgspec.Raw] = msgspec.json.decode(
            reasoning, type=dict[str, msgspec.Raw]
        )
        more = {key: said[key] for key in said if key not in _REASONING_FIELDS}
        if more:
            kept["reasoning"] = msgspec.Raw(msgspec.json.encode(more))
    return kept
