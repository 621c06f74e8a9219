"""Fill the ledger and its rollups with plausible requests, fast.

    python -m scripts.seed_usage COUNT [SEED] [DAYS]

Writes into the configured database (POOL_DATA_DIR, DATABASE_URL), the newest request a
minute ago. Rows and rollups go through the ledger's own bulk path and arithmetic; what
is left out is the journal. Of many, the last days are made like this and copied into
the days before. Keys, teams and providers are rows without secrets: nobody can call
with them.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import django

BATCH = 10_000
MEASURED = 10_000
DAYS = 88
ROW_BY_ROW = 250_000
"""So many are made one by one; whole days of them are copied where more are wanted."""
PROVIDERS = 12
MODELS = 40
KEYS = 60
TEAMS = 6
RARE = 60_000
"""One request in so many is of a key nobody else uses: a needle to look for."""
AGENTS = ("claude-code", "codex", "aider", "opencode", "openai-python", "other")
PRICES = (150, 600, 1_250, 3_000, 15_000)
"""Nano-USD a token, by model in turn; the last two models have no price."""

Row = dict[str, Any]


class World(NamedTuple):
    """The numbers of every string, and what stays the same from row to row."""

    ids: dict[str, list[int]]
    keys: list[int]
    teams: list[int]
    request: Row
    attempt: Row


def fill(count: int, seed: int = 1, days: float = DAYS, *, now: Any = None) -> float:
    """Write ``count`` requests over the last days; return the seconds it took."""
    from poolsite.clock import SystemClock

    begun = time.perf_counter()
    end: datetime = (now or SystemClock().now()) - timedelta(minutes=1)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    before = int(days)
    today = (end - midnight) / timedelta(days=1)
    by_day = int(count / (before + today))
    if count <= ROW_BY_ROW or before < 2:
        _make_partitions(end, before + 1)
        write(count, random.Random(seed), end, timedelta(days=days))
        return time.perf_counter() - begun
    own = min(before, max(1, ROW_BY_ROW // by_day))
    _make_partitions(end, own)
    rng = random.Random(seed)
    write(own * by_day, rng, midnight, timedelta(days=own))
    _copy(midnight.date(), own, before)
    write(count - before * by_day, rng, end, end - midnight)
    return time.perf_counter() - begun


def fill_up(*, now: Any = None) -> int:
    """Write what came since the newest request, as dense as before; return how many."""
    from poolsite.clock import SystemClock
    from usage.models import Request

    end: datetime = (now or SystemClock().now()) - timedelta(minutes=1)
    times = Request.objects.order_by("-at", "-id").values_list("at", flat=True)
    newest, earlier = times[0], times[MEASURED : MEASURED + 1]
    if not earlier or newest >= end:
        return 0
    count = int(MEASURED * ((end - newest) / (newest - earlier[0])))
    _make_partitions(end, max(1, (end.date() - newest.date()).days))
    write(count, random.Random(count), end, end - newest)
    return count


def _make_partitions(end: datetime, days: int) -> None:
    """Have a partition for the day of ``end`` and as many days before it."""
    from usage import partitions

    partitions.ensure(end - timedelta(days=days - 1), days_ahead=days)


def _copy(today: date, own: int, before: int) -> None:
    """Copy the days that were made into those before them, as often as it takes."""
    from scripts.seed_usage_copies import copy_days

    done = own
    while done < before:
        some = min(own, before - done)
        last = today - timedelta(days=1)
        copy_days(last - timedelta(days=some - 1), last, done)
        done += some


def write(count: int, rng: random.Random, end: datetime, span: timedelta) -> None:
    """Make requests one by one, up to a moment, and write them with their sums."""
    from django.db import transaction

    from usage import ledger, ledger_sums, rollups
    from usage.dimensions import Dimensions
    from usage.models import Attempt, Request

    with transaction.atomic():
        world = _world(max(20, count // 40))
        numbers = Dimensions().resolve(ledger_sums.STRINGS)
    meaning = ledger_sums.Meaning.of(numbers)
    rows = _requests(rng, count, world, end, span)
    while batch := list(islice(rows, BATCH)):
        deltas = rollups.Deltas()
        attempts = [row for _, tried in batch for row in tried]
        for asked, tried in batch:
            ledger_sums.add_request(deltas, asked, meaning)
            for row in tried:
                ledger_sums.add_attempt(deltas, asked, row, meaning)
        with transaction.atomic():
            ledger._insert(Attempt, attempts)
            ledger._insert(Request, [asked for asked, _ in batch])
            rollups.apply(deltas)


def _world(sessions: int) -> World:
    from usage import dimensions
    from usage.models import Attempt, Dimension, Request

    first = Dimension.objects.filter(kind=dimensions.SESSION).count()
    words = {
        dimensions.PROVIDER: [f"provider-{each:02}" for each in range(PROVIDERS)],
        dimensions.MODEL: [f"model-{each:02}" for each in range(MODELS)],
        dimensions.PURPOSE: ["client"],
        dimensions.OUTCOME: ["ok", "upstream_error"],
        dimensions.PRICE_SOURCE: ["book"],
        dimensions.SESSION: [
            f"agent:main:{first + each:06}" for each in range(sessions)
        ],
        dimensions.AGENT: list(AGENTS),
        dimensions.END_USER: [f"user-{each}" for each in range(200)],
        dimensions.DIALECT: ["openai"],
        dimensions.CREDENTIAL: ["api_key:1:sk-…0001", "account:2:…@example.com"],
        dimensions.ERROR: ["overloaded"],
    }
    pairs = [(kind, word) for kind, all_ in words.items() for word in all_]
    numbers = dimensions.Dimensions().resolve(pairs)
    ids = {kind: [numbers[kind, word] for word in all_] for kind, all_ in words.items()}
    teams, keys = _people()
    return World(ids, keys, teams, _empty(Request), _empty(Attempt))


def _people() -> tuple[list[int], list[int]]:
    """Make teams and client keys that nobody holds."""
    from poolsite.clock import SystemClock
    from usage.models import ClientKey, Team

    now = SystemClock().now()
    teams = [
        Team.objects.get_or_create(
            slug=f"team-{each}",
            defaults={"name": f"Team {each}", "created_at": now},
        )[0].pk
        for each in range(TEAMS)
    ]
    keys = []
    for each in range(KEYS + 1):
        values = {
            "name": f"seeded-{each:02}" if each < KEYS else "seeded-rare",
            "team_id": teams[each % TEAMS],
            "tags": ["ci"] if each % 3 else ["laptop", "trial"],
            "created_at": now,
        }
        found = ClientKey.objects.get_or_create(
            public_id=f"seed{each:04}", defaults=values
        )
        keys.append(found[0].pk)
    return teams, keys


def _empty(model: Any) -> Row:
    return {field.attname: None for field in model._meta.concrete_fields}


def _requests(
    rng: random.Random, count: int, world: World, end: datetime, span: timedelta
) -> Iterator[tuple[Row, list[Row]]]:
    """Yield requests with their attempts, oldest first, with a day's rise and fall."""
    from usage import dimensions

    ids = world.ids
    sessions = ids[dimensions.SESSION]
    for number in range(count):
        at = end - span * (1 - (number + rng.random()) / count)
        place = KEYS if number % RARE == RARE // 3 else rng.randrange(KEYS)
        model = min(int(rng.expovariate(0.12)), MODELS - 1)
        is_bad = rng.random() < 0.02
        # Sessions are some dozens of neighbours, not people spread over a season.
        near = number * len(sessions) // count + rng.randrange(-3, 4)
        asked = world.request | {
            "id": _id(rng, at),
            "at": at,
            "status": 503 if is_bad else 200,
            "outcome": 3 if is_bad else 1,
            "client_key_id": world.keys[place],
            "team_id": world.teams[place % TEAMS],
            "purpose_dim": ids[dimensions.PURPOSE][0],
            "dialect_dim": ids[dimensions.DIALECT][0],
            "model_asked_dim": ids[dimensions.MODEL][model],
            "session_dim": sessions[near % len(sessions)],
            "agent_dim": ids[dimensions.AGENT][near % len(AGENTS)],
            "end_user_dim": ids[dimensions.END_USER][(place * 3 + near % 3) % 200],
            "error_dim": ids[dimensions.ERROR][0] if is_bad else None,
            "stream": rng.random() < 0.7,
            "needs": 0,
            "unpriced": False,
            "estimated": rng.random() < 0.002,
            "latency_ms": int(rng.lognormvariate(7.3, 0.8)),
            "ttft_ms": int(rng.lognormvariate(5.8, 0.6)),
            "overhead_us": 900,
        }
        tried = [
            _attempt(rng, world, asked, model, is_bad=is_bad or number_of < 0)
            for number_of in ((-1, 0) if rng.random() < 0.04 else (0,))
        ]
        yield _ended(asked, tried, is_bad=is_bad), tried


