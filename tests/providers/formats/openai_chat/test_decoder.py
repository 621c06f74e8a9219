from __future__ import annotations

import json
import random

import pytest

from pricing.tokens import TokenUsage
from providers.formats.neutral.events import Delta, End, Failed, Finish, PartOpen
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import (
    Text,
)
from tests.providers.formats.chat import FIXTURES, chunk, sse
from tests.providers.formats.openai_chat.cases import (
    answer_of,
    events_of,
    plain,
    repaired,
    whole,
)

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
END = chunk({}, "stop")
DONE = "[DONE]"


def completion(message, finish="stop", **extra):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **extra,
    }


def parts_of(*frames):
    """Read a stream that ends well: the parts of its only choice."""
    answer = answer_of(sse(*frames, END, DONE))
    assert answer.is_complete
    return answer.choices[0].parts


@pytest.mark.parametrize("name", FIXTURES)
def test_t99_a_stream_cut_anywhere_is_the_same_events(name):
    stream = FIXTURES[name]["stream"].encode()
    expected = events_of(stream)
    for at in range(len(stream)):
        assert events_of(stream, [stream[:at], stream[at:]]) == expected, at
    single = [stream[at : at + 1] for at in range(len(stream))]
    assert events_of(stream, single) == expected
    dice = random.Random(name)
    cuts = sorted(dice.sample(range(len(stream)), 7))
    pieces = [
        stream[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert events_of(stream, pieces) == expected


@pytest.mark.parametrize("name", FIXTURES)
def test_a_translated_stream_learns_what_a_relayed_one_does(name):
    expect = FIXTURES[name]["expect"]
    events = repaired(FIXTURES[name]["stream"].encode())
    is_complete = any(isinstance(event, End) for event in events)
    assert is_complete == expect["complete"]
    answer = answer_of(FIXTURES[name]["stream"].encode())
    found = {} if answer.usage is None else plain(answer.usage)
    assert (expect["usage"] or {}).items() <= found.items()
    assert bool(found) == bool(expect["usage"])


def test_t99_letters_of_many_bytes_survive_every_cut():
    stream = 'data:{"choices":[{"index":0,"delta":{"content":"añ😀"}}]}\r\n\r\n'
    stream = (": hi\r\n\r\n" + stream).encode() + b"data: [DONE]\r\n\r\n"
    for at in range(len(stream)):
        events = events_of(stream, [stream[:at], stream[at:]])
        assert [e.text for e in events if isinstance(e, Delta)] == ["añ😀"]
        assert events[-1] == End()


def test_t85_an_answer_that_breaks_off_has_no_end():
    assert not answer_of(sse(chunk({"content": "Hi"}))).is_complete
    assert not answer_of(sse(chunk({"content": "Hi"})) + b"data: {").is_complete
    assert not answer_of(b"").is_complete
    assert not answer_of(b"<html>502</html>").is_complete


def test_t86_a_finish_is_an_end_without_the_terminator():
    answer = answer_of(sse(chunk({"content": "Hi"}), END))
    assert answer.is_complete
    torn = sse(chunk({"content": "Hi"}), END) + b'data: {"usage'
    assert answer_of(torn).is_complete


def test_a_terminator_without_a_finish_is_an_end():
    answer = answer_of(sse(chunk({"content": "Hi"}), DONE))
    assert answer.is_complete
    assert answer.choices[0].finish.reason == "end"


@pytest.mark.parametrize(
    "frames", [[DONE], [chunk({"role": "assistant", "content": ""}), DONE]]
)
def test_p86_an_end_before_any_answer_is_a_fault(frames):
    answer = answer_of(sse(*frames))
    assert not answer.is_complete
    assert answer.error.code == "upstream_invalid_response"


def test_one_of_two_choices_without_a_finish_is_no_end():
    second = chunk({"content": "b"})
    second["choices"][0]["index"] = 1
    assert not answer_of(sse(chunk({"content": "a"}), second, END)).is_complete


@pytest.mark.parametrize(
    ("frames", "usage"),
    [
        pytest.param([{**END, "usage": USAGE}, DONE], 5, id="t87-last-content-chunk"),
        pytest.param(
            [END, chunk({}, "stop", usage=USAGE), DONE],
            5,
            id="t87-litellm-36168-after-the-finish-with-choices",
        ),
        pytest.param(
            [END, {"choices": [], "usage": USAGE}, DONE], 5, id="t87-trailing"
        ),
        pytest.param(
            [
                chunk({"content": "a"}, usage=USAGE | {"completion_tokens": 1}),
                {**END, "usage": USAGE},
                {"choices": [], "usage": None},
                DONE,
            ],
            5,
            id="t87-every-chunk",
        ),
        pytest.param([END, DONE], None, id="t87-none"),
    ],
)
def test_usage_is_read_wherever_it_stands(frames, usage):
    answer = answer_of(sse(chunk({"content": "Hi"}), *frames))
    assert answer.is_complete
    if usage is None:
        assert answer.usage is None
    else:
        assert answer.usage == TokenUsage(input_tokens=5, output_tokens=2)


def test_usage_of_a_stream_is_that_of_the_whole_answer():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 20},
        "cost": 0.25,
    }
    end = {"choices": [], "usage": usage}
    stream = answer_of(sse(chunk({"content": "Hi"}), END, end, DONE))
    buffered = whole(completion({"content": "Hi"}, usage=usage))
    assert stream == buffered
    assert stream.vendor_cost_nano_usd == 250_000_000
    assert stream.usage.input_tokens == 65


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "end"),
        ("end_turn", "end"),
        ("eos", "end"),
        ("SomethingNew", "end"),
        ("length", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("content_filter", "refusal"),
        ("abort", "cancelled"),
        ("stop_sequence", "stop_sequence"),
    ],
)
def test_t96_finish_words_of_every_kind_are_known(word, reason):
    events = repaired(sse(chunk({"content": "a"}), chunk({}, word), DONE))
    finish = next(event for event in events if isinstance(event, Finish))
    assert (finish.reason, finish.raw) == (reason, word)


