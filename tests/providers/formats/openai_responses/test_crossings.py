"""What a client that speaks Responses sees of upstreams that speak otherwise."""

from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target
from providers.formats.errors import ErrorDetail
from tests.providers.formats.openai_responses.rs import (
    BRIDGE,
    FIXTURES,
    FORMAT,
    parsed,
    request,
)

PATCH = "*** Begin Patch\n*** End Patch"
APPLY = {"type": "custom", "name": "apply_patch"}


def _tap(upstream, **fields):
    asked = request(stream=True, **fields)
    bridge = registry.bridge("responses", upstream, "up")
    sent = bridge.build_request(asked, Target(model="up"))
    stream = FORMAT.open_stream(asked, request_id="req-1")
    return bridge.open_tap(asked, sent, stream), stream


def _events(tap, data, pieces=1):
    size = max(1, len(data) // pieces)
    out = b"".join(tap.feed(data[at : at + size]) for at in range(0, len(data), size))
    return parsed(out + tap.eof())


def _chat(*deltas, finish="stop", usage=True, done=True):
    frames = [
        {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]}
        for delta in deltas
    ]
    if finish:
        frames.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        counts = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        frames.append({"choices": [], "usage": counts})
    text = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in frames)
    return text + (b"data: [DONE]\n\n" if done else b"")


def _claude(*events):
    opening = {
        "type": "message_start",
        "message": {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "up",
            "content": [],
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    }
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode())
        for each in (opening, *events)
    )


def _block(index, block, *deltas):
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *(
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in deltas
        ),
        {"type": "content_block_stop", "index": index},
    ]


def _stop(reason, **more):
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, **more},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]


def _text(index, text):
    return _block(
        index, {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
    )


def _kinds(events):
    return [item["type"] for item in events[-1]["response"]["output"]]


@pytest.mark.parametrize("pieces", [1, 10, 10_000])
def test_t78_chats_text_has_the_whole_life_of_a_response(pieces):
    tap, _ = _tap("openai")
    events = _events(tap, _chat({"content": "Hé"}, {"content": " 🚢"}), pieces)
    assert [event["type"] for event in events][-5:] == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1]["response"]["usage"]["total_tokens"] == 13
    assert events[-1]["response"]["model"] == "m"
    assert tap.complete


@pytest.mark.parametrize("pieces", [1, 10_000])
def test_t79_claudes_thinking_text_and_call_are_three_items(pieces):
    tap, _ = _tap("anthropic", tools=[{"type": "function", "name": "f"}])
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    stream = _claude(
        *_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm"},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *_text(1, "Hi"),
        *_block(2, call, {"type": "input_json_delta", "partial_json": '{"a":1}'}),
        *_stop("tool_use"),
    )
    events = _events(tap, stream, pieces)
    assert _kinds(events) == ["reasoning", "message", "function_call"]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    done = [each for each in events if each["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in done] == [0, 1, 2]
    assert events[-1]["response"]["output"][2]["call_id"] == "toolu_1"


def test_t90_claudes_proof_finds_its_way_back():
    tap, _ = _tap("anthropic")
    hidden = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    stream = _claude(*_block(0, hidden), *_text(1, "Hi"), *_stop("end_turn"))
    output = _events(tap, stream)[-1]["response"]["output"]
    asked = request(
        input=[
            {"role": "user", "content": "Hi"},
            *output,
            {"role": "user", "content": "On"},
        ],
        reasoning={"effort": "high"},
    )
    bridge = registry.bridge("responses", "anthropic", "up")
    sent = bridge.build_request(asked, Target(model="up"))
    assert hidden in json.loads(sent.body)["messages"][1]["content"]


def test_t91_a_freeform_tool_is_a_function_there_and_itself_again_here():
    tap, _ = _tap("openai", tools=[APPLY])
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "apply_patch", "arguments": json.dumps({"input": PATCH})},
    }
    events = _events(tap, _chat({"tool_calls": [call]}, finish="tool_calls"))
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", PATCH)


