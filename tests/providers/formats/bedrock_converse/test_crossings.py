"""Clients of every dialect on a Bedrock upstream, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, ChatRequest, Target
from tests.providers.formats.bedrock_converse.talk import CLAUDE, FIXTURES, frames

HI = [{"role": "user", "content": "Hi"}]
# An inference profile hides whose model it is: no envelope, everything is translated.
PROFILE = "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc123"
CLIENTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "openai": ({"model": "m", "messages": HI}, None),
    "responses": ({"model": "m", "input": "Hi"}, None),
    "anthropic": ({"model": "m", "max_tokens": 99, "messages": HI}, None),
    "google": ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, "m"),
    "ollama": ({"model": "m", "messages": HI}, None),
    "bedrock": ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "m"),
    "bedrock-invoke": ({"max_tokens": 99, "messages": HI}, "m"),
}


def asking(client: str, *, stream: bool) -> ChatRequest:
    body, path_model = CLIENTS[client]
    if client in ("openai", "responses", "anthropic", "ollama"):
        body = {**body, "stream": stream}
    if client == "openai" and stream:
        body = {**body, "stream_options": {"include_usage": True}}
    wire = registry.get(client)
    path = next(route.path for route in wire.routes if route.op == "chat")
    query = b"alt=sse" if client == "google" else b""
    arrival = Arrival(path=path, path_model=path_model, is_stream=stream, query=query)
    return wire.read_request(json.dumps(body).encode(), arrival)


def bridge_of(client: str) -> Any:
    found = registry.bridge(client, "bedrock", PROFILE)
    assert found is not None
    return found


@pytest.mark.parametrize("client", sorted(CLIENTS))
@pytest.mark.parametrize("name", sorted(FIXTURES))
@pytest.mark.parametrize("step", [1, 13, 10_000])
def test_a_stream_reaches_every_client(client: str, name: str, step: int) -> None:
    asked = asking(client, stream=True)
    bridge = bridge_of(client)
    made = bridge.build_request(asked, Target(model=PROFILE))
    assert made.path.endswith("/converse-stream")
    stream = registry.get(client).open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    data = b"".join(frames(FIXTURES[name]["events"]))
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    out = b"".join(map(tap.feed, pieces)) + tap.eof()
    assert tap.complete
    assert tap.done
    assert tap.usage.output_tokens == FIXTURES[name]["answer"]["usage"]["outputTokens"]
    assert out


@pytest.mark.parametrize("client", sorted(CLIENTS))
@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_whole_answer_costs_what_its_stream_does(client: str, name: str) -> None:
    bridge = bridge_of(client)
    whole = asking(client, stream=False)
    made = bridge.build_request(whole, Target(model=PROFILE))
    body = json.dumps(FIXTURES[name]["answer"]).encode()
    meta = bridge.read_response(whole, made, body)
    assert meta.error is None
    asked = asking(client, stream=True)
    made = bridge.build_request(asked, Target(model=PROFILE))
    stream = registry.get(client).open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    for piece in frames(FIXTURES[name]["events"]):
        tap.feed(piece)
    assert tap.usage == meta.usage
    assert tap.finish_reasons == meta.finish_reasons


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_cut_stream_ends_clean_for_nobody(client: str) -> None:
    asked = asking(client, stream=True)
    bridge = bridge_of(client)
    made = bridge.build_request(asked, Target(model=PROFILE))
    stream = registry.get(client).open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    for piece in frames(FIXTURES["text"]["events"])[:3]:
        tap.feed(piece)
    tap.eof()
    assert not tap.complete


def test_claude_is_enveloped_for_its_own_clients_only() -> None:
    for client in CLIENTS:
        bridge = registry.bridge(client, "bedrock", CLAUDE)
        assert bridge is not None
        made = bridge.build_request(asking(client, stream=False), Target(model=CLAUDE))
        is_enveloped = client in ("anthropic", "bedrock-invoke")
        assert made.path.endswith("/invoke" if is_enveloped else "/converse")
