"""Turn a call's arguments into the object this dialect wants, and back into text.

Servers refuse arguments in a string; models write what is no object. Nothing is parsed
and written anew: numbers and the order of keys survive.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import ToolCall

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_EMPTY: Final = msgspec.Raw(b"{}")


class _Unparsed(msgspec.Struct, forbid_unknown_fields=True):
    """Hold arguments that are no object, so that an object can carry them."""

    text: str = msgspec.field(name="_raw")


_UNPARSED: Final = msgspec.json.Decoder(_Unparsed)


class _Custom(msgspec.Struct):
    input: str


def arguments_object(call: ToolCall) -> msgspec.Raw:
    """Return a call's arguments as the JSON of an object.

    Shapes:  none = empty; encoded twice = once; free text of a custom tool and what is
             no object are wrapped.
    """
    if call.kind == "custom":
        return msgspec.Raw(msgspec.json.encode(_Custom(call.arguments)))
    text = call.arguments.strip()
    if not text:
        return _EMPTY
    for candidate in (text, _unquoted(text)):
        try:
            _OBJECT.decode(candidate)
        except UNREADABLE:
            continue
        return msgspec.Raw(candidate.strip().encode())
    return msgspec.Raw(msgspec.json.encode(_Unparsed(call.arguments)))


def arguments_text(raw: msgspec.Raw) -> str:
    """Return arguments as the text the neutral form keeps, whatever holds them."""
    value = bytes(raw)
    if value in (b"", b"null", b'""'):
        return "{}"
    try:
        if value[:1] == b'"':
            return _TEXT.decode(value).strip() or "{}"
        if value[:1] == b"{":
            return _UNPARSED.decode(value).text
    except UNREADABLE:
        pass
    return value.decode("utf-8", "replace")


def _unquoted(text: str) -> str:
    """Return what a JSON string holds; other text as it is."""
    try:
        return _TEXT.decode(text)
    except UNREADABLE:
        return text
