from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import Target
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.smuggle import PREFIX, pack
from providers.formats.neutral.types import Opaque
from tests.providers.formats.openai_responses.rs import (
    BRIDGE,
    FIXTURES,
    FORMAT,
    USAGE,
    parsed,
    request,
)

UPSTREAM = "gpt-5.5-2026-04-01"
WHOLE = [name for name in FIXTURES if FIXTURES[name]["expect"]["complete"]]


def tap_of(asked, model=UPSTREAM):
    sent = BRIDGE.build_request(asked, Target(model=model))
    stream = FORMAT.open_stream(asked, request_id="req-1")
    return BRIDGE.open_tap(asked, sent, stream), stream


def run(tap, pieces):
    return b"".join([tap.feed(piece) for piece in pieces]) + tap.eof()


def test_t1_only_the_models_name_changes():
    body = (
        b'{ "future":1e3, "model" : "m","input":[{"role":"user",'
        b'"content":"\\u0041 \\"model\\""}], "stream":true}'
    )
    asked = FORMAT.read_request(body)
    sent = BRIDGE.build_request(asked, Target(model="up"))
    assert sent.body == body.replace(b'"m"', b'"up"')
    assert (sent.path, sent.is_stream) == ("/responses", True)
    same = BRIDGE.build_request(asked, Target(model="m"))
    assert same.body is asked.body


def test_what_an_upstream_refuses_is_taken_out_and_named():
    asked = request(truncation="auto")
    sent = BRIDGE.build_request(
        asked, Target(model="m", drop=frozenset({"truncation", "other"}))
    )
    assert "truncation" not in json.loads(sent.body)
    assert sent.losses == ("truncation",)


@pytest.mark.parametrize("name", WHOLE)
def test_t7_t8_a_stream_passes_verbatim_but_for_the_models_name(name):
    stream = FIXTURES[name]["stream"].encode()
    ended = stream.removesuffix(b"data: [DONE]\n\n")
    tap, _ = tap_of(request(model=UPSTREAM, stream=True))
    assert run(tap, [stream]) == ended
    assert tap.complete
    assert tap.usage == TokenUsage(**FIXTURES[name]["expect"]["usage"])
    tap, _ = tap_of(request(model="house", stream=True))
    renamed = ended.replace(b'"model":"%b"' % UPSTREAM.encode(), b'"model":"house"')
    assert run(tap, [stream]) == renamed
    assert tap.model == UPSTREAM


def test_t7_unknown_events_and_items_pass_in_order():
    frames = FIXTURES["text"]["stream"].encode().split(b"\n\n")
    odd = b'event: response.future\ndata: {"type":"response.future","model":"x"}'
    item = (
        b'event: response.output_item.done\ndata: {"type":"response.output_item.done",'
        b'"output_index":7,"item":{"type":"future","model":"y"},"sequence_number":99}'
    )
    stream = b"\n\n".join([*frames[:4], odd, item, *frames[4:]])
    tap, _ = tap_of(request(model=UPSTREAM, stream=True))
    assert run(tap, [stream]) == stream


@pytest.mark.parametrize("name", WHOLE)
def test_where_a_relayed_stream_is_cut_changes_nothing(name):
    stream = FIXTURES[name]["stream"].encode()
    asked = request(model="house", stream=True)
    whole, _ = tap_of(asked)
    expected = run(whole, [stream])
    for place in range(0, len(stream), 23):
        tap, _ = tap_of(asked)
        assert run(tap, [stream[:place], stream[place:]]) == expected
        assert (tap.usage, tap.text_bytes) == (whole.usage, whole.text_bytes)


@pytest.mark.parametrize("name", ["failed", "error_event", "error_first", "cut"])
def test_t118_a_relayed_fault_is_never_complete(name):
    tap, _ = tap_of(request(model="house", stream=True))
    out = run(tap, [FIXTURES[name]["stream"].encode()])
    assert not tap.complete
    assert b"response.failed" not in out
    assert b'"error"}' not in out


def test_t118_the_frame_of_a_fault_follows_on_the_relayed_ones():
    tap, stream = tap_of(request(model="house", stream=True))
    out = run(tap, [FIXTURES["failed"]["stream"].encode()])
    out += stream.error_frame(ErrorDetail(message="Busy."), request_id="r")
    events = parsed(out)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["id"] == "resp_67ccd3a9"
    assert events[-1]["response"]["model"] == "house"


def test_t120_a_keep_alive_before_the_upstream_spoke_opens_the_stream_once():
    tap, stream = tap_of(request(model="house", stream=True))
    out = stream.keepalive() + run(tap, [FIXTURES["text"]["stream"].encode()])
    events = parsed(out)
    kinds = [event["type"] for event in events]
    assert kinds.count("response.created") == 1
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[-1] == "response.completed"


