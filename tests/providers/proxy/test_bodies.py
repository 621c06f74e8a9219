"""Prompts and answers are copied for keys that ask for it, and only for those."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.providers.proxy.pool import CHAT, STREAM, Client, Pool, chat
from tests.upstream.server import FaultUpstream
from usage.bodies.spool import Raw


def switch_on(pool: Pool, keep: int = 4096) -> None:
    pool.set(keep_bodies=True, body_keep_bytes=keep)
    pool.set_key(keeps_bodies=True)


@pytest.mark.parametrize(
    ("by_pool", "by_key"), [(False, False), (True, False), (False, True)]
)
async def test_nothing_is_kept_unless_pool_and_key_say_so(
    pool: Pool, by_pool: bool, by_key: bool
) -> None:
    pool.set(keep_bodies=by_pool)
    pool.set_key(keeps_bodies=by_key)
    assert (await pool.call(CHAT)).status == 200
    assert pool.bodies.kept == []


async def test_prompt_and_answer_are_kept_as_the_client_saw_them(pool: Pool) -> None:
    switch_on(pool)
    answer = await pool.call(CHAT)
    [kept] = pool.bodies.kept
    assert kept.request_id == pool.request.head.request_id
    assert kept.at_ns == pool.request.head.at_ns
    assert kept.asked == json.dumps(CHAT).encode()
    assert kept.answered == answer.body
    assert kept.answered_size == len(answer.body)


async def test_a_stream_is_kept_to_its_end(pool: Pool) -> None:
    switch_on(pool)
    answer = await pool.call(STREAM)
    [kept] = pool.bodies.kept
    assert kept.answered == answer.body
    assert b"[DONE]" in kept.answered


async def test_what_is_kept_has_a_bound_and_its_whole_size(pool: Pool) -> None:
    switch_on(pool, keep=64)
    long = chat(messages=[{"role": "user", "content": "word " * 1_000}])
    await pool.call(long)
    [kept] = pool.bodies.kept
    assert kept.asked is not None
    assert len(kept.asked) == 256
    assert kept.asked_size == len(json.dumps(long))
    assert kept.answered is not None
    assert len(kept.answered) <= 256


async def test_refused_call_keeps_the_error_the_client_got(pool: Pool) -> None:
    switch_on(pool)
    answer = await pool.call(chat("nobody-serves-this"))
    [kept] = pool.bodies.kept
    assert answer.status == 404
    assert kept.answered == answer.body
    assert kept.asked is not None


async def test_call_whose_body_cannot_be_read_keeps_no_prompt(pool: Pool) -> None:
    switch_on(pool)
    answer = await pool.call(b"{nonsense")
    [kept] = pool.bodies.kept
    assert (answer.status, kept.asked) == (400, None)
    assert kept.answered == answer.body


async def test_client_that_leaves_has_what_it_got_kept(
    pool: Pool, upstream: FaultUpstream
) -> None:
    switch_on(pool)
    client = Client([json.dumps(chat("fault-gap-50", stream=True)).encode()])
    _, task = pool.start(None, client=client)
    async with asyncio.timeout(10):
        await client.wrote.wait()
        client.left.set()
        await task
    [kept] = pool.bodies.kept
    assert kept.answered is not None
    assert kept.answered.startswith(client.answer.body)


async def test_store_that_fails_costs_the_body_and_nothing_else(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(raw: Raw) -> None:
        raise RuntimeError("can't start new thread")

    switch_on(pool)
    pool.set_key(concurrency=1)
    monkeypatch.setattr(pool.bodies, "keep", fail)
    for _ in range(3):
        # Each call needs the place the one before gave back.
        assert (await pool.call(CHAT)).status == 200
    assert len(pool.settles) == 3
    assert "body_not_kept" in caplog.text
    assert "Hello" not in caplog.text


async def test_lists_of_models_keep_nothing(pool: Pool) -> None:
    switch_on(pool)
    answer = await pool.call(b"", method="GET", path="/v1/models", op="models")
    assert answer.status == 200
    assert pool.bodies.kept == []
