"""Reconcile a month with planted errors in a database of its own; print what was found.

    python -m scripts.reconciliation_rig COUNT SEED

Prints one JSON object. The statement is added up here from the rows as they are made:
no code of the product's sums takes part in it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Final

import django

FIRST: Final = datetime(2026, 4, 1, tzinfo=UTC)
DAYS: Final = 30
MODELS: Final = tuple(f"model-{number:02}" for number in range(20))
BATCH: Final = 5_000
NANO: Final = 10**9
HEADER: Final = ("date", "model", "cost", "input", "cached", "output", "requests")
Key = tuple[date, str]
Sums = dict[Key, list[int]]


def main(count: int, seed: int) -> dict[str, Any]:
    """Fill the ledger, take a clean and a wrong statement in, and compare."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    rng = random.Random(seed)
    sums = _fill(rng, count)
    clean, _ = _reconcile(_as_csv(sums, []))
    wrong, repeated, planted = _plant(rng, sums)
    found, seen = _reconcile(_as_csv(wrong, repeated))
    return {
        **seen,
        "attempts": count,
        "lines": len(sums),
        "clean_named": len(clean),
        "planted": len(planted),
        "found": sum(found.get(key) == cause for key, cause in planted.items()),
        "others": len(found.keys() - planted.keys()),
        "off_nano": seen["known_nano"] - sum(line[0] for line in sums.values()),
    }


def _plant(rng: random.Random, sums: Sums) -> tuple[Sums, list[Key], dict[Key, str]]:
    """Make one line dearer, let half of one miss, write one twice."""
    dearer, missing, doubled = rng.sample(sorted(sums), 3)
    wrong = {key: [*line] for key, line in sums.items()}
    wrong[dearer][0] = wrong[dearer][0] * 103 // 100
    wrong[missing] = [value // 2 for value in wrong[missing]]
    planted = {dearer: "price", missing: "fewer_calls", doubled: "repeated"}
    return wrong, [doubled], planted


def _reconcile(data: bytes) -> tuple[dict[Key, str], dict[str, Any]]:
    from django.db import connection

    from poolsite.actor import CLI
    from usage.models import Attempt, StatementComparison
    from usage.reconciliation import services, shapes, work
    from usage.reconciliation.read import Reading

    before = Attempt.objects.count()
    columns = shapes.chosen(
        {
            "day": "date",
            "model": "model",
            "cost": "cost",
            "input": "input",
            "cache_read": "cached",
            "output": "output",
            "requests": "requests",
        }
    )
    writes: list[float] = []
    with connection.execute_wrapper(_timing(writes)):
        begun = time.perf_counter()
        row = services.take_in(
            CLI, services.Upload("acme", data, "invoice.csv", Reading(columns))
        )
        middle = time.perf_counter()
        work.work_here(row)
        ended = time.perf_counter()
    row.refresh_from_db()
    lines = StatementComparison.objects.filter(statement=row, is_named=True)
    return {(line.day, line.model): line.cause for line in lines}, {
        "take_in_s": middle - begun,
        "compare_s": ended - middle,
        "known_nano": (row.found or {})["known_nano_usd"],
        "longest_write_ms": max(writes) * 1_000,
        "changed_attempts": Attempt.objects.count() - before,
    }


def _timing(writes: list[float]) -> Any:
    def run(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            if sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
                writes.append(time.perf_counter() - begun)

    return run


def _as_csv(sums: Sums, repeated: list[Key]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for key in [*sorted(sums), *repeated]:
        cost, *counts = sums[key]
        writer.writerow([*key, f"{cost // NANO}.{cost % NANO:09}", *counts])
    return text.getvalue().encode()


def _fill(rng: random.Random, count: int) -> Sums:
    """Write attempts as rows and add them up."""
    from django.db import transaction

    from usage import dimensions, ledger
    from usage.dimensions import Dimensions
    from usage.models import Attempt

    words = [
        (dimensions.PROVIDER, "acme"),
        (dimensions.OUTCOME, "ok"),
        *((dimensions.MODEL, model) for model in MODELS),
    ]
    with transaction.atomic():
        numbers = Dimensions().resolve(words)
    sums: Sums = {}
    rows = _rows(rng, count, numbers, sums)
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic():
            ledger._insert(Attempt, batch)
    return sums


def _rows(
    rng: random.Random, count: int, numbers: Any, sums: Sums
) -> Iterator[dict[str, Any]]:
    from poolsite.clock import ManualClock
    from poolsite.ids import uuid7
    from usage import dimensions
    from usage.models import Attempt

    empty = {
        field.attname: field.get_default()
        for field in Attempt._meta.concrete_fields
        if field.column
    }
    step = timedelta(days=DAYS) / count
    for number in range(count):
        at = FIRST + step * number
        model = rng.choice(MODELS)
        used = [rng.randrange(90_000), rng.choice((0, 40_000)), rng.randrange(30_000)]
        cost = 3_001 * used[0] + 301 * used[1] + 15_007 * used[2]
        line = sums.setdefault((at.date(), model), [0] * 5)
        for place, value in enumerate((cost, *used, 1)):
            line[place] += value
        key = uuid7(ManualClock(at))
        yield {
            **empty,
            "id": key,
            "at": at,
            "request_id": key,
            "number": 1,
            "provider_id": 1,
            "provider_dim": numbers[dimensions.PROVIDER, "acme"],
            "model_dim": numbers[dimensions.MODEL, model],
            "outcome_dim": numbers[dimensions.OUTCOME, "ok"],
            "status": 200,
            "input_tokens": used[0],
            "cache_read_tokens": used[1],
            "output_tokens": used[2],
            "cost_nano_usd": cost,
            "price_version_id": 1,
        }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
