"""Word a whole answer as a message."""

from __future__ import annotations

import msgspec

from providers.formats.anthropic_messages.client import (
    message_id,
    slot_text,
    stop_members,
)
from providers.formats.anthropic_messages.usage import usage_object
from providers.formats.anthropic_messages.words import (
    Words,
    own_block,
    shown_thinking,
    text_block,
    tool_use_block,
)
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import Answer, Choice
from providers.formats.neutral.types import (
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)


def message_body(answer: Answer, view: View) -> bytes:
    """Word an answer; of several choices this dialect has room for the first."""
    choice = answer.choices[0] if answer.choices else Choice()
    has_refused = any(isinstance(part, Refusal) for part in choice.parts)
    message: Words = {
        "id": message_id(answer.id, view.request_id),
        "type": "message",
        "role": "assistant",
        "model": view.model,
        "content": [block for part in choice.parts for block in _blocks(part)],
        **stop_members(choice.finish, has_refused=has_refused),
        "usage": usage_object(answer.usage, estimate=view.input_estimate or 0),
    }
    return msgspec.json.encode(message)


def _blocks(part: Part) -> list[Words]:
    """Word a part; what was proof on a call goes before it, as in a stream."""
    block: Words | None = None
    if isinstance(part, Text):
        block = text_block(part, for_client=True) if part.text else None
    elif isinstance(part, Refusal):
        block = {"type": "text", "text": part.text} if part.text else None
    elif isinstance(part, Reasoning):
        block = shown_thinking(part)
    elif isinstance(part, Unknown):
        block = own_block(part)
    elif isinstance(part, ToolCall):
        proof: list[Words] = [
            {"type": "redacted_thinking", "data": slot_text(each)}
            for each in part.opaque[:1]
        ]
        return [*proof, tool_use_block(part)]
    return [] if block is None else [block]
