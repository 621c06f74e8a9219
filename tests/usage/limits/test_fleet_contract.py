"""A node of a fleet keeps the contract, with Redis and, as far as it may, without."""

from __future__ import annotations

import uuid

import pytest

from poolsite.clock import ManualClock
from tests.usage.limits.contract import Bench, LimitStoreContract
from usage.limits.fleet import FleetLimits
from usage.limits.redis_fleet import RedisFleet

pytestmark = pytest.mark.redis
LONG_S = 1e7


class TestFleetLimits(LimitStoreContract):
    follows_monotonic = False

    @pytest.fixture
    async def bench(self, redis_socket):
        clock = ManualClock()
        prefix = f"test:{{{uuid.uuid4().hex}}}:"
        url = f"unix://{redis_socket}"
        store = RedisFleet.connect(url, origin="me", prefix=prefix)
        store._clock = clock
        # The tests' clock leaps, and nobody tells meanwhile.
        store.silence_s, store.rebuild_s = LONG_S, -LONG_S
        fleet = FleetLimits(store, clock)
        assert await fleet.open(wait_s=0)
        yield Bench(fleet, clock, 60)
        await fleet.close()


class TestAloneLimits(LimitStoreContract):
    """Without Redis a node keeps the contract as far as it is alone with it."""

    @pytest.fixture
    async def bench(self, tmp_path):
        clock = ManualClock()
        store = RedisFleet.connect(f"unix://{tmp_path}/nobody.sock", origin="me")
        fleet = FleetLimits(store, clock)
        yield Bench(_Rich(fleet), clock, 60)
        await fleet.close()


class _Rich:
    """A node that starts with a share of every budget as large as the budget."""

    def __init__(self, fleet):
        self._fleet = fleet

    async def acquire(self, wanted):
        self._lend(wanted)
        return await self._fleet.acquire(wanted)

    def _lend(self, wanted):
        own = self._fleet._own
        now = own.now()
        for account in own._accounts_of(wanted, now):
            account.lend((2**53, 2**53), now.us, 10**15)

    def __getattr__(self, name):
        return getattr(self._fleet, name)
