"""Bytes no server should send and no client should: they are read all the same."""

from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import FormatError, Target
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    End,
    Failed,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.smuggle import PREFIX, pack
from providers.formats.neutral.types import Citation, Media, Opaque, Text
from tests.providers.formats.anthropic_messages.messages import (
    BRIDGE,
    CODEC,
    FORMAT,
    answer_of,
    asked,
    block,
    chat_request,
    decoded,
    encoded,
    ending,
    event,
    frames,
    part,
    read,
    read_whole,
    said,
    start,
    stream,
    text_block,
    view,
    written,
)

BEGUN = Start(id="x", model="m")


def test_p1_the_billing_header_passes_where_the_vendor_reads_it():
    header = {"type": "text", "text": "x-anthropic-billing-header: cch=1"}
    request = asked(system=[header])
    sent = BRIDGE.build_request(request, Target(model="claude-x"))
    assert sent.body is request.body


def test_the_codec_is_one_for_every_model():
    assert FORMAT.codec("any") is CODEC


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "text_delta", "text": "lost"},
        {"type": "citations_delta", "citation": 7},
        {"type": "compaction_delta", "content": "x"},
        {"type": "sparkle_delta"},
    ],
)
def test_a_piece_that_fits_no_open_block_adds_nothing(delta):
    content = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
    data = stream(start(), *block(0, content, delta), *ending("tool_use"))
    (call,) = answer_of(data).choices[0].parts
    assert call.arguments == "{}"


def test_input_of_a_server_tool_that_is_no_json_leaves_the_block_as_it_was():
    content = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": "{broken"}
    data = stream(start(), *block(0, content, delta), *ending())
    (kept,) = answer_of(data).choices[0].parts
    assert json.loads(bytes(kept.payload)) == content


def test_a_thought_may_come_whole_with_its_start():
    content = {"type": "thinking", "thinking": "hm", "signature": "EqQ"}
    data = stream(start(), *block(0, content), *text_block(1, "x"), *ending())
    thought = answer_of(data).choices[0].parts[0]
    assert (thought.text, thought.opaque[0].data) == ("hm", "EqQ")


def test_a_damaged_envelope_is_no_proof():
    content = {"type": "redacted_thinking", "data": f"{PREFIX}cut"}
    data = stream(start(), *block(0, content), *text_block(1, "x"), *ending())
    assert answer_of(data).choices[0].parts[0].opaque == ()


def test_events_without_their_payload_say_nothing():
    bare = [
        {"type": "content_block_delta", "index": 0},
        {"type": "message_delta"},
        {"type": "message_delta", "delta": {"stop_reason": None}},
        {"type": "error_like"},
    ]
    opened = {"type": "message_start", "message": {"id": "m"}}
    data = stream(opened, *bare, *text_block(0, "x"), *ending())
    answer = answer_of(data)
    assert answer.is_complete
    assert answer.id == "m"


def test_odd_details_of_a_stop_are_passed_over():
    data = stream(start(), *text_block(0, "x"), *ending("refusal", stop_details=7))
    assert answer_of(data).choices[0].finish.detail == ""
    named = ending("refusal", stop_details={"category": "cyber"})
    data = stream(start(), *text_block(0, "x"), *named)
    assert answer_of(data).choices[0].finish.detail == "cyber"


def test_an_event_over_three_lines_is_read():
    data = stream(start(), *text_block(0, "x"))
    last = b'event: message_stop\nid: 7\ndata: {"type":"message_stop"}\n\n'
    middle = b'event: x\ndata: {"type":\ndata: "ping"}\n\n'
    assert any(isinstance(each, End) for each in read([data, middle, last]))


def test_nothing_is_read_after_an_error_at_the_very_end():
    data = event({"type": "error", "error": {"type": "api_error", "message": "m"}})
    events = read([data, b"data: {torn"])
    assert [type(each) for each in events] == [Failed]


def test_pieces_of_a_part_that_is_not_open_are_not_written():
    own = FORMAT.open_stream(asked(), request_id="r")
    encoder = CODEC.open_encoder(view(), own)
    encoder.encode([BEGUN, *part(0, "text", "x")])
    stray = Opaque(family="anthropic", slot="signature", data="E")
    assert (
        encoder.encode(
            [
                Delta(pos=7, text="y"),
                OpaqueSeen(pos=7, opaque=stray),
                CitationSeen(pos=7, citation=Citation(url="u")),
                PartClose(pos=7),
            ]
        )
        == b""
    )


def test_what_a_part_of_its_kind_cannot_hold_is_not_written():
    proof = Opaque(family="google", slot="thought_signature", data="g")
    events = [
        BEGUN,
        *part(0, "text", "x", proof),
        *part(1, "tool_call", "{}", proof, id="c", name="n"),
        PartOpen(pos=2, kind="media"),
        MediaSeen(pos=2, data="A"),
        Delta(pos=2, text="noise"),
        PartClose(pos=2),
        End(),
    ]
    kinds = [
        each.get("content_block", {}).get("type") for each in frames(written(events))
    ]
    assert [kind for kind in kinds if kind] == ["text", "tool_use"]


def test_usage_that_came_before_the_first_word_opens_the_stream():
    early = UsageSeen(usage=TokenUsage(input_tokens=8))
    got = frames(written([BEGUN, early, *part(0, "text", "x"), End()]))
    assert got[0]["message"]["usage"]["input_tokens"] == 8


def test_a_picture_in_an_answer_has_no_block():
    answer = gather(
        [
            BEGUN,
            PartOpen(pos=0, kind="media"),
            PartClose(pos=0, part=Media(kind="image", source="base64", data="A")),
            End(),
        ]
    )
    assert json.loads(CODEC.encode_answer(answer, view()))["content"] == []


def test_a_wordless_signature_is_a_thought_without_words():
    own = Opaque(family="anthropic", slot="signature", data="E")
    answer = gather(
        [
            BEGUN,
            PartOpen(pos=0, kind="reasoning"),
            *part(0, "reasoning", own)[1:],
            End(),
        ]
    )
    assert answer.choices[0].parts == ()
    from providers.formats.neutral.repair import Repair

    answer = gather(Repair().feed([BEGUN, *part(0, "reasoning", own), End()]))
    (thought,) = json.loads(CODEC.encode_answer(answer, view()))["content"]
    assert thought == {"type": "thinking", "thinking": "", "signature": "E"}


def test_odd_marks_and_settings_read_as_absent():
    request = decoded(
        cache_control=7,
        tools=[{"name": "f", "cache_control": 7}],
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "url", "url": "u"},
                        "citations": [],
                    },
                    {"type": "text", "text": "x", "citations": {}},
                ],
            }
        ],
    )
    assert request.cache is None
    assert request.tools[0].cache is None
    document, text = request.turns[0].parts
    assert not document.cites
    assert text == Text(text="x")


