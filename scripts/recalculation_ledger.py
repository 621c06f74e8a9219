"""Make a long ledger for a recalculation: requests, attempts, rollups, prices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

FIRST = datetime(2026, 1, 10, tzinfo=UTC)
PER_DAY = 12_500
"""Attempts a day: a million in eighty days."""
PROVIDERS = tuple(f"provider-{number:02}" for number in range(12))
MODELS = tuple(f"model-{number:02}" for number in range(40))
WITHOUT_PRICE = MODELS[-2:]
KEYS = 60
BATCH = 5_000
LONG = 200_000
TURNS = 10
Prices = dict[str, dict[str, int]]


def fill(rng: random.Random, count: int) -> int:
    """Write requests and attempts as rows, and their rollups; return how many days."""
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
        last = batch[-1][0]["at"]
    return int((last - FIRST).days) + 1


def repeat(days: int, later: int) -> None:
    """Write the first days once more, so many days later.

    Ids keep their order: the time at their front moves with the rows.
    """
    from django.db import connection, transaction

    from usage.models import Attempt, Request, Rollup15, RollupCube, RollupDay

    def moved(key: str | None) -> str | None:
        return key and f"{int(key[:12], 16) + later * 86_400_000:012x}{key[12:]}"

    until = (FIRST + timedelta(days=days)).date().isoformat()
    day = f"date(substr({{0}}, 1, 10), '+{later} days') || substr({{0}}, 11)"
    forms = dict.fromkeys(("at", "bucket"), day)
    forms |= dict.fromkeys(("id", "request_id", "serving_attempt"), "moved({0})")
    with transaction.atomic(), connection.cursor() as cursor:
        connection.connection.create_function("moved", 1, moved)
        for model in (Request, Attempt, Rollup15, RollupDay, RollupCube):
            fields = model._meta.concrete_fields
            names = [each.column for each in fields if each.column]
            if "bucket" in names:
                names.remove("id")
            when = "bucket" if "bucket" in names else "at"
            values = ", ".join(forms.get(each, "{0}").format(each) for each in names)
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) "
                f"SELECT {values} FROM {model._meta.db_table} WHERE {when} < '{until}'"
            )


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


def set_prices(prices: Prices) -> None:
    """Set what each model costs from now on."""
    from poolsite.actor import CLI
    from pricing import services
    from pricing.cost import PriceSpec

    for model, columns in prices.items():
        services.set_price(CLI, model, PriceSpec(**columns))
