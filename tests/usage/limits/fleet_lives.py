"""Random lives of a fleet whose Redis dies and comes back, for tests and proofs (T46)."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import redis

from poolsite.clock import SystemClock
from tests.rig.redis_server import RedisServer
from usage.limits.contract import (
    Ask,
    Budget,
    Scope,
    ShareUsedUpError,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.fleet import FleetLimits
from usage.limits.redis_fleet import RedisFleet

LIMIT = 1_200
STEPS: Final = {
    "acquire": 70,
    "settle": 55,
    "fall_back": 8,
    "tell": 25,
    "ship": 5,
    "kill": 2,
    "start": 3,
    "flush": 1,
}


@dataclass
class Lives:
    """What a random life came to.

    Units:  ``over`` is the most that was ever spent and held beyond the limit;
            ``difference`` what the store counted beside what was settled, at the end.
    """

    granted: int = 0
    refused: int = 0
    alone_refused: int = 0
    kills: int = 0
    over: int = 0
    difference: int = 0
    held: int = 0


@dataclass
class _World:
    """The truth, kept by hand."""

    nodes: list[FleetLimits]
    spent: Counter[str] = field(default_factory=Counter)
    open: dict[str, tuple[FleetLimits, Ticket]] = field(default_factory=dict)

    @property
    def committed(self) -> int:
        """Return what is spent and what calls under way hold."""
        held = sum(ticket.reserve_nano for _, ticket in self.open.values())
        return self.spent.total() + held


async def live(server: RedisServer, *, steps: int, seed: int, nodes: int = 3) -> Lives:
    """Reserve, fall back, settle, ship and kill at random; compare at the end.

    Shapes:  every call costs at most what it holds, so a hard budget may never be
             exceeded. The server has to run when this begins, and does at the end.
    """
    pick = random.Random(seed)
    world = _World([await _node(server, f"n{number}") for number in range(nodes)])
    lives = Lives()
    budget = Budget(budget_id=seed, window_id="w", limit_nano=LIMIT)
    scope = Scope(key=f"k{seed}", concurrency=1_000, budgets=(budget,))
    is_up = True
    for number in range(steps):
        node = pick.choice(world.nodes)
        step = pick.choices(list(STEPS), list(STEPS.values()))[0]
        if step == "acquire":
            ask = Ask(
                ticket_id=f"{seed}-{number}",
                scopes=(scope,),
                reserve_nano=pick.randint(2, 22),
            )
            await _acquire(world, lives, node, ask)
        elif step == "settle" and world.open:
            await _settle(world, pick)
        elif step == "fall_back" and world.open:
            await _fall_back(world, pick)
        elif step == "tell":
            await node.tell()
        elif step == "ship":
            await _ship(world, node, seed)
        elif step in ("kill", "start", "flush"):
            is_up = await _shake(server, world, lives, step, is_up, pick)
        lives.over = max(lives.over, world.committed - LIMIT)
    if not is_up:
        server.start()
    await _end(world, lives, scope)
    return lives


async def _node(server: RedisServer, name: str) -> FleetLimits:
    store = RedisFleet.connect(server.url, origin=name)
    store.rebuild_s = 0.0
    node = FleetLimits(store, SystemClock())
    await node.open(wait_s=0)
    store.rebuild_s = 3_600.0
    return node


async def _acquire(world: _World, lives: Lives, node: FleetLimits, ask: Ask) -> None:
    try:
        answer = await node.acquire(ask)
    except ShareUsedUpError:
        lives.alone_refused += 1
        return
    if isinstance(answer, Ticket):
        lives.granted += 1
        world.open[answer.id] = (node, answer)
    else:
        lives.refused += 1


async def _settle(world: _World, pick: random.Random) -> None:
    name = pick.choice(list(world.open))
    node, ticket = world.open.pop(name)
    if pick.random() < 0.2:
        assert await node.release(ticket)
        return
    cost = pick.randint(0, ticket.reserve_nano)
    world.spent[node.origin] += cost
    assert await node.settle(ticket, Used(cost_nano=cost))
    assert not await node.settle(ticket, Used(cost_nano=cost))


async def _fall_back(world: _World, pick: random.Random) -> None:
    name = pick.choice(list(world.open))
    node, ticket = world.open[name]
    try:
        answer = await node.re_reserve(ticket, pick.randint(2, 40))
    except (ShareUsedUpError, TicketClosedError):
        return
    if isinstance(answer, Ticket):
        world.open[name] = (node, answer)


async def _ship(world: _World, node: FleetLimits, budget_id: int) -> None:
    """Tell one node what the ledger holds: all that was settled so far."""
    await node.set_shipped(
        budget_id, "w", total_nano=world.spent.total(), by_origin=dict(world.spent)
    )


async def _shake(
    server: RedisServer,
    world: _World,
    lives: Lives,
    step: str,
    is_up: bool,
    pick: random.Random,
) -> bool:
    """Kill the server, start it, or empty it; tell whether it is up."""
    if step == "flush" and is_up:
        with closing(redis.Redis(port=server.port)) as client:
            client.flushall()
    elif step == "kill" and is_up:
        server.kill()
        server.is_kept = pick.random() < 0.5
        lives.kills += 1
        return False
    elif step == "start" and not is_up:
        server.start()
        return True
    return is_up


async def _end(world: _World, lives: Lives, scope: Scope) -> None:
    for node, ticket in world.open.values():
        world.spent[node.origin] += ticket.reserve_nano
        await node.settle(ticket, Used(cost_nano=ticket.reserve_nano))
    for _ in range(3):
        for node in world.nodes:
            assert await node.tell()
    assert all(node.is_whole for node in world.nodes)
    slots, money = await world.nodes[0].status(scope)
    shares = sum(
        account.share for node in world.nodes for account in node._own.accounts.values()
    )
    lives.held = max(0, money.reserved - shares - LIMIT // 20) + 1_000 - slots.remaining
    counted = LIMIT - money.remaining - money.reserved
    if counted <= LIMIT:
        lives.difference = abs(counted - world.spent.total())
    for node in world.nodes:
        await node.close()
