"""Add a statement's lines up by day and model, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from poolsite.columns import ColumnError, check_time_zone
from poolsite.money import AmountError, nano_from_usd
from usage.reconciliation import cells, shapes
from usage.reconciliation.cells import CellError
from usage.reconciliation.shapes import Columns
from usage.reconciliation.table import FILE, Table
from usage.services import UsageError

MOST_LINES: Final = 50_000
_LONGEST_MODEL: Final = 255
_SAMPLE: Final = 2_000
_PLAIN_VARIANTS: Final = ("", "standard")
_DOLLARS: Final = ("", "usd", "us$", "$")
COUNTS: Final = ("input", "cache_read", "cache_write", "output", "requests")


@dataclass(frozen=True)
class Reading:
    """How a person says a file is to be read.

    Shapes:  ``columns`` None = known by its header. ``usd_per_unit`` is the rate for
             amounts in another currency. ``date_order`` is dmy or mdy.
    """

    columns: Columns | None = None
    time_zone: str = "UTC"
    usd_per_unit: Decimal | None = None
    date_order: str = ""


@dataclass
class Sum:
    """What the lines of one day and model add up to; None = no line says.

    Units:  ``cost`` in USD, exact; ``repeated`` the part that lines add which stand in
            the file a second time, ``repeated_tokens`` their tokens.
    """

    cost: Decimal | None = None
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    requests: int | None = None
    repeats: int = 0
    repeated: Decimal = Decimal(0)
    repeated_tokens: int = 0

    def add(self, line: Sum) -> None:
        """Add a line's numbers."""
        for name in ("cost", *COUNTS):
            value = getattr(line, name)
            if value is not None:
                setattr(self, name, (getattr(self, name) or 0) + value)


@dataclass
class Statement:
    """A file's sums, and what there is to say of it."""

    shape: str
    sums: dict[tuple[date, str], Sum] = field(default_factory=dict)
    rows: int = 0
    repeats: int = 0
    credits: Decimal = Decimal(0)
    currency: str = "USD"
    usd_per_unit: str = ""
    time_zone: str = "UTC"


def read(table: Table, how: Reading) -> Statement:
    """Add a file up.

    Errors:  UsageError naming the line and the column, or that the columns must be
             named first (field ``day``).
    Cost:    about 12 us a line.
    """
    shape = shapes.detect(table.header) if how.columns is None else None
    if how.columns is None and shape is None:
        raise UsageError(
            "This is no export the pool knows: name its columns.", field="day"
        )
    columns = shape.columns if shape else how.columns
    assert columns is not None  # noqa: S101 - one of the two is there
    zone = "UTC" if shape else how.time_zone
    _check(columns, table, zone, is_mapped=shape is None)
    reader = _Reader(columns, table, replace(how, time_zone=zone))
    found = Statement(shape.key if shape else shapes.MAPPED, time_zone=zone)
    reader.fill(found)
    if not found.sums:
        raise UsageError("The file says nothing of any day.", field=FILE)
    return found


def _check(columns: Columns, table: Table, zone: str, *, is_mapped: bool) -> None:
    if is_mapped:
        if not columns.day:
            raise UsageError("Name the column of the day.", field="day")
        if not (columns.cost or columns.input or columns.output):
            raise UsageError("Name the column of the cost, or of tokens.", field="cost")
    missing = columns.names() - set(table.header) if is_mapped else set()
    if missing:
        raise UsageError(f"There is no column {min(missing)[:60]}.", field=FILE)
    try:
        check_time_zone(zone)
    except ColumnError as exc:
        raise UsageError(str(exc), field="time_zone") from exc


