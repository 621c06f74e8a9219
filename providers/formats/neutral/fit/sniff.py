"""Tell a file's type by its first bytes: clients mislabel.

Source: reference wire 2.2, T35.
"""

from __future__ import annotations

import base64
from typing import Final

_HEADS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS: Final = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "application/x-pdf": "application/pdf",
}
_HEAD_CHARS: Final = 32
_GROUPS: Final = {"image": "image/", "audio": "audio/", "document": "application/"}


def media_type_of(data: str, declared: str, kind: str) -> str:
    """Return the type of base64 data: what its bytes say, else what was declared.

    Shapes:  ``data`` is valid and padded. Bytes that say another kind of file altogether are believed for images
             and documents only; an ``ftyp`` box may be sound as well as film.
    """
    declared = _ALIASES.get(declared, declared)
    seen = _seen(data)
    if not seen:
        return declared
    group = _GROUPS.get(kind)
    if group is None:
        return declared or seen
    if seen.startswith(group) or kind == "image":
        return seen
    return declared


def _seen(data: str) -> str:
    """Return the type the first bytes say, blank when they say nothing."""
    head = base64.b64decode(data[:_HEAD_CHARS])
    for start, name in _HEADS:
        if head.startswith(start):
            return name
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    return ""
