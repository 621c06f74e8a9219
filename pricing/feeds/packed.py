"""Keep a source's last good listing small enough for a column of the database."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import msgspec

from pricing.listing import Listing

_LEVEL: Final = 6


class Kept(msgspec.Struct, frozen=True):
    """Hold what is believed of one source.

    Shapes:  keys of both maps are made by ``key_of``. ``since`` says from which day
             (YYYY-MM-DD) on the price in force differs from the one first seen;
             ``gone`` since when the source no longer lists a model.
    """

    listing: Listing
    since: dict[str, str] = {}
    gone: dict[str, str] = {}


def key_of(provider: str, model: str) -> str:
    """Return the one key of a model at a provider; neither name holds a line end."""
    return f"{provider}\n{model}"


def pack(kept: Kept) -> bytes:
    """Turn it into bytes; the same content gives the same bytes."""
    return zlib.compress(msgspec.msgpack.encode(kept, order="deterministic"), _LEVEL)


def unpack(raw: bytes) -> Kept:
    """Read what ``pack`` made."""
    return msgspec.msgpack.decode(zlib.decompress(raw), type=Kept)


def digest_of(raw: bytes) -> str:
    """Name packed bytes by their content."""
    return hashlib.sha256(raw).hexdigest()
