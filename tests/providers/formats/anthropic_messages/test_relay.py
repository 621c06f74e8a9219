from __future__ import annotations

import json

import pytest

from providers.formats.base import Arrival, FormatError, Target
from providers.formats.neutral.smuggle import NOTHING, pack
from providers.formats.neutral.types import Opaque
from tests.providers.formats.anthropic_messages.messages import (
    BRIDGE,
    COUNT,
    FORMAT,
    asked,
    ending,
    event,
    start,
    stream,
    text_block,
)

COUNTING = Arrival(op="count_tokens", path="/v1/messages/count_tokens")
ODD = (
    b'{ "zeta":1e3,"model" : "claude-x","messages":[{"role":"user","content":'
    b'[{"type":"hologram","payload":{"b":1,"a":"\\u00e9"}}]}],\n'
    b'"future":{"x":[1.0]}, "max_tokens":5}'
)


def tap_of(request, model="claude-x"):
    sent = BRIDGE.build_request(request, Target(model=model))
    own = FORMAT.open_stream(request, request_id="r")
    return BRIDGE.open_tap(request, sent, own), own


def test_t2_unknown_blocks_and_fields_are_forwarded_unchanged():
    request = FORMAT.read_request(ODD)
    sent = BRIDGE.build_request(request, Target(model="claude-x"))
    assert sent.body is request.body
    sent = BRIDGE.build_request(request, Target(model="up"))
    assert sent.body == ODD.replace(b'"claude-x"', b'"up"')
    assert sent.path == "/messages"


def test_t3_the_version_is_only_a_fallback_and_betas_are_not_ours():
    sent = BRIDGE.build_request(asked(), Target(model="up"))
    assert dict(sent.headers) == {"anthropic-version": "2023-06-01"}
    arrival = Arrival(query=b"x=1&beta=true")
    sent = BRIDGE.build_request(asked(arrival), Target(model="up"))
    assert sent.path == "/messages?beta=true"


def test_t4_sampling_is_not_altered():
    request = asked(temperature=0.7, top_p=0.9)
    sent = BRIDGE.build_request(request, Target(model="claude-x"))
    assert sent.body == request.body
    assert sent.losses == ()


def test_t75_a_shared_account_is_told_no_persons_id():
    metadata = {"user_id": '{"account_uuid":"a1","session_id":"s1"}', "x": 1}
    request = asked(metadata=metadata)
    own = BRIDGE.build_request(request, Target(model="claude-x"))
    assert json.loads(own.body)["metadata"] == metadata
    shared = [
        json.loads(BRIDGE.build_request(request, target).body)["metadata"]
        for target in [Target(model="claude-x", is_account=True)] * 2
    ]
    assert shared[0] == shared[1]
    assert shared[0]["x"] == 1
    assert shared[0]["user_id"].startswith("user_")
    assert "a1" not in shared[0]["user_id"]
    odd = asked(metadata={"user_id": 5})
    kept = BRIDGE.build_request(odd, Target(model="claude-x", is_account=True))
    assert json.loads(kept.body)["metadata"] == {"user_id": 5}


def test_what_an_upstream_was_learned_to_refuse_is_left_out():
    request = asked(context_management={"edits": []})
    drop = frozenset({"context_management", "thread"})
    sent = BRIDGE.build_request(request, Target(model="claude-x", drop=drop))
    assert b"context_management" not in sent.body
    assert sent.losses == ("context_management",)


def test_t5_p57_the_model_is_echoed_and_every_other_byte_is_equal():
    snapshot = "claude-x-20261001"
    data = stream(
        start(model=snapshot),
        *text_block(0, "the model claude-x-20261001 is message_start"),
        {"type": "brand_new_event", "model": snapshot},
        *ending(),
    )
    data = data.replace(b"event: message_stop", b": a comment\n\nevent: message_stop")
    for size in (1, 7, len(data)):
        tap, _ = tap_of(asked(stream=True), snapshot)
        out = b"".join(
            tap.feed(data[at : at + size]) for at in range(0, len(data), size)
        )
        out += tap.eof()
        first = f'"model":"{snapshot}"'.encode()
        assert out == data.replace(first, b'"model":"claude-x"', 1)
        assert tap.complete
        assert tap.model == snapshot


@pytest.mark.parametrize(
    "data",
    [
        b"event: message_start\ndata: message_start\n\n",
        b'event: message_start\ndata: {"type":"message_start"}\n\n',
        b'event: message_start\ndata: {"type":"message_start","message":3}\n\n',
    ],
)
def test_an_opening_without_a_model_passes_as_it_came(data):
    relayed = BRIDGE._relayed
    payload = data.partition(b"data: ")[2].strip()
    assert relayed.echo_frame(data, payload, "m") is data


