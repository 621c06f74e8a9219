"""Cut a byte stream into lines of JSON without touching a byte of them."""

from __future__ import annotations

from typing import Final, TypeAlias

from providers.formats.base import MAX_EVENT_BYTES, FramingError

NdjsonFrame: TypeAlias = tuple[bytes, bytes | None]
"""Raw bytes up to and including the line end, and the line's JSON (None when the line
is blank)."""

_BOM: Final = b"\xef\xbb\xbf"
_TOO_LARGE: Final = "a line is larger than the limit"


class NdjsonSplitter:
    """Split newline-delimited JSON incrementally.

    Shapes:  lines end in LF or CRLF, a BOM may lead, blank lines have no payload.
             JSON texts hold no bare line end, so a line is a record.
    Errors:  FramingError when a line passes ``limit`` bytes.
    Cost:    under a microsecond for a chunk that is one whole line; linear always.
    """

    __slots__ = ("_buffer", "_limit", "_scanned", "_started")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._scanned = 0
        self._started = False

    def feed(self, data: bytes) -> list[NdjsonFrame]:
        """Return the lines that ``data`` completes."""
        if self._started and not self._buffer and len(data) <= self._limit:
            end = data.find(b"\n")
            if end >= 0 and end == len(data) - 1:
                return [(data, data.strip() or None)]
        return self._feed_slowly(data)

    def finish(self) -> list[NdjsonFrame]:
        """Return a last line that had no line end, completed with one."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return [self._frame(rest + b"\n")] if rest.strip() else []

    def _feed_slowly(self, data: bytes) -> list[NdjsonFrame]:
        """Handle torn lines, several at once, and the first one."""
        buffer = self._buffer
        buffer += data
        frames: list[NdjsonFrame] = []
        start = 0
        scan = self._scanned
        while (end := buffer.find(b"\n", scan)) >= 0:
            if end - start >= self._limit:
                raise FramingError(_TOO_LARGE)
            frames.append(self._frame(bytes(buffer[start : end + 1])))
            start = scan = end + 1
        if len(buffer) - start > self._limit:
            raise FramingError(_TOO_LARGE)
        if start:
            del buffer[:start]
        self._scanned = len(buffer)
        return frames

    def _frame(self, raw: bytes) -> NdjsonFrame:
        payload = raw
        if not self._started:
            self._started = True
            payload = raw.removeprefix(_BOM)
        return raw, payload.strip() or None
