"""The official OpenAI SDK works through the pool as it does with a vendor."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.clients.openai_client import HELLO, Town, make
from tests.rig.plain import call
from tests.rig.product import DEFAULT_API_KEY

pytestmark = pytest.mark.process

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "parameters": {}}}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def both(pool: OpenAI, direct: OpenAI, **request: Any) -> tuple[Any, Any]:
    """Make the same call through the pool and directly."""
    request = {"messages": HELLO, "model": "gpt-test", **request}
    return (
        pool.chat.completions.create(**request),
        direct.chat.completions.create(**request),
    )


def dumped(chunks: Any) -> list[Any]:
    return [chunk.model_dump() for chunk in chunks]


CONTENTS = {
    "text": {},
    "long": {"model": "fault-len-6000"},
    "tool": {"model": "fault-tools", "tools": [WEATHER]},
    "forced tool": {"tools": [WEATHER], "tool_choice": "required"},
    "parallel tools": {"model": "fault-tools-parallel", "tools": [WEATHER, TIME]},
    "fragmented tool": {"model": "fault-tools-fragmented", "tools": [WEATHER]},
    "fragmented parallel tools": {
        "model": "fault-tools-parallel+tools-fragmented",
        "tools": [WEATHER, TIME],
    },
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PIXEL}},
                ],
            }
        ]
    },
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "two choices": {"n": 2},
    "json schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
        }
    },
    "refusal": {"model": "fault-refusal"},
    "reasoning": {"model": "fault-reasoning-20"},
    "length": {"model": "fault-len-300", "max_completion_tokens": 20},
    "cached": {"model": "fault-cached-5"},
    "conversation": {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Weather in Kraków? 🌦️"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {
                            "name": "get_weather",
                            "arguments": '{"city": "Kraków"}',
                        },
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "18 °C"},
        ],
        "tools": [WEATHER],
    },
}


@pytest.mark.parametrize("name", CONTENTS)
def test_answer_is_the_one_the_vendor_gives(
    name: str, pool: OpenAI, direct: OpenAI
) -> None:
    ours, theirs = both(pool, direct, **CONTENTS[name])
    assert ours.model_dump() == theirs.model_dump()


@pytest.mark.parametrize("options", [None, {"include_usage": True}])
@pytest.mark.parametrize("name", CONTENTS)
def test_stream_is_the_one_the_vendor_gives(
    name: str, options: Any, pool: OpenAI, direct: OpenAI
) -> None:
    request = {**CONTENTS[name], "stream": True}
    if options is not None:
        request["stream_options"] = options
    ours, theirs = both(pool, direct, **request)
    chunks = dumped(ours)
    assert chunks == dumped(theirs)
    told = [chunk for chunk in chunks if chunk["usage"] is not None]
    assert len(told) == (0 if options is None else 1)


def raw(town: Town, body: bytes) -> tuple[Any, Any]:
    """Send the same bytes through the pool and directly."""
    path = "/chat/completions"
    return (
        call(town.product.url + path, town.keys["client"], body),
        call(town.upstream.base_url + path, DEFAULT_API_KEY, body),
    )


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("stream", ["", "plain", "usage"])
def test_bytes_of_body_and_answer_are_untouched(
    name: str, stream: str, town: Town
) -> None:
    request = {"model": "gpt-test", "messages": HELLO, **CONTENTS[name]}
    if stream:
        request["stream"] = True
    if stream == "usage":
        request["stream_options"] = {"include_usage": True}
    body = json.dumps(request, ensure_ascii=False).encode()
    ours, theirs = raw(town, body)
    assert ours.status == theirs.status == 200
    assert ours.body == theirs.body
    (seen,) = town.upstream.seen_of(ours.request_id)
    if stream != "plain":
        assert seen.body == body
        return
    # Asking for the usage is the one thing that was added.
    added = json.loads(seen.body)
    assert added.pop("stream_options") == {"include_usage": True}
    assert added == request
    assert is_insertion(body, seen.body)


def is_insertion(original: bytes, changed: bytes) -> bool:
    """Tell whether one run of bytes was inserted and nothing else was touched."""
    same = 0
    while same < len(original) and original[same] == changed[same]:
        same += 1
    rest = len(original) - same
    return rest == 0 or changed[-rest:] == original[same:]


ODD = (
    b'{ "zebra" : {"model":"inner","x":[1e3,1.0,-0.0,1E+2]},\n'
    b'\t"messages":[{"content":"\\u00e9\\ud83d\\ude00 \\"model\\": \\"gpt\\"",'
    b'"role":"user", "model":"not this"}],"stream":%s,  "temperature":1e0 ,'
    b'"model" :  "%s" , "unknown_field":null,"seed":12345678901234567890}'
)


@pytest.mark.parametrize("stream", [b"false", b"true"])
def test_t1_only_the_span_of_the_model_changes_in_an_odd_body(
    stream: bytes, town: Town
) -> None:
    body = ODD % (stream, b"house-model")
    path = town.product.url + "/chat/completions"
    reply = call(path, town.keys["client"], body)
    assert reply.status == 200, reply.body
    (seen,) = town.upstream.seen_of(reply.request_id)
    expected = ODD % (stream, b"gpt-test")
    if stream == b"false":
        assert seen.body == expected
    else:
        assert is_insertion(expected, seen.body)


def test_alias_is_echoed_and_nothing_else_changes(town: Town) -> None:
    messages = [{"role": "user", "content": 'Say "model": "gpt-test" and gpt-test.'}]
    for stream in (False, True):
        told = {"messages": messages, "stream": stream}
        path = "/chat/completions"
        ours = call(
            town.product.url + path,
            town.keys["client"],
            {**told, "model": "house-model"},
        )
        theirs = call(
            town.upstream.base_url + path,
            DEFAULT_API_KEY,
            {**told, "model": "gpt-test"},
        )
        expected = theirs.body.replace(
            b'"model": "gpt-test"', b'"model": "house-model"'
        )
        assert ours.body == expected
        assert ours.headers["x-pool-model"] == "gpt-test"


def test_provider_prefix_is_echoed(pool: OpenAI) -> None:
    answer = pool.chat.completions.create(model="up/gpt-test", messages=HELLO)
    assert answer.model == "up/gpt-test"


def test_headers_tell_where_a_request_went(pool: OpenAI) -> None:
    raw = pool.chat.completions.with_raw_response.create(
        model="house-model", messages=HELLO
    )
    headers = raw.headers
    assert headers["x-pool-provider"] == "up"
    assert headers["x-pool-model"] == "gpt-test"
    assert headers["x-pool-attempts"] == "1"
    assert 0 <= float(headers["x-pool-overhead-ms"]) < 1_000
    assert len(headers["x-pool-request-id"]) == 36
    assert headers["content-type"] == "application/json"
    assert "transfer-encoding" not in headers


def test_streams_have_the_headers_too_and_are_not_cached(pool: OpenAI) -> None:
    raw = pool.chat.completions.with_raw_response.create(
        model="gpt-test", messages=HELLO, stream=True
    )
    headers = raw.headers
    assert headers["x-pool-provider"] == "up"
    assert headers["x-pool-attempts"] == "1"
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert "content-length" not in headers
    list(raw.parse())


def test_vendor_sees_our_secret_and_nothing_of_the_clients(town: Town) -> None:
    raw = make(town).chat.completions.with_raw_response.create(
        model="gpt-test",
        messages=HELLO,
        extra_headers={
            "cookie": "session=1",
            "x-forwarded-for": "203.0.113.9",
            "x-api-key": town.keys["client"],
            "openai-beta": "assistants=v2",
        },
    )
    (seen,) = town.upstream.seen_of(raw.headers["x-pool-request-id"])
    assert seen.header("authorization") == f"Bearer {DEFAULT_API_KEY}"
    assert seen.header("openai-beta") == "assistants=v2"
    assert seen.header("x-stainless-lang") == "python"
    names = [name for name, _ in seen.headers]
    assert not {"cookie", "x-forwarded-for", "x-api-key"} & set(names)
    assert town.keys["client"] not in str(seen.headers)
    assert town.keys["client"].encode() not in seen.body


def test_models_are_listed_and_retrieved(town: Town, pool: OpenAI) -> None:
    names = {model.id for model in pool.models.list()}
    assert {"gpt-test", "house-model", "fault-tools"} <= names
    one = pool.models.retrieve("house-model")
    assert (one.id, one.object) == ("house-model", "model")
    with pytest.raises(openai.NotFoundError):
        pool.models.retrieve("gpt-missing")
    with make(town, town.keys["narrow"]) as narrow:
        allowed = {model.id for model in narrow.models.list()}
    # An alias is one more name of what the key may use.
    assert allowed == {"gpt-test", "house-model"}


def test_stream_helper_reads_tools_to_their_end(pool: OpenAI) -> None:
    with pool.chat.completions.stream(
        model="fault-tools-parallel+tools-fragmented",
        messages=HELLO,
        tools=[WEATHER, TIME],
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [each.function.name for each in calls] == ["get_weather", "get_time"]
    assert all(json.loads(each.function.arguments)["city"] for each in calls)


async def test_asynchronous_client_gets_the_same(town: Town, direct: OpenAI) -> None:
    async with AsyncOpenAI(
        base_url=town.product.url, api_key=town.keys["client"], max_retries=0
    ) as pool:
        whole = await pool.chat.completions.create(model="gpt-test", messages=HELLO)
        stream = await pool.chat.completions.create(
            model="gpt-test", messages=HELLO, stream=True
        )
        chunks = [chunk.model_dump() async for chunk in stream]
    theirs = direct.chat.completions.create(model="gpt-test", messages=HELLO)
    assert whole.model_dump() == theirs.model_dump()
    streamed = direct.chat.completions.create(
        model="gpt-test", messages=HELLO, stream=True
    )
    assert chunks == dumped(streamed)
