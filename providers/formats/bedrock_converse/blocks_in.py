"""Take Converse content blocks apart: those of requests and those of answers.

A block nobody here understands stays as it is (``Unknown``), so that a Bedrock upstream
gets it back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.bedrock_converse.names import DIALECT, media_type
from providers.formats.bedrock_converse.raw import ABSENT, given, text_of
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Reasoning,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)


class _S3(msgspec.Struct):
    uri: str = ""
    bucketOwner: msgspec.Raw = ABSENT


class _Source(msgspec.Struct):
    bytes: str | None = None
    s3Location: _S3 | None = None
    text: str | None = None


class _Enabled(msgspec.Struct):
    enabled: bool = False


class _Media(msgspec.Struct):
    source: _Source | None = None
    format: str = ""
    name: str = ""
    context: str = ""
    citations: _Enabled | None = None
    error: msgspec.Raw = ABSENT


class ToolUse(msgspec.Struct):
    """A call; ``type`` is set for those a server ran."""

    toolUseId: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class _ToolResult(msgspec.Struct):
    toolUseId: str = ""
    content: list[msgspec.Raw] | None = None
    status: str = "success"
    type: str | None = None


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str = ""


class _Reasoning(msgspec.Struct):
    reasoningText: _ReasoningText | None = None
    redactedContent: str | None = None


class _CachePoint(msgspec.Struct):
    ttl: str = "5m"


class _Words(msgspec.Struct):
    text: str = ""


class _Cited(msgspec.Struct):
    content: list[_Words] | None = None
    citations: list[msgspec.Raw] | None = None


class _Block(msgspec.Struct):
    text: str | None = None
    image: _Media | None = None
    document: _Media | None = None
    video: _Media | None = None
    audio: _Media | None = None
    toolUse: ToolUse | None = None
    toolResult: _ToolResult | None = None
    reasoningContent: _Reasoning | None = None
    cachePoint: _CachePoint | None = None
    citationsContent: _Cited | None = None
    json: msgspec.Raw = ABSENT


class _Web(msgspec.Struct):
    url: str = ""


class _Span(msgspec.Struct):
    start: int | None = None
    end: int | None = None


class _Location(msgspec.Struct):
    web: _Web | None = None
    documentChar: _Span | None = None


class _Citation(msgspec.Struct):
    title: str | None = None
    source: str | None = None
    sourceContent: list[_Words] | None = None
    location: _Location | None = None


_BLOCK: Final = msgspec.json.Decoder(_Block)
_CITATION: Final = msgspec.json.Decoder(_Citation)
_KEYS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MARKABLE: Final = (Text, Media, ToolCall, ToolResult)


def read_parts(blocks: Iterable[msgspec.Raw], family: str) -> list[Part]:
    """Return the parts of a row of blocks; a cache point marks the part before it.

    Shapes:  ``family`` is who made the proof of reasoning in them.
    Errors:  msgspec.ValidationError.
    """
    parts: list[Part] = []
    for raw in blocks:
        block = _BLOCK.decode(raw)
        mark = block.cachePoint
        last = parts[-1] if parts else None
        if mark is None:
            parts.append(_part(raw, block, family))
        elif isinstance(last, _MARKABLE) and last.cache is None:
            parts[-1] = replace(last, cache=CacheMark(ttl=mark.ttl))
        else:
            parts.append(_unknown(raw))
    return parts


def _part(raw: msgspec.Raw, block: _Block, family: str) -> Part:
    if block.text is not None:
        return Text(text=block.text)
    if block.toolUse is not None and block.toolUse.type is None:
        use = block.toolUse
        return ToolCall(name=use.name, id=use.toolUseId, arguments=text_of(use.input))
    if block.toolResult is not None and block.toolResult.type is None:
        return _result(block.toolResult)
    if block.reasoningContent is not None:
        return _reasoning(block.reasoningContent, family)
    if block.citationsContent is not None:
        cited = block.citationsContent
        return Text(
            text="".join(words.text for words in cited.content or ()),
            citations=tuple(read_citation(each) for each in cited.citations or ()),
        )
    return _media_of(block) or _unknown(raw)


def _media_of(block: _Block) -> Media | None:
    found: tuple[tuple[MediaKind, _Media | None], ...] = (
        ("image", block.image),
        ("document", block.document),
        ("video", block.video),
        ("audio", block.audio),
    )
    for kind, wire in found:
        if wire is not None:
            return _media(kind, wire)
    return None


def _media(kind: MediaKind, wire: _Media) -> Media | None:
    source = wire.source
    if source is None or given(wire.error) is not None:
        return None
    known = Media(
        kind=kind,
        source="base64",
        data="",
        media_type=media_type(kind, wire.format),
        name=wire.name,
        context=wire.context,
        cites=wire.citations is not None and wire.citations.enabled,
    )
    if source.bytes is not None:
        return replace(known, data=source.bytes)
    if source.text is not None:
        # How it was spelt, so that it goes back that way.
        ext = {"text": msgspec.Raw(b"true")}
        return replace(known, source="text", data=source.text, ext=ext)
    if source.s3Location is None:
        return None
    owner = given(source.s3Location.bucketOwner)
    kept = {} if owner is None else {"bucketOwner": owner}
    return replace(known, source="s3", data=source.s3Location.uri, ext=kept)


def _result(wire: _ToolResult) -> ToolResult:
    """Read a result; one JSON block alone is the answer itself."""
    known = ToolResult(call_id=wire.toolUseId, is_error=wire.status == "error")
    blocks = [(raw, _BLOCK.decode(raw)) for raw in wire.content or ()]
    if len(blocks) == 1 and given(blocks[0][1].json) is not None:
        return replace(known, json=blocks[0][1].json)
    parts: list[ResultPart] = []
    for raw, block in blocks:
        if block.text is not None:
            parts.append(Text(text=block.text))
        elif given(block.json) is not None:
            parts.append(Text(text=text_of(block.json)))
        else:
            parts.append(_media_of(block) or _unknown(raw))
    return replace(known, content=tuple(parts))


def _reasoning(wire: _Reasoning, family: str) -> Reasoning:
    if wire.redactedContent is not None:
        proof = Opaque(family=family, slot="redacted", data=wire.redactedContent)
        return Reasoning(opaque=(proof,), is_redacted=True)
    known = wire.reasoningText or _ReasoningText()
    if not known.signature:
        return Reasoning(text=known.text)
    if is_packed(known.signature):
        # Proof the pool carried through a client is its maker's again.
        made = unpack(known.signature)
        packed = () if made is None else (made,)
        hidden = not known.text and bool(packed)
        return Reasoning(text=known.text, opaque=packed, is_redacted=hidden)
    proof = Opaque(family=family, slot="signature", data=known.signature)
    return Reasoning(text=known.text, opaque=(proof,))


def read_citation(raw: msgspec.Raw) -> Citation:
    """Read a source; all it said is kept beside what is understood.

    Errors:  msgspec.ValidationError.
    """
    wire = _CITATION.decode(raw)
    location = wire.location or _Location()
    span = location.documentChar or _Span()
    return Citation(
        kind="url" if location.web is not None else "document",
        url=location.web.url if location.web is not None else wire.source or "",
        title=wire.title or "",
        cited_text="".join(words.text for words in wire.sourceContent or ()),
        start=span.start,
        end=span.end,
        ext={DIALECT: raw},
    )


def _unknown(raw: msgspec.Raw) -> Unknown:
    name = next(iter(_KEYS.decode(raw)), "")
    return Unknown(dialect=DIALECT, type=name, payload=raw)
