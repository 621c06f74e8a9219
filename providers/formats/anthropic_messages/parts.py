"""Take the content blocks of a client's messages apart."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from providers.formats.anthropic_messages.citations import read_citations
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.base import UNREADABLE, FormatError
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    MediaSource,
    Opaque,
    Part,
    Reasoning,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

ID: Final = "anthropic"


class _Cache(msgspec.Struct):
    type: str = "ephemeral"
    ttl: str | None = None


class _Source(msgspec.Struct):
    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: msgspec.Raw = ABSENT


class _Block(msgspec.Struct):
    """Name the members of every block a client may send."""

    type: str
    text: str | None = None
    cache_control: _Cache | None = None
    citations: msgspec.Raw = ABSENT
    source: msgspec.Raw = ABSENT
    title: str | None = None
    context: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    tool_use_id: str | None = None
    content: msgspec.Raw = ABSENT
    is_error: bool | None = None


class _Cites(msgspec.Struct):
    enabled: bool = False


_BLOCKS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Typed(msgspec.Struct):
    type: str = ""


_BLOCK: Final = msgspec.json.Decoder(_Block)
_TYPED: Final = msgspec.json.Decoder(_Typed)
_KNOWN: Final = frozenset(
    {
        "text",
        "image",
        "document",
        "search_result",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
    }
)
_SOURCE: Final = msgspec.json.Decoder(_Source)
_CITES: Final = msgspec.json.Decoder(_Cites)
_CACHE: Final = msgspec.json.Decoder(_Cache)


def read_content(raw: msgspec.Raw, where: str) -> tuple[Part, ...]:
    """Read a message's content: text, or a list of blocks.

    Shapes:  ``where`` is the path of the field, for errors.
    Errors:  FormatError naming the block at fault.
    """
    if memoryview(raw)[0] == 0x22:
        text: str = msgspec.json.decode(raw, type=str)
        return (Text(text=text),) if text else ()
    try:
        blocks = _BLOCKS.decode(raw)
    except UNREADABLE:
        raise invalid(where, "must be a string or an array of blocks") from None
    parts: list[Part] = []
    for place, each in enumerate(blocks):
        parts += _read_block(each, f"{where}.{place}")
    return _with_call_proof(parts)


def read_cache(raw: msgspec.Raw | None) -> CacheMark | None:
    """Read a cache mark that stands alone; odd ones read as absent."""
    if raw is None:
        return None
    try:
        return _mark(_CACHE.decode(raw))
    except UNREADABLE:
        return None


def invalid(param: str, words: str) -> FormatError:
    """Word the refusal of one field."""
    return FormatError(f"{param}: {words}", code="invalid_value", param=param)


def _read_block(raw: msgspec.Raw, where: str) -> tuple[Part, ...]:
    try:
        block = _BLOCK.decode(raw)
    except UNREADABLE as error:
        unknown = _unknown(raw)
        if unknown is not None:
            return (unknown,)
        raise invalid(where, f"not a content block ({error})") from None
    type_ = block.type
    if type_ == "tool_use":
        return (_tool_call(block, where),)
    if type_ == "tool_result":
        return (_tool_result(block, where),)
    if type_ in ("thinking", "redacted_thinking"):
        return _reasoning(block)
    return (_result_part(block, raw, where),)


def _unknown(raw: msgspec.Raw) -> Unknown | None:
    """Keep a block of a type nobody here knows, whatever its members are."""
    try:
        type_ = _TYPED.decode(raw).type
    except UNREADABLE:
        return None
    if not type_ or type_ in _KNOWN:
        return None
    return Unknown(dialect=ID, type=type_, payload=msgspec.Raw(bytes(raw)))


def _result_part(block: _Block, raw: msgspec.Raw, where: str) -> ResultPart:
    """Read what may stand in a message and in a tool's result."""
    cache = _mark(block.cache_control)
    if block.type == "text":
        return Text(
            text=block.text or "",
            citations=read_citations(given(block.citations)),
            cache=cache,
        )
    if block.type in ("image", "document"):
        return _media(block, cache, where)
    if block.type == "search_result":
        return Media(
            kind="document",
            source="text",
            data=_joined_text(block.content),
            media_type="text/plain",
            title=block.title or "",
            cache=cache,
            ext={"search_result": msgspec.Raw(bytes(raw))},
        )
    return Unknown(dialect=ID, type=block.type, payload=msgspec.Raw(bytes(raw)))


