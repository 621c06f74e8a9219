from __future__ import annotations

from tests.providers.proxy.pool import CHAT, STREAM, Pool
from tests.upstream.server import FaultUpstream


async def test_a_json_call_is_served_and_settled(
    pool: Pool, upstream: FaultUpstream
) -> None:
    answer = await pool.call(CHAT)
    assert answer.status == 200, answer.body
    assert answer.json["model"] == "gpt-test"
    served = upstream.served[0]
    settle = pool.request
    assert settle.request is not None
    assert settle.attempt is not None
    assert settle.request.outcome == "ok"
    assert settle.attempt.decision == "served"
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.input_tokens == served.prompt_tokens
    assert settle.attempt.usage.output_tokens == served.completion_tokens
    expected = served.prompt_tokens * 1_000 + served.completion_tokens * 2_000
    assert settle.request.cost_nano == expected
    assert settle.request.overhead_us is not None
    assert 0 < settle.request.overhead_us < 50_000
    assert answer.header("x-pool-provider") == "p1"
    assert answer.header("x-pool-attempts") == "1"
    assert answer.header("x-pool-request-id") == settle.head.request_id


async def test_a_stream_is_served_and_settled(
    pool: Pool, upstream: FaultUpstream
) -> None:
    answer = await pool.call(STREAM)
    assert answer.status == 200, answer.body
    assert answer.events[-1] == "[DONE]"
    assert answer.is_complete
    settle = pool.request
    assert settle.attempt is not None
    assert settle.attempt.usage is not None
    assert settle.attempt.usage.output_tokens == upstream.served[0].completion_tokens
    assert settle.attempt.ttft_ms is not None
