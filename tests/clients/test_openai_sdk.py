"""The official OpenAI SDK works through the pool as it does with a vendor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.rig.plain import call
from tests.rig.product import DEFAULT_API_KEY
from tests.rig.stage import Scene
from tests.rig.thread import UpstreamThread

pytestmark = pytest.mark.process

Town = Scene[UpstreamThread]
HELLO: Any = [{"role": "user", "content": "Tell me about the harbour."}]
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


def make(town: Town, key: str = "", **options: Any) -> OpenAI:
    options.setdefault("max_retries", 0)
    return OpenAI(
        base_url=town.product.url, api_key=key or town.keys["client"], **options
    )


@pytest.fixture
def pool(town: Town) -> Iterator[OpenAI]:
    with make(town) as client:
        yield client


@pytest.fixture
def direct(town: Town) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=town.upstream.base_url, api_key=DEFAULT_API_KEY, max_retries=0
    ) as client:
        yield client


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
def test_only_the_span_of_the_model_changes_in_an_odd_body(
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


# Errors


def complete(client: OpenAI, model: str, **request: Any) -> list[Any]:
    """Make a call and read it to its end."""
    answer = client.chat.completions.create(model=model, messages=HELLO, **request)
    return list(answer) if request.get("stream") else [answer]


def fails_with(client: OpenAI, kind: type[Any], model: str, **request: Any) -> Any:
    with pytest.raises(kind) as caught:
        complete(client, model, **request)
    return caught.value


def test_wrong_key_is_an_authentication_error(town: Town) -> None:
    with make(town, "pp_wrong") as client:
        error = fails_with(client, openai.AuthenticationError, "gpt-test")
    assert error.status_code == 401
    assert error.code == "invalid_api_key"
    assert error.request_id == error.response.headers["x-pool-request-id"]


def test_unknown_model_names_its_neighbours(pool: OpenAI) -> None:
    error = fails_with(pool, openai.NotFoundError, "gpt-tset")
    assert error.code == "model_not_found"
    assert "gpt-test" in error.message
    assert error.request_id


def test_model_a_key_may_not_use_is_refused_without_hints(town: Town) -> None:
    with make(town, town.keys["narrow"]) as narrow:
        error = fails_with(narrow, openai.PermissionDeniedError, "fault-tools")
        assert error.code == "model_not_allowed"
        error = fails_with(narrow, openai.NotFoundError, "fault-toolz")
    assert "fault-tools" not in error.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("fault-400-param-temperature", openai.BadRequestError),
        ("fault-400-context", openai.BadRequestError),
        ("fault-422", openai.UnprocessableEntityError),
        ("fault-404", openai.NotFoundError),
    ],
)
def test_what_a_vendor_says_about_the_request_is_passed_on(
    town: Town, pool: OpenAI, direct: OpenAI, model: str, kind: Any, stream: bool
) -> None:
    ours = fails_with(pool, kind, model, stream=stream)
    theirs = fails_with(direct, kind, model, stream=stream)
    assert ours.response.read() == theirs.response.read()
    assert (ours.code, ours.param, ours.type) == (
        theirs.code,
        theirs.param,
        theirs.type,
    )
    assert ours.response.headers["x-pool-request-id"]
    assert ours.response.headers["x-should-retry"] == "false"


def test_rate_limit_of_a_vendor_tells_when_to_come_back(pool: OpenAI) -> None:
    error = fails_with(pool, openai.RateLimitError, "fault-429-retry-after-7")
    assert error.code == "rate_limit_exceeded"
    assert 1 <= int(error.response.headers["retry-after"]) <= 7
    assert error.request_id


def test_our_own_quota_is_not_the_clients_business(pool: OpenAI) -> None:
    error = fails_with(pool, openai.RateLimitError, "fault-429-quota")
    assert error.code == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert "pool" in error.message


def test_refusal_of_our_credential_is_not_the_clients_401(pool: OpenAI) -> None:
    error = fails_with(pool, openai.InternalServerError, "fault-401")
    assert error.status_code == 503
    assert error.code == "provider_credentials"
    assert "fault upstream" not in error.message


@pytest.mark.parametrize(
    ("model", "status"),
    [("fault-500", 502), ("fault-503", 503), ("fault-500-text", 502)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failure_of_a_vendor_is_a_server_error(
    pool: OpenAI, model: str, status: int, stream: bool
) -> None:
    error = fails_with(pool, openai.InternalServerError, model, stream=stream)
    # Cooling down after some failures, the provider is tried all the same: it is
    # the only one.
    assert error.status_code == status
    assert error.request_id
    assert len(error.response.headers["x-pool-request-id"]) == 36
    assert error.type
    assert "attempt" in error.message


def test_too_large_a_body_is_refused(town: Town, pool: OpenAI) -> None:
    huge: Any = [{"role": "user", "content": "x" * (41 * 1024 * 1024)}]
    with pytest.raises(openai.APIStatusError) as caught:
        pool.chat.completions.create(model="gpt-test", messages=huge)
    assert caught.value.status_code == 413
    assert caught.value.code == "request_too_large"


@pytest.mark.parametrize("stream", [False, True])
def test_silent_vendor_is_a_timeout(pool: OpenAI, stream: bool) -> None:
    begun = time.monotonic()
    error = fails_with(pool, openai.APIError, "fault-silence", stream=stream)
    assert 0.9 < time.monotonic() - begun < 4
    assert error.code == "upstream_timeout"


@pytest.mark.parametrize(
    "model",
    [
        "fault-len-200+stall-20",
        "fault-len-200+cut-rst-chunk-20",
        "fault-len-200+error-mid-20",
    ],
)
def test_fault_in_the_middle_is_raised_inside_the_stream(
    pool: OpenAI, model: str
) -> None:
    seen: list[Any] = []
    stream = pool.chat.completions.create(model=model, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as caught:
        seen.extend(iter(lambda: next(stream), None))
    # A reset makes the kernel drop what nobody has read yet.
    assert 1 <= len(seen) <= 20 if "rst" in model else len(seen) == 20
    assert [each.choices[0].delta.role for each in seen].count("assistant") == 1
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert not any(chunk.choices[0].finish_reason for chunk in seen)


def test_client_that_waits_no_longer_gets_its_own_timeout(town: Town) -> None:
    with make(town, timeout=0.3) as impatient:
        error = fails_with(impatient, openai.APITimeoutError, "fault-slow-first-2500")
    assert isinstance(error, openai.APITimeoutError)


def test_slow_first_byte_of_a_stream_is_bridged_by_keep_alives(town: Town) -> None:
    model = "fault-slow-first-1800+len-20"
    body = {"model": model, "messages": HELLO, "stream": True}
    ours = call(town.product.url + "/chat/completions", town.keys["client"], body)
    theirs = call(town.upstream.base_url + "/chat/completions", DEFAULT_API_KEY, body)
    comments, _, rest = ours.body.partition(b"data: ")
    lines = [line for line in comments.split(b"\n") if line]
    assert len(lines) >= 2
    assert all(line.startswith(b":") for line in lines)
    assert b"data: " + rest == theirs.body
    with make(town) as client:
        text = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(**body)
        )
    assert text


def test_retrying_sdk_stops_at_what_will_not_change(town: Town) -> None:
    with make(town, max_retries=2) as client:
        before = len(town.upstream.control.seen)
        fails_with(client, openai.BadRequestError, "fault-400-context")
        fails_with(client, openai.RateLimitError, "fault-429-quota+ok")
    assert len(town.upstream.control.seen) - before <= 2
