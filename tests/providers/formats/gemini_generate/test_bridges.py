"""What clients of other dialects get of Gemini's answers, and the other way."""

from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target
from tests.providers.formats.gemini_generate.gemini import (
    FIXTURES,
    FORMAT,
    MODEL,
    asked,
    frames_of,
    stream_of,
)

CHAT = {
    "model": "mine",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
}


def chat_of(name, **fields):
    """Ask Gemini in chat completions; return the tap and the chunks."""
    wire = registry.get("openai")
    bridge = registry.bridge("openai", "google", MODEL)
    client = wire.read_request(json.dumps(CHAT | fields).encode())
    sent = bridge.build_request(client, Target(model=MODEL))
    tap = bridge.open_tap(client, sent, wire.open_stream(client, request_id="q"))
    out = tap.feed(stream_of(name)) + tap.eof()
    lines = [line[6:] for line in out.split(b"\n") if line.startswith(b"data: {")]
    return tap, [json.loads(line) for line in lines]


def deltas(chunks, field):
    return [
        choice["delta"][field]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["delta"].get(field)
    ]


def reasons(chunks):
    found = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    return [reason for reason in found if reason]


def test_t80_p21_parallel_calls_have_indices_of_their_own():
    tap, chunks = chat_of("parallel_calls")
    calls = [call for group in deltas(chunks, "tool_calls") for call in group]
    opened = [call for call in calls if call.get("id")]
    assert [call["index"] for call in opened] == [0, 1]
    assert len({call["id"] for call in opened}) == 2
    args = {0: "", 1: ""}
    for call in calls:
        args[call["index"]] += call["function"].get("arguments") or ""
    assert [json.loads(each)["city"] for each in args.values()] == ["Paris", "Oslo"]
    assert reasons(chunks) == ["tool_calls"]
    assert tap.complete


def test_t92_thoughts_are_no_content():
    _, chunks = chat_of("thoughts")
    assert "".join(deltas(chunks, "content")) == "Answer"
    assert "".join(deltas(chunks, "reasoning_content")) == "**Plan** go"


def test_t93_refusals_are_no_empty_success():
    assert reasons(chat_of("safety")[1]) == ["content_filter"]
    assert reasons(chat_of("prompt_blocked")[1]) == ["content_filter"]
    tap, chunks = chat_of("malformed_call")
    assert tap.error is not None
    assert chunks == []


def test_t98_p129_grounding_becomes_annotations_in_characters():
    _, chunks = chat_of("grounding")
    ((annotation,),) = deltas(chunks, "annotations")
    cited = annotation["url_citation"]
    text = "".join(deltas(chunks, "content"))
    assert text[cited["start_index"] : cited["end_index"]] == "Spain won Euro 2024."
    assert cited["url"] == "https://a.example/x"


@pytest.mark.parametrize("name", ["text", "parallel_calls", "thoughts"])
def test_usage_is_the_same_streamed_and_whole(name):
    streamed, _ = chat_of(name)
    wire = registry.get("openai")
    bridge = registry.bridge("openai", "google", MODEL)
    client = wire.read_request(json.dumps(CHAT | {"stream": False}).encode())
    sent = bridge.build_request(client, Target(model=MODEL))
    whole = json.dumps(FIXTURES[name]["whole"]).encode()
    assert bridge.read_response(client, sent, whole).usage == streamed.usage
    assert streamed.usage.total_tokens == 26


def test_t101_an_array_of_a_chat_upstream_is_json_to_its_end():
    bridge = registry.bridge("google", "openai", "gpt-x")
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "Hé"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {
            "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        },
    ]
    data = b"".join(
        b"data: " + json.dumps({"id": "c", **each}).encode() + b"\n\n"
        for each in chunks
    )
    for query in (b"", b"alt=sse"):
        client = asked(query=query)
        sent = bridge.build_request(client, Target(model="gpt-x"))
        stream = FORMAT.open_stream(client, request_id="q")
        tap = bridge.open_tap(client, sent, stream)
        out = tap.feed(data + b"data: [DONE]\n\n") + tap.eof()
        frames = frames_of(out) if query else json.loads(out)
        assert tap.complete
        assert frames[0]["candidates"][0]["content"]["parts"] == [{"text": "Hé"}]
        assert frames[-1]["candidates"][0]["finishReason"] == "STOP"
        assert frames[-1]["usageMetadata"]["totalTokenCount"] == 5