def test_t6_the_body_model_is_rewritten_at_the_top_only():
    whole = (
        b'{"id":"msg_1","type":"message","model":"up","role":"assistant","content":'
        b'[{"type":"text","text":"\\"model\\":\\"up\\""},{"type":"tool_use","id":"t",'
        b'"name":"n","input":{"model":"up"}}],"stop_reason":"tool_use",'
        b'"usage":{"input_tokens":3,"output_tokens":4}}'
    )
    request = asked()
    sent = BRIDGE.build_request(request, Target(model="up"))
    meta = BRIDGE.read_response(request, sent, whole)
    assert meta.body == whole.replace(b'"model":"up"', b'"model":"claude-x"', 1)
    assert meta.error is None
    assert (meta.usage.input_tokens, meta.usage.output_tokens) == (3, 4)
    same = whole.replace(b'"model":"up"', b'"model":"claude-x"', 1)
    assert BRIDGE.read_response(request, sent, same).body is same


def test_t103_a_stream_nobody_asked_for_becomes_a_whole_answer():
    request = asked()
    sent = BRIDGE.build_request(request, Target(model="up"))
    data = stream(start(), *text_block(0, "Hello"), *ending())
    meta = BRIDGE.read_response(request, sent, data)
    made = json.loads(meta.body)
    assert made["content"] == [{"type": "text", "text": "Hello"}]
    assert made["model"] == "claude-x"
    cut = BRIDGE.read_response(request, sent, data[:-80])
    assert cut.error is not None


def test_a_count_of_tokens_is_relayed():
    request = asked(COUNTING)
    sent = COUNT.build_request(request, Target(model="up"))
    assert sent.path == "/messages/count_tokens"
    assert json.loads(sent.body)["model"] == "up"
    assert not sent.is_stream
    meta = COUNT.read_response(request, sent, b'{"input_tokens":12,"x":1}')
    assert (meta.body, meta.error) == (b'{"input_tokens":12,"x":1}', None)
    assert COUNT.read_response(request, sent, b"<html>").error is not None
    with pytest.raises(FormatError):
        COUNT.open_tap(request, sent, FORMAT.open_stream(request, request_id="r"))


def test_t136_a_count_can_be_answered_from_an_estimate():
    assert json.loads(FORMAT.count_tokens_body(12)) == {"input_tokens": 12}


def test_only_messages_are_relayed():
    assert FORMAT.relay("openai", "chat", "m") is None
    assert FORMAT.relay("anthropic", "embeddings", "m") is None


def test_foreign_reasoning_is_taken_out_before_anthropic_sees_it():
    foreign = pack(Opaque(family="google", slot="thought_signature", data="g"))
    history = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": pack(NOTHING)},
                {"type": "redacted_thinking", "data": foreign},
                {"type": "thinking", "thinking": "own", "signature": "EqRz"},
                {"type": "text", "text": "Hello"},
                "odd",
            ],
        },
        {"role": "assistant", "content": [{"type": "thinking", "signature": foreign}]},
        {"role": "user", "content": f"what is {foreign}?"},
    ]
    request = asked(messages=history, top_k=3)
    sent = BRIDGE.build_request(request, Target(model="claude-x"))
    kept = json.loads(sent.body)
    assert kept["messages"][0] == history[0]
    assert kept["messages"][1]["content"] == history[1]["content"][2:]
    assert kept["messages"][2]["content"] == [{"type": "text", "text": "(empty)"}]
    assert kept["messages"][3] == history[3]
    assert kept["top_k"] == 3


def test_a_keepalive_before_a_relayed_stream_opens_it_only_once():
    data = stream(start(), *text_block(0, "Hello"), *ending())
    tap, own = tap_of(asked(stream=True))
    early = own.keepalive()
    assert early.startswith(b"event: message_start\n")
    assert own.keepalive() == b'event: ping\ndata: {"type": "ping"}\n\n'
    out = tap.feed(data) + tap.eof()
    assert b"message_start" not in out
    assert out == data.removeprefix(event(start()))


def test_a_relayed_stream_that_is_open_is_kept_alive_by_pings():
    data = stream(start(model="claude-x"), *text_block(0, "Hello"), *ending())
    tap, own = tap_of(asked(stream=True))
    assert tap.feed(data) + tap.eof() == data
    assert own.keepalive() == b'event: ping\ndata: {"type": "ping"}\n\n'
