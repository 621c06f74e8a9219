"""Read days, amounts and counts from cells, exactly or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

_LONGEST: Final = 60
_MOST_DIGITS: Final = 30
_MOST: Final = 10**9
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$")
_OTHER: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$")
_EPOCH: Final = re.compile(r"\d{10}(?:\.\d+)?$")
_AMOUNT: Final = re.compile(
    r"[+-]?[\d.,' \u00a0\u202f]*\d[\d.,]*(?:[eE][+-]?\d{1,2})?$"
)
_WHOLE: Final = re.compile(r"(\d+|\d{1,3}(?:[.,]\d{3})+)(?:\.0{1,2})?$")
_MOST_COUNT: Final = 18
_SPACES: Final = re.compile(r"['\s\u00a0\u202f]")
_DOT: Final = "."
_COMMA: Final = ","
DATE_ORDERS: Final = ("", "dmy", "mdy")


class CellError(ValueError):
    """A cell does not say what its column is for."""


def read_day(text: str, zone: tzinfo, order: str = "") -> date:
    """Return the day of a date or of a moment in a zone.

    Shapes:  ``order`` is dmy or mdy for dates that end in the year; a moment without
             an offset is one of the zone.
    Errors:  CellError.
    """
    text = text.strip()
    if len(text) > _LONGEST or not text.isascii():
        raise CellError("is not a day")
    try:
        if _EPOCH.match(text):
            return datetime.fromtimestamp(int(text[:10]), UTC).astimezone(zone).date()
        if found := _ISO.match(text):
            return date(*map(int, found.groups()))
        if found := _OTHER.match(text):
            return _by_order(*map(int, found.groups()), order=order)
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except CellError:
        raise
    except (ValueError, OverflowError) as exc:
        raise CellError("is not a day") from exc
    return (moment if moment.tzinfo is None else moment.astimezone(zone)).date()


def _by_order(one: int, two: int, year: int, *, order: str) -> date:
    if not order:
        raise CellError("is a day or a month first: say which")
    return date(year, two, one) if order == "dmy" else date(year, one, two)


def decimal_mark(amounts: Iterable[str], delimiter: str) -> str:
    """Find out whether a file's amounts are written 1.5 or 1,5.

    What is said clearly once counts for the file; where nothing is clear, a lone comma
    divides thousands, except in a file that keeps commas out of its delimiter.
    """
    for text in amounts:
        dot, comma = text.rfind(_DOT), text.rfind(_COMMA)
        if dot >= 0 and comma >= 0:
            return _DOT if dot > comma else _COMMA
        for mark in (_DOT, _COMMA):
            if text.count(mark) == 1 and not _is_thousands(text, mark):
                return mark
            if text.count(mark) > 1:
                return _COMMA if mark == _DOT else _DOT
    return _COMMA if delimiter == ";" and any("," in t for t in amounts) else _DOT


def _is_thousands(text: str, mark: str) -> bool:
    """Tell whether what is around a lone mark may be thousands: 12,345 but not 0,345."""
    before, _, after = text.partition(mark)
    digits = re.sub(r"\D", "", before)
    return len(after.strip()) == 3 and 1 <= len(digits) <= 3 and digits[0] != "0"


def read_amount(text: str, mark: str = _DOT) -> Decimal | None:
    """Return an amount exactly; None for an empty cell.

    Errors:  CellError, also for what a spreadsheet would run.
    """
    text = text.strip()
    if not text:
        return None
    negative = text.startswith("(") and text.endswith(")")
    bare = text.strip("()").replace("USD", "").replace("$", "").strip()
    if len(text) > _LONGEST or not _AMOUNT.match(bare):
        raise CellError("is not an amount")
    thousands = _COMMA if mark == _DOT else _DOT
    plain = _SPACES.sub("", bare).replace(thousands, "").replace(mark, _DOT)
    try:
        number = Decimal(plain)
    except InvalidOperation as exc:
        raise CellError("is not an amount") from exc
    if abs(number) >= _MOST or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise CellError("is not an amount that can be")
    return -number if negative else number


def read_count(text: str) -> int | None:
    """Return a number of tokens or requests; None for an empty cell.

    Shapes:  12345, 12,345, 12 345, and 12345.0 as some exports write.
    Errors:  CellError for negative and for broken numbers.
    """
    text = _SPACES.sub("", text.strip())
    if not text:
        return None
    found = _WHOLE.match(text)
    if not found or not text.isascii() or len(text) > _MOST_COUNT:
        raise CellError("is not a count")
    return int(re.sub(r"\D", "", found[1]))
