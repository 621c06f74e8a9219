"""The fault upstream does what its scenarios say and logs what truly left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.upstream.fixtures import fault_upstream
from tests.upstream.scenario import UnknownScenarioError, parse_scenario
from tests.upstream.server import SIGN_OF_LIFE, FaultUpstream
from tests.upstream.tokens import count_tokens
from tests.upstream.truth import read_truth

__all__ = ["fault_upstream"]

ASK: list[Any] = [{"role": "user", "content": "Tell me about the harbour in winter."}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {}},
}


@pytest.fixture
def upstream(fault_upstream: FaultUpstream) -> FaultUpstream:
    return fault_upstream


@asynccontextmanager
async def client_of(upstream: FaultUpstream) -> AsyncIterator[openai.AsyncOpenAI]:
    client = openai.AsyncOpenAI(
        api_key="sk-good", base_url=upstream.base_url, max_retries=0, timeout=5
    )
    async with client:
        yield client


async def raw(upstream: FaultUpstream, model: str, **more: Any) -> tuple[int, bytes]:
    """Post one request and return the status and every byte that arrived."""
    body = {"model": model, "messages": ASK, **more}
    received = b""
    async with (
        aiohttp.ClientSession(auto_decompress=True) as session,
        session.post(
            upstream.base_url + "/chat/completions",
            json=body,
            headers={"authorization": "Bearer sk-good"},
            allow_redirects=False,
        ) as response,
    ):
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientError:
            received += b"<CUT>"
        return response.status, received


def events(body: bytes) -> list[Any]:
    """Parse the JSON events of a stream."""
    lines = body.decode().replace("\r\n", "\n").split("\n\n")
    found = [line.removeprefix("data:").strip() for line in lines if line]
    return [json.loads(line) for line in found if line != "[DONE]"]


async def test_text_usage_equals_the_logged_truth(upstream: FaultUpstream) -> None:
    async with client_of(upstream) as client:
        reply = await client.chat.completions.create(model="gpt-test", messages=ASK)
    served = upstream.served[0]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == served.completion_tokens == 40
    assert reply.usage.prompt_tokens == served.prompt_tokens > 0
    assert count_tokens(reply.choices[0].message.content or "") == 40
    assert served.ended == "complete"


async def test_stream_reports_usage_only_when_asked(upstream: FaultUpstream) -> None:
    _, silent = await raw(upstream, "gpt-test", stream=True)
    _, told = await raw(
        upstream, "gpt-test", stream=True, stream_options={"include_usage": True}
    )
    assert all("usage" not in event for event in events(silent))
    assert silent.endswith(b"data: [DONE]\n\n")
    chunks = events(told)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 40
    assert [call.usage_sent for call in upstream.served] == [False, True]


async def test_same_conversation_gets_the_same_bytes(upstream: FaultUpstream) -> None:
    first = await raw(upstream, "gpt-test", stream=True)
    assert first == await raw(upstream, "gpt-test", stream=True)


async def test_sdk_reads_tools_n_logprobs_and_reasoning(
    upstream: FaultUpstream,
) -> None:
    async with client_of(upstream) as client:
        create = client.chat.completions.create
        tools = await create(
            model="fault-tools-parallel", messages=ASK, tools=[WEATHER]
        )
        several = await create(
            model="fault-reasoning-5", messages=ASK, n=2, logprobs=True
        )
    calls: list[Any] = tools.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments)["unit"] for call in calls] == [
        "celsius",
        "celsius",
    ]
    assert [choice.index for choice in several.choices] == [0, 1]
    assert several.choices[0].logprobs is not None
    assert several.usage is not None
    assert several.usage.completion_tokens == 90


async def test_fragmented_arguments_join_to_json(upstream: FaultUpstream) -> None:
    _, body = await raw(upstream, "fault-tools-fragmented", stream=True)
    pieces = [
        call["function"]["arguments"]
        for event in events(body)
        for choice in event["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert len(pieces) > 5
    assert json.loads("".join(pieces))["unit"] == "celsius"


async def test_max_tokens_ends_with_length(upstream: FaultUpstream) -> None:
    _, body = await raw(upstream, "fault-len-500", max_completion_tokens=20)
    reply = json.loads(body)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 20


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 500, 503, 529])
async def test_status_has_the_error_shape(upstream: FaultUpstream, status: int) -> None:
    got, body = await raw(upstream, f"fault-{status}-param-stream_options")
    assert got == status
    assert json.loads(body)["error"]["param"] == "stream_options"
    assert upstream.served[0].completion_tokens == 0


async def test_retry_after_takes_every_spelling(upstream: FaultUpstream) -> None:
    spellings = ["1", "0", "-5", "soon", "1e9"]
    for spelling in spellings:
        async with client_of(upstream) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(
                    model=f"fault-429-retry-after-{spelling}", messages=ASK
                )
        assert caught.value.response.headers["retry-after"] == spelling


async def test_one_key_of_a_pool_can_fail_twice_then_heal(
    upstream: FaultUpstream,
) -> None:
    statuses: list[int] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(
                upstream.base_url + "/chat/completions",
                json={"model": "gpt-test", "messages": ASK},
                headers={"authorization": "Bearer sk-bad-503+first-2"},
            ) as response:
                statuses.append(response.status)
    assert statuses == [503, 503, 200]


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_cut_after_a_chunk_counts_only_what_left(
    upstream: FaultUpstream, how: str
) -> None:
    _, body = await raw(upstream, f"fault-len-100+cut-{how}-chunk-6", stream=True)
    served = upstream.served[0]
    assert body.endswith(b"<CUT>")
    assert served.ended == "cut"
    assert 0 < served.completion_tokens < 100
    text = "".join(
        choice["delta"].get("content", "")
        for event in events(body.removesuffix(b"<CUT>"))
        for choice in event["choices"]
    )
    assert count_tokens(text) == served.completion_tokens
    assert not served.usage_sent


async def test_departed_client_is_logged_with_what_was_sent(
    upstream: FaultUpstream, tmp_path: Path
) -> None:
    body = {"model": "fault-len-400+gap-5", "messages": ASK, "stream": True}
    async with aiohttp.ClientSession() as session:
        response = await session.post(
            upstream.base_url + "/chat/completions",
            json=body,
            headers={
                "authorization": "Bearer sk-good",
                "x-pool-request-id": "request-1",
            },
        )
        await response.content.readany()
        response.close()
    await upstream.wait_idle(within_s=5)
    (logged,) = read_truth(tmp_path / "truth.jsonl")
    assert logged.ended == "client_gone"
    assert logged.request_id == "request-1"
    assert 0 <= logged.completion_tokens < 400
    assert upstream.control.open == 0


async def test_stall_and_silence_hold_until_the_client_leaves(
    upstream: FaultUpstream,
) -> None:
    for model in ("fault-stall-2", "fault-silence"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await raw(upstream, model, stream=True)
    await upstream.wait_idle(within_s=5)
    assert [call.ended for call in upstream.served] == ["client_gone"] * 2


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("fault-usage-zero", 0),
        ("fault-usage-negative", -40),
        ("fault-usage-absurd", 10**12),
        ("fault-usage-string", "40"),
    ],
)
async def test_usage_lies_are_sent_and_the_truth_is_kept(
    upstream: FaultUpstream, model: str, expected: object
) -> None:
    _, body = await raw(upstream, model)
    assert json.loads(body)["usage"]["completion_tokens"] == expected
    assert upstream.served[0].completion_tokens == 40


async def test_split_framing_and_bom_change_bytes_not_meaning(
    upstream: FaultUpstream,
) -> None:
    _, plain = await raw(upstream, "gpt-test", stream=True)
    contents = {len(events(plain))}
    for bent in ("split-7", "byte-by-byte", "crlf", "no-space"):
        _, body = await raw(upstream, f"fault-{bent}", stream=True)
        contents.add(len(events(body)))
    _, marked = await raw(upstream, "fault-bom", stream=True)
    assert marked.startswith(b"\xef\xbb\xbf")
    assert len(contents) == 1 or max(contents) - min(contents) < 6
    assert {call.completion_tokens for call in upstream.served} == {40}


@pytest.mark.parametrize(
    ("model", "stream", "mark"),
    [
        ("fault-html-200", True, b"<html>"),
        ("fault-error-200-json", False, b'"error"'),
        ("fault-error-200-sse", True, b'"error"'),
        ("fault-error-mid-3", True, b'"error"'),
        ("fault-json-for-stream", True, b'"object": "chat.completion"'),
        ("fault-sse-for-json", False, b"data: "),
        ("fault-bad-json-2", True, b"chatcmpl-broken"),
        ("fault-garbled", True, b"\xff\xfe"),
        ("fault-comments-50", True, b": x\n\n"),
        ("fault-huge-line-100000", True, b"x" * 100_000),
        ("fault-gzip", True, b"[DONE]"),
        ("fault-empty-stream", True, b""),
        ("fault-echo-secret-body", False, b"sk-good"),
        ("fault-401+echo-secret-error", False, b"sk-good"),
        ("fault-refusal", False, b"cannot help"),
        ("fault-vendor-cost-0.5", False, b'"cost": 0.5'),
    ],
)
async def test_odd_answers_arrive_as_named(
    upstream: FaultUpstream, model: str, stream: bool, mark: bytes
) -> None:
    _, body = await raw(upstream, model, stream=stream)
    assert mark in body


async def test_missing_pieces_are_missing(upstream: FaultUpstream) -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    _, no_usage = await raw(upstream, "fault-no-usage", **asked)
    _, no_done = await raw(upstream, "fault-no-done", **asked)
    _, no_finish = await raw(upstream, "fault-no-finish", **asked)
    assert b"completion_tokens" not in no_usage
    assert b"[DONE]" not in no_done
    assert b'"stop"' not in no_finish
    assert not upstream.served[0].usage_sent


async def test_wrong_length_is_announced(upstream: FaultUpstream) -> None:
    _, body = await raw(upstream, "fault-wrong-length-long")
    assert body.endswith(b"<CUT>")


async def test_redirect_points_at_the_canary(upstream: FaultUpstream) -> None:
    status, _ = await raw(upstream, "fault-redirect-self")
    assert status == 302
    assert upstream.control.canary_hits == 0


async def test_models_are_listed_and_orders_can_be_given(
    upstream: FaultUpstream,
) -> None:
    async with client_of(upstream) as client:
        names = [model.id async for model in client.models.list()]
        upstream.control.orders["sk-good"] = "500"
        with pytest.raises(openai.InternalServerError):
            await client.models.list()
    assert "gpt-test" in names
    assert upstream.control.report()["by_key"] == {"sk-good": 2}


def test_misspelt_directive_is_refused() -> None:
    with pytest.raises(UnknownScenarioError):
        parse_scenario("cut-sideways-3")


@pytest.mark.parametrize("stream", [False, True])
async def test_late_token_leaves_head_and_tokens_as_they_were(
    upstream: FaultUpstream, stream: bool
) -> None:
    upstream.control.orders["gpt-test"] = "late-token-20"
    status, late = await raw(upstream, "gpt-test", stream=stream)
    upstream.reset()
    _, healthy = await raw(upstream, "gpt-test", stream=stream)
    assert status == 200
    assert late.count(SIGN_OF_LIFE) == int(stream)
    assert late.replace(SIGN_OF_LIFE, b"") == healthy


async def test_empty_body_and_stalled_body_are_headed_like_answers(
    upstream: FaultUpstream,
) -> None:
    assert await raw(upstream, "fault-empty-body") == (200, b"")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await raw(upstream, "fault-stall-bytes-30")
    await upstream.wait_idle(within_s=5)
    assert upstream.served[-1].bytes == 30
