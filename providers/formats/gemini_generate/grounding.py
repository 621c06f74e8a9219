"""Read what a Gemini answer rests on, and word it: offsets there count UTF-8 bytes.

Source: reference wire 1.5, 2.16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Citation

_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


def read_grounding(raw: msgspec.Raw, text: str) -> Iterator[Citation]:
    """Yield the citations of some grounding metadata, in characters of ``text``.

    Shapes:  a chunk no support points to cites the whole text. An offset that does not
             lie on ``text`` is looked for by its words, else left out.
    """
    said = _decoded(raw)
    chunks = [_source(each) for each in _dicts(said.get("groundingChunks"))]
    cited: set[int] = set()
    data = text.encode()
    for support in _dicts(said.get("groundingSupports")):
        segment = support.get("segment")
        if not isinstance(segment, dict):
            continue
        start, end, words = _span(segment, data, text)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(chunks):
                cited.add(index)
                url, title = chunks[index]
                yield Citation(
                    url=url, title=title, cited_text=words, start=start, end=end
                )
    for index, (url, title) in enumerate(chunks):
        if index not in cited and url:
            yield Citation(url=url, title=title)


def read_citations(raw: msgspec.Raw, text: str) -> Iterator[Citation]:
    """Yield the citations of some citation metadata: what was recited."""
    said = _decoded(raw)
    sources = said.get("citationSources") or said.get("citations")
    data = text.encode()
    for each in _dicts(sources):
        start, end, _ = _span(each, data, text)
        url = each.get("uri")
        title = each.get("title")
        yield Citation(
            url=url if isinstance(url, str) else "",
            title=title if isinstance(title, str) else "",
            start=start,
            end=end,
        )


def grounding_body(cited: Iterable[tuple[int, str, Citation]]) -> dict[str, Any]:
    """Word citations as grounding metadata.

    Shapes:  each comes with the place of its part and the part's text.
    """
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    known: dict[tuple[str, str], int] = {}
    for place, text, citation in cited:
        key = (citation.url, citation.title)
        if key not in known:
            known[key] = len(chunks)
            web = {"uri": citation.url, "title": citation.title}
            chunks.append({"web": {name: each for name, each in web.items() if each}})
        if citation.start is None or citation.end is None:
            continue
        segment: dict[str, Any] = {
            "startIndex": len(text[: citation.start].encode()),
            "endIndex": len(text[: citation.end].encode()),
            "text": text[citation.start : citation.end],
        }
        if place:
            segment["partIndex"] = place
        supports.append({"segment": segment, "groundingChunkIndices": [known[key]]})
    out: dict[str, Any] = {"groundingChunks": chunks}
    if supports:
        out["groundingSupports"] = supports
    return out


def _span(
    segment: dict[str, Any], data: bytes, text: str
) -> tuple[int | None, int | None, str]:
    """Return a segment's first and last character and its words."""
    start, end = segment.get("startIndex") or 0, segment.get("endIndex")
    words = segment.get("text")
    words = words if isinstance(words, str) else ""
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end:
        first = _characters(data, start)
        last = _characters(data, end)
        if first is not None and last is not None:
            cut = text[first:last]
            if not words or cut == words:
                return first, last, cut
    at = text.find(words) if words else -1
    return (at, at + len(words), words) if at >= 0 else (None, None, words)


def _characters(data: bytes, offset: int) -> int | None:
    """Return how many characters an offset in bytes is; None inside a character."""
    if offset > len(data):
        return None
    try:
        return len(data[:offset].decode())
    except UnicodeDecodeError:
        return None


def _source(chunk: dict[str, Any]) -> tuple[str, str]:
    """Return address and title of a chunk, whatever kind of source it is."""
    for value in chunk.values():
        if isinstance(value, dict):
            url, title = value.get("uri"), value.get("title")
            return (
                url if isinstance(url, str) else "",
                title if isinstance(title, str) else "",
            )
    return "", ""


def _decoded(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        return _DECODER.decode(raw)
    except UNREADABLE:
        return {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]