def test_a_blank_finish_is_none():
    assert not answer_of(sse(chunk({"content": "a"}, ""))).is_complete


def test_t97_the_stop_sequence_is_kept_where_a_server_names_it():
    for name, value, expected in (
        ("stop_reason", "END", "END"),
        ("matched_stop", "END", "END"),
        ("stop_reason", 128009, ""),
    ):
        end = chunk({}, "stop")
        end["choices"][0][name] = value
        answer = answer_of(sse(chunk({"content": "a"}), end, DONE))
        assert answer.choices[0].finish.stop_sequence == expected


@pytest.mark.parametrize("word", ["error", "network_error"])
def test_p87_a_finish_that_means_a_fault_is_one(word):
    stream = sse(chunk({"content": "a"}), chunk({}, word, usage=USAGE), DONE)
    answer = answer_of(stream)
    assert not answer.is_complete
    assert answer.error.code == "upstream_error"
    assert answer.usage.input_tokens == 5


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"error":{"message":"busy","code":503}}\n\n',
        b'event: error\ndata: {"message":"busy"}\n\n',
        b'data: {"object":"error","message":"busy"}\n\n',
        b'data: {"error":"busy"}\n\n',
    ],
)
def test_t118_an_error_in_the_stream_fails_it(frame):
    for before in (b"", sse(chunk({"content": "a"}))):
        answer = answer_of(before + frame + sse(END, DONE))
        assert answer.error.message == "busy"
        assert not answer.is_complete


def test_a_frame_that_is_no_json_fails_the_stream():
    for frame in (b"data: {oops\n\n", b"data: oops\n\n", b"data: [1]\n\n"):
        answer = answer_of(sse(chunk({"content": "a"})) + frame + sse(END, DONE))
        assert answer.error.code == "upstream_invalid_response"


def test_numbers_json_does_not_know_are_read_as_none():
    stream = sse(END, DONE).replace(b'"created":1', b'"created":NaN')
    assert answer_of(stream).is_complete


def test_odd_types_are_read_for_what_they_mean():
    odd = {
        "id": 5,
        "created": "17.5",
        "model": "m",
        "service_tier": 1,
        "choices": [
            {
                "index": "0",
                "delta": {
                    "content": [{"type": "text", "text": "ab"}],
                    "tool_calls": {
                        "id": 7,
                        "function": {"name": "f", "arguments": {"a": 1}},
                    },
                },
                "finish_reason": 5,
            },
            "rubbish",
        ],
    }
    answer = answer_of(sse(odd, DONE))
    assert answer.created == 17
    text, call = answer.choices[0].parts
    assert text.text == "ab"
    assert (call.id, json.loads(call.arguments)) == ("7", {"a": 1})


def test_the_head_of_the_answer_is_kept():
    first = {"id": "", "model": "", "choices": [], "created": 0}  # Azure's first chunk
    named = chunk({"content": "a"}, service_tier="default")
    answer = answer_of(sse(first, named, {**END, "service_tier": "flex"}, DONE))
    assert (answer.id, answer.model, answer.created) == ("chatcmpl-1", "gpt-4o", 1)
    assert answer.service_tier == "flex"


def test_nothing_counts_after_a_finish():
    answer = answer_of(
        sse(chunk({"content": "a"}), END, chunk({"content": "b"}), END, DONE)
    )
    assert answer.choices[0].parts == (Text(text="a"),)


def test_choices_are_read_apart():
    frames = []
    for index in (0, 1):
        for delta, finish in (({"content": f"t{index}"}, None), ({}, "stop")):
            frame = chunk(delta, finish)
            frame["choices"][0]["index"] = index
            frames.append(frame)
    answer = answer_of(sse(frames[0], frames[2], frames[1], frames[3], DONE))
    assert [choice.parts[0].text for choice in answer.choices] == ["t0", "t1"]


def test_t103_a_whole_answer_is_the_events_of_its_stream():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "hm",
        "refusal": None,
        "tool_calls": [call],
    }
    stream = sse(
        chunk({"role": "assistant", "reasoning_content": "hm"}),
        chunk({"content": "a"}),
        chunk({"tool_calls": [{"index": 0, **call}]}),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert whole(completion(message, "tool_calls")) == answer_of(stream)


def test_a_whole_answer_without_a_finish_is_complete():
    answer = whole(completion({"content": "a"}, None))
    assert answer.is_complete
    assert answer.choices[0].finish.reason == "end"


def test_whole_choices_that_share_a_number_are_counted():
    body = completion({"content": "a"})
    body["choices"].append(completion({"content": "b"})["choices"][0])
    assert [choice.index for choice in whole(body).choices] == [0, 1]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "busy"}},
        {"detail": "busy"},
        {"choices": []},
        {},
        [],
        "hi",
        completion({"content": "a"}, "error"),
    ],
)
def test_what_is_no_answer_is_a_fault(body):
    answer = whole(body)
    assert answer.error is not None
    assert not answer.is_complete


def test_a_fault_is_the_last_event():
    events = events_of(b'data: {"error":"x"}\n\n' + sse(chunk({"content": "a"}), DONE))
    assert [type(event) for event in events] == [Failed]
    assert not any(isinstance(event, PartOpen) for event in Repair().feed(events))
