from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.base import FormatError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    Finish,
    OpaqueSeen,
    PartClose,
    PartOpen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.smuggle import PREFIX
from providers.formats.neutral.types import (
    Citation,
    Opaque,
    Text,
    ToolResult,
    Turn,
    Unknown,
)
from providers.formats.openai_responses.errors import read_failure
from providers.formats.openai_responses.usage import read_usage, usage_body
from tests.providers.formats.openai_responses.rs import (
    BRIDGE,
    CODEC,
    FIXTURES,
    FORMAT,
    REPLY,
    Client,
    answer,
    decoded,
    losses,
    neutral,
    opened,
    parsed,
    request,
    worded,
)

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
LEAVES |= st.text(max_size=5) | st.sampled_from(["message", "reasoning", "error"])
NAMES = [
    "type",
    "id",
    "role",
    "content",
    "text",
    "output",
    "output_index",
    "content_index",
    "item",
    "part",
    "delta",
    "summary",
    "arguments",
    "input",
    "tools",
    "tool_choice",
    "reasoning",
    "format",
    "annotations",
    "usage",
    "response",
    "error",
    "status",
    "name",
    "call_id",
    "model",
    "encrypted_content",
    "logprobs",
    "annotation",
]
ODD = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
KINDS = sorted(
    {
        line.removeprefix("event: ")
        for fixture in FIXTURES.values()
        for line in fixture["stream"].splitlines()
        if line.startswith("event: ")
    }
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(NAMES), ODD, max_size=5),
        ),
        max_size=6,
    )
)
@settings(max_examples=100, deadline=None)
def test_t138_no_stream_of_odd_types_breaks_the_reader(events):
    stream = b"".join(
        b"data: %b\n\n" % json.dumps(fields | {"type": kind}).encode()
        for kind, fields in events
    )
    found = decoded([stream])
    Client().encoder.encode(found)
    tap = BRIDGE.open_tap(
        (asked := request(stream=True)),
        BRIDGE.build_request(asked, Target(model="up")),
        FORMAT.open_stream(asked, request_id="r"),
    )
    tap.feed(stream)
    tap.eof()


@given(st.dictionaries(st.sampled_from(NAMES), ODD, max_size=6))
@settings(max_examples=100, deadline=None)
def test_t138_no_answer_of_odd_types_breaks_the_reader(fields):
    body = json.dumps({"object": "response"} | fields).encode()
    made = gather(Repair().feed(CODEC.decode_answer(body, REPLY)))
    if made.error is None:
        CODEC.encode_answer(made, Client().view)


@given(st.dictionaries(st.sampled_from(NAMES), ODD, max_size=6), ODD)
@settings(max_examples=100, deadline=None)
def test_t138_no_request_of_odd_types_is_more_than_refused(fields, items):
    with suppress(FormatError):
        worded(neutral(**fields | {"model": "m", "input": items}))


@pytest.mark.parametrize("payload", [b"", b"nonsense", b"[]", b'"Words."', b"null"])
def test_an_error_of_any_shape_is_read(payload):
    assert read_failure(payload).raw == payload


def test_usage_that_is_none_is_not_reported():
    assert read_usage(b"7").flags == ("usage:type",)
    assert read_usage(b"null").usage is None
    assert usage_body(None) is None


def test_frames_that_only_look_like_responses_are_left_alone():
    asked = request(model="house", stream=True)
    tap = BRIDGE.open_tap(
        asked,
        BRIDGE.build_request(asked, Target(model="up")),
        FORMAT.open_stream(asked, request_id="r"),
    )
    frames = [
        b'data: {"type":"response.future","response":"text","model":"up"}\n\n',
        b'data: {"type":"response.future","response":{"model":7}}\n\n',
        b'data: {"type":"a","type":"b","response":{"model":"up"}}\n\n',
        b": comment\n\n",
    ]
    stream = b"".join(frames) + FIXTURES["text"]["stream"].encode()
    assert tap.feed(stream).startswith(b"".join(frames))


def test_a_stream_of_another_kind_is_relayed_without_watching():
    asked = request(model="house", stream=True)
    sent = BRIDGE.build_request(asked, Target(model="up"))
    tap = BRIDGE.open_tap(asked, sent, object())
    assert tap.feed(FIXTURES["text"]["stream"].encode())


