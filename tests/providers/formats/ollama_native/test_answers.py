from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.neutral.events import (
    Delta,
    End,
    Failed,
    Finish,
    PartOpen,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Text, ToolCall
from tests.providers.formats.ollama_native.support import (
    CODEC,
    FIXTURES,
    REPLY,
    answer_of,
    events_of,
    last,
    lines,
    said,
)

STREAMS = {name: each["stream"].encode() for name, each in FIXTURES.items()}
each_stream = pytest.mark.parametrize("name", FIXTURES)


def joined(answer, kind):
    parts = answer.choices[0].parts if answer.choices else ()
    return "".join(part.text for part in parts if isinstance(part, kind))


def deltas_of(data, kind):
    """Return what was said so far, also where it broke off."""
    kinds, found = {}, ""
    for event in events_of(data):
        if isinstance(event, PartOpen):
            kinds[event.pos] = event.kind
        elif isinstance(event, Delta) and kinds[event.pos] == kind:
            found += event.text
    return found


def calls_of(answer):
    return [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]


@each_stream
def test_a_fixture_reads_as_it_says(name):
    expect = FIXTURES[name]["expect"]
    answer = answer_of(STREAMS[name])
    assert answer.is_complete is expect["complete"]
    assert deltas_of(STREAMS[name], "text") == expect["text"]
    assert deltas_of(STREAMS[name], "reasoning") == expect.get("thinking", "")
    if "calls" in expect:
        found = [[c.name, json.loads(c.arguments)] for c in calls_of(answer)]
        assert found == expect["calls"]
    usage = answer.usage
    assert (usage and usage.input_tokens) == expect["input"]
    assert (usage and usage.output_tokens) == expect["output"]
    if expect["finish"]:
        assert answer.choices[0].finish.reason == expect["finish"]
    assert (answer.error and answer.error.message) == expect.get("error")


@each_stream
def test_p80_a_stream_cut_at_every_offset_gives_the_same_events(name):
    data = STREAMS[name]
    whole = events_of(data)
    for at in range(1, len(data)):
        assert events_of(data, [data[:at], data[at:]]) == whole
    assert events_of(data, [bytes([byte]) for byte in data]) == whole


@each_stream
@settings(max_examples=25)
@given(data=st.data())
def test_a_stream_cut_in_many_places_gives_the_same_events(name, data):
    stream = STREAMS[name]
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert events_of(stream, pieces) == events_of(stream)


@each_stream
def test_a_cut_stream_never_ends_clean(name):
    data = STREAMS[name].rstrip()
    for at in range(len(data)):
        assert not any(isinstance(e, End) for e in events_of(data, [data[:at]]))


def test_p22_calls_numbered_alike_are_two_calls_with_two_ids():
    first, second = calls_of(answer_of(STREAMS["tools"]))
    assert first.id != second.id
    assert first.id.startswith("call_")
    assert '"days":1.5' in first.arguments


def test_minted_ids_are_the_same_for_the_same_bytes_and_differ_by_answer():
    once, again = answer_of(STREAMS["tools"]), answer_of(STREAMS["tools"])
    assert calls_of(once) == calls_of(again)
    later = STREAMS["tools"].replace(b"12:00:00", b"12:00:01")
    assert calls_of(answer_of(later))[0].id != calls_of(once)[0].id


def test_ids_a_server_gave_are_kept_and_repeated_ones_are_not():
    assert [c.id for c in calls_of(answer_of(STREAMS["tools_with_ids"]))] == [
        "call_a",
        "call_b",
    ]
    call = {"id": "x", "function": {"name": "f", "arguments": {}}}
    first, second = calls_of(answer_of(lines(said(tool_calls=[call, call]), last())))
    assert first.id == "x"
    assert second.id not in ("", "x")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"a": 1}, '{"a":1}'),
        ('{"a":1}', '{"a":1}'),
        ("", "{}"),
        (None, "{}"),
        ("not json", "not json"),
    ],
)
def test_arguments_are_text_whatever_they_came_as(arguments, text):
    call = {"function": {"name": "f", "arguments": arguments}}
    (found,) = calls_of(answer_of(lines(said(tool_calls=[call]), last())))
    assert found.arguments == text


def test_a_call_without_a_name_is_none():
    answer = answer_of(lines(said(tool_calls=[{"function": {}}, {}]), last()))
    assert answer.choices[0].parts == ()
    assert answer.choices[0].finish.reason == "end"


