"""A small ledger to recalculate, and sums over it that share no code with the runs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from poolsite.actor import SYSTEM
from poolsite.models import Job
from pricing import services as pricing
from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage
from providers.models import Provider
from providers.services.recalculation import work_here
from tests.factories import (
    Try,
    call,
    failed_at,
    make_client_key,
    make_provider,
    ship,
    try_at,
)
from usage.journal.records import PriceRef
from usage.models import (
    Attempt,
    ClientKey,
    CostAdjustment,
    RecalculationRun,
    Rollup15,
    RollupCube,
    RollupDay,
)
from usage.recalculation import services
from usage.recalculation.services import Choice

START = datetime(2026, 1, 31, 23, 40, tzinfo=UTC)
END = datetime(2026, 2, 2, tzinfo=UTC)
ALL = Choice(since=START - timedelta(days=1), until=END)
OLD = PriceRef(
    spec=PriceSpec(input=3_000_000_001, output=15_000_000_007), source="book"
)
REPORTED = PriceRef(spec=OLD.spec, source="provider")
NEW = PriceSpec(
    input=2_000_000_003, output=9_000_000_011, cache_read=200_000_001, reasoning=7
)
MODELS = ("large", "small", "strange")


def make_pool() -> tuple[list[Provider], list[ClientKey]]:
    """Two providers and three client keys."""
    names = ("acme", "other")
    pool = [make_provider(each, models=MODELS, keys=["sk-1"]) for each in names]
    return pool, [make_client_key(f"k{number}")[0] for number in range(3)]


def make_traffic(
    count: int, *, seed: int = 7, start: datetime = START, step_s: int = 61
) -> None:
    """Ship requests of every kind across a quarter, a midnight and a month's end."""
    rng = random.Random(seed)
    pool, keys = make_pool()
    calls = []
    for number in range(count):
        provider, model = rng.choice(pool), rng.choice(MODELS)
        tries = [_some(rng, provider, model)]
        if rng.random() < 0.2:
            tries.insert(0, failed_at(pool[0], model))
        if rng.random() < 0.1:
            # A first answer that broke off after it was paid for.
            tries.insert(0, _some(rng, pool[1], "large", decision="next_provider"))
        at = start + timedelta(seconds=step_s * number)
        calls.append(
            call(
                rng.choice([*keys, None]),
                *tries,
                at=at,
                session=rng.choice(("", "s1", "s2")),
                end_user=rng.choice(("", "u1")),
                purpose=rng.choice(("client", "client", "probe")),
            )
        )
    ship(*calls)


def set_prices(*models: str, spec: PriceSpec = NEW) -> None:
    """Set what models cost from now on."""
    for model in models or MODELS[:2]:
        pricing.set_price(SYSTEM, model, spec)


def start(choice: Choice = ALL) -> RecalculationRun:
    """Count a recalculation to its end."""
    return done(services.start(SYSTEM, choice))


def apply(run: RecalculationRun) -> RecalculationRun:
    """Apply a recalculation to its end."""
    return done(services.apply(SYSTEM, run))


def undo(run: RecalculationRun) -> RecalculationRun:
    """Undo a recalculation to its end."""
    return done(services.undo(SYSTEM, run))


def done(run: RecalculationRun) -> RecalculationRun:
    """Do the work that waits for a run."""
    run.refresh_from_db()
    work_here(run)
    run.refresh_from_db()
    assert run.job is not None
    assert run.job.state in (Job.State.DONE, Job.State.CANCELLED), run.job.message
    return run


def rollups() -> dict[str, Any]:
    """Every number of the rollups that counts something, in a form to compare."""
    return {
        model.__name__: [
            {name: value for name, value in row.items() if name != "id"}
            for row in model._default_manager.order_by(*order).values()
        ]
        for model, order in (
            (Rollup15, ("kind", "bucket", "ref")),
            (RollupDay, ("kind", "bucket", "ref")),
            (RollupCube, ("bucket", "provider_dim", "model_dim", "client_key_id")),
        )
    }


def shown_costs() -> dict[Any, int | None]:
    """Settled plus adjustments by attempt: None for what still has no price."""
    costs = dict(Attempt.objects.values_list("id", "cost_nano_usd"))
    priced: dict[Any, int] = {}
    for row in CostAdjustment.objects.all():
        costs[row.attempt_id] = (costs[row.attempt_id] or 0) + row.delta_nano_usd
        change = -1 if row.is_undo else 1
        priced[row.attempt_id] = priced.get(row.attempt_id, 0) + change
    settled = dict(Attempt.objects.values_list("id", "cost_nano_usd"))
    return {
        each: None if settled[each] is None and not priced.get(each) else cost
        for each, cost in costs.items()
    }


def whole_cost() -> int:
    """The cost of everything, by the rows."""
    return sum(cost or 0 for cost in shown_costs().values())


def _some(rng: random.Random, provider: Provider, model: str, **values: Any) -> Try:
    usage = TokenUsage(
        input_tokens=rng.randrange(5_000),
        output_tokens=rng.randrange(900),
        cache_read_tokens=rng.choice((None, 0, 77)),
        reasoning_tokens=rng.choice((None, 13)),
    )
    price = rng.choice((OLD, OLD, PriceRef(), REPORTED))
    return try_at(provider, model, usage=usage, price=price, **values)
