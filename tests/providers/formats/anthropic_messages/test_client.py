from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    MediaSeen,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.smuggle import NOTHING, pack, unpack
from providers.formats.neutral.types import Citation, Opaque
from tests.providers.formats.anthropic_messages.messages import (
    CODEC,
    FIXTURES,
    FORMAT,
    frames,
    part,
    raw,
    read,
    view,
    written,
)

GOOGLE = Opaque(family="google", slot="thought_signature", data="g-proof", model="gm")
SEALED = Opaque(family="openai", slot="encrypted", data="sealed", scope="acct")
USAGE = UsageSeen(
    usage=TokenUsage(
        input_tokens=3, cache_read_tokens=4, output_tokens=9, reasoning_tokens=2
    )
)
BEGUN = Start(id="chatcmpl-77", model="gpt-up")


def blocks_of(data):
    """Join the deltas of a stream to whole blocks, checking the order on the way."""
    found = []
    is_open = False
    for each in frames(data):
        type_ = each["type"]
        if type_ == "content_block_start":
            assert not is_open
            assert each["index"] == len(found)
            is_open = True
            found.append(each["content_block"] | {"deltas": []})
        elif type_ == "content_block_delta":
            assert is_open
            assert each["index"] == len(found) - 1
            found[-1]["deltas"].append(each["delta"])
        elif type_ == "content_block_stop":
            assert is_open
            is_open = False
    assert not is_open
    return found


def test_t77_p82_p107_text_has_the_full_lifecycle_and_usage_is_put_right():
    events = [BEGUN, *part(0, "text", "Hel", "lo"), Finish(reason="end"), USAGE, End()]
    got = frames(written(events, seen=view(estimate=11)))
    assert [each["type"] for each in got] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = got[0]["message"]
    assert message["model"] == "claude-x"
    assert message["id"] == "msg_77"
    assert message["usage"]["input_tokens"] == 11
    assert message["content"] == []
    assert got[5]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert got[5]["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 2},
    }


def test_usage_known_at_the_start_is_told_at_the_start():
    begun = Start(usage=TokenUsage(input_tokens=5, cache_read_tokens=6))
    events = [begun, *part(0, "text", "x"), End()]
    got = frames(written(events))
    assert got[0]["message"]["usage"]["cache_read_input_tokens"] == 6
    assert got[-2]["usage"]["input_tokens"] == 5


def test_t82_p44_interleaved_calls_become_two_blocks_of_input_deltas():
    events = [
        BEGUN,
        PartOpen(pos=0, kind="tool_call", id="c1", name="a"),
        PartOpen(pos=1, kind="tool_call", id="c2", name="b"),
        Delta(pos=0, text='{"x":'),
        Delta(pos=1, text='{"y":'),
        Delta(pos=0, text="1}"),
        Delta(pos=1, text="2}"),
        Finish(reason="end"),
        End(),
    ]
    for batches in (True, False):
        data = written(events, batches=batches)
        one, two = blocks_of(data)
        assert (one["id"], one["name"], one["input"]) == ("c1", "a", {})
        assert (two["id"], two["name"], two["input"]) == ("c2", "b", {})
        assert all(d["type"] == "input_json_delta" for d in one["deltas"])
        joined = "".join(d["partial_json"] for d in two["deltas"])
        assert json.loads(joined) == {"y": 2}
        assert frames(data)[-2]["delta"]["stop_reason"] == "tool_use"


def test_t89_own_signatures_are_written_exactly():
    own = Opaque(family="anthropic", slot="signature", data="EqQB+/=")
    hidden = Opaque(family="anthropic", slot="redacted", data="Emw")
    events = [
        BEGUN,
        *part(0, "reasoning", "Hm", own),
        *part(1, "reasoning", hidden),
        *part(2, "reasoning", own),
        *part(3, "text", "x"),
        End(),
    ]
    thought, redacted, silent, _ = blocks_of(written(events))
    assert thought["deltas"] == [
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "signature_delta", "signature": "EqQB+/="},
    ]
    assert redacted == {"type": "redacted_thinking", "data": "Emw", "deltas": []}
    assert silent["deltas"] == [{"type": "signature_delta", "signature": "EqQB+/="}]