def _attempt(
    rng: random.Random, world: World, asked: Row, model: int, *, is_bad: bool
) -> Row:
    from usage import dimensions

    ids = world.ids
    provider = rng.randrange(PROVIDERS)
    used = {
        "input_tokens": rng.randrange(40, 6_000),
        "cache_read_tokens": rng.randrange(60_000) if rng.random() < 0.4 else 0,
        "cache_write_tokens": rng.randrange(4_000) if rng.random() < 0.1 else 0,
        "output_tokens": rng.randrange(10, 2_500),
    }
    is_priced = not is_bad and model < MODELS - 2
    rate = PRICES[model % len(PRICES)]
    cost = (
        rate * (used["input_tokens"] + used["cache_read_tokens"] // 10)
        + 4 * rate * used["output_tokens"]
    )
    return (
        world.attempt
        | ({} if is_bad else used)
        | {
            "id": _id(rng, asked["at"]),
            "at": asked["at"],
            "request_id": asked["id"],
            "number": 1,
            "provider_id": provider + 1,
            "provider_dim": ids[dimensions.PROVIDER][provider],
            "credential_dim": ids[dimensions.CREDENTIAL][provider % 2],
            "model_dim": ids[dimensions.MODEL][model],
            "status": 503 if is_bad else 200,
            "outcome_dim": ids[dimensions.OUTCOME][int(is_bad)],
            "reason": "",
            "losses": "",
            "start_offset_ms": 0,
            "latency_ms": asked["latency_ms"],
            "ttft_ms": None if is_bad else asked["ttft_ms"],
            "unit_kind": "",
            "flags": "",
            "estimated": asked["estimated"],
            "cost_nano_usd": cost if is_priced else None,
            "price_source_dim": ids[dimensions.PRICE_SOURCE][0] if is_priced else None,
        }
    )


def _ended(asked: Row, tried: list[Row], *, is_bad: bool) -> Row:
    last = tried[-1]
    last["number"] = len(tried)
    known = [row["cost_nano_usd"] for row in tried if row["cost_nano_usd"] is not None]
    if not is_bad:
        for name in ("input_tokens", "cache_read_tokens", "output_tokens"):
            asked[name] = last[name]
        asked |= {
            "serving_attempt": last["id"],
            "model_served_dim": last["model_dim"],
            "provider_dim": last["provider_dim"],
            "credential_dim": last["credential_dim"],
            "unpriced": last["cost_nano_usd"] is None,
        }
    return asked | {
        "attempts": len(tried),
        "cost_nano_usd": sum(known) if known else None,
        "credential_dim": asked.get("credential_dim"),
    }


def _id(rng: random.Random, at: datetime) -> UUID:
    """Make a version 7 id of a past moment, repeatable by the seed."""
    stamp = int(at.timestamp() * 1000) << 80
    high = (0x7 << 76) | (rng.getrandbits(12) << 64)
    return UUID(int=stamp | high | (0x2 << 62) | rng.getrandbits(62))


def keep_up() -> None:
    """Do what PostgreSQL's own upkeep does in time: never to a partitioned table."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"VACUUM (ANALYZE) {connection.ops.quote_name(table)}")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    arguments = [int(each) for each in sys.argv[1:]]
    seconds = fill(*arguments)
    keep_up()
    print(f"{seconds:.1f} s, {arguments[0] / seconds:,.0f} requests a second")
