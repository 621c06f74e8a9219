"""Wrong bills other gateways have sent, by their numbers: here they come out right.

Each case has the bytes the vendor sent, what the peer made of them, and what the call
costs. The prices are the ones the cases are told with, or plain ones where they are not.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from poolsite.money import NANO_PER_USD, UNITS_PER_PRICE
from pricing.cost import PriceSpec, cost_nano_usd
from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import ResponseMeta, Target
from providers.formats.taps import StreamTap
from tests.providers.formats.conformance.talk import INBOUND, ask

CLIENTS = pytest.mark.parametrize("client", INBOUND)
USD_PER_MILLION = NANO_PER_USD
PRICE = PriceSpec(
    input=3 * USD_PER_MILLION,
    output=15 * USD_PER_MILLION,
    cache_read=3 * USD_PER_MILLION // 10,
    cache_write=15 * USD_PER_MILLION // 4,
)
"""3 and 15 USD a million tokens, a tenth for what was read from the cache."""


def _asked(client: str, upstream: str, *, stream: bool) -> tuple[Any, Any, Any]:
    request = ask(client, stream=stream)
    bridge = registry.bridge(client, upstream, "up")
    assert bridge is not None
    return bridge, request, bridge.build_request(request, Target(model="up"))


def _streamed(client: str, upstream: str, data: bytes) -> StreamTap:
    bridge, request, sent = _asked(client, upstream, stream=True)
    stream = registry.get(client).open_stream(request, request_id="r")
    tap: StreamTap = bridge.open_tap(request, sent, stream)
    tap.feed(data)
    tap.eof()
    assert tap.complete
    return tap


def _whole(client: str, upstream: str, body: dict[str, Any]) -> ResponseMeta:
    bridge, request, sent = _asked(client, upstream, stream=False)
    meta: ResponseMeta = bridge.read_response(request, sent, json.dumps(body).encode())
    assert meta.error is None
    return meta


def _exact(**tokens: tuple[int, int]) -> int:
    """Return a bill made by hand: (tokens, price for a million of them)."""
    total = sum(count * price for count, price in tokens.values())
    return -(-total // UNITS_PER_PRICE)


def _chat_frames(*bodies: dict[str, Any]) -> bytes:
    frames = [b"data: %b\n\n" % json.dumps(body).encode() for body in bodies]
    return b"".join(frames) + b"data: [DONE]\n\n"


def _chunk(delta: dict[str, Any], finish: str | None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "model": "up", "choices": [choice], **more}


def _completion(usage: dict[str, Any], finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c", "model": "up", "choices": [choice], "usage": usage}


# litellm#36168: usage in a last chunk that has choices. The peer read 2607 tokens in
# (its own estimate), none out and none cached; not streamed, it read the true ones.

LAST_CHUNK: dict[str, Any] = {
    "prompt_tokens": 2612,
    "completion_tokens": 8,
    "total_tokens": 2620,
    "prompt_tokens_details": {"cached_tokens": 2560},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
LAST_CHUNK_TRUE = TokenUsage(
    input_tokens=52, cache_read_tokens=2560, output_tokens=8, reasoning_tokens=7
)


@CLIENTS
def test_usage_beside_choices_in_the_last_chunk_counts(client: str) -> None:
    stream = _chat_frames(
        _chunk({"role": "assistant", "content": "Hi"}, None),
        _chunk({"role": "assistant", "content": ""}, "length", usage=LAST_CHUNK),
    )
    tap = _streamed(client, "openai", stream)
    whole = _whole(client, "openai", _completion(LAST_CHUNK, "length"))
    assert tap.usage == whole.usage == LAST_CHUNK_TRUE
    ours = cost_nano_usd(LAST_CHUNK_TRUE, PRICE)
    assert ours == 1_044_000
    assert ours == _exact(
        new=(52, 3_000_000_000), old=(2560, 300_000_000), out=(8, 15_000_000_000)
    )
    theirs = cost_nano_usd(TokenUsage(input_tokens=2607, output_tokens=0), PRICE)
    assert theirs == 7_821_000


# bifrost PR#5355: the start states the whole prompt, the delta its split, and the larger
# of each is kept. A prompt of 8849 tokens became one of 17665.

START = {"input_tokens": 8834, "output_tokens": 0}
SPLIT = {
    "input_tokens": 18,
    "output_tokens": 426,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 8831,
    "cache_creation": {"ephemeral_5m_input_tokens": 0},
}


def _messages_stream() -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "content": [],
        "usage": START,
    }
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hi"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": SPLIT,
        },
        {"type": "message_stop"},
    ]
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode())
        for each in events
    )


@CLIENTS
def test_what_a_delta_says_replaces_what_the_start_said(client: str) -> None:
    tap = _streamed(client, "anthropic", _messages_stream())
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": SPLIT,
    }
    whole = _whole(client, "anthropic", body)
    assert tap.usage is not None
    assert tap.usage == whole.usage
    assert tap.usage.prompt_tokens == 8849
    ours = cost_nano_usd(tap.usage, PRICE)
    assert ours == 9_093_300
    assert ours == _exact(
        new=(18, 3_000_000_000), old=(8831, 300_000_000), out=(426, 15_000_000_000)
    )
    largest = TokenUsage(input_tokens=8834, cache_read_tokens=8831, output_tokens=426)
    assert largest.prompt_tokens == 17_665
    assert cost_nano_usd(largest, PRICE) == 35_541_300


# bifrost#3451: tokens written to the cache are charged as input once more.


@CLIENTS
def test_what_was_written_to_the_cache_is_billed_once(client: str) -> None:
    usage = {
        "input_tokens": 6,
        "cache_creation_input_tokens": 159_217,
        "output_tokens": 2745,
    }
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    price = PriceSpec(
        input=5 * USD_PER_MILLION,
        output=25 * USD_PER_MILLION,
        cache_write=25 * USD_PER_MILLION // 4,
    )
    whole = _whole(client, "anthropic", body)
    assert whole.usage is not None
    assert cost_nano_usd(whole.usage, price) == 1_063_761_250
    twice = TokenUsage(
        input_tokens=159_223, cache_write_tokens=159_217, output_tokens=2745
    )
    assert cost_nano_usd(twice, price) == 1_859_846_250


# new-api#6144: the client is told of 1792 cached tokens, the bill is made of a copy of
# the usage that dropped them.

CACHED: dict[str, Any] = {
    "prompt_tokens": 1816,
    "completion_tokens": 64,
    "total_tokens": 1880,
    "prompt_tokens_details": {
        "cached_tokens": 1792,
        "text_tokens": 0,
        "audio_tokens": 0,
        "image_tokens": 0,
    },
}


@CLIENTS
def test_cached_tokens_reach_the_bill_and_not_the_client_alone(client: str) -> None:
    stream = _chat_frames(
        _chunk({"role": "assistant", "content": "Hi"}, None),
        _chunk({}, "stop"),
        {"id": "c", "model": "up", "choices": [], "usage": CACHED},
    )
    tap = _streamed(client, "openai", stream)
    whole = _whole(client, "openai", _completion(CACHED, "stop"))
    assert tap.usage is not None
    assert tap.usage == whole.usage
    assert tap.usage.input_tokens == 24
    assert tap.usage.cache_read_tokens == 1792
    ours = cost_nano_usd(tap.usage, PRICE)
    assert ours == 1_569_600
    dropped = cost_nano_usd(TokenUsage(input_tokens=1816, output_tokens=64), PRICE)
    assert dropped == 6_408_000