def test_t88_t90_foreign_reasoning_travels_in_an_envelope():
    events = [
        BEGUN,
        *part(0, "reasoning", "Hm"),
        *part(1, "reasoning", "So", SEALED),
        *part(2, "reasoning", SEALED),
        *part(3, "tool_call", GOOGLE, "{}", id="c", name="n"),
        End(),
    ]
    bare, told, sealed, proof, call = blocks_of(written(events))
    assert bare["deltas"][-1]["signature"] == pack(NOTHING)
    assert unpack(told["deltas"][-1]["signature"]) == SEALED
    assert sealed["type"] == "redacted_thinking"
    assert unpack(sealed["data"]) == SEALED
    assert unpack(proof["data"]) == GOOGLE
    assert call["type"] == "tool_use"
    asked = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": pack(NOTHING)},
                {
                    "type": "thinking",
                    "thinking": "So",
                    "signature": told["deltas"][-1]["signature"],
                },
                {"type": "redacted_thinking", "data": sealed["data"]},
                {"type": "redacted_thinking", "data": proof["data"]},
                {"type": "tool_use", "id": "c", "name": "n", "input": {}},
            ],
        },
    ]
    turn = view(messages=asked).request.turns[1]
    assert [part.opaque for part in turn.parts] == [(), (SEALED,), (SEALED,), (GOOGLE,)]
    assert turn.parts[3].name == "n"


def test_empty_parts_leave_no_block_and_no_gap():
    events = [
        BEGUN,
        *part(0, "text"),
        *part(1, "reasoning"),
        *part(2, "text", "x"),
        PartOpen(pos=3, kind="media"),
        MediaSeen(pos=3, data="AAAA", media_type="image/png"),
        PartClose(pos=3),
        PartOpen(pos=4, kind="unknown"),
        UnknownSeen(pos=4, dialect="openai", type="x", payload=raw({})),
        PartClose(pos=4),
        *part(5, "tool_call", id="c", name="n"),
        End(),
    ]
    got = blocks_of(written(events))
    assert [each["type"] for each in got] == ["text", "tool_use"]


def test_other_choices_have_no_place():
    events = [
        BEGUN,
        *part(0, "text", "one"),
        *part(1, "text", "two", choice=1),
        Finish(reason="max_tokens", choice=1),
        Finish(reason="end"),
        End(),
    ]
    data = written(events)
    assert len(blocks_of(data)) == 1
    assert frames(data)[-2]["delta"]["stop_reason"] == "end_turn"


def test_own_blocks_of_the_vendor_are_written_as_they_came():
    call = {"type": "server_tool_use", "id": "s", "name": "w", "input": {"q": "x"}}
    bare = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    events = [BEGUN]
    for pos, each in enumerate((call, bare, result)):
        seen = UnknownSeen(
            pos=pos, dialect="anthropic", type=each["type"], payload=raw(each)
        )
        events += [PartOpen(pos=pos, kind="unknown"), seen, PartClose(pos=pos)]
    odd = UnknownSeen(pos=9, dialect="anthropic", type="x", payload=raw(7))
    events += [PartOpen(pos=9, kind="unknown"), odd, PartClose(pos=9), End()]
    one, two, three = blocks_of(written(events))
    assert one["input"] == {}
    assert json.loads(one["deltas"][0]["partial_json"]) == {"q": "x"}
    assert (two["input"], two["deltas"]) == ({}, [])
    assert three == result | {"deltas": []}


def test_t98_citations_come_before_their_block_closes():
    own = FIXTURES["server_tool_and_citation"]
    events = read([own["stream"].encode()])
    cited = blocks_of(written(events))[2]["deltas"]
    assert cited[0]["citation"] == own["answer"]["content"][2]["citations"][0]
    foreign = Citation(url="https://e.com", title="E", cited_text="x", start=0, end=1)
    events = [
        BEGUN,
        PartOpen(pos=0, kind="text"),
        CitationSeen(pos=0, citation=foreign),
        Delta(pos=0, text="x"),
        PartClose(pos=0),
        End(),
    ]
    (deltas,) = [each["deltas"] for each in blocks_of(written(events))]
    assert deltas[0]["citation"]["url"] == "https://e.com"
    assert deltas[1]["text"] == "x"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (Finish(reason="max_tokens"), "max_tokens"),
        (Finish(reason="context_full"), "model_context_window_exceeded"),
        (Finish(reason="pause"), "pause_turn"),
        (Finish(reason="refusal"), "refusal"),
        (Finish(reason="prompt_blocked"), "refusal"),
        (Finish(reason="cancelled"), "end_turn"),
    ],
)
def test_t96_stop_reasons_are_worded(finish, reason):
    got = frames(written([BEGUN, *part(0, "text", "x"), finish, End()]))
    assert got[-2]["delta"]["stop_reason"] == reason


