"""Word answers for a Converse client, whole or as an event stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.bedrock_converse.blocks_out import (
    OWN_FAMILIES,
    BlockWriter,
    cited,
    signature_of,
)
from providers.formats.bedrock_converse.errors import error_body, stream_exception_of
from providers.formats.bedrock_converse.names import IMAGES
from providers.formats.bedrock_converse.reasons import worded_finish
from providers.formats.bedrock_converse.usage import worded_usage
from providers.formats.errors import ErrorDetail
from providers.formats.framing_eventstream import encode_frame
from providers.formats.neutral.events import (
    Answer,
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Finish,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
    PartKind,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.types import Opaque, Refusal

_JSON: Final = "application/json"
_TEXTUAL: Final = frozenset({"text", "refusal"})


def event_frame(name: str, value: Mapping[str, Any]) -> bytes:
    """Return one event as Bedrock frames it."""
    headers = {
        ":event-type": name,
        ":content-type": _JSON,
        ":message-type": "event",
    }
    return encode_frame(headers, msgspec.json.encode(value))


def exception_frame(detail: ErrorDetail) -> bytes:
    """Return an error inside a stream."""
    headers = {
        ":exception-type": stream_exception_of(detail),
        ":content-type": _JSON,
        ":message-type": "exception",
    }
    return encode_frame(headers, error_body(detail))


def encode_answer(answer: Answer) -> bytes:
    """Word a whole answer; a client of this dialect knows one choice."""
    choice = answer.choices[0] if answer.choices else None
    writer = BlockWriter()
    parts = () if choice is None else choice.parts
    content = [block for part in parts for block in writer.blocks(part)]
    finish = Finish(reason="end") if choice is None else choice.finish
    told: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": worded_finish(
            finish, has_refused=any(isinstance(part, Refusal) for part in parts)
        ),
        "usage": worded_usage(answer.usage),
        "metrics": {"latencyMs": 0},
    }
    if finish.stop_sequence:
        extra = {"stop_sequence": finish.stop_sequence}
        told["additionalModelResponseFields"] = extra
    if answer.service_tier:
        told["serviceTier"] = {"type": answer.service_tier}
    return msgspec.json.encode(told)


class ConverseEncoder:
    """Make one client's event stream; see ``codec.Encoder`` for the contract.

    Shapes:  blocks are counted as they first say something; an empty one never was.
    """

    __slots__ = ("_began", "_finish", "_indices", "_kinds", "_next", "_tier", "_usage")

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._indices: dict[int, int] = {}
        self._kinds: dict[int, PartKind] = {}
        self._next = 0
        self._finish: Finish | None = None
        self._usage: TokenUsage | None = None
        self._tier = ""

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the records for some events."""
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Delta):
                self._delta(event, out)
            elif isinstance(event, PartOpen):
                self._open(event, out)
            elif isinstance(event, PartClose):
                self._close(event, out)
            elif isinstance(event, OpaqueSeen):
                self._opaque(event.pos, event.opaque, out)
            else:
                self._rare(event, out)
        return b"".join(out)

    def _rare(self, event: AnyEvent, out: list[bytes]) -> None:
        if isinstance(event, Start):
            self._usage = event.usage
            self._tier = event.service_tier
            out.append(event_frame("messageStart", {"role": "assistant"}))
        elif isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Meta):
            self._tier = event.service_tier or self._tier
        elif isinstance(event, Finish):
            self._finish = self._finish or event
        elif isinstance(event, CitationSeen):
            source = cited(event.citation)
            if source is not None:
                self._say(event.pos, {"citation": source}, out)
        elif isinstance(event, MediaSeen):
            self._image(event, out)
        elif isinstance(event, End):
            self._end(out)

    def _open(self, event: PartOpen, out: list[bytes]) -> None:
        if event.choice:
            return
        self._kinds[event.pos] = event.kind
        if event.kind == "tool_call":
            start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
            index = self._index(event.pos)
            value = {"contentBlockIndex": index, "start": start}
            out.append(event_frame("contentBlockStart", value))

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        kind = self._kinds.get(event.pos)
        if not event.text or kind is None:
            return
        if kind == "tool_call":
            self._say(event.pos, {"toolUse": {"input": event.text}}, out)
        elif kind == "reasoning":
            self._say(event.pos, {"reasoningContent": {"text": event.text}}, out)
        elif kind in _TEXTUAL:
            self._say(event.pos, {"text": event.text}, out)

    def _opaque(self, pos: int, proof: Opaque, out: list[bytes]) -> None:
        if self._kinds.get(pos) != "reasoning":
            return
        if proof.slot == "redacted" and proof.family in OWN_FAMILIES:
            told = {"redactedContent": proof.data}
        else:
            told = {"signature": signature_of(proof)}
        self._say(pos, {"reasoningContent": told}, out)

    def _image(self, event: MediaSeen, out: list[bytes]) -> None:
        word = IMAGES.get(event.media_type)
        if word is None or event.pos not in self._kinds:
            return
        if event.pos not in self._indices:
            value: dict[str, Any] = {"start": {"image": {"format": word}}}
            value["contentBlockIndex"] = self._index(event.pos)
            out.append(event_frame("contentBlockStart", value))
        self._say(event.pos, {"image": {"source": {"bytes": event.data}}}, out)

    def _close(self, event: PartClose, out: list[bytes]) -> None:
        index = self._indices.get(event.pos)
        if index is not None:
            out.append(event_frame("contentBlockStop", {"contentBlockIndex": index}))

    def _end(self, out: list[bytes]) -> None:
        finish = self._finish or Finish(reason="end")
        reason = worded_finish(finish, has_refused="refusal" in self._kinds.values())
        stop: dict[str, Any] = {"stopReason": reason}
        if finish.stop_sequence:
            extra = {"stop_sequence": finish.stop_sequence}
            stop["additionalModelResponseFields"] = extra
        elapsed_ms = round((time.monotonic() - self._began) * 1_000)
        metadata: dict[str, Any] = {
            "usage": worded_usage(self._usage),
            "metrics": {"latencyMs": elapsed_ms},
        }
        if self._tier:
            metadata["serviceTier"] = {"type": self._tier}
        out.append(event_frame("messageStop", stop))
        out.append(event_frame("metadata", metadata))

    def _say(self, pos: int, delta: Mapping[str, Any], out: list[bytes]) -> None:
        if pos in self._kinds:
            value = {"contentBlockIndex": self._index(pos), "delta": delta}
            out.append(event_frame("contentBlockDelta", value))

    def _index(self, pos: int) -> int:
        known = self._indices.get(pos)
        if known is None:
            known = self._indices[pos] = self._next
            self._next += 1
        return known


class ConverseClientStream:
    """Write the proxy's own records into a client's stream.

    An event of an unknown type is what every Bedrock client skips.
    """

    __slots__ = ()

    def keepalive(self) -> bytes:
        """Return an event without a meaning."""
        return _PING

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the exception that ends the stream."""
        return exception_frame(detail)


_PING: Final = event_frame("ping", {})
