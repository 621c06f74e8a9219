"""Add the ledger's rows up into quarters of an hour, days, and a daily cube.

A rollup only ever grows by additions, in one statement a row, so a late record, a
second node and a correction all use the same door: ``apply``. The console reads
rollups, never raw rows.

Two levels of kinds:

* request kinds (``total``, ``model_asked``, ``client_key``, ``team``, ``agent``,
  ``session``, ``end_user``, ``purpose``) take requests, errors, times and the
  unpriced and estimated counts from the request, tokens, attempts and cost from its
  attempts;
* attempt kinds (``provider``, ``model_served``, ``credential``) take everything from
  each attempt's own, ``requests`` only from the attempt that served;
* ``status`` and ``outcome`` take the request's sums when its end is known.

Calls the product makes itself (probes, verification, replay) count under ``purpose``
only: a dashboard shows what clients and the playground did.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection

from usage import bulk
from usage.models import Rollup15, RollupCube, RollupDay

TOTAL: Final = "total"
PROVIDER: Final = "provider"
MODEL_SERVED: Final = "model_served"
MODEL_ASKED: Final = "model_asked"
CLIENT_KEY: Final = "client_key"
TEAM: Final = "team"
CREDENTIAL: Final = "credential"
AGENT: Final = "agent"
SESSION: Final = "session"
END_USER: Final = "end_user"
PURPOSE: Final = "purpose"
STATUS: Final = "status"
OUTCOME: Final = "outcome"
DAY_ONLY: Final = frozenset({SESSION, END_USER})
"""Kinds with so many values that quarters of an hour would outgrow the raw rows."""

SHOWN_PURPOSES: Final = frozenset({"client", "playground"})
QUARTER: Final = timedelta(minutes=15)

Money = tuple[int, int, int, int, int, int, int]
"""Six token counters and the cost, in the order of ``Sums``."""

Times = tuple[int | None, str, int | None, str]
"""Latency and its histogram bucket, time to first token and its bucket."""


def _bounds() -> tuple[int, ...]:
    """Make upper bounds in ms: 1 ms to an hour, each about a fifth above the last."""
    found = [1]
    while found[-1] < 3_600_000:
        found.append(max(found[-1] + 1, round(found[-1] * 1.2)))
    return tuple(found)


BOUNDS_MS: Final = _bounds()
"""Upper bounds of the histogram's buckets; a bucket's key is its bound as text."""

_KEYS: Final = tuple(str(bound) for bound in BOUNDS_MS)


@dataclass(slots=True)
class Sums:
    """The additions to one row.

    Units: tokens, nano-USD, milliseconds; every number may be negative in a
        correction.
    """

    requests: int = 0
    errors: int = 0
    attempts: int = 0
    unpriced: int = 0
    estimated: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    latency_ms_sum: int = 0
    ttft_ms_sum: int = 0
    ttft_count: int = 0
    latency_hist: dict[str, int] = field(default_factory=dict)
    ttft_hist: dict[str, int] = field(default_factory=dict)

    def add_money(self, money: Money) -> None:
        """Add one call's tokens and cost."""
        self.input_tokens += money[0]
        self.cache_read_tokens += money[1]
        self.cache_write_tokens += money[2]
        self.cache_write_1h_tokens += money[3]
        self.output_tokens += money[4]
        self.reasoning_tokens += money[5]
        self.cost_nano_usd += money[6]

    def add_times(self, times: Times) -> None:
        """Add one latency and one time to first token, where known."""
        latency_ms, latency_key, ttft_ms, ttft_key = times
        if latency_ms is not None:
            self.latency_ms_sum += latency_ms
            hist = self.latency_hist
            hist[latency_key] = hist.get(latency_key, 0) + 1
        if ttft_ms is not None:
            self.ttft_ms_sum += ttft_ms
            self.ttft_count += 1
            hist = self.ttft_hist
            hist[ttft_key] = hist.get(ttft_key, 0) + 1

    def merge(self, other: Sums) -> None:
        """Add another row's additions to this one's."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _HISTOGRAMS:
            mine = getattr(self, name)
            for key, value in getattr(other, name).items():
                mine[key] = mine.get(key, 0) + value

    def values(self) -> list[Any]:
        """Return the columns in the order of the statement."""
        numbers: list[Any] = [getattr(self, name) for name in NUMBERS]
        return [*numbers, json.dumps(self.latency_hist), json.dumps(self.ttft_hist)]


_HISTOGRAMS: Final = ("latency_hist", "ttft_hist")
NUMBERS: Final = tuple(
    each.name for each in fields(Sums) if each.name not in _HISTOGRAMS
)
"""The columns that are added as they are."""


class CubeKey(NamedTuple):
    """A day of provider, model and client key; 0 stands for none."""

    day: date
    provider_dim: int = 0
    model_dim: int = 0
    client_key_id: int = 0


class Deltas:
    """What one batch adds to the rollups, collected before it is written.

    Everything is collected by quarter of an hour; days are added up from them.
    """

    def __init__(self) -> None:
        self.quarters: dict[tuple[str, datetime, int], Sums] = {}
        self.cube: dict[CubeKey, Sums] = {}

    def at(self, kind: str, ref: int, bucket: datetime) -> Sums:
        """Return the row one event of this kind is added to."""
        key = (kind, bucket, ref)
        found = self.quarters.get(key)
        if found is None:
            found = self.quarters[key] = Sums()
        return found

    def cube_at(self, key: CubeKey) -> Sums:
        """Return the cube row of this key."""
        found = self.cube.get(key)
        if found is None:
            found = self.cube[key] = Sums()
        return found

    def days(self) -> dict[tuple[str, date, int], Sums]:
        """Add the quarters up by UTC day."""
        found: dict[tuple[str, date, int], Sums] = {}
        for (kind, bucket, ref), sums in self.quarters.items():
            key = (kind, bucket.date(), ref)
            if key not in found:
                found[key] = Sums()
            found[key].merge(sums)
        return found


def money_of(row: Mapping[str, Any]) -> Money:
    """Read the numbers ``Sums.add_money`` adds from a ledger row."""
    return (
        row["input_tokens"] or 0,
        row["cache_read_tokens"] or 0,
        row["cache_write_tokens"] or 0,
        row["cache_write_1h_tokens"] or 0,
        row["output_tokens"] or 0,
        row["reasoning_tokens"] or 0,
        row["cost_nano_usd"] or 0,
    )


def times_of(row: Mapping[str, Any]) -> Times:
    """Read the times of a ledger row and find their histogram buckets."""
    latency, ttft = row["latency_ms"], row["ttft_ms"]
    return latency, _bucket(latency), ttft, _bucket(ttft)


def quarter(moment: datetime) -> datetime:
    """Cut a UTC time to the start of its quarter of an hour."""
    return moment.replace(
        minute=moment.minute - moment.minute % 15, second=0, microsecond=0
    )


def apply(deltas: Deltas) -> None:
    """Add the deltas to the rows, inside the caller's transaction.

    Rows are written in the order of their keys, so that two nodes never wait for each
    other in a circle.

    Cost: one statement a row; about 30 us on SQLite.
    """
    _upsert(
        Rollup15._meta.db_table,
        ("kind", "bucket", "ref"),
        (
            [kind, _time(moment), ref, *sums.values()]
            for (kind, moment, ref), sums in sorted(deltas.quarters.items(), key=_first)
            if kind not in DAY_ONLY
        ),
    )
    _upsert(
        RollupDay._meta.db_table,
        ("kind", "bucket", "ref"),
        (
            [kind, _day(day), ref, *sums.values()]
            for (kind, day, ref), sums in sorted(deltas.days().items(), key=_first)
        ),
    )
    _upsert(
        RollupCube._meta.db_table,
        ("bucket", "provider_dim", "model_dim", "client_key_id"),
        (
            [_day(key.day), *key[1:], *sums.values()]
            for key, sums in sorted(deltas.cube.items(), key=_first)
        ),
    )


def percentile(histogram: Mapping[str, int], share: float) -> int | None:
    """Return the bound below which this share of the values lies.

    Units:  milliseconds; at most a fifth above the true value.
    Fails:  None for an empty histogram.
    """
    total = sum(histogram.values())
    if total <= 0:
        return None
    left = share * total
    for bound in sorted(histogram, key=int):
        left -= histogram[bound]
        if left <= 0:
            return int(bound)
    return BOUNDS_MS[-1]


def merged(histograms: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add histograms of several rows."""
    found: dict[str, int] = {}
    for histogram in histograms:
        for key, value in histogram.items():
            found[key] = found.get(key, 0) + value
    return found


