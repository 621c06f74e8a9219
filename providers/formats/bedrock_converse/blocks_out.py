"""Word neutral parts as Converse content blocks, for upstreams and for clients."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.bedrock_converse.names import (
    AUDIO,
    DIALECT,
    DOCUMENTS,
    IMAGES,
    VIDEO,
    DocumentNames,
)
from providers.formats.neutral.smuggle import pack
from providers.formats.neutral.types import (
    CacheMark,
    Citation,
    Loss,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

Block = dict[str, Any]
AnyBlock = Block | msgspec.Raw
"""A block as worded here, or one that goes back as it came."""

_FORMATS: Final = {
    "image": IMAGES,
    "document": DOCUMENTS,
    "audio": AUDIO,
    "video": VIDEO,
}
OWN_FAMILIES: Final = frozenset({"anthropic", DIALECT})
_EMPTY: Final = msgspec.Raw(b"{}")


class BlockWriter:
    """Word the parts of one request or answer.

    Shapes:  ``families`` are those whose proof of reasoning an upstream reads; None for
             a client, who keeps any proof in an envelope. ``losses`` collects what has
             no words here.
    """

    def __init__(self, families: frozenset[str] | None = None) -> None:
        self._families = families
        self._names = DocumentNames()
        self.losses: list[Loss] = []
        self.marks = True

    def blocks(self, part: Part) -> list[AnyBlock]:
        """Return the blocks of one part, its cache point included."""
        made = self._made(part)
        if made is None:
            return []
        mark = getattr(part, "cache", None) if self.marks else None
        return [made] if mark is None else [made, cache_point(mark)]

    def _made(self, part: Part) -> AnyBlock | None:
        if isinstance(part, Text | Refusal) and self._is_unsaid(part.text):
            return None
        if isinstance(part, Text):
            return _text(part)
        if isinstance(part, ToolCall):
            return {"toolUse": tool_use(part)}
        if isinstance(part, ToolResult):
            return {"toolResult": self._result(part)}
        if isinstance(part, Media):
            return self._media(part)
        if isinstance(part, Reasoning):
            return self._reasoning(part)
        if isinstance(part, Refusal):
            return {"text": part.text}
        return self._unknown(part)

    def _is_unsaid(self, text: str) -> bool:
        """Tell whether a text is left out: an upstream refuses blanks, a client not."""
        return not (text if self._families is None else text.strip())

    def _result(self, part: ToolResult) -> Block:
        content: list[AnyBlock] = []
        has_json = part.json is not None and is_object(part.json)
        if has_json:
            content.append({"json": part.json})
        for inner in part.content:
            if isinstance(inner, Text):
                # A second copy of the object in words adds nothing.
                if inner.text.strip() and not has_json:
                    content.append({"text": inner.text})
                continue
            block = self._made(inner)
            if block is not None:
                content.append(block)
        if not content:
            text = "" if part.json is None else bytes(part.json).decode()
            content.append({"text": text or "(empty)"})
        made: Block = {"toolUseId": part.call_id, "content": content}
        if part.is_error:
            made["status"] = "error"
        return made

    def _media(self, part: Media) -> Block | None:
        word = _FORMATS[part.kind].get(part.media_type.lower(), "")
        if not word and part.kind in ("audio", "video"):
            word = part.media_type.partition("/")[2]
        source = _source(part)
        if source is None or (not word and part.kind != "document"):
            return self._lost(f"{part.kind}.{part.source}")
        made: Block = {"source": source}
        if word:
            made["format"] = word
        elif "bytes" in source and part.source == "text":
            made["format"] = "txt"
        if part.kind != "document":
            return {part.kind: made}
        made["name"] = self._names.name(part.name or part.title)
        if part.context:
            made["context"] = part.context
        if part.cites:
            made["citations"] = {"enabled": True}
        return {"document": made}

    def _reasoning(self, part: Reasoning) -> Block | None:
        for proof in part.opaque:
            if self._families is not None and proof.family not in self._families:
                continue
            return {"reasoningContent": proven(proof, part.text)}
        if self._families is not None or not part.text:
            # Nobody takes thoughts back without the proof they were given with.
            return self._lost("reasoning")
        return {"reasoningContent": {"reasoningText": {"text": part.text}}}

    def _unknown(self, part: Unknown) -> AnyBlock | None:
        if part.dialect == DIALECT:
            return part.payload
        return self._lost(part.type or "content")

    def _lost(self, field: str) -> Block | None:
        """Name what has no words here; there is no block for it."""
        self.losses.append(Loss(field=field))
        return None


def proven(proof: Opaque, text: str) -> Block:
    """Word a thought with its proof; another family's travels as a signature."""
    if proof.slot == "redacted" and proof.family in OWN_FAMILIES:
        return {"redactedContent": proof.data}
    return {"reasoningText": {"text": text, "signature": signature_of(proof)}}


def signature_of(proof: Opaque) -> str:
    """Return what stands for proof in a signature."""
    is_own = proof.slot == "signature" and proof.family in OWN_FAMILIES
    return proof.data if is_own else pack(proof)


def tool_use(part: ToolCall) -> Block:
    """Word a call; its arguments are an object whatever the model wrote."""
    return {
        "toolUseId": part.id,
        "name": part.name,
        "input": as_object(part.arguments),
    }


def as_object(arguments: str) -> msgspec.Raw:
    """Return arguments as a JSON object, spelt as they were where they are one."""
    if not arguments.strip():
        return _EMPTY
    raw = msgspec.Raw(arguments.encode())
    if is_object(raw):
        return raw
    return msgspec.Raw(msgspec.json.encode({"_raw": arguments}))


def is_object(raw: msgspec.Raw) -> bool:
    """Tell whether some text is a JSON object."""
    try:
        msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return False
    return True


def cache_point(mark: CacheMark) -> Block:
    """Word the end of a prefix that is to be kept."""
    made: Block = {"type": "default"}
    if mark.ttl == "1h":
        made["ttl"] = "1h"
    return {"cachePoint": made}


def _text(part: Text) -> Block:
    known = [made for each in part.citations if (made := cited(each)) is not None]
    if not known:
        return {"text": part.text}
    return {"citationsContent": {"content": [{"text": part.text}], "citations": known}}


def cited(citation: Citation) -> msgspec.Raw | Block | None:
    """Word a source: as Bedrock said it, or as a page of the web; None for others."""
    own = citation.ext.get(DIALECT)
    if own is not None:
        return own
    if not citation.url:
        return None
    made: Block = {"location": {"web": {"url": citation.url}}}
    if citation.title:
        made["title"] = citation.title
    if citation.cited_text:
        made["sourceContent"] = [{"text": citation.cited_text}]
    return made


def _source(part: Media) -> Block | None:
    if part.source == "base64":
        return {"bytes": part.data}
    if part.source == "text":
        if "text" in part.ext:
            return {"text": part.data}
        return {"bytes": b64encode(part.data.encode()).decode()}
    if part.source == "s3" or part.data.startswith("s3://"):
        place: Block = {"uri": part.data}
        if "bucketOwner" in part.ext:
            place["bucketOwner"] = part.ext["bucketOwner"]
        return {"s3Location": place}
    return None
