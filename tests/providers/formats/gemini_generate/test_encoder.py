from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    Delta,
    End,
    Finish,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.smuggle import is_packed
from providers.formats.neutral.types import Opaque
from tests.providers.formats.gemini_generate.gemini import (
    CODEC,
    FIXTURES,
    FORMAT,
    asked,
    events,
    frames_of,
    stream_of,
    view,
    whole_events,
    written,
)

DETAIL = ErrorDetail(message="It broke.", code="upstream_error", status=502)
USAGE = TokenUsage(
    input_tokens=7, cache_read_tokens=3, output_tokens=5, reasoning_tokens=2
)
GOOD = [
    name
    for name in FIXTURES
    if not name.startswith(("error", "no_reason", "malformed"))
]


def repaired(*found):
    return Repair().feed([Start(id="u-1", model="up"), *found, End()])


def call(arguments, pos=0, **opened):
    return (
        PartOpen(pos=pos, kind="tool_call", id="c1", name="f", **opened),
        Delta(pos=pos, text=arguments),
        PartClose(pos=pos),
    )


def same(found):
    """Return an answer without what a translation may not repeat."""
    return [
        (choice.index, choice.parts, choice.finish.reason, choice.logprobs)
        for choice in found.choices
    ]


@pytest.mark.parametrize("name", GOOD)
def test_t100_p94_a_stream_has_data_lines_only_and_reads_back(name):
    found = events(stream_of(name))
    data, _ = written(found)
    frames = frames_of(data)
    assert all(each["modelVersion"] == "mine" for each in frames)
    assert b"[DONE]" not in data
    again = gather(events(data))
    assert same(again) == same(gather(found))
    assert again.usage == gather(found).usage
    assert again.is_complete


@pytest.mark.parametrize("name", GOOD)
def test_t101_p78_an_array_holds_the_same_frames(name):
    found = events(stream_of(name))
    data, stream = written(found, asked(query=b""))
    assert stream.content_type == "application/json"
    assert same(gather(whole_events(json.loads(data)))) == same(gather(found))


@pytest.mark.parametrize("name", GOOD)
def test_a_whole_answer_reads_back(name):
    found = gather(events(stream_of(name)))
    body = CODEC.encode_answer(found, view())
    assert json.loads(body)["modelVersion"] == "mine"
    again = gather(whole_events(body))
    assert same(again) == same(found)
    assert again.usage == found.usage


def test_the_reason_and_the_usage_stand_in_the_last_frame():
    finish, late = Finish(reason="end", raw="stop"), UsageSeen(usage=USAGE)
    found = repaired(PartOpen(pos=0, kind="text"), Delta(pos=0, text="x"), finish, late)
    *_, last = frames_of(written(found)[0])
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["responseId"] == "u-1"
    assert last["usageMetadata"] == {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 3,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 15,
    }


def test_calls_go_out_whole_with_an_object():
    (first, last) = frames_of(written(repaired(*call('{"a": 1e3}')))[0])
    (part,) = first["candidates"][0]["content"]["parts"]
    assert part == {"functionCall": {"name": "f", "id": "c1", "args": {"a": 1000.0}}}
    assert last["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("{", {"_raw": "{"}),
        ("[1]", {"_raw": "[1]"}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('{\n"a":\r\n1}', {"a": 1}),
    ],
)
def test_arguments_become_an_object_whatever_they_are(arguments, args):
    first, *_ = frames_of(written(repaired(*call(arguments)))[0])
    (part,) = first["candidates"][0]["content"]["parts"]
    assert part["functionCall"]["args"] == args


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end", "STOP"),
        ("max_tokens", "MAX_TOKENS"),
        ("context_full", "MAX_TOKENS"),
        ("refusal", "SAFETY"),
        ("malformed", "MALFORMED_FUNCTION_CALL"),
        ("pause", "STOP"),
        ("cancelled", "OTHER"),
    ],
)
def test_reasons_are_worded(reason, word):
    opened = PartOpen(pos=0, kind="text"), Delta(pos=0, text="x")
    *_, last = frames_of(written(repaired(*opened, Finish(reason=reason)))[0])
    assert last["candidates"][0]["finishReason"] == word


