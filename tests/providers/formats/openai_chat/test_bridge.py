"""The translator in its place: between a chat client and a chat upstream."""

from __future__ import annotations

import json

import pytest

from providers.formats.base import Target
from providers.formats.neutral.bridge import TranslationBridge
from tests.providers.formats.chat import (
    FIXTURES,
    FORMAT,
    asking_for_usage,
    chunk,
    request,
    run,
    sse,
)

CODEC = FORMAT.codec("any")
BRIDGE = TranslationBridge(CODEC, CODEC, "openai")
TARGET = Target(model="up-model")
GOOD = [name for name in FIXTURES if FIXTURES[name]["expect"]["complete"]]


def tapped(asked, pieces):
    sent = BRIDGE.build_request(asked, TARGET)
    tap = BRIDGE.open_tap(asked, sent, FORMAT.open_stream(asked, request_id="r"))
    return tap, run(tap, pieces)


def read(asked, body):
    return BRIDGE.read_response(asked, BRIDGE.build_request(asked, TARGET), body)


def test_the_codec_is_the_dialects_own():
    assert CODEC.id == FORMAT.id
    assert CODEC.framing == "sse"


@pytest.mark.parametrize("name", FIXTURES)
def test_a_stream_is_whole_or_it_has_no_terminator(name):
    expect = FIXTURES[name]["expect"]
    tap, out = tapped(asking_for_usage(), [FIXTURES[name]["stream"].encode()])
    assert tap.complete is expect["complete"]
    assert (b"[DONE]" in out) is expect["complete"]
    assert (tap.error.message if tap.error else None) == expect.get("error")


@pytest.mark.parametrize("name", GOOD)
def test_t103_a_stream_nobody_asked_for_is_one_answer(name):
    stream = FIXTURES[name]["stream"].encode()
    meta = read(request(), stream)
    tap, _ = tapped(asking_for_usage(), [stream])
    assert meta.error is None
    assert meta.usage == tap.usage
    body = json.loads(meta.body)
    assert body["object"] == "chat.completion"
    again = read(request(), meta.body)
    assert json.loads(again.body)["choices"] == body["choices"]


@pytest.mark.parametrize("name", GOOD)
def test_t103_an_answer_that_does_not_stream_is_split(name):
    stream = FIXTURES[name]["stream"].encode()
    body = read(request(), stream).body
    tap, out = tapped(asking_for_usage(), [body[:9], body[9:]])
    assert tap.complete
    assert out.endswith(b"data: [DONE]\n\n")
    joined = json.loads(read(request(), out).body)
    assert joined["choices"] == json.loads(body)["choices"]


def test_t85_a_broken_answer_is_not_sold_as_whole():
    stream = sse(chunk({"content": "half"}))
    assert read(request(), stream).error.code == "upstream_truncated"
    tap, out = tapped(request(stream=True), [stream])
    assert not tap.complete
    assert b"[DONE]" not in out


def test_nothing_leaves_before_something_was_said():
    tap, out = tapped(request(stream=True), [sse("[DONE]")])
    assert (out, tap.useful, tap.complete) == (b"", False, False)


def test_the_client_sees_the_model_it_asked_for():
    meta = read(request(model="mine"), FIXTURES["text"]["stream"].encode())
    assert json.loads(meta.body)["model"] == "mine"
    assert meta.model == "gpt-4o"
