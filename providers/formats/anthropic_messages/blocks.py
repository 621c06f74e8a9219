"""Make events of the content blocks of an answer, streamed or whole."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.anthropic_messages.citations import (
    read_citation,
    read_citations,
)
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.base import UNREADABLE
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    OpaqueSeen,
    PartClose,
    PartKind,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import Opaque

ID: Final = "anthropic"


class Block(msgspec.Struct, gc=False):
    """Name the members of a block that are read."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    citations: msgspec.Raw = ABSENT


class BlockDelta(msgspec.Struct, gc=False):
    """Name the members of every kind of delta, and of the last one of a message."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: msgspec.Raw = ABSENT


_BLOCK: Final = msgspec.json.Decoder(Block)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KINDS: Final[dict[str, PartKind]] = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool_call",
}
_DELTA_KINDS: Final[dict[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}


class _Open:
    """Hold one open block.

    Shapes:  ``raw`` is what its start said, ``pieces`` the text of its input so far.
    """

    __slots__ = ("input", "kind", "pieces", "pos", "raw", "signature", "type")

    def __init__(self, pos: int, block: Block, raw: bytes) -> None:
        self.pos = pos
        self.type = block.type
        self.kind: PartKind = _KINDS.get(block.type, "unknown")
        self.raw = raw
        self.input = bytes(given(block.input) or b"")
        self.pieces: list[str] = []
        self.signature = block.signature or ""


class BlockReader:
    """Make events of blocks; one object an answer.

    Shapes:  ``index`` is the upstream's number of a block; positions are our own, for
             an index may come twice.
    """

    __slots__ = ("_next", "_open", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._next = 0
        self._open: dict[int, _Open] = {}

    def start(self, index: int, raw: bytes) -> list[AnyEvent]:
        """Open a block; what its start already holds comes along.

        Errors:  ``UNREADABLE`` for what is no block.
        """
        out = self.stop(index) if index in self._open else []
        block = _BLOCK.decode(raw)
        opened = self._open[index] = _Open(self._next, block, raw)
        self._next += 1
        pos, kind = opened.pos, opened.kind
        out.append(
            PartOpen(
                pos=pos,
                kind=kind,
                id=(block.id or "") if kind == "tool_call" else "",
                name=(block.name or "") if kind == "tool_call" else "",
                detail="full" if kind == "reasoning" else "",
            )
        )
        if kind == "text":
            if block.text:
                out.append(Delta(pos=pos, text=block.text))
            for citation in read_citations(block.citations):
                out.append(CitationSeen(pos=pos, citation=citation))
        elif kind == "reasoning":
            if block.thinking:
                out.append(Delta(pos=pos, text=block.thinking))
            if block.data:
                opaque = self.proof("redacted", block.data)
                if opaque is not None:
                    out.append(OpaqueSeen(pos=pos, opaque=opaque))
        return out

    def delta(self, index: int, delta: BlockDelta) -> list[AnyEvent]:
        """Take a piece of a block, opening one that no start announced."""
        opened = self._open.get(index)
        text = delta.text or delta.thinking
        if opened is not None and text:
            if opened.kind in ("text", "reasoning"):
                return [Delta(pos=opened.pos, text=text)]
            return []
        if opened is None:
            type_ = _DELTA_KINDS.get(delta.type)
            if type_ is None:
                return []
            started = self.start(index, b'{"type":"%b"}' % type_.encode())
            return [*started, *self.delta(index, delta)]
        return self._rare_delta(opened, delta)

    def _rare_delta(self, opened: _Open, delta: BlockDelta) -> list[AnyEvent]:
        if delta.partial_json:
            opened.pieces.append(delta.partial_json)
            if opened.kind == "tool_call":
                return [Delta(pos=opened.pos, text=delta.partial_json)]
        elif delta.signature:
            opened.signature = delta.signature
        elif given(delta.citation) is not None:
            citation = read_citation(delta.citation)
            if citation is not None:
                return [CitationSeen(pos=opened.pos, citation=citation)]
        elif given(delta.content) is not None and opened.kind == "unknown":
            opened.raw = _with_member(opened.raw, "content", bytes(delta.content))
        return []

    def stop(self, index: int) -> list[AnyEvent]:
        """Close a block, with what is only known by then."""
        opened = self._open.pop(index, None)
        if opened is None:
            return []
        out: list[AnyEvent] = []
        pos = opened.pos
        if opened.kind == "tool_call":
            if not opened.pieces:
                text = opened.input.decode() or "{}"
                out.append(Delta(pos=pos, text=text))
        elif opened.kind == "reasoning":
            opaque = self.proof("signature", opened.signature)
            if opaque is not None:
                out.append(OpaqueSeen(pos=pos, opaque=opaque))
        elif opened.kind == "unknown":
            payload = opened.raw
            if opened.pieces:
                payload = _with_member(
                    payload, "input", "".join(opened.pieces).encode()
                )
            out.append(
                UnknownSeen(
                    pos=pos, dialect=ID, type=opened.type, payload=msgspec.Raw(payload)
                )
            )
        out.append(PartClose(pos=pos))
        return out

    def stop_all(self) -> list[AnyEvent]:
        """Close whatever is open."""
        return [event for index in list(self._open) for event in self.stop(index)]

    def proof(self, slot: str, data: str) -> Opaque | None:
        """Return what stands in an opaque slot; None for an empty one."""
        if not data:
            return None
        if is_packed(data):
            return unpack(data)
        reply = self._reply
        return Opaque(
            family=ID, slot=slot, data=data, model=reply.model, scope=reply.scope
        )


def _with_member(raw: bytes, name: str, value: bytes) -> bytes:
    """Return a block with one member set; as it was when the value is no JSON."""
    try:
        msgspec.json.decode(value)
        members = _MEMBERS.decode(raw)
    except UNREADABLE:
        return raw
    return msgspec.json.encode({**members, name: msgspec.Raw(value)})
