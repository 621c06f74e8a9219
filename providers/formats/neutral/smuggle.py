"""Carry proof of reasoning through a client whose dialect has no word for its maker.

A client sends back what stands in its dialect's opaque slot (a signature, encrypted
content) without reading it. Proof of another family is put there in an envelope of the
pool's own, and taken out again when it comes back; nothing in it is a secret, and a
blob that was cut or made up is dropped without a word. An envelope is base64 from end
to end, since some clients read their slot as bytes and write it again in their own way.

Source: reference wire 2.12.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Opaque

_MARK: Final = b"ppool1"
PREFIX: Final = b64encode(_MARK).decode()
"""How every envelope begins, its version included: six bytes are eight letters."""

NOTHING: Final = Opaque(family="pool", slot="none", data="")
"""Stands for reasoning that came without proof, so that no one takes it for a vendor's."""

_SUM_BYTES: Final = 4
_STANDARD: Final = str.maketrans("-_", "+/")
_DECODER: Final = msgspec.json.Decoder(tuple[str, str, str, str, str])


def pack(opaque: Opaque) -> str:
    """Return an envelope around some proof."""
    inner = (opaque.family, opaque.slot, opaque.model, opaque.scope, opaque.data)
    told = msgspec.json.encode(inner)
    return b64encode(_MARK + _checksum(told) + told).decode()


def is_packed(text: str) -> bool:
    """Tell whether a text claims to be an envelope."""
    return text.startswith(PREFIX)


def unpack(text: str) -> Opaque | None:
    """Return the proof in an envelope.

    Shapes:  None for what is no envelope, for a damaged one, and for ``NOTHING``.
    """
    if not text.startswith(PREFIX):
        return None
    try:
        whole = b64decode(text.translate(_STANDARD), validate=True)
        start = len(_MARK) + _SUM_BYTES
        told = whole[start:]
        if whole[len(_MARK) : start] != _checksum(told):
            return None
        family, slot, model, scope, data = _DECODER.decode(told)
    except (*UNREADABLE, binascii.Error):
        return None
    opaque = Opaque(family=family, slot=slot, model=model, scope=scope, data=data)
    return None if opaque == NOTHING else opaque


def _checksum(told: bytes) -> bytes:
    """Return what tells a whole envelope from a cut one; no protection from anyone."""
    return binascii.crc32(told).to_bytes(_SUM_BYTES, "big")
