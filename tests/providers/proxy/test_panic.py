"""The last way is never withheld, and a vendor's bad day is not blamed on its keys."""

from __future__ import annotations

import asyncio

import pytest

from tests.providers.proxy.pool import STREAM, Pool
from tests.upstream.server import FaultUpstream
from usage.limits.contract import Ask, Refusal, Ticket

SIX = tuple(f"sk-key-number-{number}-0001" for number in range(6))


def fault(upstream: FaultUpstream, spec: str | None) -> None:
    if spec is None:
        upstream.control.orders.clear()
    else:
        upstream.control.orders["gpt-test"] = spec


async def _worn_out(pool: Pool, upstream: FaultUpstream) -> None:
    """Let the only way fail until it rests."""
    fault(upstream, "500")
    for _ in range(3):
        await pool.call()
    assert pool.health.states()
    fault(upstream, None)


@pytest.mark.parametrize("body", [None, STREAM])
async def test_the_least_bad_is_asked_with_a_warning(
    upstream: FaultUpstream, body: dict[str, object] | None
) -> None:
    async with Pool(upstream.base_url) as pool:
        await _worn_out(pool, upstream)
        answer = await pool.call(body)
        assert answer.status == 200
        assert answer.header("x-pool-warning") == "panic:server_error"
        last = pool.settles[-1].request
        assert last is not None
        words = "panic: p1/gpt-test is asked although it rests (server_error)"
        assert last.notes == (words,)
        # It works again, which ends the cooldown.
        answer = await pool.call(body)
        assert answer.header("x-pool-warning") is None


async def test_nobody_panics_while_another_can_serve(upstream: FaultUpstream) -> None:
    async with Pool(upstream.base_url) as pool:
        await _worn_out(pool, upstream)
        pool.add_provider(upstream.base_url)
        answer = await pool.call()
        assert answer.header("x-pool-provider") == "p2"
        assert answer.header("x-pool-warning") is None


@pytest.mark.parametrize("spec", ["429-retry-after-600", "401", "503", "402"])
async def test_a_provider_that_refuses_every_key_is_left_after_three(
    upstream: FaultUpstream, spec: str
) -> None:
    """The rest of its keys is passed over by the very call, and no key is punished."""
    async with Pool() as pool, FaultUpstream(seed=2) as second:
        pool.add_provider(upstream.base_url, secrets=SIX, priority=90)
        pool.add_provider(second.base_url)
        fault(upstream, spec)
        answer = await pool.call()
        assert (answer.status, answer.header("x-pool-provider")) == (200, "p2")
        asked = [each.target.credential_id for each in pool.attempts[:-1]]
        assert len(set(asked)) == 3
        assert list(pool.health.states()) == ["model:1"]
        before = upstream.control.by_model["gpt-test"]
        answer = await pool.call()
        assert answer.header("x-pool-provider") == "p2"
        assert upstream.control.by_model["gpt-test"] == before


async def test_bad_keys_among_good_ones_are_punished_alone(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=SIX)
        for secret in SIX[:2]:
            upstream.control.orders[secret] = "429-retry-after-600"
        for _ in range(12):
            assert (await pool.call()).status == 200
        names = sorted(pool.health.states())
        assert [name.partition(":")[0] for name in names] == ["limit", "limit"]


async def test_exactly_one_of_a_crowd_tries_who_was_cooling(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where taking a limit waits, as for a store elsewhere."""
    async with Pool() as pool, FaultUpstream(seed=2) as second:
        pool.add_provider(upstream.base_url, priority=90)
        pool.add_provider(second.base_url)
        pool.set_key(rpm=100_000)
        pool.health.configure({"failure_first_s": 0.02})
        acquire = pool.limits.acquire

        async def slowly(ask: Ask) -> Ticket | Refusal:
            await asyncio.sleep(0.01)
            return await acquire(ask)

        monkeypatch.setattr(pool.limits, "acquire", slowly)
        fault(upstream, "500")
        for _ in range(3):
            await pool.call()
        assert not pool.health.is_calm
        before = upstream.control.by_model["gpt-test"]
        await asyncio.sleep(0.03)
        answers = await asyncio.gather(*(pool.call() for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert upstream.control.by_model["gpt-test"] == before + 1


async def test_who_is_not_tried_after_all_leaves_the_try_to_others(
    upstream: FaultUpstream,
) -> None:
    """A refused reservation does not use up the probe."""
    async with Pool(upstream.base_url) as pool:
        await _worn_out(pool, upstream)
        route = next(iter(pool.snapshot().resolve("gpt-test").candidates))
        pool.health.begin(route)
        pool.health.release(route)
        (state,) = pool.health.states().values()
        assert state.left_s is not None
        assert state.left_s > 10
        assert pool.health.cooling(route) is not None
