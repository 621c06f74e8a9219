"""Read the members of a client's body one by one, and name the one at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from providers.formats.base import UNREADABLE, FormatError

NULL: Final = msgspec.Raw(b"null")
UNSET: Final = msgspec.Raw(b"")
_PATH: Final = re.compile(r" - at `\$(.*)`\Z", re.DOTALL)
_WORDS: Final[dict[object, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
}

_T = TypeVar("_T")


def invalid(param: str, words: str) -> FormatError:
    """Word the refusal of one field."""
    return FormatError(f"'{param}' {words}.", code="invalid_value", param=param)


def is_said(raw: msgspec.Raw | None) -> bool:
    """Tell whether a member is there and not null."""
    return raw is not None and raw not in (UNSET, NULL)


def parsed(raw: msgspec.Raw, decoder: msgspec.json.Decoder[_T], param: str) -> _T:
    """Decode one member.

    Errors:  FormatError that names the member, down to the nested field at fault.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        found = _PATH.search(str(error))
        what = str(error) if found is None else str(error)[: found.start()]
        where = param if found is None else param + found[1]
        raise invalid(where, f"has the wrong type: {what.lower()}") from None
    except RecursionError:
        raise invalid(param, "is nested too deeply") from None
    except UNREADABLE:
        raise invalid(param, "is not valid JSON") from None


class Fields:
    """Take a body's top-level members; what nobody took is left over.

    Shapes:  absent and null are both None.
    """

    __slots__ = ("_taken", "_values")

    def __init__(self, values: Mapping[str, msgspec.Raw]) -> None:
        self._values = values
        self._taken: set[str] = set()

    def raw(self, name: str) -> msgspec.Raw | None:
        """Return a member as it stands."""
        self._taken.add(name)
        value = self._values.get(name)
        return value if is_said(value) else None

    def text(self, name: str) -> str:
        """Return a text, blank when there is none."""
        return self._plain(name, str) or ""

    def number(self, name: str) -> float | None:
        """Return a number."""
        return self._plain(name, float)

    def integer(self, name: str) -> int | None:
        """Return a whole number."""
        return self._plain(name, int)

    def flag(self, name: str) -> bool | None:
        """Return a truth value."""
        return self._plain(name, bool)

    def untaken(self, name: str) -> None:
        """Leave a member for the rest after all."""
        self._taken.discard(name)

    def rest(self) -> dict[str, msgspec.Raw]:
        """Return what nobody took, nulls included."""
        return {
            name: value
            for name, value in self._values.items()
            if name not in self._taken
        }

    def _plain(self, name: str, kind: type[_T]) -> _T | None:
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except UNREADABLE:
            raise invalid(name, f"must be {_WORDS[kind]}") from None


def as_text(raw: msgspec.Raw) -> str:
    """Return a text, or the JSON of what should have been one; blank for nothing."""
    if not is_said(raw):
        return ""
    if memoryview(raw)[0] != 0x22:
        return bytes(raw).decode("utf-8", "replace")
    try:
        return msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return ""


def as_object(raw: msgspec.Raw | None) -> dict[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    if raw is None or not is_said(raw) or memoryview(raw)[0] != 0x7B:
        return {}
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def as_objects(raw: msgspec.Raw | None) -> list[dict[str, Any]]:
    """Return the objects of a JSON array, none for anything else."""
    if raw is None or not is_said(raw) or memoryview(raw)[0] != 0x5B:
        return []
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return []
    return [each for each in value if isinstance(each, dict)]
