"""What is kept of a prompt and its answer, and how it is packed.

Everything here is plain data without a database: the data plane packs, the keeper ships
what it finds, the console unpacks.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from usage.bodies.redact import redacted

RAW_FACTOR: Final = 4
"""So much more than is kept is looked at: pictures before a text take no room."""

_MOST_PLAIN: Final = 16 * 1024 * 1024


class BodyFormatError(ValueError):
    """A spooled file or a stored body cannot be read."""


class Side(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One side of a call, compressed, without secrets and pictures.

    Shapes:  ``is_cut`` = it went on.
    Units:   ``size`` is what passed, in bytes, not what is kept.
    """

    data: bytes
    size: int
    is_cut: bool = False


class KeptBody(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is kept of one call; a side that never came is None.

    Units:   ``at_ns`` is the call's own time: both leave together.
    """

    request_id: str
    at_ns: int
    asked: Side | None = None
    answered: Side | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(KeptBody)


def pack_side(raw: bytes, size: int, *, keep: int) -> Side:
    """Redact, cut and compress one side.

    Shapes:  ``raw`` is the beginning of what passed, at most RAW_FACTOR x ``keep``.
    """
    clean = redacted(raw)
    is_cut = len(raw) < size or len(clean) > keep
    return Side(zlib.compress(clean[:keep]), size, is_cut)


def plain(data: bytes) -> bytes:
    """Undo the compression of a stored side, within a bound.

    Errors:  BodyFormatError for damaged data.
    """
    inflater = zlib.decompressobj()
    try:
        return inflater.decompress(data, _MOST_PLAIN)
    except zlib.error as error:
        raise BodyFormatError(str(error)) from error


def encode(body: KeptBody) -> bytes:
    """Return what a spooled file holds."""
    return _encoder.encode(body)


def decode(data: bytes) -> KeptBody:
    """Read what a spooled file holds.

    Errors:  BodyFormatError.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BodyFormatError(str(error)) from error
