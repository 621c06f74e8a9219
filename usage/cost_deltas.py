"""Add corrections of costs to the rollups, and nothing else of them.

Only rows that exist are changed: every attempt that is corrected was added to them when
it was settled. Rows are written in the order the shipper writes them, so the two never
wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db import connection

from usage import bulk, ledger_sums, rollups
from usage.ledger_sums import Meaning
from usage.models import Rollup15, RollupCube, RollupDay
from usage.rollups import CubeKey

Pair = list[int]
"""A change of the cost, and of how many have no price."""
Columns = Mapping[str, Any]


Write = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""


class CostDeltas:
    """Changes of costs by rollup row, collected before they are written."""

    def __init__(self) -> None:
        self._quarters: dict[tuple[str, datetime, int], Pair] = {}
        self._days: dict[tuple[str, date, int], Pair] = {}
        self._cube: dict[CubeKey, Pair] = {}

    def add_request(
        self, asked: Columns, cost: int, unpriced: int, meaning: Meaning
    ) -> None:
        """Add the change of one request: all its attempts together."""
        bucket = rollups.quarter(asked["at"])
        for kind, ref in ledger_sums.request_refs(asked, meaning):
            self._add(kind, ref, bucket, cost, unpriced)
        if asked["purpose_dim"] in meaning.shown_purposes:
            self._add(rollups.STATUS, asked["status"], bucket, cost, unpriced)
            outcome = int(asked["outcome"])
            self._add(rollups.OUTCOME, outcome, bucket, cost, unpriced)

    def add_attempt(
        self, asked: Columns, row: Columns, cost: int, unpriced: int, meaning: Meaning
    ) -> None:
        """Add the change of one attempt to what counts attempts."""
        if asked["purpose_dim"] not in meaning.shown_purposes:
            return
        bucket = rollups.quarter(asked["at"])
        model = row["model_dim"]
        for kind, ref in ledger_sums.attempt_refs(model, row):
            self._add(kind, ref, bucket, cost, unpriced)
        key = ledger_sums.cube_key(asked, row["provider_dim"], model)
        _grow(self._cube, key, cost, unpriced)

    def writes(self) -> list[Write]:
        """Return the statements in their one order, the same for the same changes."""
        adapt_time = bulk.moment
        adapt_day = connection.ops.adapt_datefield_value
        quarters, days = (
            _SQL.format(Rollup15._meta.db_table, _WHERE),
            {key: list(pair) for key, pair in self._days.items()},
        )
        found: list[Write] = []
        for (kind, bucket, ref), pair in sorted(self._quarters.items()):
            _grow(days, (kind, bucket.date(), ref), *pair)
            if pair != [0, 0]:
                found.append((quarters, (*pair, kind, adapt_time(bucket), ref)))
        sql = _SQL.format(RollupDay._meta.db_table, _WHERE)
        found.extend(
            (sql, (*pair, kind, adapt_day(day), ref))
            for (kind, day, ref), pair in sorted(days.items())
            if pair != [0, 0]
        )
        sql = _SQL.format(RollupCube._meta.db_table, _WHERE_CUBE)
        found.extend(
            (sql, (*pair, adapt_day(key.day), *key[1:]))
            for key, pair in sorted(self._cube.items())
            if pair != [0, 0]
        )
        return found

    def _add(
        self, kind: str, ref: int, bucket: datetime, cost: int, unpriced: int
    ) -> None:
        if kind in rollups.DAY_ONLY:
            _grow(self._days, (kind, bucket.date(), ref), cost, unpriced)
        else:
            _grow(self._quarters, (kind, bucket, ref), cost, unpriced)


def run(writes: Iterable[Write]) -> None:
    """Run statements, those of one kind at once, inside the caller's transaction."""
    with connection.cursor() as cursor:
        for sql, same in groupby(writes, key=itemgetter(0)):
            cursor.executemany(sql, [parameters for _, parameters in same])


def _grow(pairs: dict[Any, Pair], key: Any, cost: int, unpriced: int) -> None:
    found = pairs.get(key)
    if found is None:
        pairs[key] = [cost, unpriced]
    else:
        found[0] += cost
        found[1] += unpriced


_SQL: Final = (
    "UPDATE {} SET cost_nano_usd = cost_nano_usd + %s, unpriced = unpriced + %s "
    "WHERE {}"
)
_WHERE: Final = "kind = %s AND bucket = %s AND ref = %s"
_WHERE_CUBE: Final = (
    "bucket = %s AND provider_dim = %s AND model_dim = %s AND client_key_id = %s"
)
