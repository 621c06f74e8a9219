"""Cut Google's event streams, whose lines end in CRLF, without a search for each end."""

from __future__ import annotations

from providers.formats.base import MAX_EVENT_BYTES
from providers.formats.framings import SseFrame, SseSplitter

_HEAD = b"data: "
_END = b"\r\n\r\n"


class CrlfSplitter(SseSplitter):
    """Split like ``SseSplitter``; whole frames as Google sends them are found fast.

    Cost:  under a microsecond for a chunk that is one whole event.
    """

    __slots__ = ()

    def feed(self, data: bytes) -> list[SseFrame]:
        """Return the frames that ``data`` completes."""
        if not self._buffer and data[:6] == _HEAD and data[-4:] == _END:
            frames = data[:-4].split(_END)
            is_whole = len(data) <= MAX_EVENT_BYTES
            lines = 2 * len(frames)
            if is_whole and data.count(b"\n") == lines == data.count(b"\r"):
                self._started = True
                if len(frames) == 1:
                    return [(data, data[6:-4])]
                if all(frame[:6] == _HEAD for frame in frames):
                    return [(frame + _END, frame[6:]) for frame in frames]
        return super().feed(data)
