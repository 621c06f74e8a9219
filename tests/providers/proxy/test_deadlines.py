"""Deadlines of a call: the first token, one attempt at a model, the whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from providers.snapshot.types import RoutingRecord, Timeouts
from tests.providers.proxy.pool import CHAT, STREAM, Pool
from tests.upstream.server import FaultUpstream

SOON = RoutingRecord(first_token_s=0.15)


@pytest.fixture
async def second() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(seed=2) as running:
        yield running


@pytest.fixture
async def pair(upstream: FaultUpstream, second: FaultUpstream) -> AsyncIterator[Pool]:
    async with Pool(upstream.base_url, second.base_url) as made:
        yield made


@pytest.mark.parametrize("spec", ["silence", "slow-first-600", "stall-0", "comments"])
async def test_a_stream_without_a_useful_event_in_time_goes_elsewhere(
    pair: Pool, upstream: FaultUpstream, spec: str
) -> None:
    pair.set(routing=SOON)
    upstream.control.orders["gpt-test"] = (
        spec if spec != "comments" else "comments-3+stall-0"
    )
    answer = await pair.call(STREAM)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert answer.events[-1] == "[DONE]"
    assert pair.attempts[0].outcome == "timeout"
    assert pair.attempts[0].reason == "no first token in time"


async def test_slow_is_better_than_nobody(pool: Pool, upstream: FaultUpstream) -> None:
    pool.set(routing=SOON)
    upstream.control.orders["gpt-test"] = "slow-first-400"
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert pool.decisions == ["served"]


async def test_a_running_stream_is_not_cut_by_the_first_tokens_deadline(
    pair: Pool, upstream: FaultUpstream
) -> None:
    pair.set(routing=SOON)
    upstream.control.orders["gpt-test"] = "len-12+gap-40"
    answer = await pair.call(STREAM)
    assert answer.header("x-pool-provider") == "p1"
    assert answer.events[-1] == "[DONE]"


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_model_has_a_time_of_its_own(
    pair: Pool, upstream: FaultUpstream, body: dict[str, object]
) -> None:
    pair.models[1] = msgspec.structs.replace(pair.models[1], timeout_s=0.15)
    pair.changed()
    upstream.control.orders["gpt-test"] = "slow-first-800"
    began = time.monotonic()
    answer = await pair.call(body)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert time.monotonic() - began < 0.7
    assert pair.attempts[0].reason == "no whole answer in time"


async def test_a_models_time_ends_a_stream_with_an_error_inside_it(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.models[1] = msgspec.structs.replace(pool.models[1], timeout_s=0.2)
    pool.changed()
    upstream.control.orders["gpt-test"] = "len-40+gap-50"
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert "error" in answer.events[-1]
    assert pool.decisions == ["fail_fast"]


async def test_the_whole_call_has_an_end(pair: Pool, upstream: FaultUpstream) -> None:
    pair.set_provider(1, timeouts=Timeouts(total_s=0.2))
    upstream.control.orders["gpt-test"] = "silence"
    answer = await pair.call()
    assert (answer.status, answer.error["code"]) == (504, "request_timeout")


async def test_a_slow_answer_makes_its_route_count_as_slow(
    pair: Pool, upstream: FaultUpstream
) -> None:
    """Not cooled: it loses to a faster equal where routes are compared."""
    pair.set(routing=RoutingRecord(strategy="latency"))
    for number in (1, 2):
        pair.set_provider(number, priority=50)
    upstream.control.orders["gpt-test"] = "slow-first-120"
    for _ in range(6):
        assert (await pair.call()).status == 200
    counts = upstream.control.by_model["gpt-test"]
    for _ in range(10):
        assert (await pair.call()).status == 200
    assert upstream.control.by_model["gpt-test"] - counts <= 3
    assert not pair.facts
