"""Nodes of a fleet keep the contract, also while Redis dies and comes back."""

from __future__ import annotations

import asyncio

import pytest

from poolsite.clock import ManualClock, SystemClock
from tests.rig.redis_server import RedisServer, need_redis
from tests.usage.limits.contract import (
    CENT,
    USD,
    ask,
    money,
)
from tests.usage.limits.trials import LIMIT, race
from usage.limits.contract import (
    Refusal,
    RequestCount,
    Scope,
    ShareUsedUpError,
    Ticket,
    Used,
)
from usage.limits.fleet import FleetLimits
from usage.limits.gcra import per_minute
from usage.limits.redis_fleet import RedisFleet

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path):
    need_redis()
    with RedisServer(tmp_path) as started:
        yield started


class Fleet:
    """Two nodes on one server, each with its own connections."""

    def __init__(self, server, rebuild_s=8.0):
        self.server = server
        self.rebuild_s = rebuild_s
        self.nodes = []

    async def __aenter__(self):
        self.nodes = [await self.node(name) for name in ("one", "two")]
        for node in self.nodes:
            await node.tell()
        return self

    async def __aexit__(self, *_):
        for node in self.nodes:
            await node.close()

    async def node(self, name, *, nodes=1):
        store = RedisFleet.connect(self.server.url, origin=name)
        store.rebuild_s = self.rebuild_s if self.nodes else 0.0
        fleet = FleetLimits(store, SystemClock(), nodes=nodes)
        await fleet.open(wait_s=0)
        store.rebuild_s = self.rebuild_s
        return fleet

    async def tell(self):
        return [await node.tell() for node in self.nodes]


async def spend(node, scope, nano, count):
    """Make calls of one price; return how many were served."""
    served = 0
    for _ in range(count):
        try:
            answer = await node.acquire(ask(scope, nano=nano))
        except ShareUsedUpError:
            continue
        if isinstance(answer, Ticket):
            await node.settle(answer, Used(cost_nano=nano))
            served += 1
    return served


async def left_of(node, scope):
    (status,) = await node.status(scope)
    return status.remaining


async def test_rpm_60_stays_60_on_two_nodes(server):
    scope = Scope(key="k", rpm=per_minute(60))
    async with Fleet(server) as fleet:
        answers = await asyncio.gather(
            *(fleet.nodes[n % 2].acquire(ask(scope)) for n in range(200))
        )
    assert sum(isinstance(each, Ticket) for each in answers) == 60


async def test_without_redis_each_node_goes_on_with_its_part(server):
    scope = Scope(
        key="k",
        rpm=per_minute(60),
        tpm=per_minute(9_000),
        concurrency=50,
        requests=RequestCount(limit=1_000, window_id="w"),
    )
    async with Fleet(server) as fleet:
        server.kill()
        served = [
            [await node.acquire(ask(scope, tokens=10)) for _ in range(50)]
            for node in fleet.nodes
        ]
        granted = [sum(isinstance(e, Ticket) for e in node) for node in served]
        assert granted == [25, 25]
        assert not any(node.is_shared for node in fleet.nodes)


async def test_what_a_node_took_before_counts_when_it_is_alone(server):
    scope = Scope(key="k", rpm=per_minute(60))
    async with Fleet(server) as fleet:
        node = fleet.nodes[0]
        for _ in range(40):
            assert isinstance(await node.acquire(ask(scope)), Ticket)
        server.kill()
        refusal = await node.acquire(ask(scope))
        assert isinstance(refusal, Refusal)
        assert 0 < refusal.retry_after_s <= 2.1


async def test_t36_hard_budget_goes_on_from_the_share_and_then_refuses(server):
    scope = Scope(key="k", budgets=(money(100 * USD),))
    async with Fleet(server) as fleet:
        for node in fleet.nodes:
            assert await spend(node, scope, 10 * CENT, 1) == 1
        await fleet.tell()
        server.kill()
        # A hundredth of what was left: 99.80 USD, and then of what that left.
        served = [await spend(node, scope, 10 * CENT, 30) for node in fleet.nodes]
        assert served == [9, 9]
        assert [node.alone_refused for node in fleet.nodes] == [21, 21]


async def test_free_calls_need_no_share(server):
    scope = Scope(key="k", budgets=(money(USD),))
    async with Fleet(server) as fleet:
        server.kill()
        answer = await fleet.nodes[0].acquire(ask(scope, nano=0))
        assert isinstance(answer, Ticket)


