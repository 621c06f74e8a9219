from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.capabilities import capabilities
from tests.providers.formats.gemini_generate.gemini import (
    asked,
    frames_of,
    request,
    stream_of,
)

FORMAT = registry.get("vertex")
OPTIONS = {"project": "p-1", "location": "europe-west1"}
ROOT = "/v1/projects/p-1/locations/europe-west1"
CLAUDE = "claude-sonnet-4-5@20250929"


def target(model, **options):
    return Target(model=model, options=options or OPTIONS)


def claude_client(**fields):
    body = {
        "model": "mine",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "odd": [1e3],
    } | fields
    data = json.dumps(body).encode()
    return registry.get("anthropic").read_request(data), body


@pytest.mark.parametrize(
    ("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")]
)
def test_t15_claude_has_its_model_in_the_path_and_its_version_in_the_body(
    stream, method
):
    client, body = claude_client(stream=stream)
    bridge = registry.bridge("anthropic", "vertex", CLAUDE)
    sent = bridge.build_request(client, target(CLAUDE))
    assert sent.path == f"{ROOT}/publishers/anthropic/models/{CLAUDE}:{method}"
    del body["model"]
    assert json.loads(sent.body) == body | {"anthropic_version": "vertex-2023-10-16"}


def test_t15_claudes_events_are_relayed():
    client, _ = claude_client(stream=True)
    bridge = registry.bridge("anthropic", "vertex", CLAUDE)
    sent = bridge.build_request(client, target(CLAUDE))
    wire = registry.get("anthropic")
    tap = bridge.open_tap(client, sent, wire.open_stream(client, request_id="q"))
    frames = [
        (
            "message_start",
            {
                "message": {
                    "id": "m",
                    "type": "message",
                    "role": "assistant",
                    "model": "mine",
                    "content": [],
                    "usage": {"input_tokens": 3, "output_tokens": 1},
                }
            },
        ),
        (
            "content_block_start",
            {"index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        (
            "content_block_delta",
            {"index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        ),
        ("content_block_stop", {"index": 0}),
        (
            "message_delta",
            {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        ),
        ("message_stop", {}),
    ]
    data = b"".join(
        b"event: %b\ndata: %b\n\n"
        % (name.encode(), json.dumps({"type": name, **more}).encode())
        for name, more in frames
    )
    assert tap.feed(data) + tap.eof() == data
    assert tap.complete
    assert tap.usage.total_tokens == 5


def test_claude_is_translated_for_other_clients():
    known = capabilities("vertex", "", CLAUDE)
    made = request(stream=True, max_output=64)
    encoded = FORMAT.codec(CLAUDE).encode_request(made, target(CLAUDE), known)
    body = json.loads(encoded.body)
    assert encoded.path.endswith(f"{CLAUDE}:streamRawPredict")
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body


def test_a_count_of_claudes_tokens_names_its_model():
    body = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}]}
    arrival = Arrival(op="count_tokens", path="/v1/messages/count_tokens")
    wire = registry.get("anthropic")
    client = wire.read_request(json.dumps(body).encode(), arrival)
    bridge = registry.bridge("anthropic", "vertex", CLAUDE, "count_tokens")
    sent = bridge.build_request(client, target(CLAUDE))
    assert sent.path == f"{ROOT}/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(sent.body)["model"] == CLAUDE


def test_gemini_is_relayed_under_its_own_path():
    bridge = registry.bridge("google", "vertex", "gemini-2.5-pro")
    client = asked()
    sent = bridge.build_request(client, target("gemini-2.5-pro"))
    method = "gemini-2.5-pro:streamGenerateContent?alt=sse"
    assert sent.path == f"{ROOT}/publishers/google/models/{method}"
    assert sent.body is client.body
    stream = registry.get("google").open_stream(client, request_id="q")
    tap = bridge.open_tap(client, sent, stream)
    out = tap.feed(stream_of("text")) + tap.eof()
    assert len(frames_of(out)) == 2
    assert tap.complete


def test_gemini_is_translated_for_other_clients_with_labels():
    known = capabilities("vertex", "", "gemini-2.5-pro")
    made = request(metadata={"team": "a"})
    codec = FORMAT.codec("gemini-2.5-pro")
    encoded = codec.encode_request(made, target("gemini-2.5-pro"), known)
    assert (
        encoded.path
        == f"{ROOT}/publishers/google/models/gemini-2.5-pro:generateContent"
    )
    assert json.loads(encoded.body)["labels"] == {"team": "a"}


def test_others_are_asked_by_chat_completions():
    model = "meta/llama-4-maverick"
    bridge = registry.bridge("openai", "vertex", model)
    body = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}]}
    client = registry.get("openai").read_request(json.dumps(body).encode())
    sent = bridge.build_request(client, target(model))
    assert sent.path == f"{ROOT}/endpoints/openapi/chat/completions"
    assert json.loads(sent.body)["model"] == model


def test_the_location_may_be_global_and_the_project_must_be_set():
    bridge = registry.bridge("google", "vertex", "gemini-3-pro")
    sent = bridge.build_request(asked(), target("gemini-3-pro", project="p"))
    assert sent.path.startswith("/v1/projects/p/locations/global/")
    with pytest.raises(FormatError, match="project"):
        bridge.build_request(asked(), target("gemini-3-pro", location="x"))


def test_a_pair_that_must_be_translated_has_no_relay():
    assert FORMAT.relay("google", "chat", CLAUDE) is None
    assert FORMAT.relay("anthropic", "chat", "gemini-3-pro") is None
    assert FORMAT.relay("openai", "embeddings", "meta/llama") is None
    assert FORMAT.relay("google", "images", "gemini-3-pro") is None


def test_the_upstream_side():
    assert FORMAT.auth_headers("t") == {"authorization": "Bearer t"}
    assert FORMAT.routes == ()
    assert FORMAT.upstream_path("models", model="", stream=False).endswith("/models")
    body = b'[{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED"}}]'
    assert FORMAT.read_error(403, body).type == "PERMISSION_DENIED"
