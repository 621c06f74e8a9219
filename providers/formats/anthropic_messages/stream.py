"""Read an upstream's messages, as a stream and whole, into one row of events."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.anthropic_messages.blocks import BlockDelta, BlockReader
from providers.formats.anthropic_messages.errors import read_messages_error
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.anthropic_messages.usage import UsageReader
from providers.formats.base import MAX_EVENT_BYTES, UNREADABLE, is_bulky
from providers.formats.framings import SseSplitter
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    End,
    Failed,
    Finish,
    FinishReason,
    Meta,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed

_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "end",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_full",
}


class _Wire(msgspec.Struct, gc=False):
    """Hold one event; what it means is decided by its type."""

    type: str = ""
    index: int = 0
    delta: BlockDelta | None = None
    content_block: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Type(msgspec.Struct, gc=False):
    type: str = ""


class _Message(msgspec.Struct, gc=False):
    """Hold a message, whole or only begun."""

    type: str = "message"
    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class _Details(msgspec.Struct, gc=False):
    explanation: str | None = None
    category: str | None = None


_WIRE: Final = msgspec.json.Decoder(_Wire)
_TYPE: Final = msgspec.json.Decoder(_Type)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_DETAILS: Final = msgspec.json.Decoder(_Details)
_KNOWN: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    }
)


class MessagesDecoder:
    """Make events of a stream; see ``codec.Decoder`` for the contract.

    Shapes:  the types of the events decide, so that data without ``event`` lines is
             read too. What follows ``message_stop`` or an error is not looked at.
    Cost:    some 4 us an event.
    """

    __slots__ = ("_blocks", "_is_over", "_is_whole", "_splitter", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._blocks = BlockReader(reply)
        self._usage = UsageReader()
        self._splitter = SseSplitter()
        self._is_whole = True
        self._is_over = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, return events."""
        out: list[AnyEvent] = []
        for payload in self._payloads(data):
            if self._is_over:
                break
            if payload:
                self._event(payload, out)
        return out

    def eof(self) -> list[AnyEvent]:
        """Take the end; a stream that was not stopped has no end of its own."""
        out: list[AnyEvent] = []
        for _, payload in self._splitter.finish():
            if payload and not self._is_over:
                self._event(payload, out)
        return out

    def _payloads(self, data: bytes) -> list[bytes | None]:
        """Cut data into payloads; the shape servers write takes the short way."""
        is_whole = data[-2:] == b"\n\n"
        if self._is_whole and is_whole:
            payloads = _plain(data)
            if payloads is not None:
                return payloads
        self._is_whole = is_whole
        return [payload for _, payload in self._splitter.feed(data)]

    def _event(self, payload: bytes, out: list[AnyEvent]) -> None:
        try:
            wire = _WIRE.decode(payload)
            type_ = wire.type
            if type_ == "content_block_delta":
                if wire.delta is not None:
                    out += self._blocks.delta(wire.index, wire.delta)
            elif type_ == "content_block_start":
                out += self._blocks.start(wire.index, bytes(wire.content_block))
            elif type_ == "content_block_stop":
                out += self._blocks.stop(wire.index)
            else:
                self._rare(wire, payload, out)
        except UNREADABLE:
            self._odd(payload, out)

    def _rare(self, wire: _Wire, payload: bytes, out: list[AnyEvent]) -> None:
        if wire.type == "message_start":
            self._message_start(wire, out)
        elif wire.type == "message_delta":
            self._message_delta(wire, out)
        elif wire.type == "message_stop":
            out += self._blocks.stop_all()
            out.append(End())
            self._is_over = True
        elif wire.type == "error" or (not wire.type and given(wire.error)):
            out.append(Failed(error=read_messages_error(None, payload)))
            self._is_over = True

    def _message_start(self, wire: _Wire, out: list[AnyEvent]) -> None:
        message = _MESSAGE.decode(given(wire.message) or b"{}")
        usage = None
        if (stated := given(message.usage)) is not None:
            usage = self._usage.take(stated, is_opening=True)
        out.append(
            Start(
                id=message.id or "",
                model=message.model or "",
                usage=usage,
                service_tier=self._usage.tier,
            )
        )

    def _message_delta(self, wire: _Wire, out: list[AnyEvent]) -> None:
        tier = self._usage.tier
        if (stated := given(wire.usage)) is not None:
            out += _usage_events(self._usage, stated)
        if self._usage.tier != tier:
            out.append(Meta(service_tier=self._usage.tier))
        delta = wire.delta
        if delta is not None and delta.stop_reason:
            out += self._blocks.stop_all()
            out.append(
                _finish(delta.stop_reason, delta.stop_sequence, delta.stop_details)
            )

    def _odd(self, payload: bytes, out: list[AnyEvent]) -> None:
        """Take what could not be read: a newer event is skipped, rubbish is a fault."""
        if payload.strip() in (b"", b"[DONE]"):
            return
        try:
            type_ = _TYPE.decode(payload).type
        except UNREADABLE:
            type_ = "error"
        if type_ in _KNOWN:
            out.append(failed("The upstream sent an event that cannot be read."))
            self._is_over = True


def read_answer(body: bytes, reply: Reply) -> list[AnyEvent]:
    """Take a whole message apart, into the events a stream of it would have had."""
    if is_bulky(body):
        return [failed("The upstream's answer has too many items.")]
    try:
        message = _MESSAGE.decode(body)
    except UNREADABLE:
        return [failed("The upstream's answer is not a message.")]
    if message.type == "error" or given(message.error) is not None:
        return [Failed(error=read_messages_error(None, body))]
    if message.content is None:
        return [failed("The upstream's answer is not a message.")]
    usage = UsageReader()
    seen: list[AnyEvent] = []
    if (stated := given(message.usage)) is not None:
        seen = _usage_events(usage, stated)
    start = Start(
        id=message.id or "", model=message.model or "", service_tier=usage.tier
    )
    out: list[AnyEvent] = [start]
    blocks = BlockReader(reply)
    try:
        for index, raw in enumerate(message.content):
            out += blocks.start(index, bytes(raw))
            out += blocks.stop(index)
    except UNREADABLE:
        return [failed("The upstream's answer has a block that cannot be read.")]
    out += seen
    if message.stop_reason:
        out.append(
            _finish(message.stop_reason, message.stop_sequence, message.stop_details)
        )
    out.append(End())
    return out


def _usage_events(reader: UsageReader, raw: msgspec.Raw) -> list[AnyEvent]:
    usage = reader.take(raw)
    return [] if usage is None else [UsageSeen(usage=usage, flags=reader.flags)]


def _finish(reason: str, sequence: str | None, details: msgspec.Raw) -> Finish:
    detail = ""
    if given(details) is not None:
        try:
            known = _DETAILS.decode(details)
            detail = known.explanation or known.category or ""
        except UNREADABLE:
            detail = ""
    return Finish(
        reason=_REASONS.get(reason, "end"),
        raw=reason,
        stop_sequence=sequence or "",
        detail=detail,
    )


def _plain(data: bytes) -> list[bytes | None] | None:
    """Return the payloads of whole events of one event and one data line each.

    Fails:   None for anything else, which goes the long way.
    """
    if b"\r" in data or len(data) > MAX_EVENT_BYTES:
        return None
    payloads: list[bytes | None] = []
    for part in data[:-2].split(b"\n\n"):
        at = part.find(b"\n")
        if part[:7] != b"event: " or part[at : at + 7] != b"\ndata: ":
            return None
        if part.find(b"\n", at + 1) >= 0:
            return None
        payloads.append(part[at + 7 :])
    return payloads
