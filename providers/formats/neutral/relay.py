"""Relay bytes between a client and an upstream of one dialect, metering a copy.

The frames leave as they came; only the model's name is patched, by span, where the
client asked by another one. What is counted is read by the dialect's own decoder, so a
relayed answer costs what its translation would.

Source: reference wire R1, R2, 5.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from providers.formats.base import (
    MAX_EVENT_BYTES,
    UNREADABLE,
    ChatRequest,
    FormatError,
    FramingError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import Codec, Reply, View
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.gather import Meter, gather
from providers.formats.neutral.metered import MeteredTap
from providers.formats.neutral.repair import Repair, failed
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream, StreamTap

_MAX_BODY_BYTES = 40 * 1024 * 1024


class Splitter(Protocol):
    """Cut bytes into frames: the raw bytes of each, and its payload if it has one."""

    def feed(self, data: bytes) -> Sequence[tuple[bytes, bytes | None]]:
        """Return the frames that became complete.

        Errors:  FramingError above ``MAX_EVENT_BYTES``.
        """

    def finish(self) -> Sequence[tuple[bytes, bytes | None]]:
        """Return what is left at the end of the body."""


class Relayed(Protocol):
    """What one dialect adds to the relaying of bytes."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch the client's body by span for an upstream.

        Errors:  FormatError.
        """

    def splitter(self) -> Splitter:
        """Start cutting a stream."""

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Return a frame with the model's name the client asked for.

        Shapes:  the very same object where nothing changes; empty = not for clients.
        """

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Return a whole answer with the model's name the client asked for."""


Resume: TypeAlias = Callable[[bytes, ClientStream], bytes]
"""An optional ``resumed`` of a ``Relayed``: gets the first bytes that are handed out,
and returns what of them may follow on what the pool itself has said in the stream.
"""


class RelayBridge:
    """Relay one dialect; one object for each."""

    def __init__(self, codec: Codec, relayed: Relayed) -> None:
        self._codec = codec
        self._relayed = relayed

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch a request."""
        return self._relayed.patch(request, target)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Meter a whole answer; a stream nobody asked for is joined to one."""
        codec, reply = self._codec, Reply(model=sent.model)
        if codec.framing != "ndjson" and body.lstrip()[:1] not in (b"{", b"["):
            events = Repair().feed(self._unasked(body, reply))
            answer = gather(events)
            if answer.error is None and answer.is_complete:
                made = codec.encode_answer(answer, view_of(request, codec))
                return _metered(events, made)
            return _metered(events, b"", is_broken=True)
        events = codec.decode_answer(body, reply)
        return _metered(events, self._relayed.echo_body(body, request.model))

    def _unasked(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Read a stream nobody asked for, out of whatever records it came in."""
        splitter = self._relayed.splitter()
        decoder = self._codec.open_decoder(reply)
        try:
            frames = [*splitter.feed(body), *splitter.finish()]
            events = [event for raw, _ in frames for event in decoder.feed(raw)]
            return [*events, *decoder.eof()]
        except FramingError as error:
            return [failed(str(error))]

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start relaying a stream."""
        return RelayTap(self._codec, self._relayed, request, sent, stream=stream)


class RelayTap(MeteredTap):
    """Relay one stream; see ``base.StreamTap`` for the contract."""

    def __init__(
        self,
        codec: Codec,
        relayed: Relayed,
        request: ChatRequest,
        sent: UpstreamRequest,
        *,
        stream: ClientStream,
    ) -> None:
        self._codec = codec
        self._relayed = relayed
        self._resume: Resume | None = getattr(relayed, "resumed", None)
        self._request = request
        self._stream = stream
        self._reply = Reply(model=sent.model)
        self._splitter = relayed.splitter()
        self._decoder = codec.open_decoder(self._reply)
        super().__init__()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._whole: bytearray | None = None
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        if self._closed:
            return b""
        if not self._started and not self._start(data):
            return b""
        return self._take(self._splitter.feed(data))

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes."""
        if self._closed:
            return b""
        if self._whole is not None:
            return self._split_whole(bytes(self._whole))
        out = self._take(self._splitter.finish())
        if not self._closed:
            self._meter.take(self._decoder.eof())
            self._closed = True
        return out

    def _start(self, data: bytes) -> bool:
        """Look at the first bytes: a whole answer is collected and split up later."""
        if self._whole is None:
            first = data.lstrip()[:1]
            if self._codec.framing == "ndjson" or first not in (b"{", b"["):
                self._started = bool(first) or self._codec.framing != "sse"
                return True
            self._whole = bytearray()
        self._whole += data
        if len(self._whole) > _MAX_BODY_BYTES:
            raise FramingError("the answer is larger than the limit")
        return False

    def _take(self, frames: Sequence[tuple[bytes, bytes | None]]) -> bytes:
        meter, model = self._meter, self._request.model
        out: list[bytes] = []
        for raw, payload in frames:
            events = self._decoder.feed(raw)
            meter.take(events)
            if meter.error is not None:
                self._closed = True
                break
            piece = self._relayed.echo_frame(raw, payload, model)
            if piece:
                out.append(piece)
            if meter.is_ended:
                self._closed = True
                break
        return self._release(out)

    def _release(self, out: list[bytes]) -> bytes:
        """Hand out frames, or hold them until something useful was seen."""
        data = out[0] if len(out) == 1 else b"".join(out)
        if not self._meter.useful:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > MAX_EVENT_BYTES:
                raise FramingError("no content within the limit")
            return b""
        if self._held:
            data = b"".join(self._held) + data
            self._held = []
        if self._resume is not None:
            data = self._resume(data, self._stream)
            self._resume = None
        self.out_bytes += len(data)
        return data

    def _split_whole(self, body: bytes) -> bytes:
        """Word a whole answer as the stream that was asked for."""
        events = Repair().feed(self._codec.decode_answer(body, self._reply))
        self._meter.take(events)
        self._closed = True
        if self._meter.error is not None:
            return b""
        view = view_of(self._request, self._codec)
        out = self._codec.open_encoder(view, self._stream).encode(events)
        self.out_bytes += len(out)
        return out


def view_of(request: ChatRequest, codec: Codec) -> View:
    """Return what a client's encoder must know of a call that was not translated.

    Fails:   never: a body that the upstream took and we cannot read is not echoed.
    """
    try:
        known = codec.decode_request(request)
    except (FormatError, *UNREADABLE):
        known = Request(dialect=codec.id, model=request.model)
    return View(
        model=request.model,
        request=known,
        asked=request,
        created=int(time.time()),
    )


def _metered(
    events: list[AnyEvent], body: bytes, *, is_broken: bool = False
) -> ResponseMeta:
    meter = Meter()
    meter.take(events)
    error = meter.error
    if error is None and is_broken:
        error = ErrorDetail(
            message="The upstream's answer broke off.",
            type="server_error",
            code="upstream_truncated",
        )
    return ResponseMeta(
        body=body,
        usage=meter.usage,
        flags=meter.flags,
        vendor_cost_nano_usd=meter.vendor_cost_nano_usd,
        model=meter.model,
        response_id=meter.response_id,
        service_tier=meter.service_tier,
        finish_reasons=meter.finish_reasons,
        text_bytes=meter.text_bytes,
        error=error,
    )
