from __future__ import annotations

import json

import httpx2
import pytest
from openai import OpenAI

from providers.formats import registry
from providers.formats.base import FormatError, Target
from providers.formats.errors import ErrorDetail
from tests.providers.formats.openai_responses.rs import (
    FIXTURES,
    FORMAT,
    Client,
    answer,
    decoded,
    opened,
    request,
)

ANSWER = (
    opened("reasoning", "Hm"),
    opened("text", "Hé", " 🚢"),
    opened("tool_call", '{"a"', ":1}", id="call_1", name="f"),
)


def _sdk(content, content_type="text/event-stream", status=200):
    def handler(asked):
        return httpx2.Response(
            status, headers={"content-type": content_type}, content=content
        )

    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return OpenAI(
        api_key="k", base_url="http://pool/v1", http_client=http, max_retries=0
    )


def test_t78_the_sdks_helper_reads_a_written_stream():
    client = Client()
    out = client.stream.keepalive()
    out += client.bytes(*answer(*ANSWER, reason="tool_calls"))
    with (
        _sdk(out) as sdk,
        sdk.responses.stream(model="m", input="Hi") as stream,
    ):
        texts = [
            event.delta
            for event in stream
            if event.type == "response.output_text.delta"
        ]
        final = stream.get_final_response()
    assert texts == ["Hé", " 🚢"]
    assert final.output_text == "Hé 🚢"
    assert [item.type for item in final.output] == [
        "reasoning",
        "message",
        "function_call",
    ]
    assert final.output[2].arguments == '{"a":1}'
    assert final.usage.total_tokens == 48


def test_the_sdk_reads_a_whole_answer():
    whole = Client().whole(*answer(*ANSWER, reason="tool_calls"))
    with _sdk(json.dumps(whole).encode(), "application/json") as sdk:
        found = sdk.responses.create(model="m", input="Hi")
    assert found.output_text == "Hé 🚢"
    assert found.status == "completed"
    assert found.output[0].summary[0].text == "Hm"


@pytest.mark.parametrize("name", ["text", "reasoning_tools", "refusal", "custom_tool"])
def test_the_sdk_reads_what_was_read_and_written_again(name):
    client = Client()
    out = client.bytes(*decoded([FIXTURES[name]["stream"].encode()]))
    with (
        _sdk(out) as sdk,
        sdk.responses.stream(model="m", input="Hi") as stream,
    ):
        final = stream.get_final_response()
    assert len(final.output) == len(FIXTURES[name]["expect"]["parts"])


def test_t118_the_sdk_sees_a_failure_as_one():
    client = Client()
    out = client.bytes(*answer(opened("text", "a"))[:-3])
    out += client.stream.error_frame(ErrorDetail(message="Cut."), request_id="r")
    with (
        _sdk(out) as sdk,
        sdk.responses.stream(model="m", input="Hi") as stream,
    ):
        events = list(stream)
        with pytest.raises(RuntimeError):
            stream.get_final_response()
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.message == "Cut."


def test_t113_an_error_before_the_stream_has_openais_shape():
    detail = ErrorDetail(message="Slow.", code="rate_limit_exceeded")
    status, body = FORMAT.build_error(429, detail, request_id="req-1")
    assert status == 429
    error = json.loads(body)["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["request_id"] == "req-1"
    assert FORMAT.read_error(429, body).message == "Slow."
    assert FORMAT.read_error(502, b"<html>").message == ""


def test_the_dialect_is_joined_with_its_own_kind_and_with_others():
    assert registry.bridge("responses", "responses") is not None
    assert FORMAT.relay("openai", "chat", "m") is None
    assert FORMAT.relay("responses", "models", "m") is None
    assert [route.path for route in FORMAT.routes] == [
        "/v1/responses",
        "/v1/responses/input_tokens",
    ]


def test_paths_and_headers_of_an_upstream():
    assert FORMAT.upstream_path("chat", model="m", stream=True) == "/responses"
    assert FORMAT.upstream_path("models", model="", stream=False) == "/models"
    assert FORMAT.auth_headers("s") == {"authorization": "Bearer s"}


def test_models_are_listed_as_chat_lists_them():
    assert json.loads(FORMAT.models_list(["a"]))["data"][0]["id"] == "a"
    assert json.loads(FORMAT.model_body("a"))["id"] == "a"


def test_a_stranger_to_the_stream_starts_counting_anew():
    client = Client()
    encoder = FORMAT.codec("").open_encoder(client.view, object())
    assert b'"sequence_number":0' in encoder.encode(answer(opened("text", "a")))


def test_t136_an_upstream_is_asked_for_a_count():
    bridge = FORMAT.relay("responses", "count_tokens", "m")
    asked = request()
    sent = bridge.build_request(asked, Target(model="up"))
    assert sent.path == "/responses/input_tokens"
    assert json.loads(sent.body)["model"] == "up"
    told = b'{"object":"response.input_tokens","input_tokens":7}'
    assert bridge.read_response(asked, sent, told).body == told
    assert bridge.read_response(asked, sent, b'{"error":{"message":"No."}}').error
    assert bridge.read_response(asked, sent, b'{"input_tokens":-1}').error
    with pytest.raises(FormatError):
        bridge.open_tap(asked, sent, object())
    assert json.loads(FORMAT.count_tokens_body(7)) == json.loads(told)
    assert FORMAT.upstream_path("count_tokens", model="m", stream=False) == sent.path
