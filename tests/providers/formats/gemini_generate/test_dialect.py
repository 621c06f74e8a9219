from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.errors import read_error_body
from tests.providers.formats.gemini_generate.gemini import (
    FIXTURES,
    FORMAT,
    asked,
    frames_of,
)

BRIDGED = [
    name
    for name in ("openai", "anthropic", "responses", "ollama", "bedrock")
    if name in registry.formats() and registry.formats()[name].codec("") is not None
]


def built(status, **detail):
    found, body = FORMAT.build_error(status, ErrorDetail(**detail), request_id="q-1")
    return found, json.loads(body)["error"]


def test_every_version_and_none_leads_to_every_method():
    paths = {(route.method, route.path): route for route in FORMAT.routes}
    for version in ("/v1beta", "/v1", "/v1alpha", ""):
        for method, op in (
            ("generateContent", "chat"),
            ("streamGenerateContent", "chat"),
            ("countTokens", "count_tokens"),
            ("embedContent", "embeddings"),
            ("batchEmbedContents", "embeddings"),
        ):
            route = paths["POST", f"{version}/models/{{model}}:{method}"]
            assert route.op == op
            assert route.is_stream == (method == "streamGenerateContent")
    assert paths["GET", "/v1beta/models"].op == "models"
    assert paths["GET", "/v1beta/models/{model}"].op == "model"


def test_t135_the_list_of_models_is_googles():
    listed = json.loads(FORMAT.models_list(["a", "b/c"]))
    assert [each["name"] for each in listed["models"]] == ["models/a", "models/b/c"]
    assert "generateContent" in listed["models"][0]["supportedGenerationMethods"]
    assert json.loads(FORMAT.model_body("a")) == listed["models"][0]


def test_the_upstream_side():
    path = FORMAT.upstream_path
    assert path("chat", model="m", stream=False) == "/models/m:generateContent"
    assert path("models", model="", stream=False) == "/models"
    assert path("model", model="m", stream=False) == "/models/m"


@pytest.mark.parametrize(
    ("status", "sent", "word"),
    [
        (400, 400, "INVALID_ARGUMENT"),
        (401, 401, "UNAUTHENTICATED"),
        (402, 429, "RESOURCE_EXHAUSTED"),
        (403, 403, "PERMISSION_DENIED"),
        (404, 404, "NOT_FOUND"),
        (413, 413, "INVALID_ARGUMENT"),
        (422, 422, "INVALID_ARGUMENT"),
        (429, 429, "RESOURCE_EXHAUSTED"),
        (500, 500, "INTERNAL"),
        (502, 502, "INTERNAL"),
        (503, 503, "UNAVAILABLE"),
        (504, 504, "DEADLINE_EXCEEDED"),
        (529, 503, "UNAVAILABLE"),
    ],
)
def test_t113_errors_have_googles_status_words(status, sent, word):
    found, error = built(status, message="m")
    assert (found, error["code"], error["status"]) == (sent, sent, word)
    assert error["details"][-1]["requestId"] == "q-1"


def test_t129_a_wrong_key_says_so():
    _, error = built(401, message="m", code="invalid_api_key", param="key")
    assert error["details"][0]["reason"] == "API_KEY_INVALID"
    assert error["details"][0]["metadata"] == {"field": "key"}


def test_a_known_wait_is_retry_info():
    for detail in (
        {"message": "Try again in 3.5s."},
        {"message": "m", "retry_after_s": 3.5},
    ):
        _, error = built(429, **detail)
        (info,) = [each for each in error["details"] if "retryDelay" in each]
        assert info["retryDelay"] == "3.5s"
    assert "retryDelay" not in json.dumps(built(400, message="retry in 5 s"))


def test_p127_errors_are_read_alone_and_in_a_list():
    inner = {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}
    for value in ({"error": inner}, [{"error": inner}]):
        found = FORMAT.read_error(429, json.dumps(value).encode())
        assert (found.message, found.type, found.code) == (
            "m",
            "RESOURCE_EXHAUSTED",
            "429",
        )
    assert read_error_body(None, json.dumps([{"error": inner}]).encode()).status == 429


def test_a_bad_key_is_told_from_a_bad_request():
    details = [{"@type": "x", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "message": "m", "details": details}}
    assert FORMAT.read_error(400, json.dumps(body).encode()).code == "api_key_invalid"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"<html>x", ""),
        (b"plain words", "plain words"),
        (b"[]", ""),
        (b"3", ""),
        (b'{"error":"short"}', "short"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"o"}}', "o"),
        (b'{"error":{"message":7,"code":true}}', ""),
    ],
)
def test_any_error_body_can_be_read(body, message):
    assert FORMAT.read_error(500, body).message == message
    assert FORMAT.read_error(500, body).status == 500


@pytest.mark.parametrize("upstream", BRIDGED)
def test_a_gemini_client_reaches_every_dialect(upstream):
    bridge = registry.bridge("google", upstream, "some-model")
    client = asked(
        {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"maxOutputTokens": 64},
        }
    )
    target = Target(model="some-model", max_output_tokens=4096)
    sent = bridge.build_request(client, target)
    assert b"Hi" in sent.body
    assert sent.is_stream


@pytest.mark.parametrize("inbound", BRIDGED)
def test_every_client_gets_geminis_answer(inbound):
    bridge = registry.bridge(inbound, "google", "gemini-2.5-flash")
    wire = registry.get(inbound)
    message = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    body = {
        "model": "m",
        "messages": [message],
        "input": "Hi",
        "max_tokens": 9,
        "stream": False,
    }
    if inbound == "openai":
        del body["input"]
    if inbound == "ollama":
        body["messages"] = [{"role": "user", "content": "Hi"}]
    if inbound == "bedrock":
        pytest.skip("the model stands in its path; its own tests ask for it")
    client = wire.read_request(json.dumps(body).encode())
    sent = bridge.build_request(client, Target(model="gemini-2.5-flash"))
    whole = json.dumps(FIXTURES["parallel_calls"]["whole"]).encode()
    meta = bridge.read_response(client, sent, whole)
    assert meta.error is None
    assert meta.usage.total_tokens == 26
    assert b"Paris" in meta.body


def test_t118_a_gemini_client_of_another_upstream_gets_no_clean_end():
    if "openai" not in BRIDGED:
        pytest.skip("chat completions cannot be translated yet")
    bridge = registry.bridge("google", "openai", "m")
    client = asked()
    sent = bridge.build_request(client, Target(model="m"))
    stream = FORMAT.open_stream(client, request_id="q")
    tap = bridge.open_tap(client, sent, stream)
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hal"}}]}
    out = tap.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n") + tap.eof()
    assert not tap.complete
    assert "finishReason" not in json.dumps(frames_of(out))
