"""Write a client's stream of messages: every event in its place, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.anthropic_messages.citations import citation_object
from providers.formats.anthropic_messages.errors import build_error_body
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.anthropic_messages.usage import usage_object
from providers.formats.base import UNREADABLE
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Finish,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.smuggle import NOTHING, pack
from providers.formats.neutral.types import Opaque
from providers.formats.taps import ClientStream

ID: Final = "anthropic"
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_REASONS: Final[dict[str, str]] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
    "prompt_blocked": "refusal",
    "malformed": "end_turn",
    "cancelled": "end_turn",
}
_DELTA_HEAD: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":'
)
_DELTAS: Final[dict[str, bytes]] = {
    "text": b',"delta":{"type":"text_delta","text":',
    "refusal": b',"delta":{"type":"text_delta","text":',
    "reasoning": b',"delta":{"type":"thinking_delta","thinking":',
    "tool_call": b',"delta":{"type":"input_json_delta","partial_json":',
    "unknown": b',"delta":{"type":"input_json_delta","partial_json":',
}
_DELTA_TAIL: Final = b"}}\n\n"
_encode: Final = msgspec.json.Encoder().encode


class _Payload(msgspec.Struct):
    input: msgspec.Raw = ABSENT


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PAYLOAD: Final = msgspec.json.Decoder(_Payload)


class MessagesClientStream:
    """Write the proxy's own frames; knows what the client's stream has had so far.

    Shapes:  ``is_open`` = the client has, or is about to get, its ``message_start``.
    """

    __slots__ = ("_model", "_request_id", "is_open")

    def __init__(self, model: str, request_id: str) -> None:
        self._model = model
        self._request_id = request_id
        self.is_open = False

    def keepalive(self) -> bytes:
        """Return a ping; the first one has to open the stream."""
        if self.is_open:
            return PING
        return self.opening() + PING

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the in-stream error; no stop follows, nothing was completed."""
        _, body = build_error_body(detail.status or 502, detail, request_id=request_id)
        return b"event: error\ndata: " + body + b"\n\n"

    def opening(
        self,
        upstream_id: str = "",
        usage: TokenUsage | None = None,
        estimate: int = 0,
    ) -> bytes:
        """Return ``message_start``, once."""
        self.is_open = True
        message: dict[str, Any] = {
            "id": message_id(upstream_id, self._request_id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(usage, estimate=estimate),
        }
        return _frame("message_start", {"type": "message_start", "message": message})


class MessagesEncoder:
    """Make the stream of events; see ``codec.Encoder`` for the contract.

    Nothing is written before the answer says something: until then another upstream
    may take over, and whether the opening is still due is not decided. Blocks are
    opened by their first piece, so that an empty part leaves none behind.

    Cost:  some 2 us a piece of text.
    """

    __slots__ = (
        "_estimate",
        "_finish",
        "_has_refused",
        "_index",
        "_is_block_open",
        "_kind",
        "_part",
        "_proof",
        "_start",
        "_stream",
        "_usage",
        "_waiting",
    )

    def __init__(self, view: View, stream: ClientStream) -> None:
        if not isinstance(stream, MessagesClientStream):
            stream = MessagesClientStream(view.model, view.request_id)
        self._stream: MessagesClientStream = stream
        self._estimate = view.input_estimate or 0
        self._waiting: list[AnyEvent] | None = []
        self._start = Start()
        self._usage: TokenUsage | None = None
        self._finish: Finish | None = None
        self._has_refused = False
        self._index = -1
        self._part: PartOpen | None = None
        self._kind = ""
        self._is_block_open = False
        self._proof: Opaque | None = None

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the bytes for some events."""
        waiting = self._waiting
        if waiting is None:
            return b"".join([self._event(event) for event in events])
        out: list[bytes] = []
        for event in events:
            if self._waiting is not None:
                waiting.append(event)
                if not _is_useful(event):
                    continue
                self._waiting = None
                out.append(self._opened(waiting))
            else:
                out.append(self._event(event))
        return b"".join(out)

    def _opened(self, waiting: list[AnyEvent]) -> bytes:
        """Open the stream and write what was held back."""
        for event in waiting:
            if isinstance(event, Start):
                self._start = event
                self._usage = event.usage or self._usage
            elif isinstance(event, UsageSeen):
                self._usage = event.usage
        out = b""
        if not self._stream.is_open:
            out = self._stream.opening(self._start.id, self._usage, self._estimate)
        return out + b"".join([self._event(event) for event in waiting])

    def _event(self, event: AnyEvent) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, PartOpen):
            return self._part_open(event)
        if isinstance(event, PartClose):
            return self._part_close(event)
        if isinstance(event, OpaqueSeen):
            return self._opaque(event.pos, event.opaque)
        if isinstance(event, CitationSeen):
            return self._citation(event)
        if isinstance(event, UnknownSeen):
            return self._unknown(event)
        if isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Finish) and event.choice == 0:
            self._finish = event
        elif isinstance(event, End):
            return self._end()
        return b""

    def _part_open(self, event: PartOpen) -> bytes:
        if event.choice != 0:
            return b""  # this dialect has one answer
        self._part = event
        self._kind = event.kind
        self._is_block_open = False
        self._proof = None
        self._has_refused = self._has_refused or event.kind == "refusal"
        return b""

    def _delta(self, event: Delta) -> bytes:
        part = self._part
        if part is None or part.pos != event.pos or not event.text:
            return b""
        if self._kind not in _DELTAS:
            return b""
        out = b"" if self._is_block_open else self._open_block()
        return (
            out
            + _DELTA_HEAD
            + b"%d" % self._index
            + _DELTAS[self._kind]
            + _encode(event.text)
            + _DELTA_TAIL
        )

    def _open_block(self, block: dict[str, Any] | None = None) -> bytes:
        self._index += 1
        self._is_block_open = True
        return _frame(
            "content_block_start",
            {
                "type": "content_block_start",
                "index": self._index,
                "content_block": block or self._empty_block(),
            },
        )

    def _empty_block(self) -> dict[str, Any]:
        part = self._part
        if self._kind == "tool_call" and part is not None:
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
        if self._kind == "reasoning":
            return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "text", "text": ""}

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        return _frame(
            "content_block_delta",
            {"type": "content_block_delta", "index": self._index, "delta": delta},
        )

    def _close_block(self) -> bytes:
        self._is_block_open = False
        return _frame(
            "content_block_stop", {"type": "content_block_stop", "index": self._index}
        )

    def _opaque(self, pos: int, opaque: Opaque) -> bytes:
        part = self._part
        if part is None or part.pos != pos:
            return b""
        if self._kind == "reasoning":
            self._proof = self._proof or opaque
        elif self._kind == "tool_call" and not self._is_block_open:
            # A call has no slot here: its proof goes before it, as thought unseen.
            return self._redacted(opaque)
        return b""

    def _redacted(self, opaque: Opaque) -> bytes:
        block = {"type": "redacted_thinking", "data": slot_text(opaque)}
        return self._open_block(block) + self._close_block()

    def _citation(self, event: CitationSeen) -> bytes:
        part = self._part
        if part is None or part.pos != event.pos or self._kind != "text":
            return b""
        out = b"" if self._is_block_open else self._open_block()
        citation = citation_object(event.citation)
        return out + self._block_delta(
            {"type": "citations_delta", "citation": citation}
        )

    def _unknown(self, event: UnknownSeen) -> bytes:
        """Write a block of this dialect's own; another's has no word here."""
        part = self._part
        if part is None or part.pos != event.pos or event.dialect != ID:
            return b""
        try:
            block: dict[str, Any] = dict(_MEMBERS.decode(event.payload))
            sent = given(_PAYLOAD.decode(event.payload).input)
        except UNREADABLE:
            return b""
        if sent is None:
            return self._open_block(block)
        out = self._open_block({**block, "input": {}})
        if bytes(sent) == b"{}":
            return out
        text = bytes(sent).decode(errors="replace")
        return out + self._block_delta(
            {"type": "input_json_delta", "partial_json": text}
        )

    def _part_close(self, event: PartClose) -> bytes:
        part = self._part
        if part is None or part.pos != event.pos:
            return b""
        out = b""
        if self._kind == "reasoning":
            out = self._reasoning_end()
        elif self._kind == "tool_call" and not self._is_block_open:
            out = self._open_block()
        self._part = None
        return out + self._close_block() if self._is_block_open else out

    def _reasoning_end(self) -> bytes:
        """Write the proof of a thought: a signature, or a block without words."""
        proof, out = self._proof, b""
        if not self._is_block_open:
            if proof is None:
                return b""
            if proof.slot != "signature":
                return self._redacted(proof)
            out = self._open_block()
        return out + self._block_delta(
            {"type": "signature_delta", "signature": slot_text(proof or NOTHING)}
        )

    def _end(self) -> bytes:
        finish = self._finish or Finish(reason="end")
        delta = stop_members(finish, has_refused=self._has_refused)
        usage = usage_object(self._usage, estimate=self._estimate)
        return (
            _frame(
                "message_delta",
                {"type": "message_delta", "delta": delta, "usage": usage},
            )
            + _STOP
        )


def message_id(upstream_id: str, request_id: str) -> str:
    """Return an id that is found again in an upstream's logs."""
    tail = upstream_id.rpartition("-")[2].rpartition("_")[2]
    return f"msg_{tail or request_id}"


def stop_members(finish: Finish, *, has_refused: bool = False) -> dict[str, Any]:
    """Word how an answer ended, as a message's members."""
    reason = _REASONS[finish.reason]
    if has_refused and reason == "end_turn":
        reason = "refusal"
    members: dict[str, Any] = {
        "stop_reason": reason,
        "stop_sequence": finish.stop_sequence or None,
    }
    if reason == "refusal" and finish.detail:
        members["stop_details"] = {
            "type": "refusal",
            "category": None,
            "explanation": finish.detail,
        }
    return members


def slot_text(opaque: Opaque) -> str:
    """Return what stands for proof in a client's signature or data."""
    return opaque.data if opaque.family == ID else pack(opaque)


def _is_useful(event: AnyEvent) -> bool:
    """Tell whether an event makes the proxy hand out what it held back."""
    if isinstance(event, Delta):
        return bool(event.text)
    if isinstance(event, PartOpen):
        return event.kind == "tool_call"
    return isinstance(event, MediaSeen | UnknownSeen | Finish)


def _frame(name: str, payload: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(payload))