def test_t120_a_keep_alive_knows_what_the_upstream_opened():
    frames = FIXTURES["text"]["stream"].encode().split(b"\n\n")
    tap, stream = tap_of(request(model="house", stream=True))
    held = tap.feed(b"\n\n".join(frames[:2]) + b"\n\n")
    out = held + stream.keepalive()
    out += run(tap, [b"\n\n".join(frames[2:6]) + b"\n\n"])
    assert held == b""
    ids = {event["response"]["id"] for event in parsed(out) if "response" in event}
    assert ids == {"resp_67ccd3a9"}


def test_t120_a_keep_alive_in_the_middle_pushes_the_numbers():
    frames = [
        each + b"\n\n" for each in FIXTURES["text"]["stream"].encode().split(b"\n\n")
    ]
    tap, stream = tap_of(request(model="house", stream=True))
    out = b"".join(tap.feed(frame) for frame in frames[:6])
    out += stream.keepalive() + stream.keepalive()
    out += b"".join(tap.feed(frame) for frame in frames[6:-1])
    numbers = [event["sequence_number"] for event in parsed(out)]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("name", WHOLE)
def test_p79_a_stream_nobody_asked_for_becomes_its_response(name):
    asked = request(model="house")
    sent = BRIDGE.build_request(asked, Target(model=UPSTREAM))
    meta = BRIDGE.read_response(asked, sent, FIXTURES[name]["stream"].encode())
    assert meta.error is None
    made = json.loads(meta.body)
    assert made["model"] == "house"
    assert made["status"] in ("completed", "incomplete")
    assert meta.usage == TokenUsage(**FIXTURES[name]["expect"]["usage"])
    if name == "codex":
        assert made["output"][0]["content"][0]["text"] == "Hé 🚢!"


@pytest.mark.parametrize("name", ["failed", "error_first", "cut"])
def test_a_broken_stream_nobody_asked_for_is_an_error(name):
    asked = request()
    sent = BRIDGE.build_request(asked, Target(model=UPSTREAM))
    meta = BRIDGE.read_response(asked, sent, FIXTURES[name]["stream"].encode())
    assert meta.error is not None


def test_t6_the_model_is_echoed_at_the_top_only():
    body = (
        b'{"id":"resp_1","object":"response","model":"up","status":"completed",'
        b'"output":[{"type":"future","model":"up"}],"usage":null}'
    )
    asked = request(model="house")
    sent = BRIDGE.build_request(asked, Target(model="up"))
    meta = BRIDGE.read_response(asked, sent, body)
    assert meta.body == body.replace(b'"model":"up"', b'"model":"house"', 1)
    assert meta.model == "up"


def test_t103_an_answer_that_came_whole_becomes_the_stream_asked_for():
    frames = FIXTURES["text"]["stream"].split("\n\n")
    event = json.loads(frames[-2].split("data: ")[1])
    asked = request(model="house", stream=True, previous_response_id="resp_0")
    tap, _ = tap_of(asked)
    events = parsed(run(tap, [json.dumps(event["response"]).encode()]))
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["usage"]["total_tokens"] == 48
    assert tap.usage == USAGE


def _thought(opaque):
    return {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": pack(opaque),
    }


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f"}
USER = {"role": "user", "content": "Hi"}
NATIVE = {"type": "reasoning", "id": "rs_2", "encrypted_content": "gAAAA"}


@pytest.mark.parametrize(
    "opaque",
    [
        Opaque(family="anthropic", slot="signature", data="s"),
        Opaque(family="openai", slot="encrypted", data="g", scope="another"),
    ],
)
def test_t69_proof_the_vendor_cannot_read_stays_behind_with_its_ids(opaque):
    items = [USER, _thought(opaque), CALL, USER, NATIVE, CALL]
    asked = request(input=items)
    sent = BRIDGE.build_request(asked, Target(model="m", scope="mine"))
    kept = {key: CALL[key] for key in CALL if key != "id"}
    assert json.loads(sent.body)["input"] == [USER, kept, USER, NATIVE, CALL]
    assert sent.losses == ("reasoning:drop",)


def test_t69_proof_of_this_very_account_is_unpacked():
    own = Opaque(family="openai", slot="encrypted", data="g", scope="mine")
    asked = request(input=[USER, _thought(own), CALL])
    sent = BRIDGE.build_request(asked, Target(model="m", scope="mine"))
    items = json.loads(sent.body)["input"]
    assert items[1]["encrypted_content"] == "g"
    assert items[2] == CALL


def test_an_input_of_text_that_looks_packed_is_left_alone():
    asked = request(input=PREFIX + " is a prefix")
    sent = BRIDGE.build_request(asked, Target(model="m"))
    assert json.loads(sent.body)["input"] == PREFIX + " is a prefix"
