from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    Delta,
    End,
    Failed,
    Finish,
    Meta,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import Repair
from providers.formats.openai_chat.usage import read_usage
from providers.formats.openai_chat.words import answer_id, write_usage
from tests.providers.formats.openai_chat.cases import (
    SIGNED,
    START,
    USAGE,
    answer_of,
    call,
    completed,
    deltas,
    ended,
    events_of,
    joined,
    part,
    plain,
    streamed,
)


def test_t76_a_text_has_its_role_its_pieces_its_finish_and_the_end():
    frames = streamed(ended(*part(0, "text", "Hel", 'lo "you"')))
    head = {
        "id": "chatcmpl-01AbC",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "gpt-4o",
    }
    assert frames == [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in (
            ({"role": "assistant", "content": ""}, None),
            ({"content": "Hel"}, None),
            ({"content": 'lo "you"'}, None),
            ({}, "stop"),
        )
    ] + ["[DONE]"]


def test_usage_is_written_only_for_those_that_asked():
    events = ended(*part(0, "text", "Hi"), UsageSeen(usage=USAGE))
    assert not any("usage" in frame for frame in streamed(events) if frame != "[DONE]")
    options = {"include_usage": True}
    *chunks, usage, done = streamed(events, stream=True, stream_options=options)
    assert all(frame["usage"] is None for frame in chunks)
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 15
    assert usage["usage"]["completion_tokens"] == 7
    assert usage["usage"]["total_tokens"] == 22
    assert usage["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert usage["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3
    without = ended(*part(0, "text", "Hi"))
    assert streamed(without, stream=True, stream_options=options)[-2]["choices"]


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        TokenUsage(input_tokens=1, output_tokens=0),
        TokenUsage(
            input_tokens=1, cache_write_tokens=2, cache_write_1h_tokens=3,
            output_tokens=4, audio_in_tokens=5, audio_out_tokens=6,
            image_in_tokens=7, image_out_tokens=8,
        ),
    ],
)  # fmt: skip
def test_written_usage_reads_back_as_the_same_sums(usage):
    read = read_usage(json.dumps(write_usage(usage)).encode())
    assert read.flags == ()
    assert read.usage.prompt_tokens == usage.prompt_tokens
    assert read.usage.completion_tokens == usage.completion_tokens
    assert read.usage.input_tokens == usage.input_tokens
    assert read.usage.output_tokens == usage.output_tokens


def test_t80_t81_calls_count_from_zero_whatever_came_before():
    events = ended(
        *part(0, "text", "so"),
        *call(1, "c1", '{"a"', ":1}"),
        *call(2, "c2", "{}"),
        reason="tool_calls",
    )
    frames = streamed(events)
    calls = [
        delta["tool_calls"][0] for delta in deltas(frames) if "tool_calls" in delta
    ]
    assert calls == [
        {
            "index": 0,
            "id": "c1",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        },
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
        {
            "index": 1,
            "id": "c2",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        },
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert frames[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_an_answer_of_calls_alone_has_no_content():
    events = ended(*call(0, "c1", "{}"), reason="tool_calls")
    assert deltas(streamed(events))[0] == {"role": "assistant", "content": None}
    message = completed(events)["choices"][0]["message"]
    assert message["content"] is None


def test_custom_calls_are_free_text():
    events = ended(*call(0, "c1", "*** ", "Begin", tool_kind="custom"))
    calls = [d["tool_calls"][0] for d in deltas(streamed(events)) if "tool_calls" in d]
    assert calls[0]["custom"] == {"name": "f", "input": ""}
    assert calls[1] == {"index": 0, "custom": {"input": "*** "}}
    message = completed(events)["choices"][0]["message"]
    assert message["tool_calls"][0] == {
        "id": "c1",
        "type": "custom",
        "custom": {"name": "f", "input": "*** Begin"},
    }


def test_a_call_without_an_id_gets_one():
    events = ended(*call(0, "", "{}"))
    made = deltas(streamed(events))[1]["tool_calls"][0]["id"]
    assert made.startswith("call_")


def test_t107_a_legacy_client_gets_a_legacy_call():
    events = ended(*call(0, "c1", '{"a"', ":1}"), *call(1, "c2", "{}"))
    legacy = {"functions": [{"name": "f"}]}
    frames = streamed(events, **legacy)
    assert deltas(frames)[1:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ":1}"}},
        {},
    ]
    assert frames[-2]["choices"][0]["finish_reason"] == "function_call"
    choice = completed(events, **legacy)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["finish_reason"] == "function_call"
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("context_full", "length"),
        ("pause", "stop"),
        ("cancelled", "stop"),
        ("refusal", "content_filter"),
    ],
)
def test_t96_finish_reasons_have_chats_words(reason, word):
    events = ended(*part(0, "text", "a"), reason=reason)
    assert joined(streamed(events)) == ({"role": "assistant", "content": "a"}, word)
    assert completed(events)["choices"][0]["finish_reason"] == word


