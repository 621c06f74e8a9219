"""Routing: the explainer against the first hop taken, and the price of a plan."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from bench import plan_cost
from scripts.proofs.figure import Figure, at_least, at_most, equal
from tests.providers.proxy.explained import compared
from tests.upstream.server import FaultUpstream

name = "routing"
CASES: Final = 1000
SHORT: Final = 200
_TRIES: Final = 3


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Draw pools at random and compare; then time the first candidate."""
    count = SHORT if short else CASES
    found = asyncio.run(_compared(seed, count))
    return [
        equal("explain() differs from the first hop", found["differs"], 0),
        equal("random configurations", sum(found.values()), count),
        at_least("of them with a first hop", found["asked"], count // 2),
        *_costs(seed),
    ]


async def _compared(seed: int, count: int) -> Counter[str]:
    """Count configurations by what became of them."""
    found: Counter[str] = Counter()
    async with FaultUpstream() as upstream:
        for number in range(count):
            each = await compared(seed * 1_000_000 + number, upstream.base_url)
            outcome = "asked" if each.was_asked else "refused"
            found["differs" if each.problem else outcome] += 1
    return found


def _costs(seed: int) -> list[Figure]:
    """Time the strategy pools begin with; what else runs here only makes it slower."""
    costs = [plan_cost.measure(seed=seed + number) for number in range(_TRIES)]
    large = min(cost.large_us for cost in costs)
    growth = min(cost.growth for cost in costs)
    return [
        at_most(
            "first candidate, 1,000 providers, half cooling",
            round(large, 1),
            plan_cost.LIMIT_US,
            "us",
        ),
        at_most(
            "more than with 10 providers",
            round(growth * 100, 1),
            plan_cost.MOST_GROWTH * 100,
            "%",
        ),
    ]
