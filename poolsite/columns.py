"""Check values against the columns they go to, before the database refuses them.

Databases differ in what they take (SQLite stores a text of any length, PostgreSQL no
NUL character), and their refusals name columns, not what a person entered.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.db import models
from django.db.backends.base.operations import BaseDatabaseOperations

_LONGEST_LIST: Final = 5000
_LONGEST_ITEM: Final = 300
_LONGEST_TEXT: Final = 100_000


class ColumnError(ValueError):
    """A value does not fit its column; ``field`` names it, the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check_columns(row: models.Model, names: Iterable[str]) -> None:
    """Refuse the first value of a row that its column cannot hold.

    Shapes: lists in JSON columns hold texts; other JSON and foreign keys are the
        caller's to judge.
    Errors: ColumnError.
    """
    for name in names:
        column: Any = row._meta.get_field(name)
        if not column.is_relation:
            _check(column, getattr(row, name))


def check_time_zone(name: str, *, field: str = "time_zone") -> None:
    """Refuse what is not the name of a time zone.

    Errors: ColumnError.
    """
    if name not in _zones():
        raise ColumnError(field, f"{name} is not a time zone.")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    # ZoneInfo itself takes a path: "America" is a directory and no ValueError.
    return frozenset(zoneinfo.available_timezones())


def _check(column: models.Field[Any, Any], value: Any) -> None:
    label = str(column.verbose_name).capitalize()
    if value is None:
        if not column.null:
            raise ColumnError(column.name, f"{label} cannot be empty.")
        return
    problem = _problem(column, value)
    if problem:
        raise ColumnError(column.name, f"{label} {problem}.")


def _problem(column: models.Field[Any, Any], value: Any) -> str:
    if isinstance(column, models.JSONField):
        return _list_problem(value) if column.default is list else ""
    if isinstance(column, models.BooleanField):
        return "" if isinstance(value, bool) else "is yes or no"
    if isinstance(column, models.IntegerField):
        return _number_problem(column, value)
    if isinstance(column, models.DateTimeField):
        is_time = isinstance(value, datetime) and value.tzinfo is not None
        return "" if is_time else "must be a time with its zone"
    if isinstance(column, models.CharField | models.TextField):
        return _text_problem(column, value)
    return ""


def _number_problem(column: models.IntegerField[Any, Any], value: Any) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be a whole number"
    # The portable range, not the wider one of the database at hand.
    low, high = BaseDatabaseOperations.integer_field_ranges[column.get_internal_type()]
    return "" if low <= value <= high else f"must be between {low} and {high}"


def _text_problem(column: models.Field[Any, Any], value: Any) -> str:
    if not isinstance(value, str):
        return "must be text"
    longest = column.max_length or _LONGEST_TEXT
    if len(value) > longest:
        return f"is longer than {longest} characters"
    if column.choices:
        allowed = [str(choice) for choice, _ in column.flatchoices]
        return "" if value in allowed else f"must be one of {', '.join(allowed)}"
    if isinstance(column, models.CharField):
        return "" if is_plain(value) else "holds characters that cannot be shown"
    is_plain_text = all(
        is_plain(line) for line in value.replace("\t", " ").splitlines()
    )
    return "" if is_plain_text else "holds characters that cannot be shown"


def _list_problem(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return "must be a list"
    if len(value) > _LONGEST_LIST:
        return f"has more than {_LONGEST_LIST} entries"
    for item in value:
        if not isinstance(item, str) or not 0 < len(item) <= _LONGEST_ITEM:
            return f"holds texts of 1 to {_LONGEST_ITEM} characters"
        if not is_plain(item):
            return "holds characters that cannot be shown"
    return ""


def is_plain(text: str) -> bool:
    """Tell whether a one-line text can be stored and shown everywhere.

    Letters of any script pass; control characters and half surrogates do not.
    """
    return all(
        ord(sign) >= 0x20 and sign != "\x7f" and not 0xD800 <= ord(sign) <= 0xDFFF
        for sign in text
    )
