from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import Target
from tests.providers.formats.chat import BRIDGE, FIXTURES, FORMAT, chunk, request, sse

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": 'Say "model":"gpt-4o"'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    "service_tier": "default",
}


def _read(body, **fields):
    asked = request(**fields)
    sent = BRIDGE.build_request(asked, Target(model="up"))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return raw, BRIDGE.read_response(asked, sent, raw)


def test_an_answer_passes_verbatim_and_is_metered():
    raw, meta = _read(ANSWER)
    assert meta.body is raw
    assert meta.usage == TokenUsage(input_tokens=9, output_tokens=2)
    assert meta.model == "gpt-4o"
    assert meta.response_id == "chatcmpl-1"
    assert meta.service_tier == "default"
    assert meta.finish_reasons == ("stop",)
    assert meta.error is None


def test_the_requested_model_is_echoed_and_nothing_else_changes():
    raw, meta = _read(ANSWER, model="my-alias")
    assert meta.body == raw.replace(b'"model": "gpt-4o"', b'"model": "my-alias"')
    assert meta.model == "gpt-4o"


def test_an_answer_without_usage_counts_its_text():
    body = {
        "choices": [
            {"message": {"content": "abc", "reasoning_content": "é", "refusal": None}},
            {"message": {"content": [{"type": "text", "text": "de"}]}},
        ],
        "usage": None,
    }
    _, meta = _read(body)
    assert meta.usage is None
    assert meta.text_bytes == 7


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "no", "type": "t", "code": 7}}, "no"),
        ({"error": "no"}, "no"),
        ({"object": "error", "message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"id": "x"}, "The upstream's answer is not a chat completion."),
        ([], "The upstream's answer is not a chat completion."),
        (b"", "The upstream's answer is not a chat completion."),
        (b"<html>", "The upstream's answer is not a chat completion."),
        (b'{"choices":[{', "The upstream's answer is not a chat completion."),
        (b'{"a":' + b"[" * 50_000, "The upstream's answer is not a chat completion."),
    ],
)
def test_a_success_that_is_none_is_an_error(body, message):
    _, meta = _read(body)
    assert meta.error is not None
    assert meta.error.message == message


@pytest.mark.parametrize("nothing", [None, {}, "", []])
def test_an_error_that_says_nothing_is_none(nothing):
    _, meta = _read(ANSWER | {"error": nothing})
    assert meta.error is None


def test_odd_types_are_read_for_what_they_mean():
    _, meta = _read(ANSWER | {"id": 7, "choices": [{"finish_reason": 1}, None]})
    assert meta.error is None
    assert meta.usage == TokenUsage(input_tokens=9, output_tokens=2)
    assert meta.response_id is None


def test_choices_null_with_usage_is_still_billed():
    _, meta = _read(ANSWER | {"choices": None})
    assert meta.usage is not None
    assert meta.error is None


def test_a_stream_where_an_answer_was_asked_for_is_gathered():
    stream = sse(
        chunk({"role": "assistant", "content": "He"}, model="up"),
        chunk({"content": "llo", "reasoning_content": "hm"}, model="up"),
        chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
                ]
            },
            model="up",
        ),
        chunk(
            {"tool_calls": [{"index": 0, "id": "", "function": {"arguments": "}"}}]},
            model="up",
        ),
        chunk({}, "tool_calls", model="up"),
        {"choices": [], "usage": ANSWER["usage"]},
        "[DONE]",
    )
    _, meta = _read(b"\n" + stream)
    assert meta.error is None
    assert meta.usage == TokenUsage(input_tokens=9, output_tokens=2)
    answer = json.loads(meta.body)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-4o"
    message = answer["choices"][0]["message"]
    assert message["content"] == "Hello"
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "name",
    [name for name in FIXTURES if FIXTURES[name]["stream"][:5] in ("data:", ": OPE")],
)
def test_a_gathered_stream_is_whole_exactly_when_the_stream_is(name):
    fixture = FIXTURES[name]
    _, meta = _read(fixture["stream"].encode())
    assert (meta.error is None) is fixture["expect"]["complete"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_json_does_not_have_are_read_as_null(number):
    choice = b'{"message": {"content": "a, NaN, b"}, "logprobs": [0.5, %s]}' % number
    raw = b'{"choices": [' + choice + b'], "usage": {"prompt_tokens": 3}}'
    _, meta = _read(raw, model="gpt-4o")
    assert meta.error is None
    assert meta.usage.input_tokens == 3
    assert json.loads(meta.body)["choices"][0]["logprobs"] == [0.5, None]


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":5,"usage":{"prompt_tokens":1}}',
        b'{"choices":["x","\xff"],"usage":{"prompt_tokens":1}}',
        b'data: {"choices":[{"delta":{"tool_calls":5}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choic\xffs":[true]}\n\n',
        b'{"choices":[{"index":' + b"9" * 5000 + b"}]}",
    ],
)
def test_no_answer_however_odd_breaks_the_reader(body):
    request = FORMAT.read_request(b'{"model":"m","messages":[]}')
    bridge = BRIDGE
    sent = bridge.build_request(request, Target(model="m"))
    assert bridge.read_response(request, sent, body).body is not None


def test_a_huge_answer_of_odd_types_is_not_made_into_objects():
    body = b'{"choices":"x","a":[' + b"[]," * (3 * 1024 * 1024) + b"[]]}"
    request = FORMAT.read_request(b'{"model":"m","messages":[]}')
    bridge = BRIDGE
    sent = bridge.build_request(request, Target(model="m"))
    assert bridge.read_response(request, sent, body).error is not None