def test_t94_claudes_refusal_is_a_refusal_part():
    tap, _ = _tap("anthropic")
    events = _events(tap, _claude(*_text(0, "I"), *_stop("refusal")))
    parts = events[-1]["response"]["output"][0]["content"]
    assert parts[-1]["type"] == "refusal"


@pytest.mark.parametrize(
    ("upstream", "stream"),
    [
        ("openai", _chat({"content": "a"}, finish="length")),
        ("anthropic", _claude(*_text(0, "a"), *_stop("max_tokens"))),
    ],
)
def test_t96_the_limit_makes_a_response_incomplete(upstream, stream):
    tap, _ = _tap(upstream)
    last = _events(tap, stream)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("reason", ["pause_turn", "stop_sequence"])
def test_t95_t97_claudes_other_ends_are_complete(reason):
    tap, _ = _tap("anthropic")
    assert _events(tap, _claude(*_text(0, "a"), *_stop(reason)))[-1]["type"] == (
        "response.completed"
    )


def test_t98_claudes_citations_are_annotations():
    tap, _ = _tap("anthropic")
    citation = {
        "type": "web_search_result_location",
        "url": "https://a.example/",
        "title": "A",
        "cited_text": "sail",
        "encrypted_index": "E",
    }
    block = _block(
        0,
        {"type": "text", "text": "", "citations": []},
        {"type": "text_delta", "text": "🚢 sail"},
        {"type": "citations_delta", "citation": citation},
    )
    events = _events(tap, _claude(*block, *_stop("end_turn")))
    (annotation,) = events[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert annotation == {
        "type": "url_citation",
        "start_index": 0,
        "end_index": 6,
        "url": "https://a.example/",
        "title": "A",
    }


def test_t117_an_error_first_leaves_the_client_untouched():
    tap, stream = _tap("openai")
    assert tap.feed(b'data: {"error":{"message":"No."}}\n\n') + tap.eof() == b""
    assert tap.error.message == "No."
    assert not stream.is_open


@pytest.mark.parametrize("ending", [b"", b'data: {"error":{"message":"Cut."}}\n\n'])
def test_t118_t119_a_fault_after_text_never_completes(ending):
    tap, stream = _tap("openai")
    broken = _chat({"content": "a"}, finish="", usage=False, done=False) + ending
    out = tap.feed(broken) + tap.eof()
    out += stream.error_frame(ErrorDetail(message="Cut."), request_id="r")
    events = parsed(out)
    assert not tap.complete
    assert events[-1]["type"] == "response.failed"
    assert "response.completed" not in {event["type"] for event in events}
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))


def test_t127_the_second_attempt_opens_the_stream_once():
    asked = request(stream=True)
    stream = FORMAT.open_stream(asked, request_id="req-1")
    bridge = registry.bridge("responses", "openai", "up")
    sent = bridge.build_request(asked, Target(model="up"))
    first = bridge.open_tap(asked, sent, stream)
    assert (
        first.feed(_chat({"role": "assistant"}, finish="", usage=False, done=False))
        == b""
    )
    out = stream.keepalive()
    second = BRIDGE.open_tap(
        asked, BRIDGE.build_request(asked, Target(model="up")), stream
    )
    out += second.feed(FIXTURES["text"]["stream"].encode())
    kinds = [event["type"] for event in parsed(out)]
    assert kinds.count("response.created") == 1
    assert kinds[-1] == "response.completed"


@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
def test_buffered_usage_is_streamed_usage(upstream):
    streams = {
        "openai": _chat({"content": "a"}),
        "anthropic": _claude(*_text(0, "a"), *_stop("end_turn")),
    }
    tap, _ = _tap(upstream)
    streamed = _events(tap, streams[upstream])[-1]["response"]
    asked = request()
    bridge = registry.bridge("responses", upstream, "up")
    sent = bridge.build_request(asked, Target(model="up"))
    meta = bridge.read_response(asked, sent, streams[upstream])
    whole = json.loads(meta.body)
    assert whole["usage"] == streamed["usage"]
    assert whole["output"] == streamed["output"]
    assert meta.usage == tap.usage