class _Reader:
    """Reads the lines of one file."""

    def __init__(self, columns: Columns, table: Table, how: Reading) -> None:
        self.columns = columns
        self.table = table
        self.how = how
        self.zone = ZoneInfo(how.time_zone)
        places = {name: place for place, name in enumerate(table.header)}
        self.place: dict[str, list[int]] = {}
        for part in fields(Columns):
            named = getattr(columns, part.name)
            names = named if isinstance(named, tuple) else (named,)
            if not isinstance(named, bool):
                found = [places[name] for name in names if name in places]
                self.place[part.name] = found
        self.mark = self._mark()

    def fill(self, found: Statement) -> None:
        """Add every line to a statement."""
        seen: set[bytes] = set()
        for number, row in self.table.lines():
            try:
                self._add(found, row, seen)
            except CellError as exc:
                raise UsageError(f"Line {number}: {exc}.", field=FILE) from exc
            if len(found.sums) > MOST_LINES:
                raise UsageError("The file has too many days and models.", field=FILE)

    def _add(self, found: Statement, row: list[str], seen: set[bytes]) -> None:
        line = self._line(row)
        if line is None:
            return
        line.cost = self._in_usd(found, row, line.cost)
        key = self._day(row), self._model(row)
        total = found.sums.setdefault(key, Sum())
        total.add(line)
        found.rows += 1
        if line.cost is not None and line.cost < 0:
            found.credits += line.cost
        digest = blake2b("\x1f".join(row).encode(), digest_size=16).digest()
        if digest in seen:
            found.repeats += 1
            total.repeats += 1
            total.repeated += line.cost or 0
            total.repeated_tokens += (line.input or 0) + (line.cache_read or 0)
            total.repeated_tokens += (line.cache_write or 0) + (line.output or 0)
        seen.add(digest)

    def _line(self, row: list[str]) -> Sum | None:
        """Read the numbers of a line; None when it has none, as days without use."""
        line = Sum(cost=self._amount(row))
        for name in COUNTS:
            parts = [
                self._said(name, row[place], cells.read_count)
                for place in self.place[name]
            ]
            known = [part for part in parts if part is not None]
            setattr(line, name, sum(known) if known else None)
        if all(getattr(line, name) is None for name in ("cost", *COUNTS)):
            return None
        if self.columns.has_cached and line.input is not None:
            cached = (line.cache_read or 0) + (line.cache_write or 0)
            if cached > line.input:
                raise CellError("has more cached tokens than input")
            line.input -= cached
        if self.columns.is_one_request:
            line.requests = 1
        return line

    def _amount(self, row: list[str]) -> Decimal | None:
        for place in self.place["cost"]:
            found: Decimal | None = self._said(
                "cost", row[place], lambda text: cells.read_amount(text, self.mark)
            )
            return found
        return None

    def _in_usd(
        self, found: Statement, row: list[str], cost: Decimal | None
    ) -> Decimal | None:
        """Refuse another currency, unless a person gave its rate."""
        rate = self.how.usd_per_unit
        names = [row[place].strip() for place in self.place["currency"]]
        name = names[0] if names else ""
        if cost is None or (name.lower() in _DOLLARS and (names or rate is None)):
            return cost
        if rate is None:
            raise CellError(f"{name[:8]!r} is not USD: give a rate")
        found.currency = name.upper()[:3] or found.currency
        found.usd_per_unit = str(rate)
        return cost * rate

    def _day(self, row: list[str]) -> date:
        found: date = self._said(
            "day",
            row[self.place["day"][0]],
            lambda text: cells.read_day(text, self.zone, self.how.date_order),
        )
        return found

    def _model(self, row: list[str]) -> str:
        name = "".join(row[place] for place in self.place["model"][:1]).strip()
        if self.columns.cuts_model and ", " in name:
            name = name.rpartition(", ")[0]
        for place in self.place["variant"]:
            if row[place].strip() not in _PLAIN_VARIANTS:
                name = f"{name}:{row[place].strip()}"
        if len(name) > _LONGEST_MODEL:
            raise CellError("has a model's name that is too long")
        return name

    def _said(self, part: str, text: str, read_cell: Any) -> Any:
        try:
            return read_cell(text)
        except CellError as exc:
            named = getattr(self.columns, part)
            column = named if isinstance(named, str) else ", ".join(named)
            raise CellError(f"column {column[:60]} {exc}") from exc

    def _mark(self) -> str:
        """Look at some amounts to learn how the file writes fractions."""
        places = self.place["cost"]
        if not places:
            return "."
        rows: Iterator[list[str]] = (row for _, row in self.table.lines())
        sample = [row[places[0]] for row in islice(rows, _SAMPLE)]
        return cells.decimal_mark(sample, self.table.delimiter)


def nano(amount: Decimal | None) -> int | None:
    """Return an amount in nano-USD; sums are rounded once, here.

    Errors:  UsageError for what no column holds.
    """
    if amount is None:
        return None
    try:
        return nano_from_usd(amount)
    except AmountError as exc:
        raise UsageError(str(exc), field=FILE) from exc
