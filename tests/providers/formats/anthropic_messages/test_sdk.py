"""Anthropic's own client reads what clients of this dialect are told."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import End, Finish, Start, UsageSeen
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Opaque
from tests.providers.formats.anthropic_messages.messages import (
    CODEC,
    FORMAT,
    frames,
    part,
    view,
    written,
)

SEALED = Opaque(family="openai", slot="encrypted", data="sealed")
EVENTS = [
    Start(id="resp_1", model="gpt"),
    *part(0, "reasoning", "Let me ", "see."),
    *part(1, "reasoning", SEALED),
    *part(2, "text", "Hé", "llo 👋"),
    *part(3, "tool_call", '{"city":', '"Paris"}', id="call_1", name="weather"),
    *part(4, "tool_call", id="call_2", name="now"),
    Finish(reason="tool_calls"),
    UsageSeen(usage=TokenUsage(input_tokens=5, cache_read_tokens=7, output_tokens=9)),
    End(),
]
ASKED = {
    "model": "claude-x",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
}


def client_for(status, body, content_type="application/json"):
    def answer(request):
        headers = {"content-type": content_type}
        return httpx2.Response(status, headers=headers, content=body)

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(
        api_key="k",
        base_url="http://pool.test",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )


def check(message):
    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert message.content[0].thinking == "Let me see."
    assert message.content[2].text == "Héllo 👋"
    assert message.content[3].input == {"city": "Paris"}
    assert message.content[4].input == {}
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 9
    assert message.model == "claude-x"


@pytest.mark.parametrize("is_kept_alive", [False, True])
def test_t148_the_stream_helper_rebuilds_the_answer(is_kept_alive):
    seen = view()
    own = FORMAT.open_stream(seen.asked, request_id="r1")
    early = own.keepalive() + own.keepalive() if is_kept_alive else b""
    data = early + written(EVENTS, seen=seen, opened=own)
    with (
        client_for(200, data, "text/event-stream") as client,
        client.messages.stream(**ASKED) as stream,
    ):
        message = stream.get_final_message()
    check(message)
    assert message.usage.input_tokens == 5
    assert message.usage.cache_read_input_tokens == 7


def test_t148_a_whole_answer_is_read():
    body = CODEC.encode_answer(gather(Repair().feed(EVENTS)), view())
    with client_for(200, body) as client:
        check(client.messages.create(**ASKED))


def test_t118_an_error_in_the_stream_is_raised():
    own = FORMAT.open_stream(view().asked, request_id="r1")
    detail = ErrorDetail(message="Overloaded", code="server_is_overloaded", status=503)
    data = written(EVENTS[:4], opened=own) + own.error_frame(detail, request_id="r1")
    assert frames(data)[-1]["type"] == "error"
    with client_for(200, data, "text/event-stream") as client:
        stream = client.messages.create(**ASKED, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(stream)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "invalid_api_key", anthropic.AuthenticationError),
        (404, "model_not_found", anthropic.NotFoundError),
        (429, "rate_limit_exceeded", anthropic.RateLimitError),
        (503, "server_is_overloaded", anthropic.APIStatusError),
    ],
)
def test_t113_errors_are_of_the_sdks_own_classes(status, code, error):
    status, body = FORMAT.build_error(
        status, ErrorDetail(message="m", code=code), request_id="r"
    )
    with client_for(status, body) as client, pytest.raises(error) as caught:
        client.messages.create(**ASKED)
    assert caught.value.body["request_id"] == "r"


def test_t136_a_count_and_the_models_are_read():
    with client_for(200, FORMAT.count_tokens_body(12)) as client:
        counted = client.messages.count_tokens(
            model="claude-x", messages=ASKED["messages"]
        )
    assert counted.input_tokens == 12
    with client_for(200, FORMAT.models_list(["claude-a", "b"])) as client:
        assert [model.id for model in client.models.list()] == ["claude-a", "b"]
    assert json.loads(FORMAT.model_body("b"))["id"] == "b"
