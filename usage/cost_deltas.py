"""Add corrections of costs to the rollups, and nothing else of them.

Only rows that exist are changed: every attempt that is corrected was added to them when
it was settled. Rows are written in the order the shipper writes them, so the two never
wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from django.db import connection

from usage import bulk, rollups
from usage.ledger_sums import Meaning
from usage.models import Rollup15, RollupCube, RollupDay

Ref = tuple[str, int]
"""A kind of rollup and the number it is about."""
Cell = tuple[int, int, int]
"""A provider, a model and a client key; 0 stands for none."""
Part = tuple[tuple[Any, ...], int, int]
"""An attempt's provider, model and credential; its changes of cost and of lacking one."""
Write = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""

_Key = TypeVar("_Key", Ref, Cell)


class Asked:
    """What decides which rows the cost of a request belongs to.

    Shapes:  numbers of strings and rows; ``at`` as the database's driver gives it.
    """

    __slots__ = ("at", "by_day", "client_key", "refs", "shown")

    def __init__(self, asked: tuple[Any, ...], meaning: Meaning) -> None:
        at, _, _, purpose, key, team, model, session, agent, user, status, end = asked
        self.at = at
        self.client_key: int = key or 0
        self.refs: list[Ref] = []
        self.by_day: list[Ref] = []
        self.shown = purpose in meaning.shown_purposes
        if purpose is not None:
            self.refs.append((rollups.PURPOSE, purpose))
        if not self.shown:
            return
        self.refs += [
            (kind, ref)
            for kind, ref in (
                (rollups.TOTAL, 0),
                (rollups.MODEL_ASKED, model),
                (rollups.CLIENT_KEY, key),
                (rollups.TEAM, team),
                (rollups.AGENT, agent),
                (rollups.STATUS, status),
                (rollups.OUTCOME, end),
            )
            if ref is not None
        ]
        if session is not None:
            self.by_day.append((rollups.SESSION, session))
        if user is not None:
            self.by_day.append((rollups.END_USER, user))


class _Sums(Generic[_Key]):
    """Changes of costs, and of how many have no price."""

    __slots__ = ("costs", "unpriced")

    def __init__(self) -> None:
        self.costs: dict[_Key, int] = defaultdict(int)
        self.unpriced: dict[_Key, int] = defaultdict(int)

    def add(self, keys: Iterable[_Key], cost: int, unpriced: int) -> None:
        """Add the same to some rows."""
        costs = self.costs
        for key in keys:
            costs[key] += cost
        if unpriced:
            for key in keys:
                self.unpriced[key] += unpriced

    def rows(self) -> Iterable[tuple[_Key, int, int]]:
        """Yield what changes, in the order of the keys."""
        for key in sorted(self.costs):
            cost, unpriced = self.costs[key], self.unpriced.get(key, 0)
            if cost or unpriced:
                yield key, cost, unpriced


class _Day:
    def __init__(self) -> None:
        self.refs: _Sums[Ref] = _Sums()
        self.cells: _Sums[Cell] = _Sums()


class CostDeltas:
    """Changes of costs by rollup row, collected before they are written."""

    def __init__(self) -> None:
        self._quarters: dict[Any, _Sums[Ref]] = defaultdict(_Sums)
        self._days: dict[Any, _Day] = defaultdict(_Day)
        self._minutes: dict[Any, tuple[_Sums[Ref], _Day]] = {}

    def add(
        self, asked: Asked, parts: Iterable[Part], cost: int, unpriced: int
    ) -> None:
        """Add the changes of one request.

        Shapes:  ``cost`` and ``unpriced`` are those of all its attempts together.
        """
        quarter, day = self._at(asked.at)
        quarter.add(asked.refs, cost, unpriced)
        if asked.by_day:
            day.refs.add(asked.by_day, cost, unpriced)
        if not asked.shown:
            return
        key = asked.client_key
        for (provider, model, credential), delta, lack in parts:
            refs = [(rollups.PROVIDER, provider), (rollups.MODEL_SERVED, model)]
            if credential is not None:
                refs.append((rollups.CREDENTIAL, credential))
            quarter.add(refs, delta, lack)
            day.cells.add(((provider, model, key),), delta, lack)

    def writes(self) -> list[Write]:
        """Return the statements in their one order, the same for the same changes."""
        by_quarter: list[tuple[str, Any, int, int, int]] = []
        for moment, sums in self._quarters.items():
            for (kind, ref), cost, unpriced in sums.rows():
                by_quarter.append((kind, moment, ref, cost, unpriced))
        by_day: list[tuple[str, Any, int, int, int]] = []
        cells: list[tuple[Any, Cell, int, int]] = []
        for day, found in self._whole_days().items():
            for (kind, ref), cost, unpriced in found.refs.rows():
                by_day.append((kind, day, ref, cost, unpriced))
            cells += [(day, *each) for each in found.cells.rows()]
        return [
            *_in_order(Rollup15._meta.db_table, by_quarter),
            *_in_order(RollupDay._meta.db_table, by_day),
            *(
                (_SQL_CUBE, (cost, unpriced, day, *cell))
                for day, cell, cost, unpriced in sorted(cells)
            ),
        ]

    def _whole_days(self) -> dict[Any, _Day]:
        """Add the quarters up by day, beside what is counted by day alone."""
        found: dict[Any, _Day] = defaultdict(_Day)
        for day, known in self._days.items():
            found[day].cells = known.cells
            for key, cost, unpriced in known.refs.rows():
                found[day].refs.add((key,), cost, unpriced)
        for moment, sums in self._quarters.items():
            refs = found[_day(moment)].refs
            for key, cost in sums.costs.items():
                refs.costs[key] += cost
            for key, unpriced in sums.unpriced.items():
                refs.unpriced[key] += unpriced
        return found

    def _at(self, at: Any) -> tuple[_Sums[Ref], _Day]:
        """Return the sums of a time; most requests share a minute with another."""
        minute = at[:16] if isinstance(at, str) else at.replace(second=0, microsecond=0)
        found = self._minutes.get(minute)
        if found is None:
            moment = _quarter(at)
            found = self._quarters[moment], self._days[_day(moment)]
            self._minutes[minute] = found
        return found


def _quarter(at: Any) -> Any:
    """Cut a time to its quarter of an hour, in the form it came in."""
    if not isinstance(at, str):
        return rollups.quarter(at.astimezone(UTC))
    return bulk.moment(rollups.quarter(datetime.fromisoformat(at)))


def _day(moment: Any) -> Any:
    """Return the day of a time, in the form it came in."""
    return moment[:10] if isinstance(moment, str) else moment.date()


def _in_order(
    table: str, rows: list[tuple[str, Any, int, int, int]]
) -> Iterable[Write]:
    sql = _SQL.format(table)
    for kind, bucket, ref, cost, unpriced in sorted(rows):
        yield sql, (cost, unpriced, kind, bucket, ref)


def run(writes: Iterable[Write]) -> None:
    """Run statements, those of one kind at once, inside the caller's transaction."""
    with connection.cursor() as cursor:
        for sql, same in groupby(writes, key=itemgetter(0)):
            cursor.executemany(sql, [parameters for _, parameters in same])


_SET: Final = "SET cost_nano_usd = cost_nano_usd + %s, unpriced = unpriced + %s WHERE "
_SQL: Final = f"UPDATE {{}} {_SET}kind = %s AND bucket = %s AND ref = %s"
_SQL_CUBE: Final = (
    f"UPDATE {RollupCube._meta.db_table} {_SET}"
    "bucket = %s AND provider_dim = %s AND model_dim = %s AND client_key_id = %s"
)
