"""The in-process store keeps the contract, and stays small."""

from __future__ import annotations

import time

import pytest

from poolsite.clock import ManualClock, SystemClock
from tests.usage.limits.contract import (
    USD,
    Bench,
    LimitStoreContract,
    ask,
    money,
)
from usage.limits.contract import RequestCount, Scope, Ticket, Used
from usage.limits.gcra import per_minute
from usage.limits.memory import MemoryLimits


class TestMemoryLimits(LimitStoreContract):
    @pytest.fixture
    def bench(self):
        clock = ManualClock()
        return Bench(MemoryLimits(clock, origin="me", lease_s=60), clock, 60)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return MemoryLimits(clock, origin="me")


async def test_idle_subjects_and_windows_go_away(store, clock):
    for number in range(300):
        end = clock.time_ns() / 1e9 + 10
        scope = Scope(
            key=f"key:{number}",
            rpm=per_minute(10),
            tpm=per_minute(10),
            requests=RequestCount(limit=5, window_id="w", ends_at=end),
            budgets=(money(USD, budget_id=number, ends_at=end),),
        )
        ticket = await store.acquire(ask(scope, tokens=1, nano=1))
        await store.settle(ticket, Used(tokens=1, cost_nano=1))
    assert (len(store._subjects), len(store._windows)) == (300, 300)
    clock.advance(3 * 86_400)
    for _ in range(160):
        await store.acquire(ask(Scope(key="other", rpm=per_minute(10**6))))
    assert (len(store._subjects), len(store._windows)) == (1, 0)


async def test_unshipped_money_of_an_open_window_is_never_forgotten(store, clock):
    scope = Scope(key="k", budgets=(money(100),))
    ticket = await store.acquire(ask(scope, nano=60))
    await store.settle(ticket, Used(cost_nano=60))
    clock.advance(30 * 86_400)
    for _ in range(10):
        await store.acquire(ask(Scope(key="other")))
    (status,) = await store.status(scope)
    assert status.remaining == 40


async def test_money_the_ledger_knows_is_not_forgotten_while_the_window_is_open(
    store, clock
):
    end = clock.time_ns() / 1e9 + 30 * 86_400
    scope = Scope(key="k", budgets=(money(100, ends_at=end),))
    ticket = await store.acquire(ask(scope, nano=100))
    await store.settle(ticket, Used(cost_nano=100))
    budget = scope.budgets[0]
    await store.set_shipped(
        budget.budget_id, budget.window_id, total_nano=100, by_origin={"me": 100}
    )
    clock.advance(2 * 3_600)
    answers = [await store.acquire(ask(scope, nano=10)) for _ in range(30)]
    assert not [each for each in answers if isinstance(each, Ticket)]


async def test_open_tickets_keep_their_subject(store, clock):
    scope = Scope(key="k", concurrency=1)
    ticket = await store.acquire(ask(scope))
    for _ in range(300):
        clock.advance(30)
        assert await store.renew(ticket)
        await store.acquire(ask(Scope(key="other")))
    (status,) = await store.status(scope)
    assert status.remaining == 0


async def test_tickets_lost_long_ago_are_forgotten(store, clock):
    ticket = await store.acquire(ask(Scope(key="k")))
    clock.advance(61)
    assert await store.free_expired() == 1
    clock.advance(3_601)
    assert await store.free_expired() == 0
    assert not await store.settle(ticket, Used(cost_nano=1))


async def measure(subjects):
    store = MemoryLimits(SystemClock(), origin="me")
    scopes = [
        Scope(
            key=f"key:{number}",
            rpm=per_minute(10**6),
            tpm=per_minute(10**9),
            concurrency=1_000,
            budgets=(money(10**6 * USD, budget_id=number),),
        )
        for number in range(subjects)
    ]
    asks = [
        ask(scopes[number % subjects], tokens=1_000, nano=10_000)
        for number in range(max(20_000, subjects))
    ]
    used = Used(tokens=900, cost_nano=9_000)
    for each in asks[:subjects]:
        await store.settle(await store.acquire(each), used)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for each in asks[:5_000]:
            ticket = await store.acquire(each)
            assert isinstance(ticket, Ticket)
            await store.settle(ticket, used)
        best = min(best, (time.perf_counter() - start) / 5_000)
    return best * 1e6


@pytest.mark.long
async def test_cost_does_not_grow_with_the_number_of_subjects():
    few, many = await measure(10), await measure(100_000)
    print(f"limits in memory: {few:.1f} us with 10 subjects, {many:.1f} with 100,000")
    assert few < 15
    assert many < 30
