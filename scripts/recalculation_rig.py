"""Recalculate many attempts in a database of its own and print what was measured.

    python -m scripts.recalculation_rig COUNT SEED

Prints one JSON object. The expected costs are worked out here, by fractions, from the
columns: no code of the product's arithmetic takes part in them.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import islice
from types import SimpleNamespace
from typing import Any

import django

FIRST = datetime(2026, 1, 10, tzinfo=UTC)
PER_DAY = 12_500
"""Attempts a day: a million in eighty days."""
PROVIDERS = tuple(f"provider-{number:02}" for number in range(12))
MODELS = tuple(f"model-{number:02}" for number in range(40))
WITHOUT_PRICE = MODELS[-2:]
KEYS = 60
BATCH = 5_000
MICRO = 1_000_000
Prices = dict[str, dict[str, int]]
_COUNTERS = (
    ("input_tokens", ("input",)),
    ("cache_read_tokens", ("cache_read", "input")),
    ("output_tokens", ("output",)),
)


def main(count: int, seed: int) -> dict[str, Any]:
    """Fill the ledger, recalculate, stop, go on and undo."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    rng = random.Random(seed)
    prices: Prices = {
        model: {
            "input": rng.randrange(1, 20_000_000_000),
            "output": rng.randrange(1, 90_000_000_000),
            "cache_read": rng.randrange(1, 2_000_000_000),
        }
        for model in MODELS
        if model not in WITHOUT_PRICE
    }
    _fill(rng, count)
    _set_prices(prices)
    return _measure(prices)


def _measure(prices: Prices) -> dict[str, Any]:
    from usage.models import CostAdjustment

    writes = _watch()
    before, expected = _shown(), _expected(prices)
    seen: dict[str, Any] = {"attempts": len(expected)}
    rollups = _rollups()
    run, seen["count_s"] = _timed("count", None)
    found = run.figures
    seen["changed"] = found["changed"]
    run, seen["apply_s"] = _timed("apply", run)
    after = _shown()
    seen["wrong_attempts"] = sum(after[each] != expected[each] for each in expected)
    seen["total_off_nano"] = _sum(after) - _sum(expected)
    seen["count_off_nano"] = found["delta_nano_usd"] - (_sum(after) - _sum(before))
    seen["rollups_off_nano"] = _rollup_total() - _sum(after)
    run, seen["undo_s"] = _timed("undo", run)
    undone = _shown()
    seen["undo_off_attempts"] = sum(undone[each] != before[each] for each in before)
    seen["undo_rollups_equal"] = _rollups() == rollups
    run, _ = _timed("count", None)
    run, seen["cancel_s"] = _cancelled(run, seen["apply_s"] / 3)
    seen["cancelled_state"] = run.state
    seen["cancelled_part"] = run.applied
    run, _ = _timed("apply", run)
    seen["resumed_off_nano"] = _sum(_shown()) - _sum(expected)
    seen["adjustments"] = CostAdjustment.objects.count()
    seen["longest_write_ms"] = max(ms for ms, _ in writes)
    ordered = sorted(ms for ms, _ in writes)
    seen["p999_write_ms"] = ordered[int(len(ordered) * 0.999)]
    seen["most_rows"] = max(rows for _, rows in writes)
    seen["writes"] = len(writes)
    return seen


# The ledger


def _fill(rng: random.Random, count: int) -> None:
    """Write requests and attempts as rows, and the rollups they make."""
    from django.db import transaction

    from usage import dimensions, ledger, rollups
    from usage.dimensions import Dimensions
    from usage.ledger_sums import STRINGS, Meaning
    from usage.models import Attempt, Request

    words = {
        dimensions.PROVIDER: PROVIDERS,
        dimensions.MODEL: MODELS,
        dimensions.PURPOSE: ("client", "probe"),
        dimensions.OUTCOME: ("ok", "upstream_error"),
        dimensions.PRICE_SOURCE: ("book",),
        dimensions.SESSION: tuple(f"s{number}" for number in range(3_000)),
        dimensions.AGENT: ("one", "two", "three"),
    }
    pairs = [(kind, word) for kind, all_ in words.items() for word in all_]
    with transaction.atomic():
        numbers = Dimensions().resolve([*pairs, *STRINGS])
    meaning = Meaning.of(numbers)
    ids = {kind: [numbers[kind, word] for word in all_] for kind, all_ in words.items()}
    rows = _rows(rng, count, ids)
    while batch := list(islice(rows, BATCH)):
        deltas = rollups.Deltas()
        attempts = [row for _, tried in batch for row in tried]
        for asked, tried in batch:
            _add(deltas, asked, tried, meaning)
        with transaction.atomic():
            ledger._insert(Attempt, attempts)
            ledger._insert(Request, [asked for asked, _ in batch])
            rollups.apply(deltas)


