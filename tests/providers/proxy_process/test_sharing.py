"""Processes of a fleet share cooldowns through Redis, and do without it when it dies."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from poolsite.clock import SystemClock
from providers.proxy.sharing import LEASE, STREAM, SharedCooldowns
from providers.routing.health import PROBING, Health
from providers.snapshot import types
from tests import servers
from tests.providers.proxy_process.worker import MODEL, DataProcess
from tests.providers.routing.test_diagnosis import routes
from tests.rig.ports import closed_port
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.redis
NAME = "limit:1:api_key:11:101"
ROUTE = routes()[0]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.redis())
        except servers.MissingServerError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield url


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    found = Redis.from_url(redis_url)
    await found.flushall()
    yield found
    await found.aclose()


@asynccontextmanager
async def shared(url: str, name: str) -> AsyncIterator[Health]:
    """A health view that shares, as one process has it."""
    health = Health(SystemClock())
    sharing = SharedCooldowns.connect(url, health, origin=name)
    task = asyncio.ensure_future(sharing.run())
    try:
        yield health
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sharing.close()


async def until(is_so: Callable[[], object], within_s: float = 3.0) -> float:
    """Wait for something; return the seconds it took. Errors: AssertionError."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < within_s
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


def reason(health: Health) -> str:
    cooling = health.cooling(ROUTE)
    return "" if cooling is None else cooling.reason


async def test_a_cooldown_is_known_elsewhere_within_a_second(
    redis_url: str, client: Redis
) -> None:
    async with shared(redis_url, "a") as here, shared(redis_url, "b") as there:
        await until(lambda: here.leases.is_on and there.leases.is_on)
        here.report(ROUTE, "rate_limit", retry_after_s=60)
        assert await until(lambda: reason(there) == "rate_limit") < 1.0
        there.begin(ROUTE)
        there.report(ROUTE, "ok")
        assert await until(lambda: reason(here) == "") < 1.0


async def test_whoever_comes_later_learns_what_holds(
    redis_url: str, client: Redis
) -> None:
    async with shared(redis_url, "a") as here:
        await until(lambda: here.leases.is_on)
        here.report(ROUTE, "quota")
        await until(lambda: not here._news)
        async with shared(redis_url, "b") as there:
            await until(lambda: reason(there) == "quota")


async def test_one_process_gets_the_lease_of_a_probe(
    redis_url: str, client: Redis
) -> None:
    async with shared(redis_url, "a") as here, shared(redis_url, "b") as there:
        await until(lambda: here.leases.is_on and there.leases.is_on)
        here.report(ROUTE, "rate_limit", retry_after_s=1)
        await until(lambda: reason(there) == "rate_limit")
        await until(lambda: reason(here) == PROBING and reason(there) == PROBING)
        await until(lambda: "" in (reason(here), reason(there)))
        free = [each for each in (here, there) if not reason(each)]
        assert len(free) == 1
        assert await client.exists(LEASE + NAME)
        await asyncio.sleep(0.2)
        assert [each for each in (here, there) if not reason(each)] == free
        free[0].begin(ROUTE)
        free[0].report(ROUTE, "ok")
        await until(lambda: not reason(here) and not reason(there))
        assert not await client.exists(LEASE + NAME)


async def test_without_redis_everybody_goes_on_alone() -> None:
    url = f"redis://127.0.0.1:{closed_port()}/0"
    async with shared(url, "a") as here:
        here.report(ROUTE, "rate_limit", retry_after_s=60)
        await asyncio.sleep(0.05)
        assert reason(here) == "rate_limit"
        assert not here.leases.is_on
        assert here.take_news() == []


async def test_what_was_learnt_alone_is_told_when_redis_is_back(
    redis_url: str, client: Redis
) -> None:
    async with shared(redis_url, "a") as here, shared(redis_url, "b") as there:
        await until(lambda: here.leases.is_on and there.leases.is_on)
        await client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not here.leases.is_on)
        here.report(ROUTE, "quota")
        await until(lambda: reason(there) == "quota")


async def test_entries_nobody_can_read_are_passed_over(
    redis_url: str, client: Redis
) -> None:
    await client.xadd(STREAM, {b"fact": b"\xff{", b"origin": b"x"})
    await client.xadd(STREAM, {b"other": b"1"})
    async with shared(redis_url, "a") as here, shared(redis_url, "b") as there:
        await until(lambda: here.leases.is_on and there.leases.is_on)
        here.report(ROUTE, "quota")
        await until(lambda: reason(there) == "quota")


# Two real data processes


def _two_providers(process: DataProcess, base_url: str) -> None:
    """Give a process a second provider, to which it can turn."""
    record = _second(base_url)
    process._publish_delta(types.PROVIDER, "2", record)
    model = types.ModelRecord(2, 2, MODEL, price_source="manual")
    process._publish_delta(types.MODEL, "2", model)


def _second(base_url: str) -> types.ProviderRecord:
    from tests.providers.proxy_process import worker

    first = worker._provider(base_url)
    return msgspec.structs.replace(first, id=2, slug="second", priority=10)


@pytest.mark.process
def test_two_data_processes_share_a_rate_limit(
    tmp_path: Path, upstream: UpstreamProcess, redis_url: str
) -> None:
    upstream.reset()
    with ExitStack() as stack:
        processes = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            process = stack.enter_context(
                DataProcess(tmp_path / name, redis_url=redis_url)
            )
            process.write_snapshot(upstream.base_url)
            _two_providers(process, upstream.base_url)
            process.start()
            process.wait_status("/readyz", 200, within_s=10)
            processes.append(process)
        first, second = processes
        upstream.order(MODEL, "429-retry-after-600")
        status, _, _ = first.chat(first.keys[0])
        assert status in (429, 503)
        before = len(upstream.truth())
        upstream.order(MODEL, None)
        time.sleep(1.0)
        status, headers, body = second.chat(second.keys[0])
        upstream.reset()
        assert status == 429, (headers, body)
        assert int(headers["retry-after"]) > 500
        assert len(upstream.truth()) == before
