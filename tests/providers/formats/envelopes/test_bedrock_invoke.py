from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Arrival, ChatRequest, FramingError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.framing_eventstream import encode_frame
from tests.providers.formats.bedrock_converse.talk import CLAUDE, LLAMA, read_frames

BODY = (
    b'{ "stream":true, "max_tokens":9,"model":"claude-sonnet-4-5", '
    b'"messages":[{"role":"user","content":"\\u00e9"}],"metadata":{"x":1e3},"new":[1]}'
)
CHUNK = {":event-type": "chunk", ":message-type": "event"}
EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_bdrk_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 12, "cache_read_input_tokens": 5, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé 😀"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 17}},
]  # fmt: skip


def claude(flags: str = "", body: bytes = BODY) -> ChatRequest:
    fields = {b"anthropic-beta": flags.encode()} if flags else {}
    return registry.get("anthropic").read_request(body, Arrival(fields=fields))


def invoke(body: dict[str, Any], *, stream: bool = False) -> ChatRequest:
    arrival = Arrival(path_model="fast", is_stream=stream)
    return registry.get("bedrock-invoke").read_request(
        json.dumps(body).encode(), arrival
    )


def record(event: dict[str, Any]) -> bytes:
    wrapped = {"bytes": b64encode(json.dumps(event).encode()).decode(), "p": "abc"}
    return encode_frame(CHUNK, json.dumps(wrapped).encode())


def open_tap(asked: ChatRequest, inbound: str, model: str = CLAUDE) -> Any:
    bridge = registry.bridge(inbound, "bedrock", model)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=model))
    stream = registry.get(inbound).open_stream(asked, request_id="r")
    return bridge.open_tap(asked, made, stream), stream


STREAM = b"".join(map(record, EVENTS))


def test_t16_model_and_stream_go_into_the_path() -> None:
    bridge = registry.bridge("anthropic", "bedrock", CLAUDE)
    assert bridge is not None
    made = bridge.build_request(claude(), Target(model=CLAUDE))
    assert made.path == (
        f"/model/{CLAUDE.replace(':', '%3A')}/invoke-with-response-stream"
    )
    assert made.is_stream
    told = json.loads(made.body)
    assert "model" not in told
    assert "stream" not in told
    assert told["anthropic_version"] == "bedrock-2023-05-31"
    assert b'"content":"\\u00e9"}],"metadata":{"x":1e3},"new":[1]' in made.body
    whole = claude(body=BODY.replace(b"true", b"false"))
    assert bridge.build_request(whole, Target(model=CLAUDE)).path.endswith("/invoke")


def test_t16_t137_p117_only_flags_bedrock_knows_move_into_the_body() -> None:
    flags = "interleaved-thinking-2025-05-14, oauth-2025-04-20,context-1m-2025-08-07"
    bridge = registry.bridge("anthropic", "bedrock", CLAUDE)
    assert bridge is not None
    made = bridge.build_request(claude(flags), Target(model=CLAUDE))
    assert json.loads(made.body)["anthropic_beta"] == [
        "interleaved-thinking-2025-05-14",
        "context-1m-2025-08-07",
    ]
    assert made.losses == ("anthropic-beta:drop",)
    assert made.headers == {}
    twice = claude("context-1m-2025-08-07,context-1m-2025-08-07")
    made = bridge.build_request(twice, Target(model=CLAUDE))
    assert json.loads(made.body)["anthropic_beta"] == ["context-1m-2025-08-07"]
    assert made.losses == ()
    made = bridge.build_request(claude("unknown-2030"), Target(model=CLAUDE))
    assert "anthropic_beta" not in json.loads(made.body)


@pytest.mark.parametrize("flags", ['["context-1m-2025-08-07","odd"]', '"odd"'])
def test_flags_of_the_body_are_filtered_too(flags: str) -> None:
    body = BODY[:-1] + b',"anthropic_beta":' + flags.encode() + b"}"
    bridge = registry.bridge("anthropic", "bedrock", CLAUDE)
    assert bridge is not None
    made = bridge.build_request(claude(body=body), Target(model=CLAUDE))
    assert ("context-1m" in flags) == ("anthropic_beta" in json.loads(made.body))


@pytest.mark.parametrize("cut", [None, 1, 7, 100])
def test_t16_records_become_server_sent_events(cut: int | None) -> None:
    tap, _ = open_tap(claude(), "anthropic")
    step = cut or len(STREAM)
    pieces = [STREAM[at : at + step] for at in range(0, len(STREAM), step)]
    out = b"".join(map(tap.feed, pieces)) + tap.eof()
    names = [line for line in out.decode().split("\n") if line[:6] == "event:"]
    assert names == [f"event: {event['type']}" for event in EVENTS]
    told = [
        json.loads(line[6:]) for line in out.decode().split("\n") if line[:5] == "data:"
    ]
    assert told[0]["message"]["model"] == "claude-sonnet-4-5"
    assert told[1:] == EVENTS[1:]
    assert tap.complete
    assert tap.usage == TokenUsage(
        input_tokens=12, cache_read_tokens=5, output_tokens=4
    )


