"""Whatever has failed before, the last candidate that is well serves the call."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from tests.providers.failover.faults import FAULTS
from tests.providers.failover.hosts import dead_hosts
from tests.providers.failover.jumping import LoopClock, run_jumping
from tests.providers.failover.stage import DEADLINES, ROUTING
from tests.providers.failover.table import Fault
from tests.providers.failover.trial import told, unsettled
from tests.providers.proxy.pool import Answered, Pool, chat
from tests.upstream.server import FaultUpstream

MOST_KEYS = 4
VENDORS = 3
"""At most 4 keys, so that 3 that fail twice and 1 that serves are within 8 attempts."""

STRATEGIES = (
    "priority",
    "cost",
    "latency",
    "round_robin",
    "weighted",
    "least_busy",
    "quota_aware",
)


@dataclass
class Pile:
    """A pool with one key that works, and what came of a call.

    Shapes:  ``keys`` pairs each key with its vendor and its fault, None = it works.
    """

    number: int
    is_stream: bool
    strategy: str
    keys: list[tuple[int, Fault | None]] = field(default_factory=list)
    served_by: str = ""
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        names = [f"{at}:{fault.name if fault else 'well'}" for at, fault in self.keys]
        form = "stream" if self.is_stream else "whole"
        return f"{self.number} {form} {self.strategy} {', '.join(names)}"


def pile_of(number: int) -> Pile:
    """Draw a pool from its number."""
    rng = random.Random(number)
    pile = Pile(number, is_stream=rng.random() < 0.5, strategy=rng.choice(STRATEGIES))
    faults = [fault for fault in FAULTS if _is_fit(fault, pile.is_stream)]
    count = rng.randint(2, MOST_KEYS)
    well = rng.randrange(count)
    for place in range(count):
        fault = None if place == well else rng.choice(faults)
        pile.keys.append((rng.randrange(VENDORS), fault))
    return pile


def _is_fit(fault: Fault, is_stream: bool) -> bool:
    """Leave out what nobody can help, and what helps itself."""
    is_too_late = is_stream and fault.is_midway
    return not (fault.where == "request" or is_too_late or fault.alone)


async def _try_all(piles: list[Pile]) -> None:
    gate = asyncio.Semaphore(50)
    async with AsyncExitStack() as stack:
        vendors = [
            await stack.enter_async_context(FaultUpstream(seed=1))
            for _ in range(VENDORS)
        ]
        dead = await stack.enter_async_context(dead_hosts())

        async def one(pile: Pile) -> None:
            async with gate:
                await _try(pile, vendors, dead.urls)

        await asyncio.gather(*map(one, piles))


async def _try(pile: Pile, vendors: list[FaultUpstream], dead: dict[str, str]) -> None:
    model = f"m-{pile.number}"
    async with Pool(clock=LoopClock(asyncio.get_running_loop())) as pool:
        hosts: dict[str, list[str]] = {}
        for place, (at, fault) in enumerate(pile.keys):
            secret = f"sk-{pile.number}-{place}-{'bad' if fault else 'well'}"
            url = vendors[at].base_url
            if fault is not None and fault.where == "host":
                url = dead[fault.name]
            elif fault is not None:
                spec = (fault.stream if pile.is_stream else "") or fault.whole
                vendors[at].control.orders[secret] = spec
            hosts.setdefault(url, []).append(secret)
        for url, secrets in hosts.items():
            pool.add_provider(
                url, secrets=tuple(secrets), models=(model,), timeouts=DEADLINES
            )
        pool.set(routing=replace(ROUTING, strategy=pile.strategy))
        answer = await pool.call(chat(model, stream=pile.is_stream))
        pile.broken = [*unsettled(pool)]
        if not _is_clean(pile, answer):
            pile.broken.append(f"{answer.status} {answer.body[:200]!r}")
        last = pool.attempts[-1]
        record = next(
            credential
            for provider in pool.providers.values()
            for credential in provider.credentials
            if credential.id == last.target.credential_id
        )
        pile.served_by = record.mask


def _is_clean(pile: Pile, answer: Answered) -> bool:
    if answer.status != 200 or told(200, answer.body) is not None:
        return False
    return not pile.is_stream or answer.body.endswith(b"data: [DONE]\n\n")


def _fail(count: int) -> list[str]:
    piles = [pile_of(number) for number in range(count)]
    run_jumping(_try_all(piles))
    return [
        f"{pile}: {pile.served_by} {pile.broken}"
        for pile in piles
        if pile.broken or not pile.served_by.endswith("well")
    ]


def test_the_last_one_that_is_well_serves() -> None:
    assert not _fail(200)


@pytest.mark.long
def test_the_last_one_that_is_well_serves_always() -> None:
    assert not _fail(5_000)
