"""Word neutral parts as content blocks, for an upstream and for a client alike."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from providers.formats.anthropic_messages.citations import citation_object, is_own
from providers.formats.anthropic_messages.client import ID, slot_text
from providers.formats.base import UNREADABLE
from providers.formats.neutral.smuggle import NOTHING
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Reasoning,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

Words = dict[str, Any]
"""A JSON object in the making."""

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EMPTY: Final = msgspec.Raw(b"{}")
_HEAD_CHARS: Final = 32
_PDF: Final = "application/pdf"


def text_block(part: Text, *, for_client: bool = False) -> Words:
    """Word a text; an upstream only gets citations it made itself."""
    block: Words = {"type": "text", "text": part.text}
    citations = [
        citation_object(each) for each in part.citations if for_client or is_own(each)
    ]
    if citations:
        block["citations"] = citations
    return marked(block, part.cache)


def tool_use_block(part: ToolCall) -> Words:
    """Word a call; arguments stay the text they are wherever they are an object."""
    return marked(
        {
            "type": "tool_use",
            "id": part.id,
            "name": part.name,
            "input": input_object(part),
        },
        part.cache,
    )


def input_object(part: ToolCall) -> Any:
    """Return a call's arguments as the object this dialect wants.

    Shapes:  none at all is empty; an object inside a string is that object; what is no
             JSON comes whole under ``_raw``, for a call must not fail on its way.
    """
    text = part.arguments
    if part.kind == "custom":
        return {"input": text}
    if not text.strip():
        return _EMPTY
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        pass
    else:
        return msgspec.Raw(text.encode())
    try:
        inner = msgspec.json.decode(text, type=str)
        _OBJECT.decode(inner)
    except UNREADABLE:
        return {"_raw": text}
    return msgspec.Raw(inner.encode())


def own_thinking(part: Reasoning) -> Words | None:
    """Word reasoning for an upstream; None when it holds no proof of its making."""
    for opaque in part.opaque:
        if opaque.family != ID or not opaque.data:
            continue
        if opaque.slot == "redacted":
            return {"type": "redacted_thinking", "data": opaque.data}
        if opaque.slot == "signature":
            return {
                "type": "thinking",
                "thinking": part.text,
                "signature": opaque.data,
            }
    return None


def shown_thinking(part: Reasoning) -> Words | None:
    """Word reasoning for a client; foreign proof travels in the pool's envelope."""
    proof = part.opaque[0] if part.opaque else None
    if not part.text:
        if proof is None:
            return None
        if proof.slot != "signature":
            return {"type": "redacted_thinking", "data": slot_text(proof)}
    return {
        "type": "thinking",
        "thinking": part.text,
        "signature": slot_text(proof or NOTHING),
    }


def media_block(part: Media) -> Words | None:
    """Word an image or a document; None for what this dialect has no word for."""
    if "search_result" in part.ext:
        return marked(dict(_OBJECT.decode(part.ext["search_result"])), part.cache)
    if part.kind == "image":
        source = _image_source(part)
        block = None if source is None else {"type": "image", "source": source}
    elif part.kind == "document":
        block = _document(part)
    else:
        block = None
    return None if block is None else marked(block, part.cache)


def result_block(part: ToolResult) -> tuple[Words, list[str]]:
    """Word a result, and name what of it has no word here."""
    lost: list[str] = []
    blocks: list[Words] = []
    for each in _result_parts(part):
        block = _result_part(each)
        if block is None:
            if not isinstance(each, Text):
                lost.append(_kind_of(each))
        else:
            blocks.append(block)
    words: Words = {"type": "tool_result", "tool_use_id": part.call_id}
    if len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        words["content"] = blocks[0]["text"]
    elif blocks:
        words["content"] = blocks
    if part.is_error:
        words["is_error"] = True
    return marked(words, part.cache), lost


def marked(block: Words, cache: CacheMark | None) -> Words:
    """Set a block's cache mark, or take it off."""
    if cache is not None:
        block["cache_control"] = cache_words(cache)
    else:
        block.pop("cache_control", None)
    return block


def cache_words(cache: CacheMark) -> Words:
    """Word a cache mark; five minutes go without saying."""
    if cache.ttl == "5m":
        return {"type": "ephemeral"}
    return {"type": "ephemeral", "ttl": cache.ttl}


def sniffed(data: str, claimed: str) -> str:
    """Return what some base64 really is; clients mislabel pictures."""
    head = data[:_HEAD_CHARS]
    try:
        start = base64.b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return claimed
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image/webp"
    return _PDF if start.startswith(b"%PDF-") else claimed


def _image_source(part: Media) -> Words | None:
    if part.source == "base64":
        data = "".join(part.data.split())
        return {
            "type": "base64",
            "media_type": sniffed(data, part.media_type or "image/png"),
            "data": data,
        }
    return _pointer(part)


def _pointer(part: Media) -> Words | None:
    if part.source == "url":
        return {"type": "url", "url": part.data}
    if part.source == "file_id":
        return {"type": "file", "file_id": part.data}
    return None


def _document(part: Media) -> Words | None:
    source = _document_source(part)
    if source is None:
        return None
    block: Words = {"type": "document", "source": source}
    title = part.title or part.name
    if title:
        block["title"] = title
    if part.context:
        block["context"] = part.context
    if part.cites:
        block["citations"] = {"enabled": True}
    return block


def _document_source(part: Media) -> Any:
    if "source" in part.ext:
        return part.ext["source"]
    if part.source == "text":
        return {"type": "text", "media_type": "text/plain", "data": part.data}
    if part.source != "base64":
        return _pointer(part)
    data = "".join(part.data.split())
    media_type = sniffed(data, part.media_type or _PDF)
    if media_type.startswith("text/"):
        try:
            text = base64.b64decode(data).decode()
        except ValueError:
            return None
        return {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "base64", "media_type": media_type, "data": data}


def _result_parts(part: ToolResult) -> tuple[ResultPart, ...]:
    if part.content or part.json is None:
        return part.content
    return (Text(text=bytes(part.json).decode()),)


def _result_part(part: ResultPart) -> Words | None:
    if isinstance(part, Text):
        return text_block(part) if part.text.strip() else None
    if isinstance(part, Media):
        return media_block(part)
    return own_block(part)


def own_block(part: Unknown) -> Words | None:
    """Return a block only this dialect knows; None for another's."""
    if part.dialect != ID:
        return None
    try:
        return dict(_OBJECT.decode(part.payload))
    except UNREADABLE:
        return None


def _kind_of(part: Media | Unknown) -> str:
    return part.kind if isinstance(part, Media) else part.type or "block"
