"""Relay a chat completions stream frame by frame and meter it on the way.

Frames leave as the bytes they came in. Three things change them: the model name, when
the client asked by another one; the usage chunk and ``usage: null`` members, when only
the proxy asked for them; and the terminator, added where an upstream forgets it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import (
    MAX_EVENT_BYTES,
    UNREADABLE,
    ChatRequest,
    FramingError,
    UpstreamRequest,
)
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseSplitter
from providers.formats.openai_chat.chunks import (
    DECODER,
    NULL,
    UNSET,
    Choice,
    Chunk,
    delta_size,
    is_event_error,
    plain_json,
    plain_size,
    read_chunk,
    says_something,
)
from providers.formats.openai_chat.convert import stream_of_completion
from providers.formats.openai_chat.errors import (
    build_error_body,
    is_error,
    read_error_body,
)
from providers.formats.openai_chat.response import read_completion
from providers.formats.openai_chat.rewrite import ChunkRewriter
from providers.formats.openai_chat.usage import ReadUsage, read_usage

_MOST_ODD: Final = 8  # a stream that changes everywhere is not looked at twice
_FRAME_BYTES: Final = len(b"data: ") + len(b"\n\n")
DONE: Final = b"data: [DONE]\n\n"
KEEPALIVE: Final = b": keep-alive\n\n"
MAX_COMMENT_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 40 * 1024 * 1024


class ChatStreamTap:
    """Read one upstream stream; see ``base.StreamTap`` for the contract.

    Shapes:  an upstream that answers a stream request with one JSON body is read to
             its end and handed out as a stream.
    Cost:    some 3 us for a chunk of one event that passes verbatim.
    """

    __slots__ = (
        "_closed",
        "_comment_bytes",
        "_ended",
        "_held",
        "_held_bytes",
        "_include_usage",
        "_json",
        "_odd",
        "_open",
        "_read",
        "_requested",
        "_rewriter",
        "_shut",
        "_splitter",
        "_started",
        "_strip_usage",
        "_usage_raw",
        "error",
        "finish_reasons",
        "model",
        "out_bytes",
        "response_id",
        "saw_done",
        "service_tier",
        "text_bytes",
        "useful",
    )

    def __init__(self, request: ChatRequest, sent: UpstreamRequest) -> None:
        self._requested = request.model
        self._include_usage = request.include_usage
        self._strip_usage = sent.usage_injected
        self._splitter = SseSplitter()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._comment_bytes = 0
        self._json: bytearray | None = None
        self._odd = 0
        self._started = False
        self._ended = False
        self._closed = False
        self._open: set[int] = set()
        self._shut: set[int] = set()
        self._rewriter = ChunkRewriter(request.model)
        self._usage_raw: msgspec.Raw | None = None
        self._read: ReadUsage | None = None
        self.error: ErrorDetail | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.model: str | None = None
        self.response_id: str | None = None
        self.service_tier: str | None = None
        self.saw_done = False
        self.text_bytes = 0
        self.out_bytes = 0
        self.useful = False

    @property
    def finished(self) -> bool:
        """Tell whether every choice that was opened has its finish reason."""
        return bool(self._shut) and self._open <= self._shut

    @property
    def done(self) -> bool:
        """Tell whether the terminator was handed out."""
        return self._closed and self.useful and self.error is None

    @property
    def complete(self) -> bool:
        """Tell whether the answer ended as a chat stream ends, without an error."""
        if self.error is not None or not self.useful:
            return False
        return self.saw_done or self.finished

    @property
    def usage(self) -> TokenUsage | None:
        """Read the last usage the stream carried; None when it carried none."""
        return self._usage().usage

    @property
    def flags(self) -> tuple[str, ...]:
        """Name the quirks of the usage that was read."""
        return self._usage().flags

    @property
    def vendor_cost_nano_usd(self) -> int | None:
        """Return the cost the vendor stated in its usage."""
        return self._usage().vendor_cost_nano_usd

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        if self._closed:
            return b""
        if not self._started and not self._start(data):
            return b""
        payloads = self._splitter.plain(data)
        if payloads is not None:
            return self._release(self._take_plain(data, payloads))
        out: list[bytes] = []
        for raw, payload in self._splitter.feed(data):
            out.append(self._take(raw, payload))
            if self._closed:
                break
        return self._release(out)

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes.

        A stream that finished without its terminator gets one; a stream that broke
        off gets nothing, and ``complete`` is False.
        """
        if self._closed:
            return b""
        self._ended = True
        if self._json is not None:
            self._closed = True
            return self._release(self._from_json(bytes(self._json)))
        out: list[bytes] = []
        for raw, payload in self._splitter.finish():
            out.append(self._take(raw, payload))
        if self.error is None and not self.saw_done and self.finished:
            out.append(DONE)
        self._closed = True
        return self._release(out)

    def _take_plain(self, data: bytes, payloads: list[bytes]) -> list[bytes]:
        """Meter whole frames; stretches that need no change stay in one piece."""
        out: list[bytes] = []
        begin = at = 0
        for payload in payloads:
            end = at + len(payload) + _FRAME_BYTES
            is_odd = self._odd >= _MOST_ODD or self.model != self._requested
            if is_odd or not self._is_plain(payload):
                raw = data[at:end]
                piece = self._take(raw, payload)
                if piece is not raw:
                    out += (data[begin:at], piece)
                    begin = end
            at = end
            if self._closed:
                break
        out.append(data[begin:at])
        return [piece for piece in out if piece]

    def _is_plain(self, payload: bytes) -> bool:
        """Meter a chunk if it brings text and nothing else; leave any other alone."""
        try:
            chunk = DECODER.decode(payload)
        except UNREADABLE:
            return False
        size = plain_size(chunk, self._requested, self._open)
        if not size:
            self._odd += 1
            return False
        self.text_bytes += size
        self.useful = True
        return True

    def _start(self, data: bytes) -> bool:
        """Look at the first bytes: a JSON body is collected instead of split."""
        if self._json is None:
            first = data.lstrip()[:1]
            if first not in (b"{", b"["):
                self._started = bool(first)
                return True
            self._json = bytearray()
        self._json += data
        if len(self._json) > MAX_BODY_BYTES:
            raise FramingError("the answer is larger than the limit")
        return False

    def _release(self, out: list[bytes]) -> bytes:
        """Hand out pieces, or hold them until something useful was seen."""
        if not self.useful:
            self._hold(out)
            return b""
        if self._held:
            out = self._held + out
            self._held = []
        data = out[0] if len(out) == 1 else b"".join(out)
        self.out_bytes += len(data)
        return data

    def _hold(self, out: list[bytes]) -> None:
        """Keep openings back; a flood of them is no answer."""
        self._held += out
        self._held_bytes += sum(map(len, out))
        if self._held_bytes > MAX_EVENT_BYTES:
            raise FramingError("no content within the limit")

    def _take(self, raw: bytes, payload: bytes | None) -> bytes:
        """Meter one frame and return the bytes that stand for it."""
        if payload is None:
            return raw if self.useful else self._comment(raw)
        if payload[:1] != b"{":
            return self._take_other(raw, payload)
        chunk = read_chunk(payload)
        if chunk is None:
            plain = plain_json(payload)
            if plain is None:
                return self._broken(payload)
            return self._take(raw.replace(payload, plain), plain)
        return self._take_chunk(raw, payload, chunk)

    def _take_other(self, raw: bytes, payload: bytes) -> bytes:
        """Take a frame that is no object: the terminator, nothing, or rubbish."""
        text = payload.strip()
        if text == b"[DONE]":
            # Whatever follows is not part of the answer.
            self.saw_done = True
            self._closed = True
            return raw
        if not text:
            return raw
        if text[:1] != b"{":
            return self._broken(payload)
        return self._take(raw, text)

    def _take_chunk(self, raw: bytes, payload: bytes, chunk: Chunk) -> bytes:
        """Meter one chunk and return it, rewritten where it must be."""
        if chunk.error is not UNSET and is_error(chunk.error):
            return self._fail(payload)
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._meter(choice)
        elif choices is None and is_event_error(raw, payload, chunk):
            return self._fail(payload)
        if self.model is None or chunk.service_tier is not None:
            self._note(chunk)
        strip = False
        if chunk.usage is not UNSET:
            if chunk.usage != NULL:
                if self._note_usage(chunk) and self._strip_usage:
                    return b""
            else:
                strip = self._strip_usage
        if strip or (chunk.model and chunk.model != self._requested):
            return self._rewriter.rewrite(raw, payload, chunk.model, strip)
        return raw

    def _note(self, chunk: Chunk) -> None:
        """Keep what a stream says about itself."""
        # Azure's first chunk has empty texts for both.
        self.response_id = self.response_id or chunk.id or None
        self.model = self.model or chunk.model or None
        if chunk.service_tier is not None:
            self.service_tier = chunk.service_tier

    def _note_usage(self, chunk: Chunk) -> bool:
        """Keep the newest usage and tell whether its chunk carries nothing else."""
        self._usage_raw = chunk.usage
        self._read = None
        if chunk.choices:
            return False
        if not self._strip_usage:
            self.useful = True
        return True

    def _comment(self, raw: bytes) -> bytes:
        """Keep early comments, not a flood of them."""
        self._comment_bytes += len(raw)
        return raw if self._comment_bytes <= MAX_COMMENT_BYTES else b""

    def _meter(self, choice: Choice) -> None:
        """Count what one choice of one chunk brings."""
        index = choice.index or 0
        delta = choice.delta
        if delta is not None:
            size = delta_size(delta)
            if size:
                self.text_bytes += size
                self.useful = True
            elif not self.useful and says_something(delta):
                self.useful = True
        if choice.finish_reason:
            self.useful = True
            if index not in self._shut:
                self._shut.add(index)
                self.finish_reasons += (choice.finish_reason,)
        elif index not in self._open:
            self._open.add(index)

    def _fail(self, payload: bytes) -> bytes:
        """Take an error the upstream put into its stream."""
        self.error = read_error_body(None, payload)
        self._closed = True
        return b""

    def _broken(self, payload: bytes) -> bytes:
        """Take a frame that is no JSON: torn by the end of the body, or corrupt."""
        self._closed = True
        if not self._ended:
            self.error = ErrorDetail(
                message="The upstream sent a frame that is not JSON.",
                type="server_error",
                code="upstream_invalid_response",
                raw=payload[:1000],
            )
        return b""

    def _from_json(self, body: bytes) -> list[bytes]:
        """Turn a buffered answer into the stream that was asked for."""
        meta = read_completion(body, self._requested)
        frames: list[bytes] | ErrorDetail | None = meta.error
        if frames is None:
            frames = stream_of_completion(meta.body, include_usage=self._include_usage)
        if isinstance(frames, ErrorDetail):
            self.error = frames
            return []
        self.model, self.response_id = meta.model, meta.response_id
        self.service_tier = meta.service_tier
        self.finish_reasons = meta.finish_reasons
        self.text_bytes = meta.text_bytes
        self._read = ReadUsage(meta.usage, meta.flags, meta.vendor_cost_nano_usd)
        self.useful = self.saw_done = True
        return frames

    def _usage(self) -> ReadUsage:
        """Read the usage once it is asked for: some vendors send it every chunk."""
        if self._read is None:
            self._read = read_usage(self._usage_raw)
        return self._read


class ChatClientStream:
    """Write the proxy's own frames into a chat client's stream."""

    __slots__ = ()

    def keepalive(self) -> bytes:
        """Return a comment: every chat client skips it."""
        return KEEPALIVE

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the in-stream error; no terminator follows, nothing was completed."""
        body = build_error_body(detail.status or 502, detail, request_id=request_id)
        return b"data: " + body + b"\n\n"
