"""Change single members of a JSON object and leave every other byte as it was.

Prompt caches, signatures and unknown fields survive a proxy only if the bytes do, so a
body is never parsed and written anew: the spans of its top-level values are found, and
the few values that must change are exchanged in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY: Final = re.compile(
    rb'[ \t\n\r]*+,?[ \t\n\r]*+"((?:[^"\\]++|\\.)*+)"[ \t\n\r]*+:[ \t\n\r]*+'
)
_OPEN: Final = re.compile(rb"[ \t\n\r]*\{")
_CLOSE: Final = re.compile(rb"[ \t\n\r]*\}[ \t\n\r]*\Z")
_COPY_FREE_ABOVE: Final = 65_536

REMOVE: Final = b""
"""As a new value: take the member out."""


MOST_MEMBERS: Final = 1_000
"""No dialect has a tenth of that; three million keep a process busy for ten seconds."""


_LARGE_BYTES: Final = 256 * 1024
_MOST_ITEMS_OUTSIDE: Final = 50_000


class _Bulk(msgspec.Struct, gc=False):
    """Name the members that may be large for a good reason, in any dialect."""

    messages: msgspec.Raw = msgspec.Raw(b"")
    input: msgspec.Raw = msgspec.Raw(b"")
    contents: msgspec.Raw = msgspec.Raw(b"")
    prompt: msgspec.Raw = msgspec.Raw(b"")
    system: msgspec.Raw = msgspec.Raw(b"")
    tools: msgspec.Raw = msgspec.Raw(b"")
    functions: msgspec.Raw = msgspec.Raw(b"")
    choices: msgspec.Raw = msgspec.Raw(b"")
    output: msgspec.Raw = msgspec.Raw(b"")
    data: msgspec.Raw = msgspec.Raw(b"")
    embedding: msgspec.Raw = msgspec.Raw(b"")
    embeddings: msgspec.Raw = msgspec.Raw(b"")
    requests: msgspec.Raw = msgspec.Raw(b"")
    documents: msgspec.Raw = msgspec.Raw(b"")
    texts: msgspec.Raw = msgspec.Raw(b"")
    results: msgspec.Raw = msgspec.Raw(b"")
    segments: msgspec.Raw = msgspec.Raw(b"")
    words: msgspec.Raw = msgspec.Raw(b"")


_BULK: Final = msgspec.json.Decoder(_Bulk)


class TooManyMembersError(ValueError):
    """Report an object with more members than any request or answer has."""


class DuplicateKeyError(ValueError):
    """Report an object that names a member twice.

    Two parsers may then read two different requests out of one body, which is how a
    policy is passed by; such a body is refused.
    """


class Members(msgspec.Struct, gc=False):
    """Hold an object's top-level members and where they are.

    Shapes:  ``values`` are views into ``body``, in order of appearance; ``spans``
             has (key start, value start, value end) for each.
    """

    body: bytes
    values: dict[str, msgspec.Raw]
    spans: dict[str, tuple[int, int, int]]

    def __repr__(self) -> str:
        # Bodies must not reach a log through a stray repr.
        return f"<Members {list(self.spans)}>"


def read_members(body: bytes) -> Members:
    """Find the top-level members of an object.

    Errors:  msgspec.DecodeError when it is not JSON, msgspec.ValidationError when it
             is no object, DuplicateKeyError, TooManyMembersError, RecursionError
             when nested too deep, UnicodeDecodeError.
    Cost:    one scan at memory speed and one comparison, 40 MB in some 30 ms; no
             Python loop over bytes.
    """
    if len(body) > _LARGE_BYTES and _is_crowded(body):
        raise TooManyMembersError
    values = _MEMBERS.decode(body)
    if len(values) > MOST_MEMBERS:
        raise TooManyMembersError
    spans: dict[str, tuple[int, int, int]] = {}
    opening = _OPEN.match(body)
    position = opening.end() if opening else 0
    match_key = _KEY.match
    for key, raw in values.items():
        match = match_key(body, position)
        if match is None:
            raise DuplicateKeyError
        start = match.end()
        if not body.startswith(raw, start):
            raise DuplicateKeyError
        name_start, name_end = match.span(1)
        name = body[name_start:name_end]
        if name != key.encode() and msgspec.json.decode(b'"%b"' % name) != key:
            raise DuplicateKeyError
        position = start + len(memoryview(raw))
        spans[key] = (name_start - 1, start, position)
    if not _CLOSE.match(body, position):
        raise DuplicateKeyError
    return Members(body, values, spans)


def _is_crowded(body: bytes) -> bool:
    """Tell whether a large object has crowds of members, before any is made.

    What is skipped costs nothing; each member that is kept costs a microsecond and
    200 bytes, and every one but the first has a comma before it.
    """
    bulk = _BULK.decode(body)
    raws = [getattr(bulk, name) for name in bulk.__struct_fields__]
    if len(body) - sum(len(memoryview(raw)) for raw in raws) <= _LARGE_BYTES:
        return False
    items = body.count(b",") - sum(bytes(raw).count(b",") for raw in raws)
    return items > _MOST_ITEMS_OUTSIDE


def patch(members: Members, changes: Mapping[str, bytes]) -> bytes:
    """Return the object with some members exchanged, removed or added.

    Shapes:  ``changes`` maps a key to the JSON text of its new value, or to
             ``REMOVE``. A key that is not there yet is added after the last member.
    """
    body = members.body
    edits: list[tuple[int, int, bytes]] = []
    added: list[bytes] = []
    removed = False
    for key, value in changes.items():
        span = members.spans.get(key)
        if span is not None and value:
            edits.append((span[1], span[2], value))
        elif span is not None:
            removed = True
        elif value:
            added.append(msgspec.json.encode(key) + b":" + value)
    kept_end = _last_end(members, changes)
    if removed:
        edits += _removals(members, changes, kept_end)
    if added:
        text = b",".join(added)
        at = kept_end if kept_end is not None else body.index(b"{") + 1
        edits.append((at, at, text if kept_end is None else b"," + text))
    if not edits:
        return body
    edits.sort(key=_edit_order)
    return _spliced(body, edits)


def _edit_order(edit: tuple[int, int, bytes]) -> tuple[int, int]:
    """Order by place; at one place an insertion comes before a removal."""
    return edit[0], edit[1]


def _last_end(members: Members, changes: Mapping[str, bytes]) -> int | None:
    """Return where the last member that stays ends, None when none stays."""
    for key in reversed(members.spans):
        if changes.get(key) != REMOVE:
            return members.spans[key][2]
    return None


def _removals(
    members: Members, changes: Mapping[str, bytes], kept_end: int | None
) -> list[tuple[int, int, bytes]]:
    """List the cuts that take members out together with one comma each."""
    edits: list[tuple[int, int, bytes]] = []
    spans = list(members.spans.items())
    for place, (key, (key_start, _, value_end)) in enumerate(spans):
        if changes.get(key) != REMOVE:
            continue
        if kept_end is not None and key_start > kept_end:
            edits.append((kept_end, spans[-1][1][2], b""))
            break
        following = spans[place + 1][1][0] if place + 1 < len(spans) else value_end
        edits.append((key_start, following, b""))
    return edits


def _spliced(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Join the untouched stretches and the new values; large ones are not copied twice."""
    source = memoryview(body) if len(body) > _COPY_FREE_ABOVE else body
    pieces: list[bytes | memoryview] = []
    position = 0
    for start, end, value in edits:
        pieces.append(source[position:start])
        if value:
            pieces.append(value)
        position = end
    pieces.append(source[position:])
    return b"".join(pieces)