def test_t121_a_stream_that_stops_in_the_middle_does_not_end_clean() -> None:
    tap, _ = open_tap(claude(), "anthropic")
    tap.feed(b"".join(map(record, EVENTS[:4])) + record(EVENTS[4])[:-2])
    tap.eof()
    assert not tap.complete


@pytest.mark.parametrize("kept", [0, 3])
def test_t117_an_exception_is_an_error_of_the_stream(kept: int) -> None:
    tap, _ = open_tap(claude(), "anthropic")
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    out = tap.feed(b"".join(map(record, EVENTS[:kept])))
    assert bool(out) is bool(kept)
    assert tap.feed(encode_frame(headers, b'{"message":"Slow down"}')) == b""
    assert tap.error is not None
    assert (tap.error.type, tap.error.message) == ("rate_limit_error", "Slow down")


@pytest.mark.parametrize("payload", [b"{", b'{"bytes":"!"}', b'{"bytes":"W10="}'])
def test_a_record_that_wraps_nothing_is_damage(payload: bytes) -> None:
    tap, _ = open_tap(claude(), "anthropic")
    with pytest.raises(FramingError):
        tap.feed(encode_frame(CHUNK, payload))


def test_a_model_of_another_maker_is_translated() -> None:
    bridge = registry.bridge("anthropic", "bedrock", LLAMA)
    assert bridge is not None
    made = bridge.build_request(claude(), Target(model=LLAMA))
    assert made.path.endswith("/converse-stream")


# Clients that speak InvokeModel


HELLO = {
    "anthropic_version": "bedrock-2023-05-31",
    "anthropic_beta": ["context-1m-2025-08-07"],
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


def test_an_invoke_call_arrives_as_it_was_sent() -> None:
    asked = invoke(HELLO, stream=True)
    assert (asked.model, asked.stream, asked.max_output_tokens) == ("fast", True, 9)
    bridge = registry.bridge("bedrock-invoke", "bedrock", CLAUDE)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    assert json.loads(made.body) == HELLO
    assert made.body.startswith(json.dumps(HELLO)[:60].encode())
    assert made.path.endswith("/invoke-with-response-stream")


@pytest.mark.parametrize("is_early", [False, True])
def test_an_invoke_stream_is_relayed_record_by_record(is_early: bool) -> None:
    tap, stream = open_tap(invoke(HELLO, stream=True), "bedrock-invoke")
    early = stream.keepalive() if is_early else b""
    assert bool(early) is is_early
    out = b"".join(tap.feed(STREAM[at : at + 50]) for at in range(0, len(STREAM), 50))
    assert out + tap.eof() == STREAM[len(record(EVENTS[0])) if is_early else 0 :]
    assert tap.complete
    assert tap.usage is not None


def test_an_invoke_client_is_served_by_another_dialect() -> None:
    bridge = registry.bridge("bedrock-invoke", "openai", "gpt-4o")
    asked = invoke(HELLO, stream=True)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model="gpt-4o"))
    assert json.loads(made.body)["messages"] == [{"role": "user", "content": "Hi"}]
    assert "anthropic_beta:drop" in made.losses
    stream = registry.get("bedrock-invoke").open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    done = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    data = "".join(f"data: {json.dumps(each)}\n\n" for each in (chunk, done))
    out = tap.feed(data.encode() + b"data: [DONE]\n\n") + tap.eof()
    names = {name for name, _ in read_frames(out)}
    assert names == {"chunk"}
    client, _ = open_tap(claude(), "anthropic")
    assert b"message_stop" in client.feed(out)
    assert b'"message"' in stream.error_frame(
        ErrorDetail(message="No."), request_id="r"
    )


def test_an_openai_client_reaches_claude_by_invoke() -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }
    asked = registry.get("openai").read_request(json.dumps(body).encode())
    bridge = registry.bridge("openai", "bedrock-invoke", CLAUDE)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    told = json.loads(made.body)
    assert told["anthropic_version"] == "bedrock-2023-05-31"
    assert not {"model", "stream"} & set(told)
    assert made.path.endswith("/invoke-with-response-stream")
    stream = registry.get("openai").open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    assert "Hé 😀".encode() in tap.feed(STREAM) + tap.eof()
    assert tap.complete


def test_paths_of_invoke() -> None:
    wire = registry.get("bedrock-invoke")
    assert wire.upstream_path("chat", model="a:0", stream=False) == (
        "/model/a%3A0/invoke"
    )
    assert wire.upstream_path("models", model="", stream=False) == "/foundation-models"
    assert wire.relay("openai", "chat", CLAUDE) is None
    assert wire.relay("anthropic", "chat", CLAUDE) is not None
