"""Content parts of messages and tool outputs, both ways.

Source: reference wire 1.2 content parts, 2.2, 2.16.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import (
    CacheMark,
    Citation,
    Loss,
    Media,
    Refusal,
    Text,
    Unknown,
)
from providers.formats.openai_responses.peek import DIALECT, invalid
from providers.formats.openai_responses.wire import UNSET

PART_PREFIX: Final = "content/"
"""Tells an unknown content part from an unknown item, in ``Unknown.type``."""

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)
_PLACE: Final = "_location"
_MARK: Final = {"mode": "explicit"}
_CITED: Final = {"start_index", "end_index", "url", "title", "type"}
_TYPES_BY_ENDING: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
}

ContentPart = Text | Media | Refusal | Unknown


class _Audio(msgspec.Struct):
    data: str = ""
    format: str = ""


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    image_url: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: _Audio | None = None
    prompt_cache_breakpoint: msgspec.Raw = UNSET


_PART: Final = msgspec.json.Decoder(_Part)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_TEXT_TYPES: Final = frozenset({"input_text", "output_text", "text"})


def read_content(raw: msgspec.Raw, param: str) -> tuple[ContentPart, ...]:
    """Read a message's content: a text or a list of parts.

    Errors:  FormatError naming ``param`` for anything else.
    """
    if not _is_said(raw):
        return ()
    try:
        if memoryview(raw)[0] == 0x22:
            text = _TEXT.decode(raw)
            return (Text(text=text),) if text else ()
        return tuple(_read_part(each) for each in _RAWS.decode(raw))
    except UNREADABLE:
        raise invalid(param, "holds content that cannot be read") from None


def _read_part(raw: msgspec.Raw) -> ContentPart:
    part = _PART.decode(raw)
    cache = CacheMark() if _is_said(part.prompt_cache_breakpoint) else None
    if part.type in _TEXT_TYPES and part.text is not None:
        citations = tuple(
            found
            for each in part.annotations or ()
            if (found := read_annotation(each)) is not None
        )
        return Text(text=part.text, citations=citations, cache=cache)
    if part.type == "refusal" and part.refusal is not None:
        return Refusal(text=part.refusal)
    media = _read_media(part, cache)
    return media or Unknown(
        dialect=DIALECT, type=PART_PREFIX + part.type, payload=msgspec.Raw(bytes(raw))
    )


def _read_media(part: _Part, cache: CacheMark | None) -> Media | None:
    if part.type == "input_image":
        detail = "" if part.detail in (None, "auto") else str(part.detail)
        if part.file_id:
            return Media(
                kind="image",
                source="file_id",
                data=part.file_id,
                detail=detail,
                cache=cache,
            )
        url = part.image_url or ""
        return _from_url(url, cache=cache, detail=detail) if url else None
    if part.type == "input_audio" and part.input_audio is not None:
        return Media(
            kind="audio",
            source="base64",
            data=part.input_audio.data,
            media_type=f"audio/{part.input_audio.format or 'wav'}",
            cache=cache,
        )
    return _read_file(part, cache) if part.type == "input_file" else None


def _from_url(url: str, *, cache: CacheMark | None, detail: str) -> Media:
    match = _DATA_URL.match(url)
    if match is None:
        return Media(kind="image", source="url", data=url, detail=detail, cache=cache)
    return Media(
        kind="image",
        source="base64",
        data=url[match.end() :],
        media_type=match[1].lower(),
        detail=detail,
        cache=cache,
    )


def _read_file(part: _Part, cache: CacheMark | None) -> Media | None:
    name = part.filename or ""
    if part.file_id:
        return Media(
            kind="document",
            source="file_id",
            data=part.file_id,
            name=name,
            cache=cache,
        )
    if part.file_url:
        return Media(
            kind="document", source="url", data=part.file_url, name=name, cache=cache
        )
    if not part.file_data:
        return None
    match = _DATA_URL.match(part.file_data)
    ending = name.rpartition(".")[2].lower()
    return Media(
        kind="document",
        source="base64",
        data=part.file_data[match.end() :] if match else part.file_data,
        media_type=match[1].lower() if match else _TYPES_BY_ENDING.get(ending, ""),
        name=name,
        cache=cache,
    )


def read_annotation(raw: msgspec.Raw) -> Citation | None:
    """Read one annotation of an output text; None for what is none."""
    try:
        wire = msgspec.json.decode(raw)
        raws = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return None
    kind = wire.get("type")
    if not isinstance(kind, str):
        return None
    if kind != "url_citation":
        return Citation(
            kind=kind,
            title=_word(wire.get("filename")),
            ext={key: msgspec.Raw(bytes(raws[key])) for key in raws if key != "type"},
        )
    return Citation(
        url=_word(wire.get("url")),
        title=_word(wire.get("title")),
        start=_number(wire.get("start_index")),
        end=_number(wire.get("end_index")),
        ext={key: msgspec.Raw(bytes(raws[key])) for key in raws.keys() - _CITED},
    )


def annotation(citation: Citation, length: int) -> dict[str, Any]:
    """Word a citation of a text of ``length`` characters.

    Shapes:  kinds of this dialect's own come back as they were. What else cites a
             document rather than a page of the web is a file's; the extras of other
             vendors (all places in a document) have no place here.
    """
    if citation.kind != "url" and citation.ext and not citation.kind.endswith(_PLACE):
        return {"type": citation.kind, **citation.ext}
    if not citation.url and citation.title:
        return {
            "type": "file_citation",
            "file_id": "",
            "filename": citation.title,
            "index": length,
        }
    return {
        "type": "url_citation",
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title,
    }


def word_content(
    parts: Iterable[object], losses: list[Loss], *, is_output: bool = False
) -> list[Any]:
    """Word content parts; assistant text is ``is_output``, never an input text.

    Shapes:  what has no word here is left out and named in ``losses``.
    """
    worded: list[Any] = []
    for part in parts:
        made = _word_part(part, is_output)
        if made is not None:
            worded.append(made)
        else:
            losses.append(Loss(field=_name(part)))
    return worded


def _word_part(part: object, is_output: bool) -> Any:
    if isinstance(part, Text):
        return _word_text(part, is_output)
    if isinstance(part, Refusal):
        if is_output:
            return {"type": "refusal", "refusal": part.text}
        return {"type": "input_text", "text": part.text}
    if isinstance(part, Media) and not is_output:
        return _word_media(part)
    if isinstance(part, Unknown) and part.dialect == DIALECT:
        return part.payload if part.type.startswith(PART_PREFIX) else None
    return None


def _word_text(part: Text, is_output: bool) -> dict[str, Any]:
    if is_output:
        size = len(part.text)
        return {
            "type": "output_text",
            "text": part.text,
            "annotations": [annotation(each, size) for each in part.citations],
        }
    made: dict[str, Any] = {"type": "input_text", "text": part.text}
    return _marked(made, part.cache)


def _word_media(part: Media) -> dict[str, Any] | None:
    made: dict[str, Any] | None = None
    if part.kind == "image":
        made = _word_image(part)
    elif part.kind == "audio" and part.source == "base64":
        ending = part.media_type.partition("/")[2].removeprefix("x-")
        made = {
            "type": "input_audio",
            "input_audio": {
                "data": part.data,
                "format": "mp3" if ending == "mpeg" else ending or "wav",
            },
        }
    elif part.kind == "document":
        made = _word_file(part)
    return None if made is None else _marked(made, part.cache)


def _word_image(part: Media) -> dict[str, Any] | None:
    made: dict[str, Any] = {"type": "input_image", "detail": part.detail or "auto"}
    if part.source == "file_id":
        return made | {"file_id": part.data}
    if part.source == "url":
        return made | {"image_url": part.data}
    if part.source == "base64":
        kind = part.media_type or "image/png"
        return made | {"image_url": f"data:{kind};base64,{part.data}"}
    return None


def _word_file(part: Media) -> dict[str, Any] | None:
    name = part.name or part.title
    made: dict[str, Any] = {"type": "input_file"}
    if part.source == "text":
        # A plain text needs no upload: the model reads it as it stands.
        head = f"{name}\n\n" if name else ""
        return {"type": "input_text", "text": head + part.data}
    if part.source == "file_id":
        return made | {"file_id": part.data}
    if part.source == "url":
        return made | {"file_url": part.data}
    if part.source != "base64":
        return None
    kind = part.media_type or "application/pdf"
    ending = {value: key for key, value in _TYPES_BY_ENDING.items()}.get(kind, "bin")
    return made | {
        "filename": name or f"file.{ending}",
        "file_data": f"data:{kind};base64,{part.data}",
    }


def _marked(made: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
    return made if cache is None else made | {"prompt_cache_breakpoint": _MARK}


def _name(part: object) -> str:
    """Return what a part that is left out is called in the list of losses."""
    if isinstance(part, Media):
        return part.kind
    if isinstance(part, Unknown):
        return part.type or "unknown"
    return type(part).__name__.lower()


def _is_said(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
