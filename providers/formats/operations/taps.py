"""Pass on streams that are no text generation: sound as bytes, media as events.

Source: reference wire 1.3, T22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import UNREADABLE, FramingError, ResponseMeta
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseFrame, SseSplitter
from providers.formats.openai_chat.errors import is_error, read_error_body
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.operations.answers import is_page

MAX_EVENT_BYTES: Final = 32 * 1024 * 1024
"""An event may hold a whole picture, a third larger as base64."""

MAX_BODY_BYTES: Final = 128 * 1024 * 1024
_MOST_HELD: Final = 65_536
_PAGE_BYTES: Final = 64
_NULL: Final = msgspec.Raw(b"null")
_LAST: Final = frozenset({"speech.audio.done", "transcript.text.done"})
_PICTURES: Final = frozenset({"image_generation.completed", "image_edit.completed"})


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    delta: msgspec.Raw = _NULL


_EVENT: Final = msgspec.json.Decoder(_Event)

ReadRaw: TypeAlias = Callable[[bytes], ReadUsage]
Whole: TypeAlias = Callable[[bytes], tuple[ResponseMeta, Iterable[bytes]]]
"""Make events of an answer that came whole: what it says, and its frames."""


class Passed:
    """What both kinds of streams tell a caller; see ``base.StreamTap``."""

    vendor_cost_nano_usd: int | None = None
    response_id: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str, ...] = ()
    text_bytes: int = 0

    def __init__(self, model: str, usage: TokenUsage | None) -> None:
        self.model: str | None = model
        self.usage = usage
        self.flags: tuple[str, ...] = ()
        self.error: ErrorDetail | None = None
        self.useful = False
        self.complete = False
        self.done = False
        self.out_bytes = 0

    @property
    def finished(self) -> bool:
        """The answer has its end."""
        return self.complete

    def fail(self, detail: ErrorDetail) -> bytes:
        """Take an error; nothing is handed out any more."""
        self.error = detail
        self.done = False
        return b""

    def release(self, data: bytes) -> bytes:
        """Hand bytes out."""
        self.useful = self.useful or bool(data)
        self.out_bytes += len(data)
        return data


class SoundTap(Passed):
    """Pass on bytes as they come; what looks like text is held until it is judged.

    Shapes:  complete with the end of the body, which the transport vouches for.
    """

    def __init__(self, model: str, usage: TokenUsage | None) -> None:
        super().__init__(model, usage)
        self._held: bytearray | None = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        if self.error is not None or not data:
            return b""
        if self._held is None:
            return self.release(data)
        self._held += data
        first = bytes(self._held[:1])
        if first == b"{" and len(self._held) <= _MOST_HELD:
            return b""
        if first in b" \r\n\t<":
            if len(self._held) < _PAGE_BYTES:
                return b""
            if is_page(bytes(self._held)):
                return self.fail(_not_media(bytes(self._held)))
        return self._let_go()

    def eof(self) -> bytes:
        """Take the end of the body."""
        if self.error is not None:
            return b""
        out = b""
        if self._held is not None:
            held = bytes(self._held)
            if is_page(held) or (held[:1] == b"{" and _is_json(held)):
                return self.fail(_not_media(held))
            out = self._let_go()
        self.complete = self.useful
        return out

    def _let_go(self) -> bytes:
        data = bytes(self._held or b"")
        self._held = None
        return self.release(data)


class EventTap(Passed):
    """Pass on events as they came and read the usage out of the last one.

    Shapes:  complete with the event that ends its kind of answer; pictures may come
             one after the other, so theirs ends with the body. An answer that came
             whole is worded as events.
    """

    def __init__(
        self, model: str, usage: TokenUsage | None, *, read: ReadRaw, whole: Whole
    ) -> None:
        super().__init__(model, usage)
        self._read = read
        self._whole = whole
        self._splitter = SseSplitter(MAX_EVENT_BYTES)
        self._body: bytearray | None = None
        self._started = False
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        if self.done or self.error is not None:
            return b""
        if not self._started and not self._start(data):
            return b""
        return self._take(self._splitter.feed(data))

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes."""
        if self.done or self.error is not None:
            return b""
        if self._body is not None:
            return self._worded(bytes(self._body))
        return self._take(self._splitter.finish())

    def _start(self, data: bytes) -> bool:
        if self._body is None:
            first = data.lstrip()[:1]
            if first not in (b"{", b"["):
                self._started = bool(first)
                return True
            self._body = bytearray()
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            raise FramingError("the answer is larger than the limit")
        return False

    def _take(self, frames: Iterable[SseFrame]) -> bytes:
        for raw, payload in frames:
            if payload is not None and payload.strip() != b"[DONE]":
                self._meter(payload)
            if self.error is not None:
                return b""
            self._held.append(raw)
            if self.done:
                break
        if not self.useful and not self._is_useful:
            return b""
        data, self._held = b"".join(self._held), []
        return self.release(data)

    _is_useful = False

    def _meter(self, payload: bytes) -> None:
        try:
            event = _EVENT.decode(payload)
        except UNREADABLE:
            self.fail(_not_media(payload))
            return
        if is_error(event.error) or event.type == "error":
            self.fail(read_error_body(None, payload))
            return
        self._is_useful = True
        if event.type.endswith(".text.delta"):
            self.text_bytes += max(0, len(bytes(event.delta)) - 2)
        if event.usage != _NULL:
            read = self._read(bytes(event.usage))
            self.usage, self.flags = read.usage or self.usage, read.flags
        if event.type in _PICTURES:
            self.complete = True
        elif event.type in _LAST:
            self.complete = self.done = True

    def _worded(self, body: bytes) -> bytes:
        meta, frames = self._whole(body)
        if meta.error is not None:
            return self.fail(meta.error)
        self.usage, self.flags = meta.usage, meta.flags
        self.complete = self.done = True
        return self.release(b"".join(frames))


def sse(event: dict[str, object]) -> bytes:
    """Word an event whose type names it."""
    data = msgspec.json.encode(event)
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), data)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False
    return True


def _not_media(body: bytes) -> ErrorDetail:
    """Word what came instead of media: the upstream's error, or rubbish."""
    detail = read_error_body(None, body[:_MOST_HELD])
    if detail.message and _is_json(body):
        return detail
    return ErrorDetail(
        message="The upstream's answer is not what was asked for.",
        type="server_error",
        code="upstream_invalid_response",
        raw=body[:1000],
    )
