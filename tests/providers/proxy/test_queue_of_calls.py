"""Limits of providers and credentials: passed over when full, waited for in a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from providers.proxy.pipeline import Pipeline
from providers.snapshot.types import RoutingRecord
from tests.providers.proxy.pool import CHAT, STREAM, Answered, Client, Pool
from tests.upstream.server import FaultUpstream
from usage.journal.records import AttemptIntent, Progress, Settle
from usage.limits.contract import LimitStoreError

SLOW = "slow-first-150"


@pytest.fixture
async def one(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """One provider that takes one call at a time."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, concurrency=1)
        upstream.control.orders["gpt-test"] = SLOW
        yield pool


def route(pool: Pool, **changes: Any) -> None:
    pool.set(routing=RoutingRecord(**changes))


async def both(pool: Pool, *bodies: Any) -> list[Answered]:
    return list(await asyncio.gather(*(pool.call(body) for body in bodies)))


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_second_call_waits_for_the_place_of_the_first(
    one: Pool, body: dict[str, Any]
) -> None:
    answers = await both(one, body, body)
    assert [answer.status for answer in answers] == [200, 200]
    written = [type(r) for r in one.journal.records if not isinstance(r, Progress)]
    assert written == [AttemptIntent, Settle, AttemptIntent, Settle]
    notes = [s.request.notes for s in one.settles if s.request and s.request.notes]
    assert len(notes) == 1
    assert "for a free place" in notes[0][0]
    skipped = [s.request.skipped for s in one.settles if s.request]
    assert ("p1/gpt-test sk-…0001: at_limit:concurrency",) in skipped


async def test_a_full_provider_is_passed_over_for_one_with_room(
    one: Pool, upstream: FaultUpstream
) -> None:
    one.add_provider(upstream.base_url, priority=10)
    answers = await both(one, CHAT, CHAT)
    served = sorted(answer.header("x-pool-provider") or "" for answer in answers)
    assert served == ["p1", "p2"]
    assert not any(s.request.notes for s in one.settles if s.request)


async def test_a_key_has_places_of_its_own(upstream: FaultUpstream) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url)
        url = upstream.base_url
        keys = [
            pool.credential(n, f"sk-key-000{n}", url, concurrency=1) for n in (1, 2)
        ]
        pool.set_provider(1, credentials=tuple(keys))
        upstream.control.orders["gpt-test"] = SLOW
        answers = await both(pool, CHAT, CHAT)
        assert [answer.status for answer in answers] == [200, 200]
        assert sorted(upstream.control.by_key.values()) == [1, 1]


async def test_who_waits_too_long_is_told_to_come_back(one: Pool) -> None:
    route(one, queue_wait_s=0.03)
    first, second = await both(one, CHAT, CHAT)
    assert first.status == 200
    assert (second.status, second.error["code"]) == (503, "no_capacity")
    assert second.header("retry-after") == "1"
    assert second.header("x-pool-attempts") == "0"


async def test_a_full_line_refuses_at_once(one: Pool) -> None:
    route(one, queue_length=1)
    answers = await both(one, CHAT, CHAT, CHAT)
    assert sorted(answer.status or 0 for answer in answers) == [200, 200, 503]


async def test_a_waiting_stream_is_told_in_its_dialect(one: Pool) -> None:
    route(one, queue_wait_s=0.1)
    one.set(keepalive_after_s=0.01, keepalive_every_s=0.01)
    _, second = await both(one, CHAT, STREAM)
    # The line lets a stream be kept alive; its end is an error in the stream itself.
    assert second.status == 200
    assert second.events[-1]["error"]["code"] == "no_capacity"


async def test_first_come_is_first_served(one: Pool, upstream: FaultUpstream) -> None:
    upstream.control.orders["gpt-test"] = "slow-first-30"
    order: list[int] = []

    async def ask(number: int) -> None:
        await asyncio.sleep(number / 500)
        answer = await one.call()
        assert answer.status == 200
        order.append(number)

    await asyncio.gather(*(ask(number) for number in range(6)))
    assert order == list(range(6))


async def test_a_leaving_client_leaves_the_line(one: Pool) -> None:
    first = asyncio.create_task(one.call())
    await one.sent()
    client = Client([b'{"model":"gpt-test","messages":[{"role":"user"}]}'])
    _, second = one.start(b"", client=client)
    third = asyncio.create_task(one.call())
    await asyncio.sleep(0.06)
    assert one.pipeline.waiting == 2
    client.left.set()
    await second
    assert (await first).status == 200
    assert (await third).status == 200
    gone = [s for s in one.settles if s.request and s.request.status == 499]
    assert len(gone) == 1


async def test_calls_over_the_rate_of_a_provider_go_elsewhere_or_wait(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, rpm=2)
        route(pool, queue_wait_s=0.05)
        answers = [await pool.call() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[-1].error["code"] == "rate_limit_exceeded"
        assert int(answers[-1].header("retry-after") or 0) in range(25, 31)
        pool.add_provider(upstream.base_url, priority=1)
        assert (await pool.call()).header("x-pool-provider") == "p2"
        last = pool.settles[-1].request
        assert last is not None
        assert last.skipped == ("p1/gpt-test sk-…0001: at_limit:rpm",)


async def test_who_stands_behind_a_rate_is_told_of_the_rate(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, rpm=1)
        route(pool, queue_wait_s=0.05, queue_length=1)
        assert (await pool.call()).status == 200
        answers = await both(pool, CHAT, CHAT)
        assert [answer.status for answer in answers] == [429, 429]


async def test_places_are_one_count_over_processes_that_share_a_store(
    one: Pool, upstream: FaultUpstream
) -> None:
    """The other process gives its place back without a word: it is looked at again."""
    parts = msgspec.structs.replace(one.pipeline._parts, limits_are_shared=True)
    other = Pipeline(parts)
    first = asyncio.create_task(one.call())
    await one.sent()
    mine, one.pipeline = one.pipeline, other
    second = await one.call()
    one.pipeline = mine
    assert ((await first).status, second.status) == (200, 200)
    written = [type(r) for r in one.journal.records if not isinstance(r, Progress)]
    assert written == [AttemptIntent, Settle, AttemptIntent, Settle]
    assert upstream.control.by_model["gpt-test"] == 2
    await other.finish(1.0)


async def test_tokens_of_a_minute_count_what_was_used(upstream: FaultUpstream) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, tpm=5000)
        route(pool, queue_wait_s=0.0)
        # Each holds the most it may write while it runs, and gives the rest back.
        for _ in range(4):
            assert (await pool.call()).status == 200
        pool.set_provider(1, tpm=40)
        refused = await pool.call()
        assert refused.status == 429


async def test_a_failed_call_gives_its_place_to_the_next(
    one: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "401+slow-first-50"
    one.add_provider(upstream.base_url, models=("other",))
    answers = await both(one, CHAT, CHAT)
    assert {answer.status for answer in answers} == {503}
    upstream.control.orders["gpt-test"] = "ok"
    one.set_provider(1, credentials=(one.credential(5, "sk-new", upstream.base_url),))
    assert (await one.call()).status == 200


async def test_a_store_that_is_away_refuses_nobody(one: Pool) -> None:
    async def away(*_: object) -> None:
        raise LimitStoreError("away")

    one.limits.acquire = away  # type: ignore[assignment,method-assign]
    answers = await both(one, CHAT, CHAT)
    assert [answer.status for answer in answers] == [200, 200]
