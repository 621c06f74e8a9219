"""The Redis store keeps the same contract, across nodes."""

from __future__ import annotations

import asyncio
import random
import time
import uuid

import msgspec
import pytest

from poolsite.clock import ManualClock
from tests.usage.limits.contract import (
    CENT,
    USD,
    Bench,
    LimitStoreContract,
    ask,
    money,
)
from usage.limits.contract import (
    LimitStatus,
    LimitStoreError,
    Refusal,
    RequestCount,
    Scope,
    Ticket,
    Used,
)
from usage.limits.gcra import per_minute
from usage.limits.memory import MemoryLimits
from usage.limits.redis import RedisLimits
from usage.limits.redis_words import answer_of

pytestmark = pytest.mark.redis


@pytest.fixture
async def shared(redis_socket):
    store = RedisLimits.connect(f"unix://{redis_socket}", origin="shared")
    yield store
    await store.close()


@pytest.fixture
def client(shared):
    return shared._client


@pytest.fixture
def prefix():
    return f"test:{{{uuid.uuid4().hex}}}:"


class TestRedisLimits(LimitStoreContract):
    follows_monotonic = False

    @pytest.fixture
    def bench(self, client, prefix):
        clock = ManualClock()
        store = RedisLimits(client, origin="me", prefix=prefix, clock=clock)
        return Bench(store, clock, 60)


@pytest.fixture
def nodes(client, prefix):
    return [RedisLimits(client, origin=name, prefix=prefix) for name in ("one", "two")]


async def test_two_nodes_share_a_budget_exactly(nodes):
    scope = Scope(key="k", budgets=(money(USD),))
    answers = await asyncio.gather(
        *(nodes[n % 2].acquire(ask(scope, nano=5 * CENT)) for n in range(200))
    )
    assert sum(isinstance(each, Ticket) for each in answers) == 20


async def test_ticket_of_one_node_is_settled_once_by_any(nodes):
    scope = Scope(key="k", concurrency=1, budgets=(money(100),))
    ticket = await nodes[0].acquire(ask(scope, nano=60))
    answers = [await each.settle(ticket, Used(cost_nano=50)) for each in nodes * 2]
    assert answers == [True, False, False, False]
    slots, budget = await nodes[1].status(scope)
    assert (slots.remaining, budget.remaining) == (1, 50)


async def test_ledger_corrects_each_node_by_its_own_share(nodes):
    scope = Scope(key="k", budgets=(money(100),))
    for node, cost in zip(nodes, (20, 30), strict=True):
        ticket = await node.acquire(ask(scope, nano=cost))
        await node.settle(ticket, Used(cost_nano=cost))
    await nodes[0].set_shipped(1, "day-1", total_nano=20, by_origin={"one": 20})
    (status,) = await nodes[0].status(scope)
    assert status.remaining == 50
    await nodes[1].set_shipped(
        1, "day-1", total_nano=55, by_origin={"one": 20, "two": 30}
    )
    (status,) = await nodes[0].status(scope)
    assert status.remaining == 45


async def test_t50_server_time_rules_whatever_a_nodes_clock_says(nodes):
    scope = Scope(key="k", rpm=per_minute(1))
    assert isinstance(await nodes[0].acquire(ask(scope)), Ticket)
    refusal = await nodes[1].acquire(ask(scope))
    assert 55 < refusal.retry_after_s <= 60
    assert abs(refusal.reset_at - time.time() - 60) < 5


async def test_nodes_lose_no_slot_of_a_crashed_node(client, prefix):
    clock = ManualClock()
    store = RedisLimits(client, origin="me", prefix=prefix, clock=clock)
    scope = Scope(key="k", concurrency=800)
    for _ in range(800):
        await store.acquire(ask(scope))
    clock.advance(61)
    assert await store.free_expired() == 500
    assert await store.free_expired() == 300
    (status,) = await store.status(scope)
    assert status.remaining == 800


async def test_every_key_carries_the_hash_tag_and_an_end(client, prefix, nodes):
    scope = Scope(
        key="k", rpm=per_minute(9), budgets=(money(100, ends_at=time.time() + 60),)
    )
    ticket = await nodes[0].acquire(ask(scope, nano=10))
    await nodes[0].settle(ticket, Used(cost_nano=5))
    await nodes[0].acquire(ask(scope, nano=10))
    keys = [key.decode() async for key in client.scan_iter(match=f"{prefix}*")]
    assert len(keys) == 4
    ends = {key: await client.pttl(key) for key in keys}
    assert all(end > 0 for key, end in ends.items() if not key.endswith("leases"))


async def test_lost_script_is_loaded_again(client, nodes):
    await nodes[0].open()
    await client.script_flush()
    assert isinstance(await nodes[0].acquire(ask(Scope(key="k"))), Ticket)


async def test_open_ticket_asked_again_after_a_lost_answer(nodes):
    scope = Scope(key="k", concurrency=5, budgets=(money(100),))
    wanted = ask(scope, nano=10)
    first = await nodes[0].acquire(wanted)
    assert await nodes[1].acquire(wanted) == first


