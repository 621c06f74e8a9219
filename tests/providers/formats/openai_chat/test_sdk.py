"""What the official SDK makes of the streams and answers written here."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

from providers.formats.neutral.events import UsageSeen
from tests.providers.formats.openai_chat.cases import (
    USAGE,
    call,
    completed,
    ended,
    part,
    streamed,
)

EVENTS = ended(
    *part(0, "reasoning", "hm"),
    *part(1, "text", "Hel", "lo"),
    *call(2, "c1", '{"a"', ":1}"),
    *call(3, "c2", "{}"),
    UsageSeen(usage=USAGE),
    reason="tool_calls",
)
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
OPTIONS = {"include_usage": True}


@pytest.fixture
def client():
    """An SDK whose every request is answered with EVENTS."""

    def answer(request):
        if not json.loads(request.content).get("stream"):
            return httpx.Response(200, json=completed(EVENTS))
        frames = streamed(EVENTS, stream=True, stream_options=OPTIONS)
        text = "".join(
            f"data: {f if f == '[DONE]' else json.dumps(f)}\n\n" for f in frames
        )
        head = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=head, content=text.encode())

    transport = httpx.MockTransport(answer)
    with openai.OpenAI(
        api_key="k",
        base_url="http://pool.test/v1",
        http_client=httpx.Client(transport=transport),
    ) as sdk:
        yield sdk


def check(completion):
    message = completion.choices[0].message
    assert message.content == "Hello"
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("c1", "f", '{"a":1}'),
        ("c2", "f", "{}"),
    ]  # fmt: skip
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage.total_tokens == 22
    assert completion.usage.prompt_tokens_details.cached_tokens == 5


def test_the_sdk_reads_a_whole_answer(client):
    check(client.chat.completions.create(**ASKED))


def test_the_sdk_puts_a_stream_together(client):
    with client.chat.completions.stream(**ASKED, stream_options=OPTIONS) as stream:
        kinds = {event.type for event in stream}
        check(stream.get_final_completion())
    assert {"content.delta", "tool_calls.function.arguments.done"} <= kinds
