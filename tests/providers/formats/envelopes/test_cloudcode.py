from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.types import Request, Text, Turn
from tests.providers.formats.gemini_generate.gemini import (
    asked,
    caps,
    frames_of,
    request,
    stream_of,
)

FORMAT = registry.get("cloudcode")
OPTIONS = {"project": "p-1"}
INNER = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "session_id": "s"}
OUTER = {"model": "m", "project": "theirs", "user_prompt_id": "u", "request": INNER}


def inbound(body=None, *, op="chat", method="streamGenerateContent", query=b"alt=sse"):
    """Read a request as Gemini CLI sends it when it is signed in."""
    arrival = Arrival(
        op=op,
        path=f"/v1internal:{method}",
        is_stream=method.startswith("stream"),
        query=query,
    )
    return FORMAT.read_request(json.dumps(body or OUTER).encode(), arrival)


def relay(client, inbound_id, upstream, data, model="up"):
    """Send a request over a relay, and return what left either way."""
    bridge = registry.bridge(inbound_id, upstream, model)
    sent = bridge.build_request(client, Target(model=model, options=OPTIONS))
    stream = registry.get(inbound_id).open_stream(client, request_id="q")
    tap = bridge.open_tap(client, sent, stream)
    return sent, tap, tap.feed(data) + tap.eof()


def test_t13_a_gemini_body_is_wrapped_and_its_frames_are_unwrapped():
    body = {"contents": INNER["contents"], "weird": 1}
    sent, tap, out = relay(asked(body), "google", "cloudcode", stream_of("codeassist"))
    assert json.loads(sent.body) == {"model": "up", "project": "p-1", "request": body}
    assert sent.path == "/v1internal:streamGenerateContent?alt=sse"
    first, last = frames_of(out)
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Hé"}]
    assert {each["responseId"] for each in (first, last)} == {"t-9"}
    assert {each["modelVersion"] for each in (first, last)} == {"gemini-2.5-flash"}
    assert tap.complete
    assert tap.usage.total_tokens == 26
    assert tap.response_id == "t-9"


def test_t13_the_array_of_a_client_without_alt_sse_is_unwrapped_too():
    client = asked(query=b"")
    _, _, out = relay(client, "google", "cloudcode", stream_of("codeassist"))
    assert [each["responseId"] for each in json.loads(out)] == ["t-9", "t-9"]


def test_t14_an_enveloped_body_is_unwrapped_and_its_frames_are_wrapped():
    sent, tap, out = relay(inbound(), "cloudcode", "google", stream_of("text"))
    assert json.loads(sent.body) == {"contents": INNER["contents"]}
    assert sent.path == "/models/up:streamGenerateContent?alt=sse"
    first, last = frames_of(out)
    assert first["traceId"] == last["traceId"] == "r-1"
    assert last["response"]["usageMetadata"]["totalTokenCount"] == 26
    assert last["response"]["modelVersion"] == "m"
    assert tap.complete


def test_code_assist_to_code_assist_changes_the_account_only():
    sent, _, out = relay(inbound(), "cloudcode", "cloudcode", stream_of("codeassist"))
    assert json.loads(sent.body) == OUTER | {"model": "up", "project": "p-1"}
    first, last = frames_of(out)
    assert first["response"]["modelVersion"] == "m"
    assert last["consumedCredits"] == []


def test_whole_answers_lose_and_get_the_envelope():
    bridge = registry.bridge("google", "cloudcode", "up")
    client = asked(stream=False)
    sent = bridge.build_request(client, Target(model="up"))
    whole = {"response": {"candidates": [{"finishReason": "STOP"}]}, "traceId": "t"}
    body = bridge.read_response(client, sent, json.dumps(whole).encode()).body
    assert json.loads(body) == whole["response"] | {"responseId": "t"}
    bridge = registry.bridge("cloudcode", "google", "up")
    client = inbound(method="generateContent")
    sent = bridge.build_request(client, Target(model="up"))
    meta = bridge.read_response(client, sent, body)
    assert json.loads(meta.body)["traceId"] == "t"


