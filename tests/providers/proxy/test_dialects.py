"""Every client's dialect against every upstream's, through all the rooms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from providers.formats import registry
from providers.snapshot.types import AliasRecord, TargetRecord
from tests.providers.proxy.pool import Pool
from tests.providers.proxy.voices import MODEL, PAIRS, UPSTREAMS, VOICES, speak
from tests.upstream.server import FaultUpstream

pytestmark = pytest.mark.parametrize(("client", "format_id"), PAIRS)


def _usage(pool: Pool, number: int = -1) -> Any:
    return pool.attempts[number].usage


async def test_a_call_is_served_billed_and_told_alike_streamed_or_not(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    voice = VOICES[client]
    whole = await voice.ask(pool)
    assert whole.status == 200, whole.body
    streamed = await voice.ask(pool, stream=True)
    assert streamed.status == 200, streamed.body
    assert voice.is_clean(streamed.body)
    assert voice.text(streamed.body) == voice.whole_text(whole.body)
    true = upstream.served[-1]
    for usage in (_usage(pool, 0), _usage(pool, 1)):
        assert usage.input_tokens == true.prompt_tokens
        assert usage.output_tokens == true.completion_tokens
    costs = [attempt.cost_nano for attempt in pool.attempts]
    assert costs[0] == costs[1] is not None
    assert not any(attempt.estimated for attempt in pool.attempts)
    assert {settle.head.dialect for settle in pool.settles} == {client}
    assert [settle.head.stream for settle in pool.settles] == [False, True]


async def test_the_asked_name_comes_back_and_no_key_goes_along(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    voice = VOICES[client]
    pool.models[1] = replace(pool.models[1], model_id="upstream-name")
    pool.aliases[MODEL] = AliasRecord(MODEL, (TargetRecord("upstream-name"),))
    pool.changed()
    headers = {"x-api-key": pool.key, "cookie": "crumb", "api-key": "dummy"}
    for stream in (False, True):
        answer = await voice.ask(pool, stream=stream, headers=headers)
        assert answer.status == 200, answer.body
        assert b"upstream-name" not in answer.body
        if client != "bedrock":
            assert MODEL.encode() in answer.body
        seen = upstream.control.seen[-1]
        sent = f"{seen.target} {seen.headers}".encode() + seen.body
        assert b"upstream-name" in sent
        for secret in (pool.key.encode(), b"crumb", b"dummy"):
            assert secret not in sent


@pytest.mark.parametrize(
    ("spec", "stream"), [("json-for-stream", True), ("sse-for-json", False)]
)
async def test_t103_an_answer_of_the_other_shape_is_turned_round(
    pool: Pool,
    upstream: FaultUpstream,
    client: str,
    format_id: str,
    spec: str,
    stream: bool,
) -> None:
    speak(pool, upstream, format_id)
    upstream.control.orders[MODEL] = spec
    voice = VOICES[client]
    answer = await voice.ask(pool, stream=stream)
    assert answer.status == 200, answer.body
    if stream:
        assert voice.is_clean(answer.body)
        assert voice.text(answer.body)
    else:
        assert voice.whole_text(answer.body)
    assert _usage(pool).output_tokens


_EXPECTED = {
    "400": {400},
    "400-context": {400},
    "401": {503},
    "402": {402, 429, 400},
    "403": {503},
    "404": {404},
    "413": {413, 400},
    "422": {422, 400},
    "429": {429},
    "500": {502, 500, 424},
    "503": {503, 529},
    "529": {503, 529},
}


async def test_t113_a_refusal_is_a_real_status_in_the_clients_shape(
    upstream: FaultUpstream, client: str, format_id: str
) -> None:
    voice = VOICES[client]
    # Not every upstream has words of its own for a conversation that is too long.
    is_told = format_id in ("openai", "responses", "anthropic")
    for spec, statuses in _EXPECTED.items():
        async with Pool(upstream.base_url) as pool:
            speak(pool, upstream, format_id)
            upstream.control.orders[MODEL] = spec
            answer = await voice.ask(pool, stream=spec.startswith("4"))
        assert answer.status in statuses, answer.body
        assert answer.header("content-type") == "application/json"
        words = voice.error_message(answer.body)
        assert words
        if spec == "400-context" and client == "anthropic" and is_told:
            assert words.startswith("prompt is too long")
        if spec in ("401", "403"):
            assert "credentials" in words
        is_passing = spec[0] == "5" or spec == "429"
        assert answer.header("x-should-retry") == ("true" if is_passing else "false")


@pytest.mark.parametrize("spec", ["error-200-sse", "empty-stream", "html-200"])
async def test_t117_what_fails_in_its_first_frame_is_a_real_status(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str, spec: str
) -> None:
    speak(pool, upstream, format_id)
    upstream.control.orders[MODEL] = spec
    voice = VOICES[client]
    answer = await voice.ask(pool, stream=True)
    assert answer.status is not None
    assert answer.status >= 424, answer.body
    assert voice.error_message(answer.body)


@pytest.mark.parametrize("spec", ["error-mid-9", "cut-rst-chunk-9", "cut-fin-chunk-9"])
async def test_t118_t119_a_stream_that_breaks_never_ends_clean(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str, spec: str
) -> None:
    speak(pool, upstream, format_id)
    upstream.control.orders[MODEL] = spec
    voice = VOICES[client]
    answer = await voice.ask(pool, stream=True)
    assert answer.status == 200
    assert answer.is_complete
    assert voice.text(answer.body)
    assert not voice.is_clean(answer.body)
    assert pool.request.request is not None
    assert pool.request.request.outcome != "ok"
    assert pool.attempts[0].usage.output_tokens
    assert len(pool.attempts) == 1


async def test_t120_silence_is_filled_in_the_clients_own_way(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    pool.set(keepalive_after_s=0.05, keepalive_every_s=0.05)
    upstream.control.orders[MODEL] = "slow-first-250"
    voice = VOICES[client]
    answer = await voice.ask(pool, stream=True)
    assert len(answer.pieces) > 2
    assert voice.is_clean(answer.body)
    assert voice.text(answer.body)
    for once in (b'"message_start"', b'"response.created"'):
        assert answer.body.count(once) <= 1


async def test_t122_a_fast_error_keeps_its_status_inside_the_delay(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    pool.set(keepalive_after_s=0.5)
    upstream.control.orders[MODEL] = "400+slow-first-50"
    answer = await VOICES[client].ask(pool, stream=True)
    assert answer.status == 400


async def test_t127_the_second_candidate_starts_the_stream_once(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    other = list(UPSTREAMS)[(list(UPSTREAMS).index(format_id) + 1) % len(UPSTREAMS)]
    pool.add_provider(upstream.base_url, priority=1)
    speak(pool, upstream, other, 2)
    upstream.control.orders[MODEL] = "529+first-1"
    voice = VOICES[client]
    answer = await voice.ask(pool, stream=True)
    assert answer.status == 200
    assert answer.header("x-pool-attempts") == "2"
    assert answer.header("x-pool-provider") == "p2"
    assert voice.is_clean(answer.body)
    for once in (b'"message_start"', b'"response.created"', b'"messageStart"'):
        assert answer.body.count(once) <= 1


async def test_t131_a_body_that_is_no_request_is_refused_in_shape(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    voice = VOICES[client]
    hard = [
        b"",
        b"{",
        b"[]",
        b"\x00",
        b'{"model":"\\ud800","messages":1}',
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        json.dumps({"model": MODEL, "messages": "no", "input": 5}).encode(),
    ]
    for data in hard:
        answer = await _raw(pool, voice, data)
        assert answer.status in (400, 404, 422), (data[:40], answer.body)
        assert voice.error_message(answer.body)
    assert not upstream.control.seen


async def test_t138_odd_json_is_faithful_or_refused_and_breaks_nothing(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    voice = VOICES[client]
    plain = json.dumps(voice.body("Hello", False)).encode()
    opened = plain[:-1]
    odd = [
        plain.replace(b"Hello", b"nul \\u0000 inside"),
        plain.replace(b"Hello", b"lone \\ud83d surrogate"),
        plain.replace(b"Hello", b"x" * 2_000_000),
        opened + b',"seed":1' + b"0" * 400 + b"}",
        opened + b',"temperature":1e400}',
        opened + b',"metadata":' + b"[" * 2000 + b"]" * 2000 + b"}",
        opened + b"," + plain[1:],
        b"\xef\xbb\xbf" + plain,
        plain.replace(b"Hello", b"\xff\xfe"),
        plain.replace(b"Hello", b"http \xff\xfe"),
    ]
    for data in odd:
        answer = await _raw(pool, voice, data)
        assert answer.status in (200, 400), (data[:80], answer.status, answer.body)
        assert json.loads(answer.body)
    assert not pool.facts


async def _raw(pool: Pool, voice: Any, data: bytes) -> Any:
    return await pool.call(
        data,
        wire=registry.get(voice.format_id),
        path=voice.paths[0],
        path_model=MODEL if voice.names_model_in_path else None,
    )
