"""Streams that break, stall, fall silent, or lose their client."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.providers.proxy.pool import STREAM, Client, Pool, chat
from tests.upstream.server import FaultUpstream
from usage.journal.records import Progress


def fault(upstream: FaultUpstream, spec: str) -> None:
    upstream.control.orders["gpt-test"] = spec


def client_of(body: object) -> Client:
    return Client([json.dumps(body).encode()])


@pytest.mark.parametrize(
    "spec", ["cut-rst-chunk-5", "cut-fin-chunk-5", "error-mid-5", "bad-json-5"]
)
async def test_a_stream_that_breaks_ends_in_an_error_and_never_cleanly(
    pool: Pool, upstream: FaultUpstream, spec: str
) -> None:
    fault(upstream, f"{spec}+len-40")
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert answer.is_complete
    assert answer.events[-1] != "[DONE]"
    assert "error" in answer.events[-1], answer.body[-300:]
    settle = pool.request
    assert settle.request is not None
    assert settle.attempt is not None
    assert settle.request.outcome in ("cut", "upstream_error")
    assert settle.request.estimated
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.input_tokens
    assert settle.attempt.usage.output_tokens


async def test_t9_usage_is_asked_for_and_taken_out_again(
    pool: Pool, upstream: FaultUpstream
) -> None:
    answer = await pool.call(STREAM)
    seen = json.loads(upstream.control.seen[0].body)
    assert seen["stream_options"] == {"include_usage": True}
    assert b"usage" not in answer.body
    assert pool.request.request is not None
    assert pool.request.request.usage is not None
    assert not pool.request.request.estimated


async def test_t10_usage_the_client_asked_for_stays(
    pool: Pool, upstream: FaultUpstream
) -> None:
    body = chat(stream=True, stream_options={"include_usage": True})
    answer = await pool.call(body)
    assert upstream.control.seen[0].body == json.dumps(body).encode()
    assert answer.events[-2]["usage"]["total_tokens"]


async def test_a_client_that_leaves_stops_the_upstream_and_is_billed(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "len-400+chunks-400+gap-5")
    client, task = pool.start(STREAM)
    await client.wrote.wait()
    await asyncio.sleep(0.2)
    client.left.set()
    async with asyncio.timeout(2):
        await task
    await upstream.wait_idle(within_s=2)
    assert upstream.served[0].ended == "client_gone"
    settle = pool.request
    assert settle.request is not None
    assert settle.attempt is not None
    assert settle.request.status == 499
    assert settle.request.outcome == "client_closed"
    assert settle.attempt.estimated
    usage = settle.attempt.usage
    assert usage is not None
    assert usage.output_tokens
    true = upstream.served[0].completion_tokens
    assert 0 < usage.output_tokens <= true * 1.4 + 5
    assert settle.attempt.cost_nano
    assert client.sent_after_leaving == 0


async def test_a_client_that_leaves_while_waiting_frees_the_upstream(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "silence")
    client, task = pool.start(chat())
    await pool.sent()
    client.left.set()
    async with asyncio.timeout(2):
        await task
    assert pool.request.request is not None
    assert pool.request.request.outcome == "client_closed"
    assert client.answer.status is None


async def test_t124_an_answer_billed_in_full_is_read_to_its_end(
    pool: Pool, upstream: FaultUpstream
) -> None:
    pool.set_provider(1, billing_on_abort="full")
    fault(upstream, "len-60+gap-5")
    client, task = pool.start(STREAM)
    await client.wrote.wait()
    client.left.set()
    async with asyncio.timeout(2):
        await task
    await upstream.wait_idle(within_s=5)
    await pool.pipeline.finish(2.0)
    settle = pool.request
    assert settle.request is not None
    assert settle.attempt is not None
    assert settle.request.status == 499
    assert not settle.attempt.estimated
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.output_tokens == upstream.served[0].completion_tokens


async def test_silence_is_bridged_by_keep_alives_and_failover_stays_possible(
    upstream: FaultUpstream,
) -> None:
    async with (
        FaultUpstream(seed=3) as other,
        Pool(upstream.base_url, other.base_url) as pool,
    ):
        fault(upstream, "silence")
        pool.set(keepalive_after_s=0.1, keepalive_every_s=0.1, connect_deadline_s=0.5)
        answer = await pool.call(STREAM)
        assert answer.status == 200
        assert answer.body.startswith(b": keep-alive\n\n")
        assert answer.events[-1] == "[DONE]"
        assert pool.attempts[-1].target.provider_slug == "p2"
        assert answer.header("content-type") == "text/event-stream; charset=utf-8"


async def test_an_error_after_a_keep_alive_is_told_inside_the_stream(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "silence")
    pool.set(keepalive_after_s=0.1, keepalive_every_s=0.1)
    timeouts = type(pool.providers[1].timeouts)(first_byte_s=0.4)
    pool.set_provider(1, timeouts=timeouts)
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert answer.events[-1]["error"]["code"] == "upstream_timeout"
    assert pool.request.request is not None
    assert pool.request.request.status == 504


async def test_a_gap_inside_a_stream_is_bridged_too(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "len-3+chunks-3+gap-400")
    pool.set(keepalive_after_s=0.1, keepalive_every_s=0.1)
    answer = await pool.call(STREAM)
    assert answer.body.count(b": keep-alive\n\n") >= 3
    assert answer.events[-1] == "[DONE]"


async def test_a_stalled_stream_is_given_up(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "stall-3+len-40")
    timeouts = type(pool.providers[1].timeouts)(idle_s=0.3)
    pool.set_provider(1, timeouts=timeouts)
    answer = await pool.call(STREAM)
    assert "error" in answer.events[-1]
    assert pool.request.request is not None
    assert pool.request.request.outcome == "timeout"


async def test_t140_a_client_that_does_not_read_is_dropped_and_billed(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "len-50")
    pool.set(client_stall_s=0.2)
    client = client_of(STREAM)
    client.stall = True
    _, task = pool.start(STREAM, client=client)
    async with asyncio.timeout(3):
        await task
    assert pool.request.request is not None
    assert pool.request.request.outcome == "client_closed"
    assert pool.request.request.error_code == "client_stall"
    assert pool.request.request.cost_nano


@pytest.mark.parametrize(
    "spec",
    [
        "byte-by-byte+len-8",
        "split-7",
        "crlf",
        "comments-3",
        "no-done",
        "no-space",
        "done-twice",
        "json-for-stream",
        "gzip",
        "usage-every",
        "bom",
    ],
)
async def test_odd_streams_are_served_and_metered(
    pool: Pool, upstream: FaultUpstream, spec: str
) -> None:
    fault(upstream, spec)
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert answer.events[-1] == "[DONE]"
    settle = pool.request
    assert settle.attempt is not None
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.output_tokens == upstream.served[0].completion_tokens


@pytest.mark.parametrize("spec", ["gzip", "sse-for-json", "no-usage", "usage-absurd"])
async def test_odd_answers_are_served_and_metered(
    pool: Pool, upstream: FaultUpstream, spec: str
) -> None:
    fault(upstream, spec)
    answer = await pool.call(chat())
    assert answer.status == 200, answer.body
    assert answer.json["choices"]
    settle = pool.request
    assert settle.attempt is not None
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.output_tokens


async def test_progress_is_recorded_while_a_stream_runs(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "len-400+chunks-200")
    await pool.call(STREAM)
    found = [r for r in pool.journal.records if isinstance(r, Progress)]
    assert found
    assert found[-1].output_bytes >= 4096
    assert found[-1].estimated_output_tokens


async def test_draining_ends_a_stream_with_an_error(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "len-400+chunks-400+gap-5")
    client, task = pool.start(STREAM)
    await client.wrote.wait()
    pool.pipeline.cut()
    async with asyncio.timeout(2):
        await task
    assert client.answer.events[-1]["error"]["code"] == "draining"
    assert pool.request.request is not None
    assert pool.request.request.cost_nano
