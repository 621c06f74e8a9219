from __future__ import annotations

import base64
import json

import msgspec
import pytest

from providers.formats.base import FormatError, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    CacheMark,
    OutputFormat,
    Sampling,
    State,
    Text,
    Thinking,
    Tool,
    ToolResult,
)
from tests.providers.formats.anthropic_messages.messages import (
    CAPS,
    CODEC,
    TARGET,
    chat_request,
    decoded,
    encoded,
    raw,
    said,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()
F = Tool(kind="function", name="f", schema=msgspec.Raw(b'{"type":"object"}'))


def messages_of(*turns):
    body, losses = encoded(chat_request(turns=turns))
    return body["messages"], losses


def test_t26_max_tokens_is_always_there():
    assert encoded(chat_request())[0]["max_tokens"] == 8192
    known = Target(model="m", max_output_tokens=500)
    assert encoded(chat_request(), target=known)[0]["max_tokens"] == 500
    assert encoded(chat_request(max_output=7))[0]["max_tokens"] == 7


def test_the_version_goes_with_every_translated_call():
    made = CODEC.encode_request(chat_request(stream=True), TARGET, CAPS)
    assert dict(made.headers) == {"anthropic-version": "2023-06-01"}
    assert (made.path, made.is_stream) == ("/messages", True)
    assert json.loads(made.body)["stream"] is True
    made = CODEC.encode_request(chat_request(), TARGET, CAPS)
    assert "stream" not in json.loads(made.body)


def test_t55_a_schema_is_asked_for_natively():
    schema = OutputFormat(kind="schema", schema=msgspec.Raw(b'{"type":"object"}'))
    body, _ = encoded(chat_request(output=schema))
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert body["output_config"] == {"format": form}
    body, losses = encoded(chat_request(output=OutputFormat(kind="json")))
    assert "output_config" not in body
    assert losses == ["response_format:drop"]


def test_t56_p71_blank_stop_sequences_are_dropped_and_named():
    body, losses = encoded(chat_request(sampling=Sampling(stop=("\n", "END", ""))))
    assert body["stop_sequences"] == ["END"]
    assert losses == ["stop:drop"]
    assert (
        "stop_sequences" not in encoded(chat_request(sampling=Sampling(stop=(" ",))))[0]
    )


def test_t57_t58_p74_only_sampling_that_was_asked_for_is_sent():
    body, _ = encoded(chat_request(sampling=Sampling(temperature=1.0, top_k=4)))
    assert (body["temperature"], body["top_k"]) == (1.0, 4)
    assert "top_p" not in body
    assert "temperature" not in encoded(chat_request())[0]


@pytest.mark.parametrize(
    ("thinking", "words", "effort"),
    [
        (
            Thinking(mode="budget", budget=4096),
            {"type": "enabled", "budget_tokens": 4096},
            None,
        ),
        (
            Thinking(mode="budget"),
            {"type": "enabled", "budget_tokens": 1024},
            None,
        ),
        (
            Thinking(mode="adaptive", effort="xhigh", show="concise"),
            {"type": "adaptive", "display": "summarized"},
            "xhigh",
        ),
        (
            Thinking(mode="adaptive", show="none"),
            {"type": "adaptive", "display": "omitted"},
            None,
        ),
        (Thinking(mode="effort", effort="low"), None, "low"),
        (Thinking(mode="off"), {"type": "disabled"}, None),
    ],
)
def test_t59_thinking_is_worded(thinking, words, effort):
    body, losses = encoded(chat_request(max_output=9000, thinking=thinking))
    assert body.get("thinking") == words
    assert body.get("output_config", {}).get("effort") == effort
    assert losses == []


def test_t59_p61_a_budget_leaves_room_for_the_answer():
    asked = Thinking(mode="budget", budget=4096)
    body, losses = encoded(chat_request(max_output=4096, thinking=asked))
    assert body["thinking"]["budget_tokens"] == 4095
    assert losses == ["thinking:clamp"]
    body, losses = encoded(chat_request(max_output=1024, thinking=asked))
    assert "thinking" not in body
    assert losses == ["thinking:drop"]


def test_t61_t62_what_has_no_word_is_named():
    sampling = Sampling(
        seed=1,
        logit_bias=raw({"5": 1}),
        presence_penalty=0.5,
        frequency_penalty=0.5,
        min_p=0.1,
        repeat_penalty=1.1,
        logprobs=True,
        top_logprobs=2,
        n=3,
    )
    _, losses = encoded(
        chat_request(
            sampling=sampling,
            verbosity="low",
            metadata={"a": "b"},
            modalities=("text", "audio"),
            state=State(store=True),
            service_tier="flex",
            ext={"reasoning_summary": raw("x")},
        )
    )
    assert sorted(losses) == sorted(
        f"{name}:drop"
        for name in (
            "seed",
            "logit_bias",
            "presence_penalty",
            "frequency_penalty",
            "min_p",
            "repeat_penalty",
            "logprobs",
            "top_logprobs",
            "n",
            "verbosity",
            "metadata",
            "modalities",
            "store",
            "service_tier",
            "reasoning_summary",
        )
    )


@pytest.mark.parametrize(
    ("state", "param"),
    [
        (State(previous_id="resp_1"), "previous_response_id"),
        (State(conversation="c"), "conversation"),
        (State(background=True), "background"),
    ],
)
def test_p119_state_of_another_vendor_is_refused_by_name(state, param):
    with pytest.raises(FormatError) as caught:
        encoded(chat_request(state=state))
    assert caught.value.param == param


def test_t63_p4_four_marks_are_kept_by_their_worth():
    mark = CacheMark()
    body, losses = encoded(
        chat_request(
            instructions=(
                said(Text(text="a", cache=mark), role="instruction"),
                said(Text(text="b", cache=mark), role="instruction"),
            ),
            tools=(
                Tool(kind="function", name="f", cache=mark),
                Tool(kind="function", name="g", cache=mark),
            ),
            turns=(
                said(Text(text="c", cache=mark)),
                said(Text(text="d", cache=mark), role="assistant"),
                said(Text(text="e", cache=mark)),
            ),
        )
    )
    assert ["cache_control" in tool for tool in body["tools"]] == [False, True]
    assert ["cache_control" in block for block in body["system"]] == [False, True]
    marked = ["cache_control" in each["content"][0] for each in body["messages"]]
    assert marked == [False, True, True]
    assert losses == ["cache_control:drop"]


def test_t63_spare_room_goes_to_the_later_marks():
    mark = CacheMark()
    inner = ToolResult(
        call_id="a", content=(Text(text="x", cache=mark), Text(text="y"))
    )
    texts = [Text(text=each, cache=mark) for each in "abcd"]
    body, _ = encoded(
        chat_request(cache=mark, turns=(said(inner, role="tool"), said(*texts)))
    )
    content = body["messages"][0]["content"]
    assert "cache_control" not in content[0]["content"][0]
    marked = ["cache_control" in block for block in content[1:]]
    assert marked == [False, True, True, True]
    assert body["cache_control"] == {"type": "ephemeral"}


def test_marks_for_an_hour_come_before_those_for_minutes():
    long = CacheMark(ttl="1h")
    turns = (
        said(Text(text="a", cache=long)),
        said(Text(text="b", cache=CacheMark()), role="assistant"),
        said(Text(text="c", cache=long)),
    )
    body, losses = encoded(chat_request(turns=turns))
    marks = [each["content"][0]["cache_control"] for each in body["messages"]]
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert marks == [hour, {"type": "ephemeral"}, {"type": "ephemeral"}]
    assert losses == ["cache_control:clamp"]


def test_what_an_upstream_was_learned_to_refuse_is_left_out():
    target = Target(model="m", drop=frozenset({"top_p", "temperature"}))
    request = chat_request(sampling=Sampling(temperature=1.0, top_k=2))
    body, losses = encoded(request, target=target)
    assert "temperature" not in body
    assert losses == ["temperature:drop"]


def test_an_end_user_and_a_tier_are_told():
    body, _ = encoded(chat_request(end_user="u1", service_tier="default"))
    assert body["metadata"] == {"user_id": "u1"}
    assert body["service_tier"] == "standard_only"


def test_what_this_dialect_said_is_sent_on():
    request = decoded(
        metadata={"user_id": '{"device_id":"d","session_id":"s"}'},
        context_management={"edits": []},
        output_config={"effort": "low", "task_budget": {"x": 1}},
        thinking={"type": "between_tools"},
        tool_choice={"type": "auto"},
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
    )
    body, losses = encoded(request, caps=Capabilities())
    assert body["metadata"]["user_id"].startswith("{")
    assert body["context_management"] == {"edits": []}
    assert body["output_config"] == {"effort": "low", "task_budget": {"x": 1}}
    assert body["thinking"] == {"type": "between_tools"}
    assert body["tool_choice"] == {"type": "auto"}
    assert losses == []
