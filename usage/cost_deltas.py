"""Add corrections of costs to the rollups, and nothing else of them.

Only rows that exist are changed: every attempt that is corrected was added to them when
it was settled. Rows are written in the order the shipper writes them, so the two never
wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from usage import ledger_sums, rollups
from usage.ledger_sums import Meaning
from usage.models import Rollup15, RollupCube, RollupDay
from usage.rollups import CubeKey

Pair = list[int]
"""A change of the cost, and of how many have no price."""
Columns = Mapping[str, Any]
_SETS: Final = "SET cost_nano_usd = cost_nano_usd + %s, unpriced = unpriced + %s"


class CostDeltas:
    """Changes of costs by rollup row, collected before they are written."""

    def __init__(self) -> None:
        self._quarters: dict[tuple[str, datetime, int], Pair] = {}
        self._days: dict[tuple[str, date, int], Pair] = {}
        self._cube: dict[CubeKey, Pair] = {}

    def __len__(self) -> int:
        """Return how many rows ``apply`` will write at most."""
        return len(self._quarters) + len(self._days) + len(self._cube)

    def add_request(
        self, asked: Columns, cost: int, unpriced: int, meaning: Meaning
    ) -> None:
        """Add the change of one request: all its attempts together."""
        bucket = rollups.quarter(asked["at"])
        day = bucket.date()
        for kind, ref in ledger_sums.request_refs(asked, meaning):
            self._add(kind, ref, bucket, day, cost, unpriced)
        if asked["purpose_dim"] in meaning.shown_purposes:
            self._add(rollups.STATUS, asked["status"], bucket, day, cost, unpriced)
            outcome = int(asked["outcome"])
            self._add(rollups.OUTCOME, outcome, bucket, day, cost, unpriced)

    def add_attempt(
        self, asked: Columns, row: Columns, cost: int, unpriced: int, meaning: Meaning
    ) -> None:
        """Add the change of one attempt to what counts attempts."""
        if asked["purpose_dim"] not in meaning.shown_purposes:
            return
        bucket = rollups.quarter(asked["at"])
        day = bucket.date()
        model = row["model_dim"]
        for kind, ref in ledger_sums.attempt_refs(model, row):
            self._add(kind, ref, bucket, day, cost, unpriced)
        key = ledger_sums.cube_key(asked, row["provider_dim"], model)
        _grow(self._cube.setdefault(key, [0, 0]), cost, unpriced)

    def apply(self) -> None:
        """Write the changes, inside the caller's transaction."""
        adapt_time = connection.ops.adapt_datetimefield_value
        adapt_day = connection.ops.adapt_datefield_value
        where = "kind = %s AND bucket = %s AND ref = %s"
        _update(
            Rollup15._meta.db_table,
            where,
            (
                (*pair, kind, adapt_time(bucket), ref)
                for (kind, bucket, ref), pair in sorted(self._quarters.items())
            ),
        )
        _update(
            RollupDay._meta.db_table,
            where,
            (
                (*pair, kind, adapt_day(day), ref)
                for (kind, day, ref), pair in sorted(self._days.items())
            ),
        )
        _update(
            RollupCube._meta.db_table,
            "bucket = %s AND provider_dim = %s AND model_dim = %s "
            "AND client_key_id = %s",
            (
                (*pair, adapt_day(key.day), *key[1:])
                for key, pair in sorted(self._cube.items())
            ),
        )

    def _add(
        self,
        kind: str,
        ref: int,
        bucket: datetime,
        day: date,
        cost: int,
        unpriced: int,
    ) -> None:
        if kind not in rollups.DAY_ONLY:
            quarter = self._quarters.setdefault((kind, bucket, ref), [0, 0])
            _grow(quarter, cost, unpriced)
        _grow(self._days.setdefault((kind, day, ref), [0, 0]), cost, unpriced)


def _grow(pair: Pair, cost: int, unpriced: int) -> None:
    pair[0] += cost
    pair[1] += unpriced


def _update(table: str, where: str, rows: Iterable[tuple[Any, ...]]) -> None:
    changed = [row for row in rows if row[0] or row[1]]
    if not changed:
        return
    sql = f"UPDATE {table} {_SETS} WHERE {where}"
    with connection.cursor() as cursor:
        cursor.executemany(sql, changed)