def _first(item: tuple[Any, Sums]) -> Any:
    return item[0]


def _bucket(value_ms: int | None) -> str:
    if value_ms is None:
        return ""
    return _KEYS[min(bisect_left(BOUNDS_MS, value_ms), len(_KEYS) - 1)]


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment.astimezone(UTC))


def _day(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)


def _upsert(table: str, keys: tuple[str, ...], rows: Iterable[list[Any]]) -> None:
    values = list(rows)
    if not values:
        return
    columns = (*keys, *NUMBERS, *_HISTOGRAMS)
    merge = _MERGE_PG if connection.vendor == "postgresql" else _MERGE_SQLITE
    sets = [f"{name} = {table}.{name} + excluded.{name}" for name in NUMBERS]
    sets += [merge.format(table=table, name=name) for name in _HISTOGRAMS]
    tail = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"
    bulk.insert(table, columns, values, tail)


_MERGE_SQLITE: Final = (
    "{name} = CASE WHEN excluded.{name} = '{{}}' THEN {table}.{name} ELSE "
    "(SELECT json_group_object(k, v) FROM (SELECT key AS k, sum(value) AS v FROM "
    "(SELECT key, value FROM json_each({table}.{name}) UNION ALL "
    "SELECT key, value FROM json_each(excluded.{name})) GROUP BY key)) END"
)
_MERGE_PG: Final = (
    "{name} = CASE WHEN excluded.{name} = '{{}}'::jsonb THEN {table}.{name} ELSE "
    "(SELECT jsonb_object_agg(k, v) FROM (SELECT key AS k, sum(value::bigint) AS v "
    "FROM (SELECT * FROM jsonb_each_text({table}.{name}) UNION ALL "
    "SELECT * FROM jsonb_each_text(excluded.{name})) AS pairs GROUP BY key) "
    "AS added) END"
)