def test_a_refusal_in_words_is_no_plain_success():
    found = repaired(PartOpen(pos=0, kind="refusal"), Delta(pos=0, text="No."))
    first, last = frames_of(written(found)[0])
    assert first["candidates"][0]["content"]["parts"] == [{"text": "No."}]
    assert last["candidates"][0]["finishReason"] == "SAFETY"
    body = json.loads(CODEC.encode_answer(gather(found), view()))
    assert body["candidates"][0]["finishReason"] == "SAFETY"


def test_a_refused_prompt_has_feedback_and_no_candidate():
    found = repaired(Finish(reason="prompt_blocked", raw="content_filter", detail="d"))
    (only,) = frames_of(written(found)[0])
    assert only["promptFeedback"] == {
        "blockReason": "PROHIBITED_CONTENT",
        "blockReasonMessage": "d",
    }
    assert "candidates" not in only


def test_proof_of_another_family_is_packed():
    opaque = Opaque(family="anthropic", slot="signature", data="EqQB")
    found = repaired(
        PartOpen(pos=0, kind="reasoning"),
        Delta(pos=0, text="Hm"),
        OpaqueSeen(pos=0, opaque=opaque),
        PartClose(pos=0),
    )
    first, proof, _ = frames_of(written(found)[0])
    assert first["candidates"][0]["content"]["parts"][0]["thought"] is True
    (part,) = proof["candidates"][0]["content"]["parts"]
    assert is_packed(part["thoughtSignature"])
    body = {"contents": [{"role": "model", "parts": [part]}]}
    (turn,) = CODEC.decode_request(asked(body)).turns
    assert turn.parts[0].opaque == (opaque,)


def test_proof_alone_does_not_open_an_array_before_something_useful():
    opaque = Opaque(family="google", slot="thought_signature", data="s")
    client = asked(query=b"")
    stream = FORMAT.open_stream(client, request_id="q")
    encoder = CODEC.open_encoder(view(client), stream)
    repair = Repair()
    opened = [
        Start(),
        PartOpen(pos=0, kind="reasoning"),
        OpaqueSeen(pos=0, opaque=opaque),
        PartClose(pos=0),
    ]
    assert encoder.encode(repair.feed(opened)) == b""
    assert not stream.is_open
    rest = [PartOpen(pos=1, kind="text"), Delta(pos=1, text="x"), End()]
    frames = json.loads(encoder.encode(repair.feed(rest)))
    assert frames[0]["candidates"][0]["content"]["parts"][0]["thoughtSignature"] == "s"


def test_t100_the_keepalive_is_an_empty_frame():
    stream = FORMAT.open_stream(asked(), request_id="q")
    assert stream.keepalive() == b"data: {}\n\n"
    assert stream.content_type.startswith("text/event-stream")


def test_t101_an_array_stays_json_when_it_breaks_off():
    client = asked(query=b"alt=json")
    stream = FORMAT.open_stream(client, request_id="q")
    encoder = CODEC.open_encoder(view(client), stream)
    found = [Start(), PartOpen(pos=0, kind="text"), Delta(pos=0, text="Hal")]
    data = stream.keepalive() + encoder.encode(Repair().feed(found))
    data += stream.keepalive() + stream.error_frame(DETAIL, request_id="q")
    first, error = json.loads(data)
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Hal"}]
    assert error["error"]["status"] == "INTERNAL"


def test_t101_an_array_that_never_began_holds_the_error_alone():
    stream = FORMAT.open_stream(asked(query=b""), request_id="q")
    data = stream.keepalive() + stream.error_frame(DETAIL, request_id="q")
    (only,) = json.loads(data)
    assert only["error"]["message"] == "It broke."


def test_an_error_in_a_stream_is_one_frame():
    stream = FORMAT.open_stream(asked(), request_id="q")
    (frame,) = frames_of(stream.error_frame(DETAIL, request_id="q"))
    assert frame["error"]["code"] == 502