async def test_unreachable_server_is_the_pools_own_fault(tmp_path):
    store = RedisLimits.connect(f"unix://{tmp_path}/nobody.sock", origin="me")
    with pytest.raises(LimitStoreError):
        await store.acquire(ask(Scope(key="k")))
    with pytest.raises(LimitStoreError):
        await store.open()
    await store.close()


async def test_script_and_wording_that_disagree_are_an_error(client, prefix):
    await client.set(f"{prefix}s:k", "not a hash of counts")
    store = RedisLimits(client, origin="me", prefix=prefix)
    with pytest.raises(LimitStoreError):
        await store.acquire(ask(Scope(key="k", concurrency=1)))
    with pytest.raises(LimitStoreError, match="sees room"):
        answer_of(0, [], [])


class Twins:
    """The same calls to both stores, which must answer alike."""

    def __init__(self, client, prefix):
        self.clock = ManualClock()
        self.stores = (
            MemoryLimits(self.clock, origin="me"),
            RedisLimits(client, origin="me", prefix=prefix, clock=self.clock),
        )

    async def call(self, method, *args, **values):
        ours, theirs = [
            await getattr(store, method)(*args, **values) for store in self.stores
        ]
        assert plain(ours) == plain(theirs)
        return ours


def plain(answer):
    """Round times to a tenth of a millisecond: two clocks, two roundings."""
    if isinstance(answer, tuple):
        return [plain(each) for each in answer]
    if not isinstance(answer, Refusal | LimitStatus):
        return answer
    values = msgspec.structs.asdict(answer)
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


def random_scope(pick, key):
    budgets = tuple(
        money(
            pick.choice([300, 1_000, 5_000]),
            budget_id=number,
            window=f"day-{pick.randint(1, 2)}",
            hard=pick.random() < 0.7,
            ends_at=pick.choice([None, 1_800_000_000.0]),
        )
        for number in pick.sample(range(3), pick.randint(0, 2))
    )
    return Scope(
        key=key,
        rpm=pick.choice([None, per_minute(pick.choice([7, 60, 999]), 5)]),
        tpm=pick.choice([None, per_minute(7_001, pick.choice([500, 7_001]))]),
        concurrency=pick.choice([None, 2, 4]),
        requests=pick.choice([None, RequestCount(limit=9, window_id="w", used=1)]),
        budgets=budgets,
    )


async def live_alike(twins, pick, steps):
    open_tickets = []
    for number in range(steps):
        twins.clock.advance(pick.choice([0, 0, 0.001, 0.7, 9, 31]))
        step = pick.choice(["acquire"] * 5 + ["settle"] * 3 + ["rest"] * 3)
        if step == "acquire" or not open_tickets:
            first = random_scope(pick, pick.choice("ab"))
            scopes = [first]
            if not first.budgets:
                scopes.append(random_scope(pick, "team"))
            wanted = ask(
                *scopes,
                ticket=str(number),
                tokens=pick.randint(0, 600),
                nano=pick.choice([0, 50, 333]),
            )
            answer = await twins.call("acquire", wanted)
            if isinstance(answer, Ticket):
                open_tickets.append(answer)
            continue
        # Older ones are forgotten by each store in its own time.
        ticket = pick.choice(open_tickets[-40:])
        if step == "settle":
            used = Used(
                tokens=pick.choice([None, 0, 300, 900]),
                cost_nano=pick.choice([None, 0, 40, 500]),
            )
            await twins.call("settle", ticket, used)
        else:
            await rest_alike(twins, pick, ticket)
        await twins.call("status", pick.choice(ticket.ask.scopes))


async def rest_alike(twins, pick, ticket):
    step = pick.choice(["renew", "release", "ship", "fall_back"])
    if step == "ship":
        own = pick.randint(0, 300)
        await twins.call(
            "set_shipped",
            pick.randint(0, 2),
            "day-1",
            total_nano=own + pick.randint(0, 100),
            by_origin={"me": own},
        )
    elif step == "fall_back":
        if await twins.call("renew", ticket):
            await twins.call("re_reserve", ticket, pick.choice([0, 50, 400, 2_000]))
    else:
        await twins.call(step, ticket)


@pytest.mark.parametrize("seed", range(20))
async def test_both_stores_answer_alike(client, prefix, seed):
    await live_alike(Twins(client, prefix), random.Random(seed), 200)


@pytest.mark.long
async def test_both_stores_answer_alike_for_long(client):
    for seed in range(100, 150):
        twins = Twins(client, f"long:{{{uuid.uuid4().hex}}}:")
        await live_alike(twins, random.Random(seed), 1_000)


@pytest.mark.long
async def test_admissions_per_second_are_printed(client, prefix):
    store = RedisLimits(client, origin="me", prefix=prefix)
    scope = Scope(
        key="k",
        rpm=per_minute(10**6),
        tpm=per_minute(10**8),
        concurrency=10**6,
        budgets=(money(10**6 * USD),),
    )

    async def admit(count):
        for _ in range(count):
            ticket = await store.acquire(ask(scope, tokens=1_000, nano=10_000))
            await store.settle(ticket, Used(tokens=900, cost_nano=9_000))

    start = time.perf_counter()
    await asyncio.gather(*(admit(250) for _ in range(16)))
    pairs = 4_000 / (time.perf_counter() - start)
    print(f"limits in Redis: {pairs:,.0f} admissions with their settles a second")
