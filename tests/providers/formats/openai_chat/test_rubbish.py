"""Whatever comes in: a refusal with words or a fault, never a crash."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.formats.base import FormatError
from providers.formats.neutral.events import End, Failed
from providers.formats.neutral.repair import Repair
from providers.formats.openai_chat.decoder import decode_answer
from tests.providers.formats.chat import FORMAT, chunk, sse
from tests.providers.formats.openai_chat.cases import (
    EVERYTHING,
    REPLY,
    answer_of,
    decode_request,
    encoded,
    events_of,
    messages,
    whole,
)

WORDS = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "user",
        "assistant",
        "tool",
        "system",
        "content",
        "image_url",
        "url",
        "input_audio",
        "data",
        "format",
        "file",
        "file_data",
        "file_id",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "custom",
        "input",
        "tool_calls",
        "function_call",
        "tool_call_id",
        "reasoning_content",
        "reasoning_details",
        "thinking_blocks",
        "reasoning.text",
        "reasoning.encrypted",
        "signature",
        "extra_content",
        "google",
        "thought_signature",
        "refusal",
        "cache_control",
        "ttl",
        "annotations",
        "url_citation",
        "images",
        "audio",
        "logprobs",
        "finish_reason",
        "stop",
        "delta",
        "message",
        "choices",
        "usage",
        "error",
        "auto",
        "required",
        "allowed_tools",
        "tools",
        "json_schema",
        "schema",
        "strict",
        "mode",
    ]
)
LEAF = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | WORDS
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
MESSAGE = st.dictionaries(WORDS, JSON, max_size=4).map(lambda m: {"role": "user"} | m)
SPOKEN = st.fixed_dictionaries(
    {"role": st.sampled_from(["assistant", "tool", "user", "function"])},
    optional={
        name: JSON | st.lists(st.dictionaries(WORDS, JSON, max_size=4), max_size=2)
        for name in (
            "content",
            "tool_calls",
            "tool_call_id",
            "reasoning_details",
            "thinking_blocks",
            "function_call",
            "cache_control",
        )
    },
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "tools",
            "tool_choice",
            "functions",
            "function_call",
            "response_format",
            "stop",
            "reasoning",
            "thinking",
            "metadata",
            "modalities",
            "logit_bias",
            "cache_control",
            "web_search_options",
        ),
        JSON,
    ),
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.lists(st.dictionaries(WORDS, JSON, max_size=4), max_size=2)
        for name in (
            "content",
            "reasoning",
            "reasoning_details",
            "thinking_blocks",
            "thinking",
            "tool_calls",
            "function_call",
            "images",
            "audio",
            "annotations",
            "refusal",
        )
    },
)
MANY = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@MANY
@given(conversation=st.lists(MESSAGE | SPOKEN, max_size=3), fields=FIELDS)
def test_a_request_is_read_or_refused(conversation, fields):
    body = {"model": "m", "messages": conversation, **fields}
    with contextlib.suppress(FormatError):
        neutral = decode_request(FORMAT.read_request(json.dumps(body).encode()))
        encoded(neutral, EVERYTHING)


@MANY
@given(deltas=st.lists(DELTA, max_size=4), extra=JSON, logprobs=JSON, finish=LEAF)
def test_a_stream_is_read_or_fails(deltas, extra, logprobs, finish):
    frames = [chunk(delta) for delta in deltas]
    for frame in frames:
        frame["choices"][0] |= {"logprobs": logprobs, "stop_reason": extra}
        frame |= {"usage": extra, "created": extra}
    events = Repair().feed(events_of(sse(*frames, chunk({}, finish), "[DONE]")))
    assert isinstance(events[-1], End | Failed)


@MANY
@given(message=DELTA, body=JSON)
def test_an_answer_is_read_or_fails(message, body):
    for each in (body, {"choices": [{"message": message}]}, {"choices": [body]}):
        events = decode_answer(json.dumps(each).encode(), REPLY)
        assert isinstance(events[-1], End | Failed)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"<html>", b"{", b'{"choices":' + b"[" * 5000, b'"\\ud800"'],
)
def test_bytes_that_are_no_json_are_a_fault(body):
    assert isinstance(decode_answer(body, REPLY)[0], Failed)


@pytest.mark.parametrize("name", ["content", "function_call", "tool_calls"])
def test_deep_nesting_is_refused(name):
    deep = b"[" * 3000 + b"]" * 3000
    body = b'{"model":"m","messages":[{"role":"user","%b":%b}]}' % (name.encode(), deep)
    with pytest.raises(FormatError):
        decode_request(FORMAT.read_request(body))


def test_odd_proof_is_no_proof():
    odd = [
        {"type": "reasoning.encrypted", "data": 5},
        {"type": "reasoning.encrypted"},
        {"type": "reasoning.summary", "summary": 5},
        {"type": "reasoning.text", "text": 5, "signature": ""},
        5,
    ]
    made = messages({"role": "assistant", "content": "a", "reasoning_details": odd})
    assert len(made.turns[0].parts) == 1
    made = messages({"role": "assistant", "content": "a", "reasoning_details": "x"})
    assert len(made.turns[0].parts) == 1


def test_odd_pieces_of_an_answer_are_left_out():
    odd = {
        "content": "a",
        "thinking": 5,
        "images": [{"image_url": 5}],
        "annotations": [{"url_citation": {"url": 5}}, {"url": "https://a.example"}],
        "audio": {"transcript": 5, "data": 5},
    }
    text = answer_of(sse(chunk(odd), "[DONE]")).choices[0].parts[0]
    assert [each.url for each in text.citations] == ["https://a.example"]
    late = chunk({"content": "a"}, "stop")
    late["choices"][0] |= {"stop_reason": 5, "logprobs": 5}
    assert answer_of(sse(late)).is_complete
    assert whole({"choices": [{"message": {"tool_calls": [{}]}}]}).is_complete
