"""The money tests of the catalogue through the proxy: T48, T54, dearer fallbacks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from poolsite.clock import ManualClock
from pricing.cost import PriceSpec
from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.money_trials import Dearer, desert, fall_back_dearer
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream


async def test_t48_a_price_change_during_a_call_bills_the_price_of_its_admission(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "len-40+slow-first-200"
    before = PriceSpec(input=0, output=0, per_request=7 * 10**6)
    pool.models[1] = replace(pool.models[1], price=before, price_version_id=1)
    pool.changed()
    _, task = pool.start(chat())
    await pool.sent()
    after = PriceSpec(input=0, output=0, per_request=900 * 10**6)
    pool.models[1] = replace(pool.models[1], price=after, price_version_id=2)
    pool.changed()
    await task
    assert (pool.attempts[0].cost_nano, pool.attempts[0].price.version_id) == (7, 1)
    await pool.call()
    assert (pool.attempts[1].cost_nano, pool.attempts[1].price.version_id) == (900, 2)


@pytest.mark.parametrize(
    ("price", "cost"), [(None, None), (PriceSpec(input=0, output=0), 0)]
)
async def test_t48_unknown_stays_unknown_and_free_is_zero(
    pool: Pool, price: PriceSpec | None, cost: int | None
) -> None:
    pool.models[1] = replace(pool.models[1], price=price)
    pool.changed()
    await pool.call()
    assert pool.attempts[0].cost_nano == cost


def _check(seen: Dearer) -> None:
    print(
        f"dearer fallback: served {seen.served}, refused {seen.refused}, overshoot "
        f"{max(0, seen.spent - seen.limit)}, difference {seen.difference}"
    )
    assert seen.spent <= seen.limit
    assert seen.served >= 1
    assert seen.refused >= 1
    assert (seen.lost, seen.double, seen.difference) == (0, 0, 0)


async def test_a_dearer_fallback_never_oversteps_a_hard_budget(
    upstream: FaultUpstream,
) -> None:
    _check(await fall_back_dearer(upstream))


@pytest.mark.long
async def test_many_dearer_fallbacks_never_overstep(upstream: FaultUpstream) -> None:
    for _ in range(10):
        _check(await fall_back_dearer(upstream, calls=200))


async def test_t54_streams_dropped_before_their_usage_are_billed(
    upstream: FaultUpstream,
) -> None:
    seen = await desert(upstream, streams=30)
    print(f"T54: billed {seen.share:.3f} of true output tokens")
    assert seen.streams == 30, "all of them left early"
    assert seen.share >= 0.95
    assert seen.unsettled == 0


@pytest.mark.long
async def test_t54_a_thousand_streams_dropped(upstream: FaultUpstream) -> None:
    seen = await desert(upstream, streams=1_000)
    print(f"T54: {seen.streams} streams, billed {seen.share:.4f} of true output tokens")
    assert seen.share >= 0.95
    assert seen.unsettled == 0


async def test_a_days_tokens_are_refused_and_come_back(
    upstream: FaultUpstream,
) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        pool.set_key(tpd=1_000)
        upstream.control.orders["gpt-test"] = "len-300"
        body = chat(max_tokens=300)
        answers = [await pool.call(body) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert "resets at" in answers[-1].error["message"]
        clock.advance(24 * 3600)
        assert (await pool.call(body)).status == 200


async def test_requests_of_a_window_come_back_with_the_next(
    upstream: FaultUpstream,
) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        pool.set_key(window_requests=1, window_s=600)
        assert (await pool.call()).status == 200
        refused = await pool.call()
        assert refused.status == 429
        assert int(refused.header("x-pool-limit-reset") or 0) % 600 == 0
        clock.advance(600)
        assert (await pool.call()).status == 200


async def test_what_a_key_assumes_of_answers_is_reserved(pool: Pool) -> None:
    pool.budgets[1] = BudgetRecord(1, "key", 10**9, "day")
    pool.set_key(budget_ids=(1,), assumed_output_tokens=10)
    await pool.call()
    few = pool.intents[-1].reservation_nano or 0
    pool.set_key(assumed_output_tokens=10_000)
    await pool.call()
    many = pool.intents[-1].reservation_nano or 0
    assert many - few == 9_990 * 2_000
