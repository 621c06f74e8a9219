"""Let a month of the ledger grow too old and remove it; print what was measured.

    python -m scripts.retention_rig COUNT SEED

Writes into the configured database, which must be empty. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final

import django

FIRST: Final = datetime(2026, 4, 1, tzinfo=UTC)
DAYS: Final = 30
BATCH: Final = 5_000
_NO_END: Final = 86_400.0


def main(count: int, seed: int) -> dict[str, Any]:
    """Fill a month and a day after it, and sweep when the month is too old."""
    from django.core.management import call_command
    from django.db import connection

    from usage import partitions
    from usage.models import Attempt, Request
    from usage.retention import sweep

    call_command("migrate", verbosity=0, interactive=False)
    partitions.ensure(FIRST, days_ahead=DAYS + 1)
    begun = time.perf_counter()
    fill = _fill_there if connection.vendor == "postgresql" else _fill_here
    fill(count, random.Random(seed))
    filled = time.perf_counter()
    held = _watch(sweep)
    dropped = _watch_drops(partitions)
    clock = _Later(FIRST + timedelta(days=DAYS + 90))
    started = time.perf_counter()
    removed = sweep.run(clock=clock, longest_s=_NO_END)
    ended = time.perf_counter()
    drop_s = sum(dropped)
    again = time.perf_counter()
    second = sweep.run(clock=clock, longest_s=_NO_END)
    end = FIRST + timedelta(days=DAYS)
    return {
        "database": connection.vendor,
        "filled_s": filled - begun,
        "requests": count,
        "removed": removed,
        "sweep_s": ended - started,
        "drop_s": drop_s,
        "empty_sweep_ms": (time.perf_counter() - again) * 1_000,
        "second": second,
        "left": Request.objects.filter(at__lt=end).count()
        + Attempt.objects.filter(at__lt=end).count(),
        "kept": Request.objects.count(),
        "transactions": len(held),
        "longest_ms": max(held, default=0.0),
        "p99_ms": sorted(held)[int(len(held) * 0.99)] if held else 0.0,
    }


class _Later:
    """A wall clock at a moment, over the machine's own monotonic one."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.monotonic = time.monotonic

    def now(self) -> datetime:
        return self._now

    def time_ns(self) -> int:
        return int(self._now.timestamp()) * 10**9


def _watch(module: Any) -> list[float]:
    """Note how many milliseconds each of a module's transactions took."""
    held: list[float] = []
    plain = module.transaction.atomic

    @contextmanager
    def atomic() -> Iterator[None]:
        begun = time.perf_counter()
        with plain():
            yield
        held.append((time.perf_counter() - begun) * 1_000)

    module.transaction = SimpleNamespace(atomic=atomic)
    return held


def _watch_drops(module: Any) -> list[float]:
    """Note how many seconds each table's partitions took to drop."""
    taken: list[float] = []
    plain = module.drop_before

    def drop_before(table: str, first_kept: date) -> int:
        begun = time.perf_counter()
        count: int = plain(table, first_kept)
        taken.append(time.perf_counter() - begun)
        return count

    module.drop_before = drop_before
    return taken


def _fill_here(count: int, rng: random.Random) -> None:
    from django.db import transaction

    from usage import ledger
    from usage.models import Attempt, Request

    for model in (Request, Attempt):
        rows = _rows(model, count, rng)
        while batch := list(islice(rows, BATCH)):
            with transaction.atomic():
                ledger._insert(model, batch)


def _rows(model: Any, count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    from poolsite.clock import ManualClock
    from poolsite.ids import uuid7

    empty = {
        field.attname: field.get_default()
        for field in model._meta.concrete_fields
        if field.column
    }
    known = dict.fromkeys(
        ("status", "outcome", "number", "provider_id", "provider_dim", "model_dim"), 1
    )
    step = timedelta(days=DAYS + 1) / count
    for number in range(count):
        at = FIRST + step * number
        key = uuid7(ManualClock(at))
        values = {**known, "id": key, "at": at, "request_id": key, "outcome_dim": 1}
        values["input_tokens"] = rng.randrange(90_000)
        yield {**empty, **{k: v for k, v in values.items() if k in empty}}


def _fill_there(count: int, rng: random.Random) -> None:
    """Let the server make the rows: ten times as fast as sending them."""
    from django.db import connection

    from usage import partitions

    share = (DAYS + 1) * 86_400 / count
    with connection.cursor() as cursor:
        # Vacuum of rows just loaded would hold the tables; months later it is done.
        for table in partitions.PARTITIONED:
            for name in partitions._existing(table):
                cursor.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = false)")
        for sql in (_REQUESTS, _ATTEMPTS):
            cursor.execute(sql, [FIRST, share, rng.randrange(90_000), count - 1])
        # So is all of it on the disk: a file that is still being written leaves late.
        cursor.execute("CHECKPOINT")
    os.sync()


_REQUESTS: Final = (
    "INSERT INTO usage_request (id, at, status, outcome, stream, needs, attempts,"
    " unpriced, estimated, input_tokens)"
    " SELECT gen_random_uuid(), %s + n * %s * interval '1 second', 200, 1, false, 0, 1,"
    " false, false, %s FROM generate_series(0, %s) n"
)
_ATTEMPTS: Final = (
    "INSERT INTO usage_attempt (id, at, request_id, number, provider_id, provider_dim,"
    " model_dim, outcome_dim, reason, start_offset_ms, unit_kind, estimated, flags,"
    " input_tokens)"
    " SELECT gen_random_uuid(), %s + n * %s * interval '1 second', gen_random_uuid(),"
    " 1, 1, 1, 1, 1, '', 0, '', false, '', %s FROM generate_series(0, %s) n"
)

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
