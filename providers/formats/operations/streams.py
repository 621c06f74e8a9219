"""What the pool itself may say in the streams of these operations.

Source: reference wire R4, R5.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.errors import ErrorDetail

_SOUNDS: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
EVENTS: Final = "text/event-stream; charset=utf-8"


class SoundStream:
    """Say nothing in a recording: every byte of it is heard.

    Shapes:  ``content_type`` by the format that was asked for; ``keeps_type`` = the
             upstream's own is better. ``is_mute`` = an error cannot be told inside, so
             a broken answer must end without its end.
    """

    keeps_type = True
    is_mute = True

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type

    def keepalive(self) -> bytes:
        """Say nothing."""
        return b""

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Say nothing."""
        return b""


def is_sound(request: ChatRequest) -> bool:
    """Tell whether the answer is bytes of sound, and no events of them."""
    return request.arrival.op == "speech" and _text(request, "stream_format") != "sse"


def sound_type(request: ChatRequest) -> str:
    """Return the content type of the sound that was asked for."""
    return _SOUNDS.get(sound_format(request), "application/octet-stream")


def sound_format(request: ChatRequest) -> str:
    """Return the format of the sound that was asked for."""
    return _text(request, "response_format") or "mp3"


def _text(request: ChatRequest, name: str) -> str:
    raw = request.members.values.get(name)
    try:
        return "" if raw is None else msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return ""
