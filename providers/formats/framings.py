"""Cut a byte stream into records without touching a byte of them.

The splitter returns every record with its raw bytes, so that a relay can pass them on
verbatim, and with its payload, so that a meter can read it.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from providers.formats.base import MAX_EVENT_BYTES, FramingError

SseFrame: TypeAlias = tuple[bytes, bytes | None]
"""Raw bytes up to and including the blank line, and the joined ``data`` (None when
the frame has no data line, as with comments)."""

_BOM: Final = b"\xef\xbb\xbf"
_EOL: Final = re.compile(rb"\r\n|\n|\r")
# Atomic groups: without them the CR and the LF of one line end would count as two.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class SseSplitter:
    """Split server-sent events incrementally.

    Shapes:  lines end in LF, CR or CRLF, also mixed; a BOM may lead; a frame whose
             last byte so far is CR waits for the next byte, which may belong to it.
    Errors:  FramingError when an event passes ``limit`` bytes.
    Cost:    under a microsecond for a chunk that is one whole event; linear always.
    Source:  the event stream format of the WHATWG HTML standard.
    """

    __slots__ = ("_buffer", "_limit", "_scanned", "_started")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._scanned = 0
        self._started = False

    def plain(self, data: bytes) -> list[bytes] | None:
        """Return the payloads of data that is whole frames of one data line each.

        Shapes:  every frame is ``data: ``, the payload and two LF, and together they
                 are all of ``data``.
        Fails:   None for anything else, which is then fed.
        """
        if (
            self._buffer
            or data[:6] != b"data: "
            or data[-2:] != b"\n\n"
            or len(data) > self._limit
            or b"\r" in data
        ):
            return None
        payloads = data[6:-2].split(b"\n\ndata: ")
        if data.count(b"\n") != 2 * len(payloads):
            return None
        self._started = True
        return payloads

    def feed(self, data: bytes) -> list[SseFrame]:
        """Return the frames that ``data`` completes."""
        if (
            not self._buffer
            and data[:6] == b"data: "
            and data[-2:] == b"\n\n"
            and b"\r" not in data
            and len(data) <= self._limit
        ):
            self._started = True
            if data.find(b"\n") == len(data) - 2:
                return [(data, data[6:-2])]
            return [
                (part + b"\n\n", part[6:])
                if part[:6] == b"data: " and b"\n" not in part
                else _frame(part + b"\n\n")
                for part in data[:-2].split(b"\n\n")
            ]
        return self._feed_slowly(data)

    def finish(self) -> list[SseFrame]:
        """Return what was left without its blank line, completed with one.

        Upstreams are seen that close right after ``data: [DONE]`` and one line end.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        if not rest.strip():
            return []
        if not _BLANK_LINE.search(rest, max(0, len(rest) - 4)):
            rest += b"\n" if rest[-1:] in b"\r\n" else b"\n\n"
        return [_frame(rest)]

    def _feed_slowly(self, data: bytes) -> list[SseFrame]:
        """Handle torn frames, odd line ends, comments and fields."""
        buffer = self._buffer
        buffer += data
        frames: list[SseFrame] = []
        start = 0
        scan = self._scanned
        while match := _BLANK_LINE.search(buffer, scan):
            end = match.end()
            if end == len(buffer) and buffer[-1] == 0x0D:
                break
            if end - start > self._limit:
                raise FramingError("an event is larger than the limit")
            raw = bytes(buffer[start:end])
            frames.append(_frame(raw, self._strip_bom(raw)))
            start = scan = end
        if len(buffer) - start > self._limit:
            raise FramingError("an event is larger than the limit")
        if start:
            del buffer[:start]
        # A line end is at most two bytes: only the last three can begin a blank line.
        self._scanned = max(0, len(buffer) - 3)
        return frames

    def _strip_bom(self, raw: bytes) -> bytes:
        """Return the first frame's text without the mark that may lead a stream."""
        if self._started:
            return raw
        self._started = True
        return raw.removeprefix(_BOM)


def event_name(raw: bytes) -> bytes | None:
    """Return the ``event`` field of a frame, None without one."""
    name: bytes | None = None
    for line in _EOL.split(raw):
        if line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ")
    return name


def replace_payload(raw: bytes, payload: bytes, replacement: bytes) -> bytes:
    """Return a frame with its payload exchanged, the rest of its bytes kept.

    A payload that was spread over several data lines comes back as one.
    """
    if raw.count(payload) == 1:
        return raw.replace(payload, replacement, 1)
    return b"data: " + replacement + b"\n\n"


def _frame(raw: bytes, text: bytes | None = None) -> SseFrame:
    """Collect the data lines of one frame."""
    payload: bytes | None = None
    for line in _EOL.split(raw if text is None else text):
        if line[:5] != b"data:":
            continue
        value = line[6:] if line[5:6] == b" " else line[5:]
        payload = value if payload is None else payload + b"\n" + value
    return raw, payload
