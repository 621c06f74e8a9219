"""Embeddings of OpenAI-shaped upstreams, in the encoding the client asked for.

Source: reference wire 1.3, P113, T108.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest, ResponseMeta
from providers.formats.jsonspans import Members
from providers.formats.operations import vectors
from providers.formats.operations.answers import (
    answered,
    members_in,
    named,
    odd_answer,
)
from providers.formats.operations.asking import value_of
from providers.formats.operations.usage import read_plain
from providers.formats.operations.vectors import NoVectorError

BASE64: Final = "base64"
FLOAT: Final = "float"


class Datum(msgspec.Struct, gc=False):
    """One embedding of an answer, its numbers unread."""

    embedding: msgspec.Raw
    index: int | None = None


_DATA: Final = msgspec.json.Decoder(list[Datum])


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Read an answer; only what has the wrong encoding or order is worded anew.

    Errors:  OddAnswerError.
    """
    members = members_in(body)
    data = data_in(members)
    changes = named(members, request.model)
    wanted = encoding_of(request)
    if not _is_as_asked(data, wanted):
        try:
            changes["data"] = worded(in_order(data), wanted)
        except NoVectorError:
            raise odd_answer(body) from None
    return answered(members, changes, read_plain(members.values.get("usage")))


def data_in(members: Members) -> list[Datum]:
    """Return the embeddings of an answer.

    Errors:  OddAnswerError.
    """
    try:
        return _DATA.decode(members.values["data"])
    except (*UNREADABLE, KeyError):
        raise odd_answer(members.body) from None


def in_order(data: Sequence[Datum]) -> list[msgspec.Raw]:
    """Return the numbers by index; without indexes in their own order."""
    places = [place if d.index is None else d.index for place, d in enumerate(data)]
    order = sorted(range(len(data)), key=places.__getitem__)
    return [data[place].embedding for place in order]


def encoding_of(request: ChatRequest) -> str:
    """Return the encoding a client asked for; numbers where it did not."""
    return value_of(request.members, "encoding_format", str) or FLOAT


def worded(numbers: Sequence[msgspec.Raw], encoding: str) -> bytes:
    """Word a list of embeddings as OpenAI does.

    Errors:  NoVectorError.
    """
    spelled = vectors.packed if encoding == BASE64 else vectors.listed
    entries = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % (place, spelled(raw))
        for place, raw in enumerate(numbers)
    ]
    return b"[" + b",".join(entries) + b"]"


def _is_as_asked(data: Sequence[Datum], wanted: str) -> bool:
    """Tell whether nothing must change; other encodings are the upstream's matter."""
    if wanted == BASE64:
        is_right = all(vectors.is_packed(datum.embedding) for datum in data)
    elif wanted == FLOAT:
        is_right = not any(vectors.is_packed(datum.embedding) for datum in data)
    else:
        return True
    places = [datum.index for datum in data if datum.index is not None]
    return is_right and places == sorted(places)
