"""Recalculate many attempts in a database of its own and print what was measured.

    python -m scripts.recalculation_rig COUNT SEED

Prints one JSON object. The expected costs are worked out here, by fractions, from the
columns: no code of the product's arithmetic takes part in them. A long ledger is a
tenth of it, repeated day by day: making it must not take longer than measuring it.
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
from datetime import UTC, date, datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import django

from scripts.recalculation_ledger import (
    FIRST,
    LONG,
    MODELS,
    TURNS,
    WITHOUT_PRICE,
    Prices,
    fill,
    repeat,
    set_prices,
)

MICRO = 1_000_000
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
    turns = TURNS if count >= LONG else 1
    days = fill(rng, count // turns)
    for turn in range(1, turns):
        repeat(days, days * turn)
    set_prices(prices)
    return _measure(prices)


def _measure(prices: Prices) -> dict[str, Any]:
    from usage.models import CostAdjustment

    writes = _watch()
    before, expected = _shown(), _expected(prices)
    seen: dict[str, Any] = {"attempts": len(expected)}
    rollups = _rollups()
    run, seen["count_s"] = _timed("count", None, seen)
    found = run.figures
    seen["changed"] = found["changed"]
    run, seen["apply_s"] = _timed("apply", run, seen)
    after = _shown()
    seen["wrong_attempts"] = sum(after[each] != expected[each] for each in expected)
    seen["total_off_nano"] = _sum(after) - _sum(expected)
    seen["count_off_nano"] = found["delta_nano_usd"] - (_sum(after) - _sum(before))
    seen["rollups_off_nano"] = _rollup_total() - _sum(after)
    run, seen["undo_s"] = _timed("undo", run, seen)
    undone = _shown()
    seen["undo_off_attempts"] = sum(undone[each] != before[each] for each in before)
    seen["undo_rollups_equal"] = _rollups() == rollups
    run, _ = _timed("count", None)
    run, seen["cancel_s"] = _cancelled(run, seen["apply_s"] / 3)
    seen["cancelled_state"] = run.state
    seen["cancelled_part"] = run.applied
    run, _ = _timed("apply", run)
    seen["resumed_off_nano"] = _sum(_shown()) - _sum(expected)
    seen["resumed_rollups_off_nano"] = _rollup_total() - _sum(expected)
    seen["adjustments"] = CostAdjustment.objects.count()
    seen["most_rows"] = max(rows for _, _, rows in writes)
    for name, place in (("wall", 0), ("cpu", 1)):
        ordered = sorted(each[place] for each in writes)
        seen[f"p50_write_{name}_ms"] = ordered[len(ordered) // 2]
        seen[f"p99_write_{name}_ms"] = ordered[int(len(ordered) * 0.99)]
        seen[f"longest_write_{name}_ms"] = ordered[-1]
    seen["writes"] = len(writes)
    return seen


# What it must come to


def _expected(prices: Prices) -> dict[Any, int | None]:
    """Return each attempt's cost at these prices; without one, what it was."""
    from usage.models import Dimension

    words = dict(Dimension.objects.values_list("pk", "value"))
    columns = ", ".join(name for name, _ in _COUNTERS)
    found: dict[Any, int | None] = {}
    for key, model, settled, *counts in _read(
        f"SELECT id, model_dim, cost_nano_usd, {columns} FROM usage_attempt"
    ):
        rates = prices.get(words[model])
        if rates is None:
            found[key] = settled
            continue
        parts = sum(
            (count or 0) * rates[names[0]]
            for count, (_, names) in zip(counts, _COUNTERS, strict=True)
        )
        found[key] = math.ceil(Fraction(parts, MICRO))
    return found


def _shown() -> dict[Any, int | None]:
    """Return settled plus adjustments; None where no correction stands."""
    costs = dict(_read("SELECT id, cost_nano_usd FROM usage_attempt"))
    added = _read(
        "SELECT attempt_id, sum(delta_nano_usd), sum(CASE WHEN is_undo THEN -1 ELSE 1 "
        "END) FROM usage_costadjustment GROUP BY attempt_id"
    )
    for key, delta, standing in added:
        settled = costs[key]
        costs[key] = (
            None if settled is None and not standing else (settled or 0) + delta
        )
    return costs


def _read(sql: str) -> Iterator[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        yield from cursor.fetchall()


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


def _timed(
    step: str, run: Any, seen: dict[str, Any] | None = None
) -> tuple[Any, float]:
    """Do one step to its end; return the run and the seconds.

    Shapes:  ``seen`` takes the processor's seconds too.
    """
    from poolsite.actor import CLI
    from providers.services.recalculation import work_here
    from usage.recalculation import services

    if step == "count":
        until = datetime.combine(date(2026, 12, 1), datetime.min.time(), UTC)
        run = services.start(CLI, services.Choice(since=FIRST, until=until))
    else:
        run = getattr(services, step)(CLI, run)
    begun, busy = time.perf_counter(), time.process_time()
    work_here(run)
    seconds = time.perf_counter() - begun
    if seen is not None:
        seen[f"{step}_cpu_s"] = time.process_time() - busy
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


def _watch() -> list[tuple[float, float, int]]:
    """Note how long each transaction held the database and how many rows it wrote.

    Units:  milliseconds by the clock and of the processor.
    """
    from django.db import transaction

    from usage import bulk, cost_deltas
    from usage.recalculation import post

    seen: list[tuple[float, float, int]] = []
    rows = [0]
    plain, insert, update = transaction.atomic, bulk.insert, cost_deltas.run

    @contextmanager
    def atomic() -> Iterator[None]:
        rows[0] = 1  # the run's own row
        begun = busy = 0.0
        with plain():
            begun, busy = time.perf_counter(), time.thread_time()
            yield
        wall, cpu = time.perf_counter() - begun, time.thread_time() - busy
        seen.append((wall * 1_000, cpu * 1_000, rows[0]))

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
