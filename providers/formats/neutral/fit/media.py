"""Fit images, sounds, films and documents to what an upstream opens.

Source: reference wire 2.2, P111, P112, T35 to T39.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec.structs import replace

from providers.formats.base import Fetched, FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.sniff import media_type_of
from providers.formats.neutral.fit.walk import everywhere
from providers.formats.neutral.types import (
    Media,
    Part,
    Request,
    ResultPart,
    Text,
    ToolResult,
)

_FIELDS: Final = {
    "image": "image_url",
    "audio": "input_audio",
    "video": "video",
    "document": "file",
}
_NOUNS: Final = {
    "image": "images",
    "audio": "sound",
    "video": "video",
    "document": "documents",
}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_DATA_URL: Final = re.compile(r"\s*data:([^,]*),", re.IGNORECASE)


def fit_media(
    request: Request,
    caps: Capabilities,
    fetched: Mapping[str, Fetched],
    losses: Losses,
) -> Request:
    """Clean, inline and check every file of a request.

    Errors:  FormatError naming the kind of file nobody upstream would see or hear.
    """

    def one(part: Media) -> Media | Text:
        media = _within(cleaned(part), caps, fetched, is_own=is_own)
        return _as_text(media, losses) if _is_text(media, caps) else media

    def change(part: Part) -> Part:
        if isinstance(part, Media):
            return one(part)
        if isinstance(part, ToolResult):
            if not any(isinstance(each, Media) for each in part.content):
                return part
            content: tuple[ResultPart, ...] = tuple(
                one(each) if isinstance(each, Media) else each for each in part.content
            )
            return part if content == part.content else replace(part, content=content)
        return part

    is_own = request.dialect in caps.speaks
    return everywhere(request, change)


def urls_to_fetch(request: Request, caps: Capabilities) -> list[str]:
    """Return the addresses of files this upstream does not fetch itself, each once."""
    found: dict[str, None] = {}
    for media in _all_media(request):
        is_address = media.source == "url" and _DATA_URL.match(media.data) is None
        if is_address and not _is_reached(media, caps):
            found[media.data] = None
    return list(found)


def cleaned(media: Media) -> Media:
    """Return media with bare base64 and the type its bytes have.

    Errors:  FormatError for what is no base64.
    """
    if media.source not in ("base64", "url"):
        return media
    data, media_type = media.data, media.media_type
    match = _DATA_URL.match(data[:256])
    if match is None:
        if media.source == "url":
            return media
    else:
        data, declared = _opened(data[match.end() :], match.group(1), media)
        media_type = declared or media_type
    data = _checked(data, media)
    media_type = media_type.split(";", 1)[0].strip().lower()
    media_type = media_type_of(data, media_type, media.kind)
    if (data, media_type, "base64") == (media.data, media.media_type, media.source):
        return media
    return replace(media, data=data, media_type=media_type, source="base64")


def _opened(rest: str, head: str, media: Media) -> tuple[str, str]:
    """Take the address of a file that is the file itself apart: (base64, type)."""
    declared, _, coding = head.partition(";")
    if "base64" in coding.lower():
        return rest, declared
    return base64.b64encode(unquote_to_bytes(rest)).decode(), declared


def _checked(data: str, media: Media) -> str:
    """Return base64 without white space, in the standard alphabet, padded."""
    if any(sign in data for sign in " \t\r\n"):
        data = "".join(data.split())
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    data += "=" * (-len(data) % 4)
    if _BASE64.fullmatch(data) is None:
        raise _refusal(media, "is not valid base64")
    return data


def _within(
    media: Media,
    caps: Capabilities,
    fetched: Mapping[str, Fetched],
    *,
    is_own: bool,
) -> Media:
    """Check that an upstream takes this kind of file, from this place."""
    able = {
        "image": caps.vision,
        "audio": caps.audio_input,
        "video": caps.video_input,
        "document": caps.documents or _is_text(media, caps),
    }
    if media.source == "url" and not _is_reached(media, caps):
        media = _inlined(media, fetched)
        able["document"] = able["document"] or _is_text(media, caps)
    if not able[media.kind]:
        raise FormatError(
            f"This model does not take {_NOUNS[media.kind]}.",
            code="unsupported_value",
            param=_FIELDS[media.kind],
        )
    if media.source == "file_id" and not is_own:
        raise _refusal(media, "refers to a file this model's provider does not keep")
    if media.source in ("gs", "s3") and media.source not in caps.media_sources:
        raise _refusal(media, "is kept where this model's provider cannot read")
    if media.source == "base64":
        _check_bytes(media, caps)
    return media


def _check_bytes(media: Media, caps: Capabilities) -> None:
    """Check the type and the size of a file."""
    known = {"image": caps.image_types, "document": caps.document_types}
    types = known.get(media.kind, ())
    is_checked = types and media.media_type and not _is_text(media, caps)
    if is_checked and not any(fnmatchcase(media.media_type, glob) for glob in types):
        raise _refusal(media, f"is {media.media_type}, which this model does not take")
    limit = caps.max_image_bytes
    if media.kind == "image" and limit and len(media.data) * 3 // 4 > limit:
        raise FormatError(
            f"An image is larger than this model's limit of {limit} bytes.",
            code="image_too_large",
            param=_FIELDS["image"],
        )


def _inlined(media: Media, fetched: Mapping[str, Fetched]) -> Media:
    """Return a file by address as the file itself.

    Errors:  FormatError, with the address's host alone: the rest may be a secret.
    """
    file = fetched.get(media.data)
    if file is None:
        host = _host(media.data)
        raise _refusal(media, f"at {host} could not be fetched for this model")
    inlined = replace(
        media, source="base64", data=file.data, media_type=file.media_type
    )
    return cleaned(inlined)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "an unknown host"
    except ValueError:
        return "an unknown host"


def _is_reached(media: Media, caps: Capabilities) -> bool:
    """Tell whether the upstream itself fetches this address."""
    if any(fnmatchcase(media.data, glob) for glob in caps.url_globs):
        return True
    if media.kind == "image":
        return caps.image_urls
    return media.kind == "document" and caps.document_urls


def _is_text(media: Media, caps: Capabilities) -> bool:
    """Tell a plain text an upstream can only read as words."""
    if media.kind != "document":
        return False
    if media.source == "text":
        return not caps.text_documents
    if media.source != "base64" or not media.media_type.startswith("text/"):
        return False
    return not any(fnmatchcase(media.media_type, glob) for glob in caps.document_types)


def _as_text(media: Media, losses: Losses) -> Text:
    """Return a plain-text document as words under its title."""
    words = media.data
    if media.source == "base64":
        try:
            words = base64.b64decode(media.data).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _refusal(media, "is not UTF-8 text") from None
    if media.cites:
        losses.add("citations")
    title = (media.title or media.name).replace('"', "'")
    head = f'<document title="{title}">' if title else "<document>"
    context = f"{media.context}\n" if media.context else ""
    return Text(text=f"{head}\n{context}{words}\n</document>", cache=media.cache)


def _refusal(media: Media, reason: str) -> FormatError:
    return FormatError(
        f"A file ({media.kind}) {reason}.",
        code="invalid_value",
        param=_FIELDS[media.kind],
    )


def _all_media(request: Request) -> Iterator[Media]:
    for turn in (*request.instructions, *request.turns):
        for part in turn.parts:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from (each for each in part.content if isinstance(each, Media))
