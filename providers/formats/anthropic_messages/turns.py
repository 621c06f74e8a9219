"""Word the conversation: system blocks, and messages in the order the API wants."""

from __future__ import annotations

from typing import Final

from providers.formats.anthropic_messages.words import (
    Words,
    media_block,
    own_block,
    own_thinking,
    result_block,
    text_block,
    tool_use_block,
)
from providers.formats.neutral.types import (
    Loss,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)

_ROLES: Final = {
    "user": "user",
    "tool": "user",
    "assistant": "assistant",
    "instruction": "system",
}
_PLACEHOLDER: Final = "(empty)"


def system_blocks(instructions: tuple[Turn, ...], losses: list[Loss]) -> list[Words]:
    """Word the leading instructions, each part a block of its own."""
    blocks: list[Words] = []
    for turn in instructions:
        for part in turn.parts:
            if not isinstance(part, Text):
                losses.append(Loss(field="system", detail=type(part).__name__))
            elif part.text.strip():
                blocks.append(text_block(part))
    return blocks


def message_list(turns: tuple[Turn, ...], losses: list[Loss]) -> list[Words]:
    """Word the turns; neighbours of one role become one message.

    Shapes:  results come first in a user's message. A message left without content is
             left out, a user's becomes a placeholder, for someone must have spoken.
    """
    messages: list[Words] = []
    for turn in turns:
        role = _ROLES[turn.role]
        blocks = [block for part in turn.parts for block in _blocks(part, turn, losses)]
        if not blocks and role != "user":
            continue
        last = messages[-1] if messages else None
        if last is not None and last["role"] == role and role != "system":
            last["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    for message in messages:
        if not message["content"]:
            message["content"] = [{"type": "text", "text": _PLACEHOLDER}]
        elif message["role"] == "user":
            message["content"].sort(key=_is_no_result)
    _trim_prefill(messages)
    return messages


def _blocks(part: Part, turn: Turn, losses: list[Loss]) -> list[Words]:
    """Word a part: one block, or none."""
    if isinstance(part, Text):
        return [text_block(part)] if part.text.strip() else []
    if isinstance(part, ToolCall):
        return [tool_use_block(part)]
    if isinstance(part, ToolResult):
        block, lost = result_block(part)
        losses += [Loss(field="tool_result", detail=kind) for kind in lost]
        return [block]
    if isinstance(part, Refusal):
        return [{"type": "text", "text": part.text}] if part.text.strip() else []
    return _rare_blocks(part, turn, losses)


def _rare_blocks(
    part: Media | Reasoning | Unknown, turn: Turn, losses: list[Loss]
) -> list[Words]:
    if isinstance(part, Reasoning):
        thought = own_thinking(part) if turn.role == "assistant" else None
        if thought is None:
            losses.append(Loss(field="reasoning", detail="not this vendor's"))
        return [] if thought is None else [thought]
    if isinstance(part, Media):
        # Pictures are for the user's side; a model here cannot have shown one.
        block = media_block(part) if turn.role != "assistant" else None
        if block is None:
            losses.append(Loss(field=part.kind, detail=part.source))
        return [] if block is None else [block]
    block = own_block(part)
    if block is None:
        losses.append(Loss(field=part.type or "content"))
    return [] if block is None else [block]


def _is_no_result(block: Words) -> bool:
    """Order results before everything else."""
    return bool(block["type"] != "tool_result")


def _trim_prefill(messages: list[Words]) -> None:
    """Take white space off the end of an answer the model shall go on with."""
    if not messages or messages[-1]["role"] != "assistant":
        return
    block = messages[-1]["content"][-1]
    if block["type"] == "text":
        block["text"] = block["text"].rstrip()