def test_base64_that_is_none_keeps_its_claim():
    part_ = Media(kind="image", source="base64", data="A", media_type="image/png")
    body, _ = encoded(chat_request(turns=(said(part_),)))
    assert body["messages"][0]["content"][0]["source"]["media_type"] == "image/png"


def test_a_word_named_without_end_counts_as_a_block():
    texts = [{"type": "text", "text": "x", "image": "image"}] * 1_100
    request = asked(messages=[{"role": "user", "content": texts}])
    assert request.needs


def test_a_tier_that_is_no_text_reads_as_absent():
    assert asked(service_tier=7).service_tier is None
    raw = b'{"model":"m","messages":[],"service_tier":"\xff"}'
    assert FORMAT.read_request(raw).service_tier is None


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": pack(Opaque(family="f", slot="s", data="d"))}],
        [{"role": "user", "content": [{"signature": 7, "x": PREFIX}]}],
        [{"role": "user", "x": PREFIX}],
        [7, PREFIX],
    ],
)
def test_an_envelope_anywhere_else_is_the_clients_own_text(messages):
    request = asked(messages=messages)
    sent = BRIDGE.build_request(request, Target(model="claude-x"))
    assert json.loads(sent.body)["messages"] == messages


def test_another_dialects_writer_lets_a_relayed_stream_pass():
    relayed = BRIDGE._relayed
    assert relayed.resumed(b"data", object()) == b"data"


def test_a_body_that_is_no_json_is_not_echoed():
    assert BRIDGE._relayed.echo_body(b"<html>", "m") == b"<html>"


def test_a_view_without_an_id_still_makes_a_message():
    request = asked()
    bare = View(model="m", request=CODEC.decode_request(request), asked=request)
    assert json.loads(CODEC.encode_answer(gather([]), bare))["id"] == "msg_"


def test_t138_crowds_of_items_are_not_made_into_objects():
    crowd = b"[" + b"0," * 500_001 + b"0]"
    raw = b'{"model":"m","messages":%b}' % crowd
    request = FORMAT.read_request(raw)
    with pytest.raises(FormatError) as caught:
        CODEC.decode_request(request)
    assert caught.value.status == 413
    (only,) = read_whole(b'{"content":%b}' % crowd)
    assert only.error.code == "upstream_invalid_response"