def test_p64_thinking_goes_on_in_every_line_that_has_it():
    events = events_of(STREAMS["thinking_returns"])
    kinds = [event.kind for event in events if isinstance(event, PartOpen)]
    assert kinds == ["reasoning", "text", "reasoning", "text"]
    assert [e.text for e in events if isinstance(e, Delta)] == ["One", "A", "Two", "B"]


def test_a_prompt_wholly_cached_has_an_unknown_input_and_says_so():
    answer = answer_of(STREAMS["cache_hit"])
    assert answer.usage.input_tokens is None
    assert answer.flags == ("prompt:missing",)


def test_counts_nobody_believes_are_named():
    answer = answer_of(lines(said(content="x"), last(prompt_eval_count=-1)))
    assert answer.usage.input_tokens is None
    assert "prompt:negative" in answer.flags


@each_stream
def test_buffered_usage_is_the_streamed_usage(name):
    if not FIXTURES[name]["expect"]["complete"]:
        return
    streamed = answer_of(STREAMS[name])
    body = json.dumps(json.loads(STREAMS[name].splitlines()[-1])).encode()
    whole = gather(Repair().feed(CODEC.decode_answer(body, REPLY)))
    assert whole.usage == streamed.usage
    assert whole.flags == streamed.flags
    unasked = gather(Repair().feed(CODEC.decode_answer(STREAMS[name], REPLY)))
    assert unasked == streamed


def test_t103_lines_for_a_whole_answer_are_joined():
    answer = gather(Repair().feed(CODEC.decode_answer(STREAMS["text"], REPLY)))
    assert answer.is_complete
    assert joined(answer, Text) == "Hello, 世界 🙂"


def test_t103_one_object_for_a_stream_is_a_whole_stream():
    body = json.dumps(last() | {"message": {"content": "Hi"}}).encode()
    answer = answer_of(body)
    assert answer.is_complete
    assert joined(answer, Text) == "Hi"


def test_a_whole_answer_without_done_is_whole():
    answer = CODEC.decode_answer(b'{"message":{"content":"Hi"}}', REPLY)
    assert isinstance(answer[-1], End)
    cut = CODEC.decode_answer(b'{"message":{"content":"Hi"},"done":false}', REPLY)
    assert isinstance(cut[-1], Failed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>gateway</html>",
        b'{"message":7}',
        b'{"error":"no such model"}',
        b'{"error":{"message":"odd"}}',
        b"[" * 5_000,
        b"\xff\xfe",
        b"[" + b"0," * 600_000 + b"0]",
    ],
)
def test_what_is_no_answer_is_a_failure(body):
    events = CODEC.decode_answer(body, REPLY)
    assert not any(isinstance(event, End) for event in events)
    assert isinstance(events[-1], Failed)


@pytest.mark.parametrize("name", ["cut", "error_line"])
def test_half_an_answer_is_a_failure(name):
    events = CODEC.decode_answer(STREAMS[name], REPLY)
    assert isinstance(events[-1], Failed)


def test_garbage_between_lines_is_a_failure():
    events = events_of(lines(said(content="Hi")) + b"<oops>\n" + lines(last()))
    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, End) for event in events)


def test_nothing_is_read_behind_the_end():
    events = events_of(lines(said(content="Hi"), last(), said(content="more"), last()))
    assert [e.text for e in events if isinstance(e, Delta)] == ["Hi"]
    assert sum(isinstance(event, UsageSeen) for event in events) == 1


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "end"),
        ("", "end"),
        (None, "end"),
        ("length", "max_tokens"),
        ("load", "end"),
        ("unload", "end"),
        ("something", "end"),
        ("content_filter", "refusal"),
    ],
)
def test_reasons_are_read(word, reason):
    events = events_of(lines(said(content="x"), last(done_reason=word)))
    (finish,) = [event for event in events if isinstance(event, Finish)]
    assert finish.reason == reason
    assert finish.raw == (word or "stop")


def test_an_answer_that_ends_with_an_error_has_failed():
    events = events_of(lines(said(content="x"), last(done_reason="error")))
    assert isinstance(events[-1], Failed)


def test_logprobs_go_with_their_text():
    probs = [{"token": "x", "logprob": -0.1}]
    events = events_of(lines(said(content="x") | {"logprobs": probs}, last()))
    (delta,) = [event for event in events if isinstance(event, Delta)]
    assert json.loads(bytes(delta.logprobs)) == probs


def test_the_time_and_the_model_are_those_of_the_first_line():
    answer = answer_of(STREAMS["text"])
    assert (answer.model, answer.created) == ("llama3.2", 1795176000)
    odd = answer_of(lines(said(content="x") | {"created_at": 17}, last()))
    assert odd.created == 0
