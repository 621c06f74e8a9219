"""However and whenever a call is cancelled, its books are closed exactly once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from providers.proxy.exchange import Message
from tests.providers.proxy.pool import CHAT, STREAM, Client, Pool
from tests.upstream.server import FaultUpstream
from usage.limits.contract import Scope

POINTS = 40


class Canceller:
    """Cancel a task at its nth suspension, whatever it waits for."""

    def __init__(self, work: Any, point: int, times: int) -> None:
        self._work = work
        self._point = point
        self._times = times
        self.is_reached = False

    def __await__(self) -> Any:
        steps = self._work.__await__()
        count = 0
        try:
            waiting = next(steps)
            while True:
                count += 1
                if self._point <= count < self._point + self._times:
                    self.is_reached = True
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                try:
                    value = yield waiting
                except BaseException as error:  # noqa: BLE001 - handed on as it came
                    waiting = steps.throw(error)
                else:
                    waiting = steps.send(value)
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_call_cancelled_anywhere_is_settled_once(
    upstream: FaultUpstream, body: dict[str, Any], times: int
) -> None:
    upstream.control.orders["gpt-test"] = "len-60+chunks-30"
    reached = 0
    async with Pool(upstream.base_url) as pool:
        pool.set_key(concurrency=1000, rpm=100_000)
        for point in range(1, POINTS + 1):
            pool.journal.records.clear()
            client = Client([json.dumps(body).encode()])
            headers = {"authorization": f"Bearer {pool.key}"}
            work = pool.pipeline.handle(
                pool.inbound(headers), _yielding(client.receive), client.send
            )
            canceller = Canceller(work, point, times)
            task = asyncio.ensure_future(_run(canceller))
            await asyncio.gather(task, return_exceptions=True)
            reached += canceller.is_reached
            _check_books(pool)
        await upstream.wait_idle(within_s=5)
        status = await pool.limits.status(Scope(key="key:1", concurrency=1000))
        assert status[0].remaining == 1000
    assert reached >= 4


async def _run(canceller: Canceller) -> None:
    await canceller


def _yielding(receive: Any) -> Any:
    async def call() -> Message:
        await asyncio.sleep(0)
        message: Message = await receive()
        return message

    return call


def _check_books(pool: Pool) -> None:
    intents = {intent.attempt_id for intent in pool.intents}
    settled = [attempt.attempt_id for attempt in pool.attempts]
    closed = [settle for settle in pool.settles if settle.request is not None]
    assert len(closed) == 1
    assert sorted(settled) == sorted(intents)


async def test_a_client_that_leaves_at_any_moment_is_settled_once(
    upstream: FaultUpstream,
) -> None:
    upstream.control.orders["gpt-test"] = "len-40+chunks-20+gap-4"
    async with Pool(upstream.base_url) as pool:
        for step in range(POINTS):
            pool.journal.records.clear()
            client, task = pool.start(STREAM)
            await asyncio.sleep(step * 0.004)
            client.left.set()
            async with asyncio.timeout(5):
                await task
            _check_books(pool)
            assert client.sent_after_leaving <= 3


async def test_a_call_cancelled_before_it_starts_leaves_nothing(pool: Pool) -> None:
    client = Client([b"{}"])
    headers = {"authorization": f"Bearer {pool.key}"}
    work = pool.pipeline.handle(pool.inbound(headers), client.receive, client.send)
    task = asyncio.ensure_future(work)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not pool.journal.records
    assert pool.pipeline.in_flight == 0


async def test_a_bug_in_a_room_is_an_error_500_on_the_books(pool: Pool) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret words")

    pool.health.cooling = broken  # type: ignore[method-assign, assignment]
    answer = await pool.call()
    assert answer.status == 500
    assert "secret words" not in answer.body.decode()
    assert pool.request.request is not None
    assert pool.request.request.status == 500
