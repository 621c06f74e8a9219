"""The ways of the OpenAI SDK beyond a plain call, on every upstream dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.sdks.conftest import Town

pytestmark = pytest.mark.process

HELLO: Any = [{"role": "user", "content": "Tell me about the harbour."}]


class Weather(BaseModel):
    """An answer by schema."""

    city: str
    days: int


class Bash(BaseModel):
    """Run a command."""

    command: str


@pytest.fixture
def client(house: Town) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=house.product.url, api_key=house.keys["client"], max_retries=0
    ) as made:
        yield made


def test_t147_chat_parses_an_answer_by_schema(
    client: openai.OpenAI, upstream: str
) -> None:
    parsed = client.chat.completions.parse(
        model=f"{upstream}/gpt-test", messages=HELLO, response_format=Weather
    )
    assert isinstance(parsed.choices[0].message.parsed, Weather)


def test_t147_chat_parses_the_calls_of_its_tools(
    client: openai.OpenAI, upstream: str
) -> None:
    tool = openai.pydantic_function_tool(Bash, name="bash")
    asked: dict[str, Any] = {
        "model": f"{upstream}/fault-shell-once+len-12",
        "tools": [tool],
    }
    first = client.chat.completions.parse(messages=HELLO, **asked)
    (call,) = first.choices[0].message.tool_calls or ()
    assert isinstance(call.function.parsed_arguments, Bash)
    said = first.choices[0].message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": call.id, "content": "done"}
    last = client.chat.completions.parse(messages=[*HELLO, said, result], **asked)
    assert last.choices[0].message.content
    assert not last.choices[0].message.tool_calls


def test_t147_chats_stream_helper_rebuilds_the_answer(
    client: openai.OpenAI, upstream: str
) -> None:
    with client.chat.completions.stream(
        model=f"{upstream}/fault-len-30", messages=HELLO
    ) as stream:
        kinds = [event.type for event in stream]
        done = stream.get_final_completion()
    assert kinds[-1] == "content.done"
    assert done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"


def test_t147_a_response_is_parsed_by_schema(
    client: openai.OpenAI, upstream: str
) -> None:
    parsed = client.responses.parse(
        model=f"{upstream}/gpt-test", input="Weather?", text_format=Weather
    )
    assert isinstance(parsed.output_parsed, Weather)


def test_t147_responses_stream_helper_rebuilds_the_answer(
    client: openai.OpenAI, upstream: str
) -> None:
    with client.responses.stream(
        model=f"{upstream}/fault-len-30", input="Tell me."
    ) as stream:
        kinds = [event.type for event in stream]
        done = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert done.output_text
    assert done.usage is not None


def test_t147_raw_answers_show_the_pools_headers(
    client: openai.OpenAI, upstream: str
) -> None:
    model = f"{upstream}/fault-len-30"
    raw: Any
    for raw in (
        client.chat.completions.with_raw_response.create(model=model, messages=HELLO),
        client.responses.with_raw_response.create(model=model, input="Tell me."),
    ):
        assert raw.headers["x-pool-request-id"]
        assert raw.headers["x-pool-provider"] == upstream
        assert raw.parse().model == model
    with client.chat.completions.with_streaming_response.create(
        model=model, messages=HELLO, stream=True
    ) as stream:
        assert stream.headers["x-pool-request-id"]
        assert any("[DONE]" in line for line in stream.iter_lines())


def test_t10_usage_is_delivered_once_where_it_was_asked_for(
    client: openai.OpenAI, upstream: str
) -> None:
    asked: dict[str, Any] = {
        "model": f"{upstream}/fault-len-30",
        "messages": HELLO,
        "stream": True,
    }
    chunks = list(
        client.chat.completions.create(**asked, stream_options={"include_usage": True})
    )
    assert [chunk.usage is not None for chunk in chunks].count(True) == 1
    assert chunks[-1].usage is not None
    assert not chunks[-1].choices
    without = list(client.chat.completions.create(**asked))
    assert all(chunk.usage is None for chunk in without)
