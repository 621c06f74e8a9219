"""Read Gemini's request objects, whose names come in camelCase and in snake_case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from providers.formats.base import UNREADABLE, FormatError

Fields = dict[str, msgspec.Raw]

_T = TypeVar("_T")
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_HUMP: Final = re.compile(r"_([a-z0-9])")
_NULL: Final = b"null"

TRUE: Final = msgspec.Raw(b"true")
"""To compare with: raw JSON equals raw JSON only, never bytes."""


def camel(name: str) -> str:
    """Return the camelCase spelling of a field."""
    if "_" not in name:
        return name
    return _HUMP.sub(_raised, name)


def fields_of(raw: bytes | msgspec.Raw, where: str) -> Fields:
    """Return an object's members by camelCase name, without those that are null.

    Errors:  FormatError naming ``where``.
    """
    try:
        members = _OBJECT.decode(raw)
    except UNREADABLE:
        raise invalid(where, "must be an object") from None
    return {
        camel(name): value for name, value in members.items() if bytes(value) != _NULL
    }


def list_of(raw: msgspec.Raw | None, where: str) -> list[msgspec.Raw]:
    """Return a list's members; one object alone is a list of one, as Google reads it.

    Errors:  FormatError naming ``where``.
    """
    if raw is None:
        return []
    if bytes(raw)[:1] == b"{":
        return [raw]
    try:
        return _LIST.decode(raw)
    except UNREADABLE:
        raise invalid(where, "must be an array") from None


def take(fields: Fields, name: str, kind: type[_T], where: str = "") -> _T | None:
    """Take one value out of an object; a number may stand in quotes.

    Errors:  FormatError naming the field.
    """
    raw = fields.pop(name, None)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except UNREADABLE:
        raise invalid(f"{where}{name}", "has the wrong type") from None


def text_of(fields: Mapping[str, msgspec.Raw], name: str) -> str:
    """Return a text nothing depends on; blank when it is absent or odd."""
    raw = fields.get(name)
    if raw is None:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return ""


def raw_json(value: Any) -> msgspec.Raw:
    """Return a value as raw JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def invalid(param: str, words: str) -> FormatError:
    """Word the refusal of one field."""
    return FormatError(f"'{param}' {words}.", code="invalid_value", param=param)


def _raised(match: re.Match[str]) -> str:
    return match[1].upper()