def test_t61_each_choice_has_its_role_its_calls_and_its_finish():
    events = [
        START,
        *call(0, "c1", "{}", choice=0),
        *call(1, "c2", "{}", choice=1),
        Finish(reason="tool_calls", choice=0),
        Finish(reason="tool_calls", choice=1),
        End(),
    ]
    frames = streamed(events, n=2)[:-1]
    for index in (0, 1):
        own = [f["choices"][0] for f in frames if f["choices"][0]["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert own[1]["delta"]["tool_calls"][0]["index"] == 0
        assert own[-1]["finish_reason"] == "tool_calls"
    assert [choice["index"] for choice in completed(events)["choices"]] == [0, 1]


def test_the_tier_that_is_known_late_is_in_later_chunks():
    events = [START, *part(0, "text", "a"), Meta(service_tier="flex"), Meta(), End()]
    frames = streamed(events)
    assert frames[-2]["service_tier"] == "flex"
    assert "service_tier" not in frames[0]
    assert completed(events)["service_tier"] == "flex"
    early = [Start(id="x", service_tier="flex"), *part(0, "text", "a"), End()]
    assert streamed(early)[0]["service_tier"] == "flex"


def test_a_fault_is_not_worded_here():
    events = [START, *part(0, "text", "a"), Failed(error=ErrorDetail(message="x"))]
    frames = streamed(events)
    assert deltas(frames) == [{"role": "assistant", "content": ""}, {"content": "a"}]


@pytest.mark.parametrize(
    ("upstream", "client"),
    [
        ("chatcmpl-1", "chatcmpl-1"),
        ("msg_01AbC", "chatcmpl-01AbC"),
        ("resp_abc", "chatcmpl-abc"),
        ("gen-123-x", "chatcmpl-123-x"),
        ("0a1b", "chatcmpl-0a1b"),
    ],
)
def test_ids_keep_the_upstreams_tail(upstream, client):
    assert answer_id(upstream) == client


def test_an_answer_without_an_id_gets_one():
    assert len(answer_id("")) == len("chatcmpl-") + 24


def test_the_time_of_the_call_stands_in_for_an_unknown_one():
    events = [Start(), *part(0, "text", "a"), End()]
    assert streamed(events)[0]["created"] == 1700
    assert completed(events)["created"] == 1700


def test_what_is_written_reads_back_as_what_was_meant():
    events = ended(
        PartOpen(pos=0, kind="reasoning"),
        Delta(pos=0, text="hm"),
        OpaqueSeen(pos=0, opaque=SIGNED),
        PartClose(pos=0),
        *part(1, "text", "a"),
        *call(2, "c1", '{"a":1}'),
        *call(3, "c2", "{}"),
        UsageSeen(usage=USAGE),
        reason="tool_calls",
    )
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    frames = streamed(events, **asked)
    stream = "".join(
        f"data: {f if f == '[DONE]' else json.dumps(f)}\n\n" for f in frames
    )
    meant = [each for each in Repair().feed(events) if isinstance(each, PartClose)]
    answer = answer_of(stream.encode())
    thought, *rest = answer.choices[0].parts
    assert thought.text == "hm"
    assert rest[-3:] == [each.part for each in meant[1:]]
    assert answer.usage.total_tokens == USAGE.total_tokens
    assert answer.is_complete
    assert plain(events_of(stream.encode())[0])["id"] == "chatcmpl-01AbC"