async def test_soft_budget_goes_on_by_what_the_node_knows(server):
    scope = Scope(key="k", budgets=(money(USD, hard=False),))
    async with Fleet(server) as fleet:
        node = fleet.nodes[0]
        await node.set_shipped(1, "day-1", total_nano=95 * CENT, by_origin={})
        server.kill()
        answer = await node.acquire(ask(scope, nano=10 * CENT))
        assert answer.warnings
        assert isinstance(await node.acquire(ask(scope, nano=CENT)), Refusal)


@pytest.mark.parametrize("is_kept", [False, True], ids=["empty", "old data"])
async def test_t36_a_server_that_returns_knows_what_was_spent(tmp_path, is_kept):
    scope = Scope(key="k", concurrency=99, budgets=(money(100 * USD),))
    need_redis()
    with RedisServer(tmp_path, is_kept=is_kept) as server:
        async with Fleet(server) as fleet:
            one, two = fleet.nodes
            for node in fleet.nodes:
                assert await spend(node, scope, 10 * CENT, 5) == 5
            held = await one.acquire(ask(scope, nano=3 * USD))
            await fleet.tell()
            server.kill()
            assert await spend(one, scope, 10 * CENT, 4) == 4
            late = await two.acquire(ask(scope, nano=20 * CENT))
            server.start()
            await fleet.tell()
            await fleet.tell()
            assert one.is_whole
            assert two.is_whole
            slots, budget = await two.status(scope)
            shares = [node._own.accounts[1, "day-1"].share for node in fleet.nodes]
            spent = 14 * 10 * CENT
            assert slots.remaining == 97
            # A share that shrinks is lowered by its node first.
            beyond = budget.reserved - (3 * USD + 20 * CENT + sum(shares))
            assert 0 <= beyond < 10 * CENT
            assert budget.remaining == 100 * USD - spent - budget.reserved
            await one.settle(held, Used(cost_nano=USD))
            await two.settle(late, Used(cost_nano=20 * CENT))
            _, budget = await one.status(scope)
            gone = 100 * USD - budget.remaining - budget.reserved
            assert gone == spent + USD + 20 * CENT


async def test_t36_nothing_is_given_away_before_every_node_was_heard_of(server):
    scope = Scope(key="k", budgets=(money(USD),))
    async with Fleet(server) as fleet:
        one, two = fleet.nodes
        held = await two.acquire(ask(scope, nano=95 * CENT))
        await fleet.tell()
        server.kill()
        server.start()
        await one.tell()
        assert (one.is_shared, one.is_whole) == (True, False)
        with pytest.raises(ShareUsedUpError):
            await one.acquire(ask(scope, nano=10 * CENT))
        await two.tell()
        await one.tell()
        assert one.is_whole
        refusal = await one.acquire(ask(scope, nano=10 * CENT))
        assert isinstance(refusal, Refusal)
        await two.settle(held, Used(cost_nano=80 * CENT))
        assert isinstance(await one.acquire(ask(scope, nano=10 * CENT)), Ticket)


async def test_t36_a_node_that_never_returns_is_waited_for_only_so_long(server):
    scope = Scope(key="k", budgets=(money(USD),))
    async with Fleet(server, rebuild_s=0.6) as fleet:
        one, two = fleet.nodes
        await fleet.tell()
        server.kill()
        server.start()
        await one.tell()
        assert not one.is_whole
        await asyncio.sleep(0.7)
        await one.tell()
        assert one.is_whole
        assert await spend(one, scope, 10 * CENT, 1) == 1
        # It was silent, and is taken in again.
        assert await spend(two, scope, 10 * CENT, 1) == 0
        await two.tell()
        assert await spend(two, scope, 10 * CENT, 1) == 1


async def test_data_that_was_flushed_is_told_again(server):
    scope = Scope(key="k", budgets=(money(USD),))
    async with Fleet(server) as fleet:
        one, two = fleet.nodes
        for node in fleet.nodes:
            await spend(node, scope, 10 * CENT, 3)
        await one._redis._client.flushall()
        # The first call finds that nobody is known any more.
        assert await spend(one, scope, 10 * CENT, 1) == 0
        assert await spend(two, scope, 10 * CENT, 1) == 0
        await fleet.tell()
        await fleet.tell()
        assert await left_of(one, scope) == 40 * CENT


async def test_server_that_stands_still_is_no_end_of_service(server):
    scope = Scope(key="k", rpm=per_minute(60))
    async with Fleet(server) as fleet:
        server.pause()
        try:
            answer = await fleet.nodes[0].acquire(ask(scope))
        finally:
            server.resume()
        assert isinstance(answer, Ticket)
        await asyncio.sleep(0)
        assert await fleet.nodes[0].tell()
        assert fleet.nodes[0].is_shared


