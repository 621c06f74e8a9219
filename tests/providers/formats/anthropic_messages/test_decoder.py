from __future__ import annotations

import json
import random

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import MAX_EVENT_BYTES, FramingError
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    PartClose,
    PartOpen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.types import (
    Opaque,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
)
from tests.providers.formats.anthropic_messages.messages import (
    CODEC,
    FIXTURES,
    REPLY,
    answer_of,
    block,
    ending,
    read,
    read_whole,
    start,
    stream,
    text_block,
    tool_block,
)


def plain(answer):
    """Return an answer's parts with arguments as values: spaces do not matter."""
    parts = []
    for each in answer.choices[0].parts:
        if isinstance(each, ToolCall):
            each = (each.id, each.name, json.loads(each.arguments))
        elif isinstance(each, Unknown):
            each = (each.type, json.loads(bytes(each.payload)))
        elif isinstance(each, Text):
            cited = [json.dumps(c.url) for c in each.citations]
            each = (each.text, cited)
        parts.append(each)
    return parts, answer.choices[0].finish


def pieces_of(data, how):
    if how == "whole":
        return [data]
    if how == "bytes":
        return [data[at : at + 1] for at in range(len(data))]
    if how == "events":
        return [each + b"\n\n" for each in data.split(b"\n\n")[:-1]]
    chooser = random.Random(how)
    cuts = sorted(chooser.sample(range(len(data)), 20))
    return [
        data[first:last] for first, last in zip([0, *cuts], [*cuts, None], strict=True)
    ]


@pytest.mark.parametrize("name", FIXTURES)
def test_t99_t153_a_stream_reads_as_its_whole_answer(name):
    fixture = FIXTURES[name]
    data = fixture["stream"].encode()
    streamed = gather(read([data]))
    whole = gather(read_whole(fixture["answer"]))
    assert streamed.is_complete
    assert whole.is_complete
    assert plain(streamed) == plain(whole)
    assert streamed.usage == whole.usage
    assert streamed.usage is not None
    assert (streamed.id, streamed.model) == (whole.id, whole.model)


@pytest.mark.parametrize("how", ["bytes", "events", 1, 2, 3])
@pytest.mark.parametrize("name", FIXTURES)
def test_t99_the_cutting_of_bytes_changes_nothing(name, how):
    data = FIXTURES[name]["stream"].encode()
    if how == "events" and b"\r" in data:
        how = "bytes"
    assert read(pieces_of(data, how)) == read([data])


@pytest.mark.parametrize("name", FIXTURES)
def test_p86_a_stream_cut_at_any_byte_has_no_end(name):
    data = FIXTURES[name]["stream"].encode()
    whole = read([data])
    last = data.rindex(b"message_stop") + len(b'message_stop"}')
    for cut in range(last):
        events = read([data[:cut]])
        assert not any(isinstance(each, End) for each in events), cut
    assert any(isinstance(each, End) for each in whole)


def test_t89_t90_signatures_and_redacted_thoughts_are_kept_with_their_origin():
    parts = answer_of(FIXTURES["thinking_and_tools"]["stream"].encode())
    thought, redacted = parts.choices[0].parts[:2]
    origin = {"family": "anthropic", "model": "claude-up", "scope": "cred-1"}
    assert thought == Reasoning(
        text="Let me see.",
        opaque=(Opaque(slot="signature", data="EqQBsig==", **origin),),
    )
    assert redacted == Reasoning(
        opaque=(Opaque(slot="redacted", data="EmwKred==", **origin),),
        is_redacted=True,
    )


def test_t76_t81_calls_count_on_their_own_and_text_comes_before_them():
    data = stream(
        start(),
        *text_block(0, "Hm"),
        *tool_block(1, "t1", "a", '{"x":', "1}"),
        *tool_block(2, "t2", "b"),
        *ending("tool_use"),
    )
    opened = [each for each in read([data]) if isinstance(each, PartOpen)]
    assert [(each.kind, each.id, each.name) for each in opened] == [
        ("text", "", ""),
        ("tool_call", "t1", "a"),
        ("tool_call", "t2", "b"),
    ]
    calls = answer_of(data).choices[0].parts[1:]
    assert [call.arguments for call in calls] == ['{"x":1}', "{}"]
    assert answer_of(data).choices[0].finish.reason == "tool_calls"


def test_a_call_whose_input_came_with_its_start_keeps_it():
    content = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1.50}}
    data = stream(start(), *block(0, content), *ending("tool_use"))
    assert json.loads(answer_of(data).choices[0].parts[0].arguments) == {"a": 1.5}


def test_t94_a_refusal_is_told_with_its_explanation():
    finish = answer_of(FIXTURES["refusal"]["stream"].encode()).choices[0].finish
    assert finish == Finish(reason="refusal", raw="refusal", detail="Not this.")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "end"),
        ("max_tokens", "max_tokens"),
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "context_full"),
        ("compaction", "end"),
    ],
)
def test_t95_t96_stop_reasons_are_read(word, reason):
    data = stream(start(), *text_block(0, "x"), *ending(word))
    finish = answer_of(data).choices[0].finish
    assert (finish.reason, finish.raw) == (reason, word)


