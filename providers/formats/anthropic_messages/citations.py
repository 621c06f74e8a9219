"""Take Anthropic's citations apart and put them together.

They cite for a whole block; their own members (an encrypted index, a page) are kept, so
that what comes from this dialect goes back as it came.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Citation

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NO_INDEX: Final = msgspec.Raw(b'""')
_WEB: Final = "web_search_result_location"
_SEARCH: Final = "search_result_location"
_PLACES: Final = frozenset(
    {"char_location", "page_location", "content_block_location", _SEARCH}
)
_COMMON: Final = frozenset({"type", "url", "source", "title", "cited_text"})


class _Cited(msgspec.Struct):
    """Name what citations share, whatever they point to."""

    type: str = ""
    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None
    cited_text: str | None = None


_CITED: Final = msgspec.json.Decoder(_Cited)


def read_citation(raw: msgspec.Raw | bytes) -> Citation | None:
    """Read one citation; None for what is none."""
    try:
        cited = _CITED.decode(raw)
        members = _MEMBERS.decode(raw)
    except UNREADABLE:
        return None
    return Citation(
        kind="url" if cited.type == _WEB else cited.type or "url",
        url=cited.url or cited.source or "",
        title=cited.title or cited.document_title or "",
        cited_text=cited.cited_text or "",
        ext={
            name: msgspec.Raw(bytes(value))
            for name, value in members.items()
            if name not in _COMMON
        },
    )


def read_citations(raw: msgspec.Raw | None) -> tuple[Citation, ...]:
    """Read the citations of a text block; a document's setting has none."""
    if raw is None:
        return ()
    try:
        each = _LIST.decode(raw)
    except UNREADABLE:
        return ()
    return tuple(made for one in each if (made := read_citation(one)) is not None)


def citation_object(citation: Citation) -> dict[str, Any]:
    """Word a citation; one that points into no document points to the web."""
    words: dict[str, Any] = {"type": citation.kind, "cited_text": citation.cited_text}
    if citation.kind == _SEARCH:
        words |= {"source": citation.url, "title": citation.title or None}
    elif citation.kind not in _PLACES:
        words |= {
            "type": _WEB,
            "url": citation.url,
            "title": citation.title or None,
            "encrypted_index": "",
        }
    return {**words, **citation.ext}


def is_own(citation: Citation) -> bool:
    """Tell whether a citation is this dialect's, so that an upstream knows it.

    One that was made up for a client has an empty index no upstream accepts.
    """
    if citation.kind in _PLACES:
        return True
    index = bytes(citation.ext.get("encrypted_index", _NO_INDEX))
    return citation.kind == "url" and index not in (b'""', b"null")
