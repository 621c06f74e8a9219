from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from poolsite.clock import ManualClock
from pricing.cost import PriceSpec
from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream
from usage.limits.contract import Scope

USD = 10**9


def budgeted(pool: Pool, amount: int, **changes: Any) -> None:
    pool.budgets[1] = BudgetRecord(1, "key", amount, "day", **changes)
    pool.set_key(budget_ids=(1,))


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"rpm": 2}, "requests per minute"),
        ({"window_requests": 2, "window_s": 3600}, "requests in this window"),
    ],
)
async def test_a_rate_refuses_with_its_reset_and_consumes_nothing(
    upstream: FaultUpstream, limits: dict[str, Any], word: str
) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        pool.set_key(**limits)
        for _ in range(2):
            assert (await pool.call()).status == 200
        refused = await pool.call()
        assert refused.status == 429
        assert refused.error["code"] == "rate_limit_exceeded"
        assert word in refused.error["message"]
        assert "resets at 2026-01-01T0" in refused.error["message"]
        assert int(refused.header("retry-after") or 0) >= 1
        assert refused.header("x-pool-limit-reset")
        assert len(upstream.served) == 2
        last = pool.settles[-1]
        assert last.attempt is None
        assert last.request is not None
        assert (last.request.status, last.request.outcome) == (429, "refused")


async def test_slots_are_given_back(pool: Pool, upstream: FaultUpstream) -> None:
    pool.set_key(concurrency=1)
    upstream.control.orders["gpt-test"] = "slow-first-200"
    first, task = pool.start(chat())
    await pool.sent()
    refused = await pool.call()
    assert refused.status == 429
    await task
    assert first.answer.status == 200
    assert (await pool.call()).status == 200


async def test_a_budget_serves_exactly_what_fits(
    upstream: FaultUpstream,
) -> None:
    """200 calls of 0.05 USD against 1.00 USD: 20 served, settled to the nano."""
    flat = PriceSpec(input=0, output=0, per_request=50_000_000 * 10**6)
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=flat)
        budgeted(pool, USD)
        calls = [pool.call(chat(max_tokens=10)) for _ in range(200)]
        answers = await asyncio.gather(*calls)
        served = [a for a in answers if a.status == 200]
        refused = [a for a in answers if a.status == 429]
        assert (len(served), len(refused)) == (20, 180)
        assert {a.error["code"] for a in refused} == {"insufficient_quota"}
        costs = [s.request.cost_nano for s in pool.settles if s.request]
        assert sum(c or 0 for c in costs) == USD
        late = await pool.call(chat(max_tokens=10))
        assert late.status == 429
        assert "resets at" in late.error["message"]
        assert late.header("x-should-retry") == "false"


async def test_an_overestimate_is_given_back(pool: Pool) -> None:
    budgeted(pool, USD)
    await pool.call(chat(max_tokens=100_000))
    spent = pool.request.request.cost_nano if pool.request.request else None
    status = await pool.limits.status(
        Scope(key="key:1", budgets=pool.intents and _budgets(pool))
    )
    assert status[0].reserved == 0
    assert status[0].remaining == USD - (spent or 0)
    assert pool.attempts[0].budget_deltas == (
        (1, *pool.intents[0].budgets[0][1:], spent),
    )


def _budgets(pool: Pool) -> Any:
    from usage.limits.contract import Budget

    budget_id, window_id = pool.intents[0].budgets[0]
    return (Budget(budget_id=budget_id, window_id=window_id, limit_nano=USD),)


async def test_a_soft_budget_lets_the_crossing_call_complete(pool: Pool) -> None:
    budgeted(pool, 1, hard=False)
    assert (await pool.call()).status == 200
    assert (await pool.call()).status == 429


async def test_a_model_without_a_price_is_refused_under_a_hard_budget(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=None)
        assert (await pool.call()).header("x-pool-unpriced") == "true"
        assert pool.request.request is not None
        assert pool.request.request.unpriced
        assert pool.request.request.cost_nano is None
        budgeted(pool, USD)
        refused = await pool.call()
        assert refused.status == 403
        assert refused.error["code"] == "model_unpriced"


async def test_the_configured_price_stands_in_for_an_unknown_one(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=None)
        pool.set(default_unpriced_price=PriceSpec(input=10**9, output=10**9))
        budgeted(pool, USD)
        assert (await pool.call()).status == 200
        assert pool.attempts[0].price.source == "default"
        assert pool.attempts[0].cost_nano


async def test_a_key_that_blocks_unpriced_models_gets_none(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=None)
        pool.set_key(unpriced="block")
        assert (await pool.call()).status == 403


async def test_a_call_of_unknown_cost_is_counted_with_its_model(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=None)
        assert (await pool.call()).status == 200
        [(provider, model)] = pool.metrics.unpriced
        target = pool.attempts[0].target
        assert (provider, model) == (target.provider_slug, target.upstream_model)
        pool.set(default_unpriced_price=PriceSpec(input=10**9, output=10**9))
        assert (await pool.call()).status == 200
        assert len(pool.metrics.unpriced) == 1


async def test_a_key_on_the_default_price_is_refused_while_there_is_none(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=None)
        pool.set_key(unpriced="default")
        refused = await pool.call()
        assert refused.error["code"] == "model_unpriced"
        pool.set(default_unpriced_price=PriceSpec(input=10**9, output=10**9))
        assert (await pool.call()).status == 200


@pytest.mark.parametrize(
    ("policy", "status"), [("allow", 200), ("default", 200), ("block", 403)]
)
async def test_a_default_price_is_no_price_of_the_model_itself(
    policy: str, status: int, upstream: FaultUpstream
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url)
        pool.models[1] = replace(pool.models[1], price_source="default")
        pool.set_key(unpriced=policy)
        assert (await pool.call()).status == status


async def test_a_budget_starts_anew_with_its_window(upstream: FaultUpstream) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        budgeted(pool, 1, hard=False)
        assert (await pool.call()).status == 200
        assert (await pool.call()).status == 429
        clock.advance(24 * 3600)
        assert (await pool.call()).status == 200


async def test_answers_say_what_remains(pool: Pool) -> None:
    pool.set_key(rpm=10, concurrency=3)
    answer = await pool.call()
    told = (answer.header("x-pool-limits") or "").split(", ")
    assert told[0].startswith("requests;limit=10;remaining=9;reset=")
    assert told[1].startswith("concurrency;limit=3;remaining=2")


async def test_a_daily_token_limit_refuses(pool: Pool) -> None:
    pool.set_key(tpd=100)
    refused = await pool.call(chat(max_tokens=500))
    assert refused.status == 429
    assert "larger than the whole limit" in refused.error["message"]


async def test_a_refused_call_leaves_no_ticket_behind(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.set_key(concurrency=1)
    upstream.control.orders["gpt-test"] = "400"
    for _ in range(3):
        assert (await pool.call()).status == 400