def test_counts_of_tokens_are_worded_both_ways():
    bridge = registry.bridge("google", "cloudcode", "up", "count_tokens")
    client = asked({"contents": []}, stream=False, op="count_tokens")
    sent = bridge.build_request(client, Target(model="up"))
    assert json.loads(sent.body) == {"request": {"model": "models/up", "contents": []}}
    assert sent.path == "/v1internal:countTokens"
    bridge = registry.bridge("cloudcode", "google", "up", "count_tokens")
    body = {"request": {"model": "models/m", "contents": []}}
    client = inbound(body, op="count_tokens", method="countTokens")
    assert client.model == "m"
    sent = bridge.build_request(client, Target(model="up"))
    assert json.loads(sent.body) == {"contents": []}
    assert (
        bridge.read_response(client, sent, b'{"totalTokens":3}').body
        == b'{"totalTokens":3}'
    )
    wrapped = asked(
        {"generateContentRequest": {"model": "models/x", "contents": []}},
        stream=False,
        op="count_tokens",
    )
    bridge = registry.bridge("google", "cloudcode", "up", "count_tokens")
    sent = bridge.build_request(wrapped, Target(model="up"))
    assert json.loads(sent.body) == {"request": {"model": "models/up", "contents": []}}


@pytest.mark.parametrize(
    ("method", "member"),
    [
        ("loadCodeAssist", "currentTier"),
        ("onboardUser", "done"),
        ("retrieveUserQuota", "buckets"),
        ("listExperiments", "flags"),
        ("recordCodeAssistMetrics", None),
        ("fetchAdminControls", None),
    ],
)
def test_t14_what_needs_no_upstream_is_answered_locally(method, member):
    routes = {route.path: route.op for route in FORMAT.routes}
    assert routes[f"/v1internal:{method}"] == "local"
    client = inbound({"metadata": {}}, op="local", method=method)
    answer = json.loads(FORMAT.local_answer(client))
    assert (member in answer) if member else answer == {}


def test_local_calls_may_have_no_body():
    arrival = Arrival(op="local", path="/v1internal:loadCodeAssist")
    client = FORMAT.read_request(b"", arrival)
    assert json.loads(FORMAT.local_answer(client))["cloudaicompanionProject"]


def test_an_envelope_needs_its_request():
    with pytest.raises(FormatError, match="request"):
        inbound({"model": "m"})


def test_a_translated_request_is_wrapped():
    codec = FORMAT.codec("")
    made = request(stream=True)
    target = Target(model="up", options=OPTIONS)
    encoded = codec.encode_request(made, target, caps("gemini-2.5-flash"))
    body = json.loads(encoded.body)
    assert (body["model"], body["project"]) == ("up", "p-1")
    assert body["request"]["contents"][0]["parts"] == [{"text": "Hi"}]
    assert encoded.path == "/v1internal:streamGenerateContent?alt=sse"


def test_an_enveloped_client_is_taken_apart():
    made = FORMAT.codec("").decode_request(inbound())
    assert isinstance(made, Request)
    assert made.turns == (Turn(role="user", parts=(Text(text="Hi"),)),)
    assert made.ext == {}


def test_the_proxys_side_of_the_format():
    assert FORMAT.auth_headers("t") == {"authorization": "Bearer t"}
    assert FORMAT.upstream_path("chat", model="m", stream=False) == (
        "/v1internal:generateContent"
    )
    assert FORMAT.upstream_path("models", model="", stream=False).startswith(
        "/v1internal"
    )
    status, _ = FORMAT.build_error(529, ErrorDetail(message="m"), request_id="q")
    assert status == 503
    assert b"models/a" in FORMAT.models_list(["a"])
    assert b"models/a" in FORMAT.model_body("a")
    assert FORMAT.relay("google", "embeddings", "") is None
    assert FORMAT.relay("openai", "chat", "") is None


def test_p127_its_errors_may_stand_in_a_list():
    body = b'[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]'
    assert FORMAT.read_error(429, body).type == "RESOURCE_EXHAUSTED"
