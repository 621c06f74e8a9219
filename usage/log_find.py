"""Find requests by a search: a page at a time, along an index, with bounded work.

Rows lie in the order of their time, and pages follow it. A filter that no index knows
is tried on the rows as they come, on so many of them and no more: then the page says
how far it looked and where the search goes on. So a page costs the same whether the
filter matches everything or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import BadRequest
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from usage import log_days
from usage.corrections import with_corrections
from usage.log_filter import LOOK_AT, Narrowed, narrow
from usage.log_search import Search, Term
from usage.models import Request

PAGE_SIZE: Final = 50
MOST_NEWS: Final = 200
_CURSOR: Final = re.compile(r"^([on])([0-9]{1,17})\.([0-9a-f]{32})$")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = timedelta(days=2)
Place = tuple[datetime, UUID]


@dataclass
class Found:
    """One page, newest first.

    Shapes:  ``newer`` and ``older`` are cursors or empty. ``is_cut`` = the page ended
             because enough rows were looked at, the last at ``looked_to``; ``older`` or
             ``newer`` then goes on from there. ``unknown`` are terms whose value was
             never recorded, ``keys`` the client keys that were searched for.
    """

    rows: list[Request] = field(default_factory=list)
    newer: str = ""
    older: str = ""
    is_cut: bool = False
    looked_to: datetime | None = None
    unknown: list[Term] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)

    @property
    def has_other(self) -> bool:
        """Tell whether there is anywhere else to go."""
        return bool(self.newer or self.older)


def find(
    search: Search,
    cursor: str = "",
    *,
    now: datetime,
    zone: tzinfo = UTC,
    size: int = PAGE_SIZE,
    look_at: int = LOOK_AT,
) -> Found:
    """Return the page of a search that a cursor asks for.

    Shapes:  ``zone`` is what times without one are meant in.
    Errors:  BadRequest for a cursor that no page gave out.
    Cost:    two queries for the names, one that looks ahead, one for the rows.
    """
    is_older, place = read_cursor(cursor) if cursor else (True, None)
    narrowed = narrow(search, now=now, zone=zone)
    if narrowed.is_empty:
        return Found(unknown=narrowed.unknown)
    order = ("-at", "-id") if is_older else ("at", "id")
    base = Request.objects.filter(narrowed.bounds)
    if place is not None:
        base = base.filter(_beyond(place, "lt" if is_older else "gt"))
    if narrowed.by_day:
        base = base.filter(_on_active_days(narrowed, place, now, is_older=is_older))
    edge: Place | None = None
    near = _near(place[0] if place else now, is_older=is_older)
    with along_indexes():
        if narrowed.tried is not None:
            edge = _edge(base, order, min(look_at, narrowed.look_at), near)
            near = None
            if edge is not None:
                base = base.filter(_up_to(edge, "gt" if is_older else "lt"))
            base = base.filter(narrowed.tried)
        rows = with_corrections(base).order_by(*order)
        found = _first(rows, 0, size + 1, near)
    page = _page(found, size, edge, is_older=is_older, is_first=place is None)
    return replace(page, keys=narrowed.keys, unknown=narrowed.unknown)


def arrived(
    search: Search, cursor: str, *, now: datetime, most: int = MOST_NEWS
) -> int:
    """Count what matches and came in after the row of a cursor, up to ``most``.

    Errors:  BadRequest for a cursor that no page gave out.
    Cost:    two queries for the names and one of ``look_at`` rows at most.
    """
    _, place = read_cursor(cursor)
    narrowed = narrow(search, now=now)
    if narrowed.is_empty:
        return 0
    rows = Request.objects.filter(narrowed.bounds, _beyond(place, "gt"))
    if narrowed.tried is not None:
        edge = _edge(rows, ("at", "id"), narrowed.look_at)
        if edge is not None:
            rows = rows.filter(_up_to(edge, "lt"))
        rows = rows.filter(narrowed.tried)
    return rows.order_by("at", "id")[:most].count()


def write_cursor(direction: str, place: Place) -> str:
    """Return the text that leads on from a row."""
    at, row_id = place
    since = at - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return f"{direction}{micros}.{row_id.hex}"


def read_cursor(cursor: str) -> tuple[bool, Place]:
    """Return whether a cursor leads to older rows, and from where.

    Errors:  BadRequest.
    """
    match = _CURSOR.match(cursor)
    if match is None:
        raise BadRequest("This page link is damaged. Open the list again.")
    at = _EPOCH + timedelta(microseconds=int(match[2]))
    return match[1] == "o", (at, UUID(match[3]))


def _on_active_days(
    narrowed: Narrowed, place: Place | None, now: datetime, *, is_older: bool
) -> Q:
    start, end = _EPOCH, now + timedelta(days=1)
    if place is not None and is_older:
        end = min(end, place[0] + timedelta(microseconds=1))
    elif place is not None:
        start = place[0]
    low, high = log_days.active(narrowed.by_day, start, end)
    return Q(at__gte=low, at__lt=high)


@contextmanager
def along_indexes() -> Iterator[None]:
    """Have PostgreSQL follow the log's indexes, a range that is a whole day included.

    It would read such a day's table from end to end and sort it, which is quicker by a
    little and never stops early.
    """
    if connection.vendor != "postgresql":
        yield
        return
    # A transaction the caller has begun is used as it is: no savepoint for a setting.
    outer = nullcontext() if connection.in_atomic_block else transaction.atomic()
    with outer:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        yield


# Places


def _beyond(place: Place, side: str) -> Q:
    at, row_id = place
    # The outer bound lets the database walk the index; the inner one breaks ties.
    bound = Q(**{f"at__{side}e": at})
    return bound & (Q(**{f"at__{side}": at}) | Q(**{f"id__{side}": row_id}))


def _up_to(place: Place, side: str) -> Q:
    at, row_id = place
    bound = Q(**{f"at__{side}e": at})
    return bound & (Q(**{f"at__{side}": at}) | Q(**{f"id__{side}e": row_id}))


def _edge(
    base: QuerySet[Request],
    order: tuple[str, ...],
    look_at: int,
    near: Q | None = None,
) -> Place | None:
    """Return the last row that is looked at, None when the rows end before."""
    rows = base.order_by(*order).values_list("at", "id")
    return next(iter(_first(rows, look_at - 1, look_at, near)), None)


def _near(start: datetime, *, is_older: bool) -> Q | None:
    """Return the days beside a moment; None where all days lie in one table."""
    if connection.vendor != "postgresql":
        return None
    return Q(at__gt=start - _DAYS) if is_older else Q(at__lt=start + _DAYS)


def _first(rows: QuerySet[Any], start: int, end: int, near: Q | None) -> list[Any]:
    """Return a stretch of rows, looked for in the days nearby first.

    Of ninety partitions PostgreSQL then opens three, and has nothing to merge.
    """
    found = [] if near is None else list(rows.filter(near)[start:end])
    return found if len(found) == end - start else list(rows[start:end])


def _page(
    found: list[Request],
    size: int,
    edge: Place | None,
    *,
    is_older: bool,
    is_first: bool,
) -> Found:
    more = len(found) > size
    rows = found[:size]
    is_cut = not more and edge is not None
    ahead: Place | None = None
    if more:
        ahead = (rows[-1].at, rows[-1].id)
    elif edge is not None:
        ahead = edge
    page = Found(rows, is_cut=is_cut, looked_to=edge[0] if is_cut and edge else None)
    if is_older:
        older = write_cursor("o", ahead) if ahead else ""
        back = (rows[0].at, rows[0].id) if rows else None
        newer = write_cursor("n", back) if back and not is_first else ""
        return replace(page, newer=newer, older=older)
    rows = rows[::-1]
    newer = write_cursor("n", ahead) if ahead else ""
    older = write_cursor("o", (rows[-1].at, rows[-1].id)) if rows else ""
    return replace(page, rows=rows, newer=newer, older=older)