def _add(deltas: Any, asked: dict[str, Any], tried: Any, meaning: Any) -> None:
    from usage import ledger_sums

    ledger_sums.add_request(deltas, asked, meaning)
    for row in tried:
        ledger_sums.add_attempt(deltas, asked, row, meaning)


def _rows(
    rng: random.Random, count: int, ids: dict[str, list[int]]
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    from poolsite.clock import ManualClock
    from poolsite.ids import uuid7
    from usage import dimensions

    step = timedelta(days=1) / PER_DAY
    made, at = 0, FIRST
    while made < count:
        at += step
        clock = ManualClock(at)
        asked = _request(rng, uuid7(clock), at, ids)
        tried = [
            _attempt(rng, uuid7(clock), asked, ids)
            for _ in range(min(2 if rng.random() < 0.1 else 1, count - made))
        ]
        made += len(tried)
        last, costs = tried[-1], [row["cost_nano_usd"] for row in tried]
        known = [cost for cost in costs if cost is not None]
        asked |= {
            "serving_attempt": last["id"],
            "attempts": len(tried),
            "model_served_dim": last["model_dim"],
            "provider_dim": last["provider_dim"],
            "credential_dim": None,
            "cost_nano_usd": sum(known) if known else None,
            "unpriced": None in costs,
        }
        assert dimensions.MODEL in ids
        yield asked, tried


def _request(
    rng: random.Random, key: Any, at: datetime, ids: dict[str, list[int]]
) -> dict[str, Any]:
    from usage import dimensions
    from usage.models import Request

    empty = {field.attname: None for field in Request._meta.concrete_fields}
    return empty | {
        "id": key,
        "at": at,
        "status": 200,
        "outcome": 1,
        "client_key_id": rng.randrange(1, KEYS),
        "team_id": rng.randrange(1, 6),
        "purpose_dim": ids[dimensions.PURPOSE][0],
        "model_asked_dim": rng.choice(ids[dimensions.MODEL]),
        "session_dim": rng.choice(ids[dimensions.SESSION]),
        "agent_dim": rng.choice(ids[dimensions.AGENT]),
        "stream": False,
        "needs": 0,
        "estimated": False,
        "latency_ms": rng.randrange(200, 9_000),
    }


def _attempt(
    rng: random.Random, key: Any, asked: dict[str, Any], ids: dict[str, list[int]]
) -> dict[str, Any]:
    from usage import dimensions
    from usage.models import Attempt

    empty = {field.attname: None for field in Attempt._meta.concrete_fields}
    is_priced = rng.random() < 0.8
    return empty | {
        "id": key,
        "at": asked["at"],
        "request_id": asked["id"],
        "number": 1,
        "provider_id": 1,
        "provider_dim": rng.choice(ids[dimensions.PROVIDER]),
        "model_dim": rng.choice(ids[dimensions.MODEL]),
        "status": 200,
        "outcome_dim": ids[dimensions.OUTCOME][0],
        "reason": "",
        "losses": "",
        "start_offset_ms": 0,
        "latency_ms": asked["latency_ms"],
        "unit_kind": "",
        "flags": "",
        "estimated": False,
        "input_tokens": rng.randrange(100_000),
        "output_tokens": rng.randrange(8_000),
        "cache_read_tokens": rng.randrange(50_000) if rng.random() < 0.3 else None,
        "cost_nano_usd": rng.randrange(10**9) if is_priced else None,
        "price_source_dim": ids[dimensions.PRICE_SOURCE][0] if is_priced else None,
    }


def _set_prices(prices: Prices) -> None:
    from poolsite.actor import CLI
    from pricing import services
    from pricing.cost import PriceSpec

    for model, columns in prices.items():
        services.set_price(CLI, model, PriceSpec(**columns))


# What it must come to


def _expected(prices: Prices) -> dict[Any, int | None]:
    """Return each attempt's cost at these prices; without one, what it was."""
    from usage.models import Attempt, Dimension

    words = dict(Dimension.objects.values_list("pk", "value"))
    names = ("id", "model_dim", "cost_nano_usd", *(name for name, _ in _COUNTERS))
    found: dict[Any, int | None] = {}
    for key, model, settled, *counts in Attempt.objects.values_list(*names).iterator():
        columns = prices.get(words[model])
        if columns is None:
            found[key] = settled
            continue
        cost = sum(
            Fraction((count or 0) * columns[rates[0]], MICRO)
            for count, (_, rates) in zip(counts, _COUNTERS, strict=True)
        )
        found[key] = math.ceil(cost)
    return found


def _shown() -> dict[Any, int | None]:
    """Return settled plus adjustments; None where no correction stands."""
    from usage.models import Attempt, CostAdjustment

    costs = dict(Attempt.objects.values_list("id", "cost_nano_usd").iterator())
    known = {key for key, cost in costs.items() if cost is not None}
    standing: dict[Any, int] = {}
    rows = CostAdjustment.objects.values_list("attempt_id", "delta_nano_usd", "is_undo")
    for key, delta, is_undo in rows.iterator():
        costs[key] = (costs[key] or 0) + delta
        standing[key] = standing.get(key, 0) + (-1 if is_undo else 1)
    return {
        key: cost if key in known or standing.get(key) else None
        for key, cost in costs.items()
    }


def _sum(costs: dict[Any, int | None]) -> int:
    return sum(cost for cost in costs.values() if cost is not None)


def _rollup_total() -> int:
    """Return the cost by the day's rollups; minus itself when quarters disagree."""
    from django.db.models import Sum

    from usage.models import Rollup15, RollupCube, RollupDay

    sums = {
        int(rows.aggregate(all_cost=Sum("cost_nano_usd"))["all_cost"])
        for rows in (
            RollupDay.objects.filter(kind="total"),
            RollupDay.objects.filter(kind="session"),
            Rollup15.objects.filter(kind="provider"),
            Rollup15.objects.filter(kind="client_key"),
            RollupCube.objects.all(),
        )
    }
    return sums.pop() if len(sums) == 1 else -1


def _rollups() -> list[Any]:
    from usage.models import Rollup15, RollupCube, RollupDay

    names = ("cost_nano_usd", "unpriced", "requests", "attempts", "input_tokens")
    return [
        sorted(model._default_manager.values_list(*keys, *names))
        for model, keys in (
            (Rollup15, ("kind", "bucket", "ref")),
            (RollupDay, ("kind", "bucket", "ref")),
            (RollupCube, ("bucket", "provider_dim", "model_dim", "client_key_id")),
        )
    ]


# The runs


def _timed(step: str, run: Any) -> tuple[Any, float]:
    """Do one step to its end; return the run and the seconds."""
    from poolsite.actor import CLI
    from providers.services.recalculation import work_here
    from usage.recalculation import services

    if step == "count":
        until = datetime.combine(date(2026, 12, 1), datetime.min.time(), UTC)
        run = services.start(CLI, services.Choice(since=FIRST, until=until))
    else:
        run = getattr(services, step)(CLI, run)
    begun = time.perf_counter()
    work_here(run)
    seconds = time.perf_counter() - begun
    run.refresh_from_db()
    return run, seconds


def _cancelled(run: Any, after_s: float) -> tuple[Any, float]:
    """Ask for a stop in the middle; return how long the work went on."""
    from django.db import connection

    from poolsite.actor import CLI
    from usage.recalculation import services

    asked: list[float] = []

    def ask() -> None:
        time.sleep(after_s)
        asked.append(time.perf_counter())
        services.cancel(CLI, run)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    run, _ = _timed("apply", run)
    ended = time.perf_counter()
    thread.join()
    return run, ended - asked[0]


def _watch() -> list[tuple[float, int]]:
    """Note how long each transaction held the database and how many rows it wrote."""
    from django.db import transaction

    from usage import bulk, cost_deltas
    from usage.recalculation import post

    seen: list[tuple[float, int]] = []
    rows = [0]
    plain, insert, update = transaction.atomic, bulk.insert, cost_deltas.run

    @contextmanager
    def atomic() -> Iterator[None]:
        rows[0] = 1  # the run's own row
        begun = 0.0
        with plain():
            begun = time.perf_counter()
            yield
        seen.append(((time.perf_counter() - begun) * 1_000, rows[0]))

    def count_insert(
        table: str,
        columns: Sequence[str],
        values: Sequence[Sequence[Any]],
        tail: str = "",
    ) -> None:
        rows[0] += len(values)
        insert(table, columns, values, tail)

    def count_update(writes: Any) -> None:
        rows[0] += len(writes)
        update(writes)

    # Stand-ins that count, where the work finds them.
    setattr(post, "transaction", SimpleNamespace(atomic=atomic))  # noqa: B010
    setattr(bulk, "insert", count_insert)  # noqa: B010
    cost_deltas.run = count_update
    return seen


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
