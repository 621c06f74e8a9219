"""Clean a relayed history of proof no Bedrock upstream could check."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.jsonspans import patch, read_members
from providers.formats.neutral.smuggle import PREFIX

_PACKED: Final = PREFIX.encode()
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE: Final = (*UNREADABLE, KeyError)


class _ReasoningText(msgspec.Struct):
    signature: str = ""


class _Reasoning(msgspec.Struct):
    reasoningText: _ReasoningText | None = None


class _Block(msgspec.Struct):
    reasoningContent: _Reasoning | None = None


_BLOCK: Final = msgspec.json.Decoder(_Block)


def without_packed(messages: bytes) -> bytes:
    """Take the blocks out that hold another family's reasoning in an envelope.

    Shapes:  ``messages`` is a JSON array, read before; a message without such a block keeps its
             bytes. One that has nothing else becomes a word, for roles must alternate.
    """
    kept = [
        _stripped(bytes(raw)) if _PACKED in bytes(raw) else bytes(raw)
        for raw in _LIST.decode(messages)
    ]
    return b"[" + b",".join(kept) + b"]"


def _stripped(message: bytes) -> bytes:
    try:
        members = read_members(message)
        blocks = _LIST.decode(members.values["content"])
        kept = [bytes(block) for block in blocks if not _is_packed(block)]
    except _UNREADABLE:
        return message
    if len(kept) == len(blocks):
        return message
    kept = kept or [b'{"text":"(empty)"}']
    return patch(members, {"content": b"[" + b",".join(kept) + b"]"})


def _is_packed(block: msgspec.Raw) -> bool:
    try:
        held = _BLOCK.decode(block).reasoningContent
    except UNREADABLE:
        return False
    text = None if held is None else held.reasoningText
    return text is not None and text.signature.startswith(PREFIX)
