"""Trials of money and limits that tests run briefly and ``make prove`` at length.

Each returns figures rather than asserting, so that both can say what they saw.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from poolsite.clock import ManualClock
from usage.limits.contract import Ask, Budget, LimitStore, Refusal, Scope, Ticket, Used
from usage.limits.memory import MemoryLimits
from usage.limits.windows import window_at

LIMIT = 1_000_000_000
KATHMANDU = "Asia/Kathmandu"  # +05:45
BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@dataclass
class Race:
    """What a race of clients for one budget came to.

    Units:  nano-USD; ``peak`` is the most that was ever spent and reserved,
            ``difference`` lies between what was settled and what the store counted.
    """

    served: int = 0
    refused: int = 0
    spent: int = 0
    peak: int = 0
    difference: int = 0


async def race(
    stores: Sequence[LimitStore],
    *,
    calls: int = 100,
    clients: int = 64,
    seed: int = 1,
    each_round: Callable[[], Awaitable[object]] | None = None,
) -> Race:
    """Let clients race for a hard budget of exactly so many calls (T45).

    Shapes:  a client stays until it is refused for good; ``stores`` are nodes of one
             state, or one store. ``each_round`` is done again and again meanwhile.
    """
    pick = random.Random(seed)
    price = LIMIT // calls
    budget = Budget(budget_id=1, window_id=f"race-{seed}", limit_nano=price * calls)
    scope = Scope(key=f"race:{seed}", budgets=(budget,))
    result = Race()

    async def client(number: int) -> None:
        store = stores[number % len(stores)]
        for turn in range(calls * 10):
            name = f"r{seed}-{number}-{turn}"
            answer = await store.acquire(
                Ask(ticket_id=name, scopes=(scope,), reserve_nano=price)
            )
            if isinstance(answer, Refusal):
                result.refused += 1
                if result.spent + price > budget.limit_nano:
                    return
                await asyncio.sleep(0)
                continue
            [status] = await store.status(scope)
            result.peak = max(result.peak, budget.limit_nano - status.remaining)
            for _ in range(pick.randint(0, 3)):
                await asyncio.sleep(0)
            await store.settle(answer, Used(cost_nano=price))
            result.served += 1
            result.spent += price

    is_over = False

    async def rounds() -> None:
        while each_round is not None and not is_over:
            await each_round()
            await asyncio.sleep(0.01)

    beside = asyncio.ensure_future(rounds())
    await asyncio.gather(*(client(number) for number in range(clients)))
    is_over = True
    await beside
    [status] = await stores[0].status(scope)
    left = status.remaining + status.reserved
    result.difference = budget.limit_nano - left - result.spent
    return result


@dataclass
class Replayed:
    """What settles that came more than once added up to."""

    tickets: int
    settles: int
    counted: int
    expected: int
    held: int

    @property
    def double(self) -> int:
        """Nano-USD counted more than once."""
        return max(0, self.counted - self.expected)

    @property
    def lost(self) -> int:
        """Nano-USD not counted."""
        return max(0, self.expected - self.counted)


async def replay(
    stores: Sequence[LimitStore], *, tickets: int = 200, seed: int = 1
) -> Replayed:
    """Settle each ticket 1 to 5 times, in any order and from any node (T49)."""
    pick = random.Random(seed)
    budget = Budget(budget_id=2, window_id=f"replay-{seed}", limit_nano=2**50)
    scope = Scope(key=f"replay:{seed}", concurrency=tickets, budgets=(budget,))
    settles: list[tuple[Ticket, int]] = []
    expected = 0
    for number in range(tickets):
        ask = Ask(ticket_id=f"p{seed}-{number}", scopes=(scope,), reserve_nano=1_000)
        answer = await pick.choice(stores).acquire(ask)
        assert isinstance(answer, Ticket)
        cost = pick.randint(0, 2_000)
        expected += cost
        settles += [(answer, cost)] * pick.randint(1, 5)
    pick.shuffle(settles)
    for ticket, cost in settles:
        await pick.choice(stores).settle(ticket, Used(cost_nano=cost))
    slots, money = await stores[0].status(scope)
    held = money.reserved + tickets - slots.remaining
    counted = budget.limit_nano - money.remaining
    return Replayed(tickets, len(settles), counted, expected, held)


@dataclass
class Walk:
    """What a budget saw while a clock wandered over the edges of its windows.

    Shapes:  ``doubled`` windows were given their budget twice.
    Units:   ``lost`` in nano-USD: what a window the clock came back to had forgotten.
    """

    asked: int = 0
    windows: Counter[str] = field(default_factory=Counter)
    negative_waits: int = 0
    over_limit: int = 0
    doubled: int = 0
    wrong_resets: int = 0
    lost: int = 0


_STEPS_S = (1.0, 59.0, 1_800.0, 3_600.0, 20_000.0)
_DAY = timedelta(days=1)


async def walk(
    zone: str,
    kind: str,
    start: datetime,
    *,
    steps: int = 300,
    seed: int = 1,
    make: Callable[[ManualClock], LimitStore] | None = None,
) -> Walk:
    """Spend in a budget's windows while the wall clock jumps back and forth (T53).

    It is set a day on and a day back, at any moment and over the nights of a clock
    change: a window found again is the window left, with what it had spent.

    Shapes:  ``make`` makes the store that follows the clock, the in-process one else.
    """
    pick = random.Random(seed)
    clock = ManualClock(start - timedelta(hours=2))
    offset = timedelta(0)
    store = MemoryLimits(clock, origin="walk") if make is None else make(clock)
    limit, price = 1_000, 100
    result = Walk()
    spans: dict[str, tuple[datetime | None, datetime | None]] = {}
    for number in range(steps):
        if pick.random() < 0.5:
            clock.advance(pick.choice(_STEPS_S))
        if pick.random() < 0.15:
            jump = pick.choice((-_DAY, timedelta(0), _DAY))
            clock.set_wall(clock.now() - offset + jump)
            offset = jump
        window = window_at(kind, zone, clock.now())
        span = (window.starts_at, window.ends_at)
        result.doubled += spans.setdefault(window.id, span) != span
        ends = None if window.ends_at is None else window.ends_at.timestamp()
        budget = Budget(
            budget_id=3, window_id=window.id, limit_nano=limit, ends_at=ends
        )
        scope = Scope(key="walk", budgets=(budget,))
        answer = await store.acquire(
            Ask(ticket_id=f"w{number}", scopes=(scope,), reserve_nano=price)
        )
        result.asked += 1
        if isinstance(answer, Refusal):
            wait = answer.retry_after_s
            result.negative_waits += wait is not None and wait < 0
            result.wrong_resets += answer.reset_at != ends
            continue
        await store.settle(answer, Used(cost_nano=price))
        result.windows[window.id] += price
        [status] = await store.status(scope)
        known = limit - status.remaining
        result.lost += abs(known - min(limit, result.windows[window.id]))
    result.over_limit = sum(spent > limit for spent in result.windows.values())
    starts = sorted(start for start, _ in spans.values() if start is not None)
    result.doubled += len(starts) - len(set(starts))
    return result
