"""Walk through the ledger in slices: requests, their attempts, their corrections.

Requests lead, because their index is by time and because a request's attempts must be
seen together to say whether all of it has a price now.

Rows are tuples as the database's driver gives them, in the order of ``ASKED`` and
``TRIED``: on SQLite ids and times stay the texts they are stored as. Most of them are
only compared or copied, and making objects of them costs more than all arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from pricing.tokens import TokenUsage
from usage import bulk
from usage.corrections import Correction
from usage.models import Attempt, CostAdjustment, Request

SLICE: Final = 1_000
ASKED: Final = (
    "at", "id", "unpriced", "purpose_dim", "client_key_id", "team_id",
    "model_asked_dim", "session_dim", "agent_dim", "end_user_dim", "status", "outcome",
)  # fmt: skip
AT, ID, UNPRICED, PURPOSE, CLIENT_KEY = range(5)
_COUNTERS: Final = tuple(
    name for name in TokenUsage.__struct_fields__ if name != "unit_kind"
)
TRIED: Final = (
    "request_id", "id", "provider_dim", "model_dim", "credential_dim",
    "cost_nano_usd", "price_version_id", "price_source_dim", "flags",
    *_COUNTERS, "unit_kind",
)  # fmt: skip
OWNER, ATTEMPT, PROVIDER, MODEL, CREDENTIAL, SETTLED, VERSION, SOURCE, FLAGS = range(9)
USED: Final = 9
"""Where the counters begin: from here on as TokenUsage has them."""

Row = tuple[Any, ...]
Key = Any
"""An id as the database's driver gives it: a UUID, or its text on SQLite."""
Cursor = tuple[Any, Key]
"""The time and id of a request, in that form too."""
Corrections = dict[Key, Correction]
"""Corrections by attempt."""


class Span(NamedTuple):
    """A stretch of time; ``until`` itself is not part of it."""

    since: datetime
    until: datetime


@dataclass
class Slice:
    """Some requests in the order of time, with what belongs to them.

    Shapes:  rows of ``ASKED`` and of ``TRIED``, the latter by request id.
    """

    asked: list[Row]
    tried: dict[Key, list[Row]]
    corrections: Corrections


def cursor_of(asked: Row) -> Cursor:
    """Return the place right behind a request."""
    return asked[AT], asked[ID]


def slices(span: Span, after: Cursor | None = None) -> Iterator[Slice]:
    """Yield the finished requests of a span with their attempts.

    Cost:  three queries by index for each thousand requests; about 6 us an attempt.
    """
    while asked := _asked(span, after):
        yield slice_of(asked)
        after = cursor_of(asked[-1])


def slice_of(asked: list[Row], *, up_to: int | None = None) -> Slice:
    """Read what belongs to some requests of about the same time.

    Shapes:  ``up_to`` is the last adjustment to be looked at.
    """
    ids = [row[ID] for row in asked]
    times = [row[AT] for row in asked]
    tried: dict[Key, list[Row]] = {}
    rows = _read(
        f"SELECT {_columns(TRIED)} FROM {Attempt._meta.db_table} "  # noqa: S608
        f"WHERE request_id IN ({_marks(ids)}) AND at BETWEEN %s AND %s",
        [*ids, min(times), max(times)],
    )
    for row in rows:
        tried.setdefault(row[OWNER], []).append(row)
    return Slice(asked, tried, _corrections(ids, up_to))


def asked_by_id(ids: list[Key], first: Any, last: Any) -> list[Row]:
    """Return these requests of a stretch of time, both ends included; one query."""
    return _read(
        f"SELECT {_columns(ASKED)} FROM {Request._meta.db_table} "  # noqa: S608
        f"WHERE id IN ({_marks(ids)}) AND at BETWEEN %s AND %s ORDER BY at, id",
        [*ids, first, last],
    )


def written(run: Key, after: int, top: int | None = None, limit: int = 0) -> list[Row]:
    """Return a run's corrections behind a place, in their order.

    Shapes:  number, request, attempt, time, delta, price version, whether it is an
             undo; all up to ``top``, or so many.
    """
    names = "id, request_id, attempt_id, at, delta_nano_usd, price_version_id, is_undo"
    end, last = (" AND id <= %s", [top]) if top is not None else ("", [])
    cut, most = (" LIMIT %s", [limit]) if limit else ("", [])
    return _read(
        f"SELECT {_columns(names.split(', '))} "  # noqa: S608
        f"FROM {CostAdjustment._meta.db_table} "
        f"WHERE run = %s AND id > %s{end} ORDER BY id{cut}",
        [run, after, *last, *most],
    )


def count_requests(span: Span, after: Cursor | None = None) -> int:
    """Return how many requests there are to look at; one query over an index."""
    where, values = _where(span, after)
    sql = f"SELECT count(*) FROM {Request._meta.db_table} WHERE {where}"  # noqa: S608
    [[count]] = _read(sql, values)
    return int(count)


def _asked(span: Span, after: Cursor | None) -> list[Row]:
    where, values = _where(span, after)
    return _read(
        f"SELECT {_columns(ASKED)} FROM {Request._meta.db_table} "  # noqa: S608
        f"WHERE {where} ORDER BY at, id LIMIT %s",
        [*values, SLICE],
    )


def _where(span: Span, after: Cursor | None) -> tuple[str, list[Any]]:
    until = bulk.moment(span.until)
    if after is None:
        return "at >= %s AND at < %s", [bulk.moment(span.since), until]
    # The first part lets PostgreSQL leave out the days that are done.
    return "at >= %s AND (at, id) > (%s, %s) AND at < %s", [after[0], *after, until]


def _corrections(ids: list[Key], up_to: int | None) -> Corrections:
    end, last = (" AND id <= %s", [up_to]) if up_to is not None else ("", [])
    rows = _read(
        "SELECT attempt_id, delta_nano_usd, price_version_id, is_undo "  # noqa: S608
        f"FROM {CostAdjustment._meta.db_table} "
        f"WHERE request_id IN ({_marks(ids)}){end} ORDER BY id",
        [*ids, *last],
    )
    found: Corrections = {}
    for attempt_id, delta, version_id, is_undo in rows:
        known = found.get(attempt_id)
        if known is None:
            known = found[attempt_id] = Correction()
        known.add(delta, version_id, is_undo=is_undo)
    return found


def _read(sql: str, values: list[Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _columns(names: Iterable[str]) -> str:
    """Name columns; a plus keeps SQLite's driver from making a time of a text."""
    is_text = connection.vendor == "sqlite"
    return ", ".join("+at" if name == "at" and is_text else name for name in names)


def _marks(values: list[Any]) -> str:
    return ", ".join(["%s"] * len(values))
