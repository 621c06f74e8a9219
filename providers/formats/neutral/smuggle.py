"""Carry proof of reasoning through a client whose dialect has no word for its maker.

A client sends back what stands in its dialect's opaque slot (a signature, encrypted
content) without reading it. Proof of another family is put there in an envelope of the
pool's own, and taken out again when it comes back; nothing in it is a secret, and a
blob that was cut or made up is dropped without a word.

Source: reference wire 2.12.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Opaque

PREFIX: Final = "ppool1."
"""How every envelope begins, its version included."""

NOTHING: Final = Opaque(family="pool", slot="none", data="")
"""Stands for reasoning that came without proof, so that no one takes it for a vendor's."""

_SUM_CHARS: Final = 8
_DECODER: Final = msgspec.json.Decoder(tuple[str, str, str, str, str])


def pack(opaque: Opaque) -> str:
    """Return an envelope around some proof."""
    inner = (opaque.family, opaque.slot, opaque.model, opaque.scope, opaque.data)
    text = urlsafe_b64encode(msgspec.json.encode(inner)).decode()
    return f"{PREFIX}{_checksum(text)}{text}"


def is_packed(text: str) -> bool:
    """Tell whether a text claims to be an envelope."""
    return text.startswith(PREFIX)


def unpack(text: str) -> Opaque | None:
    """Return the proof in an envelope.

    Shapes:  None for what is no envelope, for a damaged one, and for ``NOTHING``.
    """
    if not text.startswith(PREFIX):
        return None
    start = len(PREFIX) + _SUM_CHARS
    inner = text[start:]
    try:
        if text[len(PREFIX) : start] != _checksum(inner):
            return None
        family, slot, model, scope, data = _DECODER.decode(urlsafe_b64decode(inner))
    except (*UNREADABLE, binascii.Error):
        return None
    opaque = Opaque(family=family, slot=slot, model=model, scope=scope, data=data)
    return None if opaque == NOTHING else opaque


def _checksum(text: str) -> str:
    """Return what tells a whole envelope from a cut one; no protection from anyone."""
    return f"{binascii.crc32(text.encode()):08x}"
