"""Content parts of messages: take them apart, and word them again.

Source: reference wire 1.1, 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, FormatError
from providers.formats.neutral.types import (
    CacheMark,
    Loss,
    Media,
    MediaKind,
    Part,
    Reasoning,
    Refusal,
    Text,
    Unknown,
)
from providers.formats.openai_chat.fields import (
    UNSET,
    as_object,
    invalid,
    is_said,
    parsed,
)

DIALECT: Final = "openai"
_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,", re.IGNORECASE)
_SPACE: Final = re.compile(r"[ \t\r\n]")
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_AUDIO_FORMATS: Final = {
    "mpeg": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
}


class _Url(msgspec.Struct):
    url: str
    detail: str | None = None


class _Audio(msgspec.Struct):
    data: str
    format: str | None = None


class _File(msgspec.Struct):
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Url | str | None = None
    video_url: _Url | str | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    thinking: Any = None
    cache_control: msgspec.Raw = UNSET
    prompt_cache_breakpoint: msgspec.Raw = UNSET


_PART: Final = msgspec.json.Decoder(_Part)
_PLAIN: Final = msgspec.json.Decoder(str)


def read_content(content: str | list[msgspec.Raw] | None, param: str) -> list[Part]:
    """Take a message's content apart.

    Shapes:  an empty text is no part; a part of an unknown type is kept.
    Errors:  FormatError with the part's field at fault.
    """
    if not content:
        return []
    if isinstance(content, str):
        return [Text(text=content)]
    return [_part(raw, f"{param}[{place}]") for place, raw in enumerate(content)]


def read_cache(raw: msgspec.Raw | None) -> CacheMark | None:
    """Read a ``cache_control``, None when there is none."""
    if not is_said(raw):
        return None
    ttl = as_object(raw).get("ttl")
    return CacheMark(ttl=ttl) if isinstance(ttl, str) and ttl else CacheMark()


def write_cache(mark: CacheMark) -> dict[str, str]:
    """Word a cache mark; five minutes is what it means without a word."""
    if mark.ttl == "5m":
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": mark.ttl}


def write_parts(
    parts: Sequence[Part], dialect: str, losses: list[Loss], *, has_marks: bool
) -> str | list[Any]:
    """Word content: one plain text as a string, anything else as parts.

    Errors:  FormatError for media this dialect has no word for.
    """
    if not parts:
        return ""
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, Text) and only.text and not (only.cache and has_marks):
        return only.text
    written = [_written(part, dialect, losses) for part in parts]
    if has_marks:
        for part, value in zip(parts, written, strict=True):
            mark = getattr(part, "cache", None)
            if mark is not None and isinstance(value, dict):
                value["cache_control"] = write_cache(mark)
    return [value for value in written if value is not None]


def _part(raw: msgspec.Raw, param: str) -> Part:
    """Take one part apart."""
    if memoryview(raw)[0] == 0x22:
        return Text(text=parsed(raw, _PLAIN, param))
    try:
        wire = _PART.decode(raw)
    except UNREADABLE:
        return _odd_part(raw, param)
    mark = wire.cache_control if is_said(wire.cache_control) else None
    cache = read_cache(mark or wire.prompt_cache_breakpoint)
    if wire.type in ("text", "input_text", "output_text") and wire.text is not None:
        return Text(text=wire.text, cache=cache)
    found = _media(wire, cache, param)
    if found is not None:
        return found
    if wire.type == "refusal" and wire.refusal is not None:
        return Refusal(text=wire.refusal)
    if wire.type == "thinking" and wire.thinking:
        return Reasoning(text=_thought(wire.thinking))
    if wire.type in ("text", "image_url", "input_audio", "file"):
        raise invalid(f"{param}.{wire.type}", "is missing")
    return Unknown(dialect=DIALECT, type=wire.type, payload=raw)


def _odd_part(raw: msgspec.Raw, param: str) -> Part:
    """Refuse a part of a known type whose fields have wrong types; keep any other."""
    kind = as_object(raw).get("type")
    known = ("text", "refusal", "image_url", "video_url", "input_audio", "file")
    if not isinstance(kind, str) or kind in known:
        parsed(raw, _PART, param)
    return Unknown(dialect=DIALECT, type=str(kind), payload=raw)


def _media(wire: _Part, cache: CacheMark | None, param: str) -> Media | None:
    """Read an image, a sound, a film or a file, None for other parts."""
    if wire.type == "image_url" and wire.image_url is not None:
        return _by_url("image", wire.image_url, cache, f"{param}.image_url")
    if wire.type == "video_url" and wire.video_url is not None:
        return _by_url("video", wire.video_url, cache, f"{param}.video_url")
    if wire.type == "input_audio" and wire.input_audio is not None:
        word = wire.input_audio.format or ""
        kind = _AUDIO_TYPES.get(word, f"audio/{word}") if word else ""
        data = _SPACE.sub("", wire.input_audio.data)
        return Media(
            kind="audio", source="base64", data=data, media_type=kind, cache=cache
        )
    if wire.type == "file" and wire.file is not None:
        return _file(wire.file, cache, f"{param}.file")
    return None


def _by_url(
    kind: MediaKind, value: _Url | str, cache: CacheMark | None, param: str
) -> Media:
    """Read what is named by a URL or stands in one."""
    url = value if isinstance(value, str) else value.url
    detail = "" if isinstance(value, str) else value.detail or ""
    if not url:
        raise invalid(f"{param}.url", "must not be empty")
    media_type, data = split_data_url(url)
    return Media(
        kind=kind,
        source="url" if data is None else "base64",
        data=url if data is None else data,
        media_type=media_type,
        detail=detail,
        cache=cache,
    )


def _file(wire: _File, cache: CacheMark | None, param: str) -> Media:
    """Read a file; a bare base64 text is taken for one."""
    name = wire.filename or ""
    if wire.file_id:
        return Media(
            kind="document", source="file_id", data=wire.file_id, name=name, cache=cache
        )
    if not wire.file_data:
        raise invalid(f"{param}.file_data", "is missing")
    media_type, data = split_data_url(wire.file_data)
    if data is None and wire.file_data[:8].lower().startswith(("http://", "https://")):
        return Media(
            kind="document", source="url", data=wire.file_data, name=name, cache=cache
        )
    return Media(
        kind="document",
        source="base64",
        data=_SPACE.sub("", wire.file_data) if data is None else data,
        media_type=media_type,
        name=name,
        cache=cache,
    )


def split_data_url(url: str) -> tuple[str, str | None]:
    """Split a base64 data URL: (media type, data); data None = it is none."""
    match = _DATA_URL.match(url)
    if match is None:
        return "", None
    data = url[match.end() :]
    return match[1].strip().lower(), _SPACE.sub("", data)


def data_url(media: Media, default: str) -> str:
    """Word base64 data as a URL."""
    return f"data:{media.media_type or default};base64,{media.data}"


def _written(part: Part, dialect: str, losses: list[Loss]) -> Any:
    """Word one part; None = there is no word for it."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Media):
        return _written_media(part, is_own=dialect == DIALECT)
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    if isinstance(part, Unknown):
        if part.dialect == DIALECT:
            return part.payload
        losses.append(Loss(field=part.type or "content", detail=part.dialect))
    return None


