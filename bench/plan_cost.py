"""Measure what choosing the first candidate of a request costs, small pools and large.

    python -m bench.plan_cost

A pool serves ten models at each of its providers; half of the providers are cooling,
drawn at random. What is timed is what a request does: read its wishes, resolve the name,
line up the routes, plan, and take the first candidate. Processor time is counted, and sizes are
measured in turns; where others use the machine's caches too, the large pool suffers more.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from dataclasses import dataclass
from typing import Final

from poolsite.clock import SystemClock
from pricing.cost import PriceSpec
from providers.formats import registry
from providers.proxy import nobody, plan
from providers.proxy.exchange import Caller
from providers.routing.health import Health
from providers.routing.lineups import line_up
from providers.routing.order import Turns
from providers.routing.overrides import way_of
from providers.routing.pulse import Pulse
from providers.routing.strategies import STRATEGIES
from providers.routing.types import Way
from providers.snapshot import types
from providers.snapshot.view import ClientKeys, Snapshot, Tables

MODELS: Final = 10
SMALL: Final = 10
LARGE: Final = 1000
LIMIT_US: Final = 30.0
MOST_GROWTH: Final = 0.15
_DRAWS: Final = 5
_KEY: Final = types.ClientKeyRecord(1, "k", "", "", "bench")
_FIELDS: Final = {
    b"authorization": b"Bearer x",
    b"content-type": b"application/json",
    b"user-agent": b"bench",
    b"accept": b"*/*",
}
_QUOTA: Final = {"reason": "quota", "count": 1}
_COOLED_S: Final = 3600.0
_PRICE: Final = PriceSpec(input=1_000_000_000, output=2_000_000_000)


@dataclass(frozen=True)
class PlanCost:
    """What the first candidate costs.

    Units:   microseconds; ``growth`` is a share of the small pool's cost.
    """

    strategy: str
    small_us: float
    large_us: float

    @property
    def growth(self) -> float:
        """How much more a large pool costs than a small one."""
        return self.large_us / self.small_us - 1.0


class Rig:
    """One pool with half of its providers cooling, and the way of a request to it."""

    def __init__(self, providers: int, seed: int) -> None:
        clock = SystemClock()
        self._snapshot = Snapshot(ClientKeys(), _tables(providers), None, Turns())
        self._caller = Caller(_KEY)
        self._wire = registry.get("openai")
        self._pulse = Pulse()
        self._clock = clock
        self.health = Health(clock)
        self._rules = plan.PlanRules(plan.Catalog(), self.health, clock)
        chosen = random.Random(seed)
        cooling = chosen.sample(range(1, providers + 1), providers // 2)
        until_s = clock.time_ns() / 1e9 + _COOLED_S
        self.health.load(
            (f"credential:{number}:api_key:{number}", {**_QUOTA, "until_s": until_s})
            for number in cooling
        )
        for name in self.names:
            for route in self._snapshot.resolve(name).candidates:
                self._pulse.served(route, chosen.random())

    @property
    def names(self) -> list[str]:
        """The names a client may ask for."""
        return [f"model-{number}" for number in range(MODELS)]

    def first(self, name: str, way: Way) -> plan.Plan:
        """Do what a request does up to its first candidate."""
        found = nobody.resolve(self._snapshot, self._caller, name)
        way_of(_KEY, self._snapshot.settings.routing, _FIELDS)
        now = self._clock.monotonic()
        lineup = line_up(found, way, found.take_turn(), pulse=self._pulse, now=now)
        wish = plan.Wish(self._wire, name, needs_price=False)
        ways = plan.Plan(lineup, self._caller, wish, self._rules)
        if ways.next() is None:
            raise RuntimeError("half of the pool is usable")
        return ways

    def cost_us(self, way: Way, rounds: int) -> float:
        """Return the mean cost of one first candidate over the names of the pool."""
        names = self.names * rounds
        begun = time.thread_time()
        for name in names:
            self.first(name, way)
        return (time.thread_time() - begun) / len(names) * 1e6


def measure(
    strategy: str = "priority", *, seed: int = 1, samples: int = 15, rounds: int = 60
) -> PlanCost:
    """Measure small and large pools in turns.

    Shapes:  five draws stand for a small pool: of ten, a few are half of it. The median
             of the faster half of many short means stands for each: noise only adds.
    """
    way = Way(strategy=strategy)
    small = [Rig(SMALL, seed + number) for number in range(_DRAWS)]
    large = Rig(LARGE, seed)
    found: dict[Rig, list[float]] = {rig: [] for rig in (*small, large)}
    for rig in found:
        rig.cost_us(way, LARGE * 4 // MODELS)  # every route is made ready once
    gc.collect()
    for _ in range(samples):
        for rig, values in found.items():
            values.append(rig.cost_us(way, rounds))
    small_us = statistics.fmean(_typical(found[rig]) for rig in small)
    return PlanCost(strategy, small_us, _typical(found[large]))


def _typical(values: list[float]) -> float:
    return statistics.median(sorted(values)[: max(1, len(values) // 2)])


def _tables(providers: int) -> Tables:
    made = {number: _provider(number) for number in range(1, providers + 1)}
    models = {}
    for number in made:
        for place in range(MODELS):
            row = number * MODELS + place
            models[row] = types.ModelRecord(
                row, number, f"model-{place}", price=_PRICE, price_source="book"
            )
    return Tables(types.SettingsRecord(), made, models, {}, {})


def _provider(number: int) -> types.ProviderRecord:
    origin = f"https://api{number}.example:443"
    credential = types.CredentialRecord(
        number, "api_key", "first", "sk-…abcd", "", "", origin
    )
    return types.ProviderRecord(
        id=number,
        slug=f"provider-{number}",
        name=f"Provider {number}",
        format="openai",
        base_url=f"{origin}/v1",
        origin=origin,
        location="cloud",
        priority=50,
        credentials=(credential,),
    )


def main() -> None:
    """Print one line for each strategy."""
    for strategy in STRATEGIES:
        cost = measure(strategy)
        print(
            f"{strategy:12} {SMALL} providers {cost.small_us:6.2f} us   "
            f"{LARGE} providers {cost.large_us:6.2f} us   {cost.growth:+.1%}"
        )


if __name__ == "__main__":
    main()