def test_t97_the_sequence_that_was_hit_is_kept():
    finish = answer_of(FIXTURES["stop_sequence"]["stream"].encode()).choices[0].finish
    assert (finish.reason, finish.stop_sequence) == ("stop_sequence", "END")


def test_t98_citations_belong_to_their_text_and_keep_their_index():
    events = read([FIXTURES["server_tool_and_citation"]["stream"].encode()])
    cited = next(each for each in events if isinstance(each, CitationSeen))
    assert cited.citation.url == "https://example.com/a"
    assert (cited.citation.start, cited.citation.end) == (None, None)
    assert bytes(cited.citation.ext["encrypted_index"]) == b'"Eo8B"'
    closes = [each for each in events if isinstance(each, PartClose)]
    assert closes[2].part.text == "👋 It is x."
    assert closes[2].part.citations == (cited.citation,)
    assert answer_of(
        FIXTURES["server_tool_and_citation"]["stream"].encode()
    ).usage == TokenUsage(
        input_tokens=10, output_tokens=9, units=1, unit_kind="tool_call"
    )


@pytest.mark.parametrize(
    "broken",
    [
        b"event: message_delta\ndata: {not json\n\n",
        b'event: x\ndata: {"type":"content_block_delta","delta":7}\n\n',
        b'event: x\ndata: {"type":"content_block_start","index":0}\n\n',
        b'event: x\ndata: {"type":"message_start","message":[]}\n\n',
    ],
)
def test_p90_an_event_that_cannot_be_read_is_a_fault(broken):
    events = read([stream(start(), *text_block(0, "x")) + broken, stream(*ending())])
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "upstream_invalid_response"


@pytest.mark.parametrize("noise", [b"data: [DONE]\n\n", b"data:\n\n", b": c\n\n"])
def test_noise_between_events_is_passed_over(noise):
    data = stream(start(), *text_block(0, "x")) + noise + stream(*ending())
    assert answer_of(data).is_complete


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        b'{"error":{"type":"overloaded_error","message":"Overloaded"}}',
    ],
)
def test_t117_t118_an_error_event_ends_the_answer(payload):
    data = b"event: error\ndata: " + payload + b"\n\n"
    for before in (b"", stream(start(), *text_block(0, "x"))):
        events = read([before + data + stream(*ending())])
        assert isinstance(events[-1], Failed)
        error = events[-1].error
        assert (error.status, error.code) == (529, "server_is_overloaded")
        assert error.message == "Overloaded"


def test_t119_a_stream_that_just_stops_has_no_end():
    data = stream(start(), *text_block(0, "x"), ending()[0])
    events = read([data])
    assert not any(isinstance(each, End) for each in events)
    assert any(isinstance(each, Finish) for each in events)


def test_nothing_after_the_stop_is_looked_at():
    data = stream(start(), *text_block(0, "x"), *ending(), *text_block(1, "y"))
    texts = [each.text for each in read([data]) if isinstance(each, Delta)]
    assert texts == ["x"]


def test_an_index_that_comes_twice_is_two_blocks():
    data = stream(
        start(),
        block(0, {"type": "text", "text": "a"})[0],
        block(0, {"type": "text", "text": "b"})[0],
        *ending(),
    )
    parts = answer_of(data).choices[0].parts
    assert parts == (Text(text="a"), Text(text="b"))


def test_compaction_keeps_its_content():
    data = stream(
        start(),
        *block(
            0,
            {"type": "compaction", "content": None},
            {"type": "compaction_delta", "content": "short"},
        ),
        *ending(),
    )
    (kept,) = answer_of(data).choices[0].parts
    assert json.loads(bytes(kept.payload)) == {"type": "compaction", "content": "short"}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"content":[7]}', b'{"content":7}']
)
def test_what_is_no_message_is_a_fault(body):
    events = read_whole(body)
    assert isinstance(events[-1], Failed)


def test_t117_a_whole_error_under_a_200_is_a_fault():
    events = read_whole({"type": "error", "error": {"type": "api_error"}})
    assert events[-1].error.status == 500


def test_a_packed_proof_in_an_answer_is_its_makers_again():
    from providers.formats.neutral.smuggle import pack

    proof = Opaque(family="google", slot="thought_signature", data="g")
    content = {"type": "redacted_thinking", "data": pack(proof)}
    data = stream(start(), *block(0, content), *text_block(1, "x"), *ending())
    assert answer_of(data).choices[0].parts[0].opaque == (proof,)


def test_an_event_above_the_limit_is_an_attack():
    decoder = CODEC.open_decoder(REPLY)
    with pytest.raises(FramingError):
        decoder.feed(b"event: x\ndata: " + b"y" * MAX_EVENT_BYTES + b"\n\n")
