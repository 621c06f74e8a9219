"""Numbers of an embedding between their two spellings: a list, and base64 of floats.

Source: reference wire 1.3, P113: little-endian IEEE 754 singles.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE

_FLOATS: Final = msgspec.json.Decoder(list[float])
_TEXT: Final = msgspec.json.Decoder(str)
_QUOTE: Final = 0x22
_BRACKET: Final = 0x5B


class NoVectorError(ValueError):
    """Report an embedding that is neither of the two."""


def is_packed(raw: msgspec.Raw) -> bool:
    """Tell whether an embedding came as text."""
    return memoryview(raw)[0] == _QUOTE


def is_listed(raw: msgspec.Raw) -> bool:
    """Tell whether an embedding came as a list."""
    return memoryview(raw)[0] == _BRACKET


def listed(raw: msgspec.Raw) -> bytes:
    """Return an embedding as a JSON list of numbers.

    Shapes:  a single becomes the double of the same value, so nothing is rounded.
    Errors:  NoVectorError.
    """
    if is_listed(raw):
        return bytes(raw)
    try:
        data = b64decode(_TEXT.decode(raw), validate=True)
        numbers = struct.unpack(f"<{len(data) // 4}f", data)
        return msgspec.json.encode(numbers)
    except (*UNREADABLE, struct.error) as error:
        raise NoVectorError from error


def packed(raw: msgspec.Raw) -> bytes:
    """Return an embedding as a JSON text of base64.

    Errors:  NoVectorError, also for numbers beyond a single's range.
    """
    if is_packed(raw):
        return bytes(raw)
    try:
        numbers = _FLOATS.decode(raw)
        data = struct.pack(f"<{len(numbers)}f", *numbers)
    except (*UNREADABLE, struct.error, OverflowError) as error:
        raise NoVectorError from error
    return b'"' + b64encode(data) + b'"'
