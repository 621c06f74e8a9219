"""Cases that once billed wrongly, lost a request or punished a healthy vendor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self
from unittest import mock

import msgspec
import pytest

from pricing.cost import PriceSpec
from providers.formats.openai_chat import dialect
from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.pool import CHAT, STREAM, Pool, chat
from tests.upstream.server import FaultUpstream
from usage.journal.orphans import orphans
from usage.limits.contract import LimitStoreError

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(seed=1) as found:
        yield found


@pytest.fixture
async def second() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(seed=2) as found:
        yield found


class Raw:
    """An upstream that writes exactly what a test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.base_url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                sizes = [x for x in lines if x.startswith(b"content-length:")]
                await reader.readexactly(int(sizes[0].split(b":")[1]))
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        b"content-length: 500\r\n\r\n{"
    )
    await writer.drain()
    writer.close()


async def test_a_retry_is_reserved_beside_what_the_first_try_cost() -> None:
    asked = chat(max_tokens=5, messages=[{"role": "user", "content": "x" * 200}])
    budget = BudgetRecord(id=1, scope="key", amount_nano_usd=10**9, window="day")
    async with Raw(_cut) as raw, Pool(raw.base_url) as pool:
        pool.budgets[1] = budget
        pool.set_key(budget_ids=(1,))
        await pool.call(asked)
        one = pool.intents[0].reservation_nano
    assert one is not None
    async with Raw(_cut) as raw, Pool(raw.base_url) as pool:
        pool.budgets[1] = msgspec.structs.replace(budget, amount_nano_usd=one)
        pool.set_key(budget_ids=(1,))
        await pool.call(asked)
        assert sum(attempt.cost_nano or 0 for attempt in pool.attempts) <= one


async def test_an_intent_nobody_waited_for_is_settled(upstream: FaultUpstream) -> None:
    async with Pool(upstream.base_url) as pool:
        gate = asyncio.Event()

        async def slow(record: Any) -> None:
            pool.journal.append(record)
            if type(record).__name__ == "AttemptIntent":
                await gate.wait()

        pool.journal.append_durable = slow  # type: ignore[method-assign]
        client, task = pool.start(CHAT)
        await asyncio.sleep(0.1)
        client.left.set()
        await asyncio.wait_for(task, 5)
        assert orphans(pool.journal.records) == []
        gate.set()


async def test_an_answer_that_was_served_is_no_failure() -> None:
    events = (
        b'data: {"id":"c","model":"gpt-test","choices":[{"index":0,'
        b'"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )

    async def lingering(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(events), events)
        )
        await writer.drain()
        await asyncio.sleep(2)

    async with Raw(lingering) as raw, Pool(raw.base_url) as pool:
        answers = await asyncio.gather(*[pool.call(STREAM) for _ in range(4)])
        assert [answer.status for answer in answers] == [200] * 4
        await asyncio.sleep(1.3)
        assert not pool.health.states()


async def test_rates_fail_open_on_a_fallback_too(
    upstream: FaultUpstream, second: FaultUpstream
) -> None:
    async with Pool(upstream.base_url, second.base_url) as pool:
        pool.set_key(rpm=100)
        dear = PriceSpec(input=9_000_000_000, output=9_000_000_000)
        pool.models[2] = msgspec.structs.replace(pool.models[2], price=dear)
        pool.changed()
        upstream.control.orders["gpt-test"] = "500"

        async def gone(*_: Any, **__: Any) -> Any:
            raise LimitStoreError("away")

        pool.limits.re_reserve = gone  # type: ignore[method-assign]
        assert (await pool.call()).status == 200


async def test_the_cooled_one_is_tried_when_the_only_live_one_fails(
    upstream: FaultUpstream, second: FaultUpstream
) -> None:
    async with Pool(upstream.base_url, second.base_url) as pool:
        route = list(pool.snapshot().resolve("gpt-test").candidates)[1]
        for _ in range(3):
            pool.health.report(route, "server_error")
        upstream.control.orders["gpt-test"] = "401"
        assert (await pool.call()).status == 200


async def test_a_fault_of_our_own_reader_leads_to_the_next(
    upstream: FaultUpstream, second: FaultUpstream
) -> None:
    real = dialect.read_chat_response
    calls = 0

    def breaks_once(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("x")
        return real(*args)

    async with Pool(upstream.base_url, second.base_url) as pool:
        with mock.patch.object(dialect, "read_chat_response", breaks_once):
            assert (await pool.call()).status == 200
