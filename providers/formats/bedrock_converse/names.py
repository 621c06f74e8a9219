"""Spell what Bedrock spells its own way: model ids in paths, formats, document names."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

DIALECT: Final = "bedrock"

IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
AUDIO: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
}
VIDEO: Final = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_LONGEST_NAME: Final = 200
_NAMELESS: Final = "document"
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")
_SPACES: Final = re.compile(r" {2,}")


def model_path(model: str, verb: str) -> str:
    """Return the path of one model; an ARN's slashes and colons are part of its name."""
    return f"/model/{quote(model, safe='')}/{verb}"


def is_claude(model: str) -> bool:
    """Tell whether a model id names a model of Anthropic's."""
    return "anthropic." in model or "claude" in model.lower()


def family_of(model: str) -> str:
    """Return who made a model's proof of reasoning.

    Anthropic's signatures hold on every platform that serves its models.
    """
    return "anthropic" if is_claude(model) else DIALECT


def media_type(kind: str, word: str) -> str:
    """Return the media type of a format word, blank for one nobody knows."""
    table = {"image": IMAGES, "document": DOCUMENTS, "audio": AUDIO, "video": VIDEO}
    for name, known in table[kind].items():
        if known == word:
            return name
    return f"{kind}/{word}" if kind in ("audio", "video") and word else ""


class DocumentNames:
    """Give every document of one request a name that is allowed, and its own.

    Shapes:  letters, digits, single spaces, hyphens, parentheses and brackets.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, wanted: str) -> str:
        """Return a name for a document that would be called something."""
        stem = wanted.rsplit(".", 1)[0] if "." in wanted else wanted
        if not _FOREIGN.search(wanted):
            stem = wanted
        stem = _SPACES.sub(" ", _FOREIGN.sub(" ", stem)).strip()[:_LONGEST_NAME]
        stem = stem.strip() or _NAMELESS
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem} ({count})"
        self._taken.add(name)
        return name