async def test_refused_node_gets_what_others_hold_as_shares(server):
    scope = Scope(key="k", budgets=(money(10 * USD),))
    async with Fleet(server) as fleet:
        one, two = fleet.nodes
        for node in fleet.nodes:
            await spend(node, scope, 5 * CENT, 1)
        await fleet.tell()
        shares = [node._own.accounts[1, "day-1"].share for node in fleet.nodes]
        assert all(share > 5 * CENT for share in shares)
        served = await spend(one, scope, 5 * CENT, 300)
        # First the node that holds a share lowers it, then Redis gives it away.
        for _ in range(2):
            await fleet.tell()
        served += await spend(two, scope, 5 * CENT, 300)
        assert served == 198
        assert await left_of(one, scope) == 0


async def test_share_ends_with_its_lease(server):
    scope = Scope(key="k", budgets=(money(10 * USD),))
    clock = ManualClock()
    async with Fleet(server):
        store = RedisFleet.connect(server.url, origin="three")
        store.rebuild_s = 0
        node = FleetLimits(store, clock)
        await node.open(wait_s=0)
        await spend(node, scope, CENT, 1)
        await node.tell()
        server.kill()
        assert await spend(node, scope, CENT, 1) == 1
        clock.advance(59.5)
        assert await spend(node, scope, CENT, 1) == 0
        await node.close()


async def test_node_starts_without_redis_with_its_guess_of_the_others(server):
    scope = Scope(key="k", rpm=per_minute(60), budgets=(money(USD),))
    async with Fleet(server) as fleet:
        server.kill()
        node = await fleet.node("late", nodes=3)
        answers = [await node.acquire(ask(scope)) for _ in range(30)]
        assert sum(isinstance(each, Ticket) for each in answers) == 20
        server.start()
        assert await node.tell()
        assert node.is_shared
        await node.close()


async def test_fallback_is_paid_from_the_share_too(server):
    scope = Scope(key="k", budgets=(money(100 * USD),))
    async with Fleet(server) as fleet:
        node = fleet.nodes[0]
        ticket = await node.acquire(ask(scope, nano=10 * CENT))
        await node.tell()
        server.kill()
        ticket = await node.re_reserve(ticket, 60 * CENT)
        assert ticket.reserve_nano == 60 * CENT
        with pytest.raises(ShareUsedUpError):
            await node.re_reserve(ticket, 2 * USD)
        ticket = await node.re_reserve(ticket, 30 * CENT)
        assert await node.settle(ticket, Used(cost_nano=25 * CENT))
        assert not await node.settle(ticket, Used(cost_nano=25 * CENT))
        server.start()
        await fleet.tell()
        await fleet.tell()
        (status,) = await node.status(scope)
        assert status.remaining + status.reserved == 100 * USD - 25 * CENT


async def test_t45_race_of_a_fleet_that_tells_meanwhile(server):
    async with Fleet(server) as fleet:
        for seed in range(3):
            seen = await race([*fleet.nodes], seed=seed, each_round=fleet.tell)
            print(seen)
            assert max(seen.peak, seen.spent) <= LIMIT
            assert seen.served >= 98
            assert seen.difference == 0


async def test_who_tells_ends_when_cancelled_whatever_it_waits_for(server):
    async with Fleet(server) as fleet:
        for pause_s in (0, 0.001, 0.003, 0.01, 0.03):
            task = asyncio.ensure_future(fleet.nodes[0].run())
            fleet.nodes[0]._lost.set()
            await asyncio.sleep(pause_s)
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            assert task.cancelled()


async def test_who_leaves_while_it_is_let_in_holds_nothing(server, monkeypatch):
    """Its place is free with the next telling, not only when the lease ends."""
    scope = Scope(key="provider:1", concurrency=1)
    async with Fleet(server) as fleet:
        one, two = fleet.nodes
        acquire, granted = one._redis.acquire, asyncio.Event()

        async def unheard(wanted):
            await acquire(wanted)
            granted.set()
            await asyncio.sleep(60)

        monkeypatch.setattr(one._redis, "acquire", unheard)
        leaving = asyncio.create_task(one.acquire(ask(scope)))
        await granted.wait()
        assert isinstance(await two.acquire(ask(scope)), Refusal)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await one.tell()
        assert isinstance(await two.acquire(ask(scope)), Ticket)