def _media(block: _Block, cache: CacheMark | None, where: str) -> Media:
    raw = block.source
    try:
        source = _SOURCE.decode(raw)
    except UNREADABLE:
        raise invalid(f"{where}.source", "must be an object") from None
    kinds: dict[str, tuple[MediaSource, str | None]] = {
        "base64": ("base64", source.data),
        "text": ("text", source.data),
        "url": ("url", source.url),
        "file": ("file_id", source.file_id),
        "content": ("text", _joined_text(source.content)),
    }
    kind, data = kinds.get(source.type, ("text", None))
    if data is None:
        raise invalid(f"{where}.source", f"unknown or empty source {source.type!r}")
    is_nested = source.type == "content"
    return Media(
        kind="image" if block.type == "image" else "document",
        source=kind,
        data=data,
        media_type="text/plain" if is_nested else source.media_type or "",
        title=block.title or "",
        context=block.context or "",
        cites=_cites(block.citations),
        cache=cache,
        ext={"source": msgspec.Raw(bytes(raw))} if is_nested else {},
    )


def _tool_call(block: _Block, where: str) -> ToolCall:
    if not block.id or not block.name:
        raise invalid(where, "a tool_use block needs an id and a name")
    return ToolCall(
        id=block.id,
        name=block.name,
        arguments=bytes(given(block.input) or b"{}").decode(errors="replace"),
        cache=_mark(block.cache_control),
    )


def _tool_result(block: _Block, where: str) -> ToolResult:
    if not block.tool_use_id:
        raise invalid(where, "a tool_result block needs a tool_use_id")
    content: tuple[ResultPart, ...] = ()
    if (raw := given(block.content)) is not None:
        inner = read_content(raw, f"{where}.content")
        content = tuple(
            part for part in inner if isinstance(part, Text | Media | Unknown)
        )
    return ToolResult(
        call_id=block.tool_use_id,
        content=content,
        is_error=bool(block.is_error),
        cache=_mark(block.cache_control),
    )


def _reasoning(block: _Block) -> tuple[Part, ...]:
    """Read a thought; proof the pool packed is its maker's again."""
    is_redacted = block.type == "redacted_thinking"
    proof = block.data if is_redacted else block.signature
    opaque: Opaque | None = None
    if proof and is_packed(proof):
        opaque = unpack(proof)
    elif proof:
        slot = "redacted" if is_redacted else "signature"
        opaque = Opaque(family=ID, slot=slot, data=proof)
    text = block.thinking or ""
    if opaque is None and not text:
        return ()
    return (
        Reasoning(
            text=text,
            opaque=() if opaque is None else (opaque,),
            is_redacted=not text,
        ),
    )


def _with_call_proof(parts: list[Part]) -> tuple[Part, ...]:
    """Put proof that goes with a call back on the call that follows it."""
    out: list[Part] = []
    for part in parts:
        before = out[-1] if out else None
        if (
            isinstance(part, ToolCall)
            and isinstance(before, Reasoning)
            and before.is_redacted
            and before.opaque
            and before.opaque[0].slot == "thought_signature"
        ):
            out[-1] = replace(part, opaque=before.opaque)
        else:
            out.append(part)
    return tuple(out)


def _mark(cache: _Cache | None) -> CacheMark | None:
    return None if cache is None else CacheMark(ttl=cache.ttl or "5m")


def _cites(raw: msgspec.Raw) -> bool:
    if given(raw) is None:
        return False
    try:
        return _CITES.decode(raw).enabled
    except UNREADABLE:
        return False


def _joined_text(raw: msgspec.Raw) -> str:
    """Return the text of a string or of a list of blocks."""
    value: Any = msgspec.json.decode(given(raw) or b'""')
    if isinstance(value, str):
        return value
    texts = [
        str(each.get("text") or "")
        for each in (value if isinstance(value, list) else ())
        if isinstance(each, dict) and each.get("type") == "text"
    ]
    return "\n".join(texts)
