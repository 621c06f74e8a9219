"""Whom a call asks again, and when it waits to do so."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from providers.proxy.watch import Watch
from providers.snapshot.types import AliasRecord, RoutingRecord, TargetRecord
from tests.providers.proxy.pool import CHAT, STREAM, Client, Pool, chat
from tests.upstream.answer import Answer, Ask, document
from tests.upstream.dialects.openai_chat import ChatCompletions
from tests.upstream.scenario import Scenario
from tests.upstream.server import FaultUpstream

LONG = "400-context"


@pytest.fixture
async def sized(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """One provider with a small, a larger and an unmeasured model behind one name."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, models=("small", "unknown", "large"))
        names = ("small", "unknown", "large")
        targets = tuple(TargetRecord(name, "p1") for name in names)
        pool.aliases["any"] = AliasRecord("any", targets)
        for row, window in ((1, 8_000), (3, 200_000)):
            pool.models[row] = msgspec.structs.replace(
                pool.models[row], context_window=window
            )
        pool.changed()
        yield pool


@pytest.mark.parametrize("body", [chat("any"), chat("any", stream=True)])
async def test_a_request_too_long_goes_to_a_larger_model(
    sized: Pool, upstream: FaultUpstream, body: dict[str, Any]
) -> None:
    upstream.control.orders["small"] = LONG
    answer = await sized.call(body)
    assert answer.status == 200
    assert answer.header("x-pool-model") == "large"
    assert sized.decisions == ["next_model", "served"]
    assert [a.error_class for a in sized.attempts] == ["context_overflow", ""]
    closed = sized.request.request
    assert closed is not None
    assert closed.skipped == ("p1/unknown sk-…0001: context_too_small",)
    assert not sized.facts


async def test_without_a_larger_model_the_upstreams_words_are_passed_on(
    sized: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["small"] = upstream.control.orders["large"] = LONG
    answer = await sized.call(chat("any"))
    assert answer.status == 400
    assert answer.error["code"] == "context_length_exceeded"
    assert "request_id" not in answer.error
    assert sized.decisions == ["next_model", "fail_fast"]
    closed = sized.request.request
    assert closed is not None
    assert closed.outcome == "refused"


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_short_wait_the_vendor_asks_for_is_spent_inside_the_call(
    pool: Pool, upstream: FaultUpstream, body: dict[str, Any]
) -> None:
    upstream.control.orders["gpt-test"] = "429-retry-after-ms-1000+first-1"
    began = time.monotonic()
    answer = await pool.call(body)
    assert answer.status == 200
    assert time.monotonic() - began >= 0.99
    assert pool.decisions == ["wait", "served"]


async def test_a_wait_is_spent_once(pool: Pool, upstream: FaultUpstream) -> None:
    upstream.control.orders["gpt-test"] = "429-retry-after-ms-10"
    pool.health.report = lambda *_, **__: ()  # type: ignore[method-assign]
    answer = await pool.call()
    assert answer.status == 429
    assert pool.decisions == ["wait", "exhausted"]


async def test_nobody_waits_who_may_ask_somebody_else(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.add_provider(upstream.base_url, priority=1, models=("gpt-test",))
    pool.set_provider(
        1,
        credentials=(
            pool.credential(3, "sk-bad-429-retry-after-1", upstream.base_url),
        ),
    )
    began = time.monotonic()
    answer = await pool.call()
    assert answer.header("x-pool-provider") == "p2"
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("routing", [RoutingRecord(wait_cap_s=0.5)])
async def test_a_longer_wait_is_left_to_the_client(
    pool: Pool, upstream: FaultUpstream, routing: RoutingRecord
) -> None:
    upstream.control.orders["gpt-test"] = "429-retry-after-1"
    pool.set(routing=routing)
    answer = await pool.call()
    assert (answer.status, answer.header("retry-after")) == (429, "1")
    assert pool.decisions == ["exhausted"]


async def test_a_client_that_leaves_a_wait_ends_it(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "429-retry-after-5"
    client = Client([b'{"model":"gpt-test","messages":[]}'])
    _, task = pool.start(b"", client=client)
    await pool.sent()
    await asyncio.sleep(0.1)
    client.left.set()
    async with asyncio.timeout(2):
        await task
    assert pool.request.request is not None
    assert pool.request.request.status == 499


async def test_images_too_large_are_nobodys_fault(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.add_provider(upstream.base_url, priority=1)
    upstream.control.orders["gpt-test"] = "413"
    answer = await pool.call()
    assert answer.status == 413
    assert pool.decisions == ["fail_fast"]
    assert not pool.facts


async def test_an_exhausted_call_names_each_attempt_and_nobodys_keys(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.add_provider(upstream.base_url, secrets=("sk-bad-401-x", "sk-bad-402-y"))
    upstream.control.orders["gpt-test"] = "403"
    await pool.call()
    pool.journal.records.clear()
    upstream.control.orders["gpt-test"] = "500"
    pool.add_provider(upstream.base_url, models=("gpt-test",))
    answer = await pool.call()
    assert answer.status == 502
    told = answer.error["message"]
    assert "2 attempts: p3: 500 server error; p3: 500 server error" in told
    assert "Passed over: p1: cooling auth; p2: cooling auth" in told
    assert "sk-" not in answer.body.decode()


async def test_the_wait_for_a_useful_event_ends_with_the_event() -> None:
    watch = Watch(10.0)
    try:
        watch.useful_within(0.02)
        watch.useful_within(None)
        await asyncio.sleep(0.1)
        assert watch.tripped is None
        assert 9.0 < watch.left_s < 10.0
    finally:
        watch.stop()


class NoSuchPath(ChatCompletions):
    """A vendor that has no chat completions and says so as web servers do."""

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        return document(b"404 page not found", status=404, content_type="text/plain")


@pytest.fixture
async def bilingual(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """A provider said to speak two dialects, which speaks only the second one."""
    upstream.dialects.insert(0, NoSuchPath())
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, other_formats={"anthropic": ""})
        yield pool


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_provider_is_asked_in_its_other_dialect(
    bilingual: Pool, body: dict[str, Any]
) -> None:
    answer = await bilingual.call(body)
    assert answer.status == 200, answer.body
    assert bilingual.decisions == ["retry_same", "served"]
    assert [a.error_class for a in bilingual.attempts] == ["dialect", ""]
    closed = bilingual.request.request
    assert closed is not None
    assert closed.notes == ("p1/gpt-test is asked in anthropic instead",)
    bilingual.journal.records.clear()
    assert (await bilingual.call(body)).status == 200
    assert bilingual.decisions == ["served"], "what was learned is kept"


async def test_a_provider_that_speaks_nothing_is_told_so(
    bilingual: Pool,
) -> None:
    bilingual.set_provider(1, other_formats={"azure": ""})
    for _ in range(2):
        bilingual.journal.records.clear()
        answer = await bilingual.call()
        assert (answer.status, answer.error["code"]) == (502, "upstream_error")
        assert bilingual.decisions == ["retry_same", "exhausted"]