def _written_media(media: Media, *, is_own: bool) -> dict[str, Any]:
    """Word media, or refuse: a model must not answer about what it never saw."""
    kind, source = media.kind, media.source
    if kind in ("image", "video") and source in ("url", "base64"):
        default = "image/png" if kind == "image" else "video/mp4"
        url = media.data if source == "url" else data_url(media, default)
        inner = {"url": url} | ({"detail": media.detail} if media.detail else {})
        return {"type": f"{kind}_url", f"{kind}_url": inner}
    if kind == "audio" and source == "base64":
        word = media.media_type.partition("/")[2]
        sound = {"data": media.data, "format": _AUDIO_FORMATS.get(word, word) or "wav"}
        return {"type": "input_audio", "input_audio": sound}
    if kind == "document":
        written = _written_document(media, is_own=is_own)
        if written is not None:
            return written
    raise FormatError(
        f"The model's API takes no {kind} by {source}.",
        code="unsupported_content",
        param="messages",
    )


def _written_document(media: Media, *, is_own: bool) -> dict[str, Any] | None:
    """Word a document; plain text is text with its title above it."""
    if media.source == "text":
        title = media.title or media.name
        return {
            "type": "text",
            "text": f"{title}\n\n{media.data}" if title else media.data,
        }
    if media.source == "base64":
        # Without a type it came as bare base64, and goes as such.
        bare = is_own and not media.media_type
        data = media.data if bare else data_url(media, "application/pdf")
        name = media.name or media.title
        if not name and not is_own:
            name = "document.pdf"
        named = {"filename": name} if name else {}
        return {"type": "file", "file": named | {"file_data": data}}
    if media.source == "url" and not is_own:
        return {"type": "document_url", "document_url": media.data}  # Mistral's part
    if is_own and media.source in ("file_id", "url"):
        key = "file_id" if media.source == "file_id" else "file_data"
        named = {"filename": media.name} if media.name else {}
        return {"type": "file", "file": named | {key: media.data}}
    return None


def _thought(value: Any) -> str:
    """Return the words of a thinking part: a text or a list of text parts."""
    if isinstance(value, list):
        texts = (each.get("text") for each in value if isinstance(each, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""