def test_a_body_that_is_no_object_is_echoed_as_it_is():
    asked = request()
    sent = BRIDGE.build_request(asked, Target(model="up"))
    meta = BRIDGE.read_response(asked, sent, b'{"model":"a","model":"b"}')
    assert meta.error is not None


@pytest.mark.parametrize(
    "stream",
    [
        b"data: nonsense\n\n",
        b'data: {"type":"response.completed","response":7}\n\n',
        b'data: nonsense\n\ndata: {"type":"response.completed","response":{"output":[]}}\n\n',
    ],
)
def test_a_stream_nobody_asked_for_may_be_rubbish(stream):
    asked = request()
    sent = BRIDGE.build_request(asked, Target(model="up"))
    BRIDGE.read_response(asked, sent, stream)


def test_a_relayed_stream_without_numbers_is_followed_all_the_same():
    asked = request(model="house", stream=True)
    stream = FORMAT.open_stream(asked, request_id="r")
    sent = BRIDGE.build_request(asked, Target(model="up"))
    tap = BRIDGE.open_tap(asked, sent, stream)
    out = stream.keepalive()
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
    out += tap.feed(delta)
    out += stream.error_frame(ErrorDetail(message="Cut."), request_id="r")
    kinds = [event["type"] for event in parsed(out)]
    assert kinds[-1] == "response.failed"
    assert kinds[2] == "response.output_text.delta"


def test_an_opening_that_holds_no_response_is_not_repeated():
    stream = FORMAT.open_stream(request(stream=True), request_id="r")
    stream.seen(b'{"type":"response.created","response":7}')
    assert parsed(stream.keepalive())[0]["response"]["id"] == "resp_r"


def test_an_encoder_outlives_what_it_never_saw_open():
    client = Client()
    first = client.encoder.encode(
        [PartOpen(pos=0, kind="text"), Delta(pos=0, text="a")]
    )
    more = client.encoder.encode([Delta(pos=9, text="b"), PartClose(pos=9)])
    assert first
    assert more == b""


def test_content_and_items_of_our_own_dialect_stay_in_their_places():
    raw = msgspec.Raw(b'{"type":"future"}')
    item = Unknown(dialect="responses", type="future", payload=raw)
    part = Unknown(dialect="responses", type="content/future", payload=raw)
    turns = (
        Turn(role="user", parts=(Text(text="a"), item, part)),
        Turn(role="tool", parts=(Text(text="stray"),)),
    )
    asked = msgspec.structs.replace(neutral(), turns=turns)
    items = worded(asked)["input"]
    assert [each["type"] for each in items] == ["message", "future", "message"]
    assert items[2]["content"] == [{"type": "future"}]


def test_an_answer_without_usage_is_whole_too():
    whole = Client().whole(*answer(opened("refusal", "No."), usage=None))
    assert whole["usage"] is None
    assert whole["output"][0]["content"][0]["type"] == "refusal"


def test_annotations_of_files_come_back_as_they_were():
    cited = {"type": "file_citation", "file_id": "f", "filename": "a.pdf", "index": 3}
    part = {"type": "output_text", "text": "abc", "annotations": [cited]}
    body = worded(neutral(input=[{"role": "assistant", "content": [part]}]))
    assert body["input"][0]["content"][0]["annotations"] == [cited]


def test_an_input_that_cannot_be_read_is_the_upstreams_to_refuse():
    asked = request(input=[7, PREFIX])
    sent = BRIDGE.build_request(asked, Target(model="m"))
    assert json.loads(sent.body)["input"] == [7, PREFIX]


def test_what_stands_in_the_wrong_turn_is_a_loss():
    stray = ToolResult(call_id="c")
    other = Finish(reason="end", choice=1)
    asked = msgspec.structs.replace(
        neutral(), turns=(Turn(role="user", parts=(stray,)),)
    )
    assert losses(asked) == ["toolresult:drop"]
    client = Client()
    made = answer(opened("text", "a"))
    proof = OpaqueSeen(pos=0, opaque=Opaque(family="google", slot="s", data="d"))
    cited = CitationSeen(pos=1, citation=Citation(url="u"))
    call = opened("tool_call", "{}", id="c", name="f")
    odd = answer(opened("text", "a", proof), (call[0], (*call[1], cited)))
    assert (
        client.events(*made[:-1], other, made[-1])[-1]["type"] == "response.completed"
    )
    output = Client().events(*odd)[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]
