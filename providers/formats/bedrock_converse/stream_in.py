"""Read an upstream's event stream.

Usage comes behind ``messageStop``, in ``metadata``: only then the answer is over. A text
block has no start of its own; it opens with its first delta.

Source: reference wire 1.9, pitfall P97.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.bedrock_converse.answer_in import Tier, usage_events
from providers.formats.bedrock_converse.blocks_in import read_citation
from providers.formats.bedrock_converse.errors import read_error_body
from providers.formats.bedrock_converse.names import family_of, media_type
from providers.formats.bedrock_converse.raw import ABSENT, given
from providers.formats.bedrock_converse.reasons import read_finish
from providers.formats.framing_eventstream import EventStreamSplitter, read_headers
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Failed,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartKind,
    PartOpen,
    Start,
)
from providers.formats.neutral.repair import failed
from providers.formats.neutral.types import Opaque


class _ToolStart(msgspec.Struct):
    toolUseId: str = ""
    name: str = ""
    type: str | None = None


class _ImageStart(msgspec.Struct):
    format: str = ""


class _Start(msgspec.Struct):
    toolUse: _ToolStart | None = None
    image: _ImageStart | None = None


class _ToolDelta(msgspec.Struct):
    input: str = ""


class _ReasoningDelta(msgspec.Struct):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class _Source(msgspec.Struct):
    bytes: str = ""


class _ImageDelta(msgspec.Struct):
    source: _Source | None = None


class _Delta(msgspec.Struct):
    text: str | None = None
    toolUse: _ToolDelta | None = None
    reasoningContent: _ReasoningDelta | None = None
    citation: msgspec.Raw = ABSENT
    image: _ImageDelta | None = None


class _Event(msgspec.Struct):
    contentBlockIndex: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stopReason: str = ""
    additionalModelResponseFields: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    serviceTier: Tier | None = None


_EVENT: Final = msgspec.json.Decoder(_Event)


class ConverseDecoder:
    """Make events of one stream; see ``codec.Decoder`` for the contract.

    Cost:  some 5 us for a delta.
    """

    __slots__ = ("_family", "_formats", "_is_over", "_opened", "_skipped", "_splitter")

    def __init__(self, reply: Reply) -> None:
        self._family = family_of(reply.model)
        self._splitter = EventStreamSplitter()
        self._opened: set[int] = set()
        self._skipped: set[int] = set()
        self._formats: dict[int, str] = {}
        self._is_over = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, cut anywhere."""
        events: list[AnyEvent] = []
        for raw, payload in self._splitter.feed(data):
            headers = read_headers(raw)
            if headers.get(":message-type", "event") != "event":
                events.append(_failure(headers, payload or b""))
                break
            try:
                event = _EVENT.decode(payload or b"{}")
                self._take(headers.get(":event-type", ""), event, events)
            except UNREADABLE:
                events.append(failed("The upstream sent an event that is not JSON."))
                break
        return events

    def eof(self) -> list[AnyEvent]:
        """Take the end: an answer that stopped is over, with or without its usage."""
        return [End()] if self._is_over else []

    def _take(self, name: str, event: _Event, out: list[AnyEvent]) -> None:
        if name == "contentBlockDelta" and event.delta is not None:
            self._delta(event.contentBlockIndex, event.delta, out)
        elif name == "contentBlockStart" and event.start is not None:
            self._start(event.contentBlockIndex, event.start, out)
        elif name == "contentBlockStop":
            out.append(PartClose(pos=event.contentBlockIndex))
        elif name == "messageStart":
            out.append(Start())
        elif name == "messageStop":
            self._is_over = True
            extra = given(event.additionalModelResponseFields)
            out.append(read_finish(event.stopReason, extra))
        elif name == "metadata":
            out += usage_events(given(event.usage), event.serviceTier)
            if self._is_over:
                out.append(End())

    def _start(self, pos: int, start: _Start, out: list[AnyEvent]) -> None:
        tool = start.toolUse
        if tool is not None and tool.type is None:
            self._opened.add(pos)
            out.append(
                PartOpen(pos=pos, kind="tool_call", id=tool.toolUseId, name=tool.name)
            )
        elif start.image is not None:
            self._formats[pos] = media_type("image", start.image.format)
        else:
            # What a server ran is its own affair: its calls are not the client's.
            self._skipped.add(pos)

    def _delta(self, pos: int, delta: _Delta, out: list[AnyEvent]) -> None:
        if pos in self._skipped:
            return
        if delta.text is not None:
            self._open(pos, "text", out)
            out.append(Delta(pos=pos, text=delta.text))
        elif delta.toolUse is not None:
            out.append(Delta(pos=pos, text=delta.toolUse.input))
        elif delta.reasoningContent is not None:
            self._open(pos, "reasoning", out)
            self._thought(pos, delta.reasoningContent, out)
        elif given(delta.citation) is not None:
            self._open(pos, "text", out)
            out.append(CitationSeen(pos=pos, citation=read_citation(delta.citation)))
        elif delta.image is not None and delta.image.source is not None:
            self._open(pos, "media", out)
            data, kind = delta.image.source.bytes, self._formats.get(pos, "")
            out.append(MediaSeen(pos=pos, data=data, media_type=kind))

    def _thought(self, pos: int, delta: _ReasoningDelta, out: list[AnyEvent]) -> None:
        if delta.text is not None:
            out.append(Delta(pos=pos, text=delta.text))
        for slot, data in (
            ("signature", delta.signature),
            ("redacted", delta.redactedContent),
        ):
            if data:
                proof = Opaque(family=self._family, slot=slot, data=data)
                out.append(OpaqueSeen(pos=pos, opaque=proof))

    def _open(self, pos: int, kind: PartKind, out: list[AnyEvent]) -> None:
        if pos in self._opened:
            return
        self._opened.add(pos)
        detail = "full" if kind == "reasoning" else ""
        out.append(PartOpen(pos=pos, kind=kind, detail=detail))


def _failure(headers: dict[str, str], payload: bytes) -> Failed:
    """Read an exception record, or one of the transport's own errors."""
    name = headers.get(":exception-type") or headers.get(":error-code", "")
    detail = read_error_body(None, payload, name)
    words = headers.get(":error-message", "")
    if words and not detail.message:
        detail = msgspec.structs.replace(detail, message=words)
    return Failed(error=detail)