def test_t94_refusals_are_never_an_empty_success():
    refused = Finish(reason="refusal", detail="Not this.")
    got = frames(written([BEGUN, refused, End()]))
    assert got[-2]["delta"]["stop_details"]["explanation"] == "Not this."
    events = [BEGUN, *part(0, "refusal", "No."), Finish(reason="end"), End()]
    data = written(events)
    assert blocks_of(data)[0]["deltas"][0]["text"] == "No."
    assert frames(data)[-2]["delta"]["stop_reason"] == "refusal"
    whole = json.loads(CODEC.encode_answer(gather(Repair().feed(events)), view()))
    assert whole["stop_reason"] == "refusal"


def test_t97_the_sequence_that_was_hit_is_told():
    finish = Finish(reason="stop_sequence", stop_sequence="END")
    got = frames(written([BEGUN, *part(0, "text", "x"), finish, End()]))
    assert got[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_t118_a_failed_answer_is_not_ended():
    failed = Failed(error=ErrorDetail(message="gone"))
    got = frames(written([BEGUN, *part(0, "text", "x"), failed]))
    assert got[-1]["type"] == "content_block_stop"


def test_t118_the_error_in_a_stream_is_an_error_event():
    own = FORMAT.open_stream(view().asked, request_id="r9")
    detail = ErrorDetail(message="Overloaded", code="server_is_overloaded", status=503)
    (frame,) = frames(own.error_frame(detail, request_id="r9"))
    assert frame == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "r9",
    }
    (frame,) = frames(own.error_frame(ErrorDetail(message="x"), request_id="r9"))
    assert frame["error"]["type"] == "api_error"


def test_t120_a_keepalive_opens_the_stream_once_and_the_answer_goes_on_from_it():
    seen = view()
    own = FORMAT.open_stream(seen.asked, request_id="r9")
    early = frames(own.keepalive())
    assert [each["type"] for each in early] == ["message_start", "ping"]
    assert early[0]["message"]["id"] == "msg_r9"
    assert [each["type"] for each in frames(own.keepalive())] == ["ping"]
    events = [BEGUN, *part(0, "text", "x"), End()]
    got = frames(written(events, seen=seen, opened=own))
    assert got[0]["type"] == "content_block_start"


def test_t127_an_attempt_that_said_nothing_leaves_the_opening_to_the_next():
    seen = view()
    own = FORMAT.open_stream(seen.asked, request_id="r9")
    first = CODEC.open_encoder(seen, own)
    assert first.encode([BEGUN, PartOpen(pos=0, kind="text")]) == b""
    assert first.encode([UsageSeen(usage=TokenUsage(input_tokens=1))]) == b""
    events = [BEGUN, *part(0, "text", "x"), End()]
    got = frames(written(events, seen=seen, opened=own))
    assert [each["type"] for each in got].count("message_start") == 1


def test_another_dialects_stream_is_replaced_by_our_own():
    other = type("Other", (), {})()
    events = [BEGUN, *part(0, "text", "x"), End()]
    assert frames(written(events, opened=other))[0]["type"] == "message_start"


@pytest.mark.parametrize("name", FIXTURES)
def test_t89_an_answer_of_this_dialect_survives_the_neutral_form(name):
    events = read([FIXTURES[name]["stream"].encode()])
    again = read([written(events)])
    mine, theirs = gather(events), gather(again)
    assert theirs.choices == mine.choices
    assert theirs.usage.total_tokens == mine.usage.total_tokens
    whole = json.loads(CODEC.encode_answer(mine, view()))
    content = FIXTURES[name]["answer"]["content"]
    assert whole["content"] == content
    assert whole["stop_reason"] == FIXTURES[name]["answer"]["stop_reason"]


def test_a_whole_answer_is_worded_like_its_stream():
    events = [
        BEGUN,
        *part(0, "reasoning", "Hm"),
        *part(1, "reasoning", SEALED),
        *part(2, "reasoning"),
        *part(3, "text"),
        *part(4, "text", "x"),
        *part(5, "tool_call", GOOGLE, '{"a":1}', id="c", name="n"),
        *part(6, "tool_call", id="d", name="n"),
        Finish(reason="tool_calls"),
        USAGE,
        End(),
    ]
    whole = CODEC.encode_answer(gather(Repair().feed(events)), view(estimate=3))
    from tests.providers.formats.anthropic_messages.messages import read_whole

    streamed = gather(read([written(events)]))
    answer = gather(read_whole(whole))
    assert answer.choices == streamed.choices
    assert answer.usage == streamed.usage
    made = json.loads(whole)
    assert made["id"] == "msg_77"
    assert [each["type"] for each in made["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "redacted_thinking",
        "tool_use",
        "tool_use",
    ]


def test_an_answer_without_a_choice_is_an_empty_message():
    made = json.loads(CODEC.encode_answer(gather([]), view()))
    assert (made["content"], made["stop_reason"]) == ([], "end_turn")
    assert made["id"] == "msg_r1"
