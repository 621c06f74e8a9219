"""Carry proof of reasoning through a dialect that has a slot for somebody else's.

A client gives back what an answer's opaque slot held and never looks inside. Proof made
by another vendor than the slot's is packed into it with the name of its maker, so that
the next request can give it back to whom it belongs, and only to them.

Source: reference wire 2.12, smuggling across dialects.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Opaque

PREFIX: Final = "pp1."
"""What a packed slot begins with: no vendor's blob has a full stop there."""

_LARGEST: Final = 4 * 1024 * 1024
_DECODER: Final = msgspec.json.Decoder(tuple[Opaque, ...])


def pack(opaque: Iterable[Opaque]) -> str:
    """Return one string for a client's opaque slot; blank for no proof."""
    kept = tuple(opaque)
    if not kept:
        return ""
    return PREFIX + urlsafe_b64encode(msgspec.json.encode(kept)).decode().rstrip("=")


def is_packed(slot: str) -> bool:
    """Tell whether a slot was packed here."""
    return slot.startswith(PREFIX)


def unpack(slot: str) -> tuple[Opaque, ...]:
    """Return the proof in a packed slot.

    Fails:   empty for what is not packed, was cut short or changed on its way.
    """
    if not is_packed(slot) or len(slot) > _LARGEST:
        return ()
    text = slot[len(PREFIX) :]
    try:
        return _DECODER.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except UNREADABLE:
        return ()
