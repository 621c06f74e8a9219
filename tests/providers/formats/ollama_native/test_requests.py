from __future__ import annotations

import json

import pytest

from providers.formats import base
from providers.formats.base import Arrival, FormatError
from providers.formats.neutral.types import (
    Media,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.formats.ollama_native.dialect import FORMAT
from tests.providers.formats.ollama_native.support import (
    CODEC,
    GENERATE,
    asked,
    decoded,
)

PNG = "iVBORw0KGgoAAAANSUhEUg=="
USER = Turn(role="user", parts=(Text(text="Hi"),))


def test_a_stream_is_what_a_client_gets_unless_it_says_no():
    assert asked().stream
    assert asked(stream=None).stream
    assert not asked(stream=False).stream


def test_a_peek_sees_what_the_rooms_must_know():
    seen = asked(
        messages=[{"role": "user", "content": "x", "images": [PNG]}],
        tools=[{"type": "function", "function": {"name": "f"}}],
        format={"type": "object"},
        think="high",
        logprobs=True,
        options={"num_predict": 77},
    )
    assert seen.needs == (
        base.NEED_VISION
        | base.NEED_TOOLS
        | base.NEED_JSON_SCHEMA
        | base.NEED_REASONING
        | base.NEED_LOGPROBS
    )
    assert seen.max_output_tokens == 77
    assert seen.include_usage
    assert asked(tools=[], images=[], think=False, format="json").needs == 0
    assert asked(options={"num_predict": -1}).max_output_tokens is None
    assert asked(options=None).max_output_tokens is None
    spans = [seen.body[start:end] for start, end in seen.content_spans]
    assert [json.loads(span)[0:1] for span in spans[:1]] == [
        [{"role": "user", "content": "x", "images": [PNG]}]
    ]


def test_text_that_looks_like_a_picture_is_none():
    message = {"role": "user", "content": '"images": ["x"]'}
    assert asked(messages=[message]).needs == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": "x" * 600}, "model"),
        ({"messages": "Hi"}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"options": 7}, "options"),
    ],
)
def test_a_peek_names_the_field_at_fault(fields, param):
    with pytest.raises(FormatError) as refused:
        asked(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"model":"a","model":"b"}',
        b'{"messages":[]}',
        b"{" + b",".join(b'"k%d":1' % n for n in range(2_000)) + b"}",
        b'{"model":"a","messages":' + b"[" * 5_000 + b"}",
    ],
)
def test_t131_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(FormatError):
        FORMAT.read_request(body, Arrival(path="/api/chat"))


def test_a_path_with_a_model_is_not_this_dialects():
    with pytest.raises(FormatError):
        FORMAT.read_request(b'{"model":"m"}', Arrival(path_model="m"))


def test_a_conversation_is_taken_apart():
    got = decoded(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look", "images": [f"data:image/png,{PNG}"]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "Hm",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "f", "arguments": {"a": 1e3}}},
                    {"function": {"name": "g", "arguments": '{"b":2}'}},
                ],
            },
            {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c1"},
            {"role": "tool", "content": "2", "name": "g"},
            {"role": "system", "content": "Now."},
            {"role": "user", "content": None},
        ]
    )
    assert got.instructions == (
        Turn(role="instruction", parts=(Text(text="Be brief."),)),
    )
    user, assistant, tool, middle, empty = got.turns
    assert user.parts == (
        Text(text="Look"),
        Media(kind="image", source="base64", data=PNG, media_type="image/png"),
    )
    assert assistant.parts == (
        Reasoning(text="Hm"),
        ToolCall(name="f", arguments='{"a": 1000.0}', id="c1"),
        ToolCall(name="g", arguments='{"b":2}'),
    )
    assert tool.parts == (
        ToolResult(call_id="c1", name="f", content=(Text(text="1"),)),
        ToolResult(name="g", content=(Text(text="2"),)),
    )
    assert middle.role == "instruction"
    assert empty.parts == ()


def test_options_and_the_rest_are_taken_apart():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    got = decoded(
        options={
            "num_predict": 9,
            "temperature": 1,
            "top_k": 40.0,
            "seed": 2**60 + 1,
            "stop": "END",
            "num_ctx": 8192,
        },
        format=schema,
        think=True,
        keep_alive="5m",
        tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}],
    )
    assert got.max_output == 9
    assert got.sampling.temperature == 1.0
    assert got.sampling.top_k == 40
    assert got.sampling.seed == 2**60 + 1
    assert got.sampling.stop == ("END",)
    assert {name: bytes(raw) for name, raw in got.ext.items()} == {
        "keep_alive": b'"5m"',
        "options.num_ctx": b"8192",
    }
    assert got.output.kind == "schema"
    assert json.loads(bytes(got.output.schema)) == schema
    assert got.thinking == Thinking(mode="adaptive")
    assert json.loads(bytes(got.tools[0].schema)) == schema


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "images": ["no picture!"]}]},
            "messages[0].images[0]",
        ),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"think": 5}, "think"),
        ({"options": {"top_k": "many"}}, "options.top_k"),
        ({"tools": [{"function": {}}]}, "tools[0].function"),
    ],
)
def test_what_cannot_be_translated_names_its_field(fields, param):
    with pytest.raises(FormatError) as refused:
        decoded(**fields)
    assert refused.value.param == param


def test_a_prompt_is_one_message_of_the_user():
    got = decoded(GENERATE, prompt="Hi", system="Be brief.", images=[PNG], raw=True)
    assert got.instructions[0].parts == (Text(text="Be brief."),)
    assert [type(part) for part in got.turns[0].parts] == [Text, Media]
    assert bytes(got.ext["raw"]) == b"true"
    with pytest.raises(FormatError):
        decoded(GENERATE, prompt="")


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\xff"', b'"\x00"', b"\xed\xa0\x80"])
def test_t138_text_nobody_can_read_is_refused(text):
    body = b'{"model":"m","messages":[{"role":"user","content":%b}]}' % text
    with pytest.raises(FormatError):
        CODEC.decode_request(FORMAT.read_request(body, Arrival(path="/api/chat")))


def test_t138_arguments_and_numbers_of_any_size_survive():
    body = (
        b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":'
        b'{"name":"f","arguments":{"n":123456789012345678901234567890}}}]}]}'
    )
    got = CODEC.decode_request(FORMAT.read_request(body, Arrival(path="/api/chat")))
    (call,) = got.turns[0].parts
    assert call.arguments == '{"n":123456789012345678901234567890}'


def test_a_result_is_named_by_the_call_whose_id_it_has():
    call = {"id": "c1", "function": {"name": "weather", "arguments": {}}}
    request = decoded(
        messages=[
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "Rain", "tool_call_id": "c1"},
        ]
    )
    (result,) = request.turns[1].parts
    assert result.name == "weather"
