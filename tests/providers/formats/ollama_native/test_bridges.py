from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target
from tests.providers.formats.ollama_native.support import FIXTURES, FORMAT, asked

USAGE = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}


def messages_stream(*events):
    """Frame events as Anthropic does."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (kind.encode(), json.dumps({"type": kind, **rest}).encode())
        for kind, rest in events
    )


def block(index, content, *deltas):
    """Return the events of one content block."""
    yield "content_block_start", {"index": index, "content_block": content}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def tool_message():
    """Word a streamed message that thinks and calls a tool."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "usage": USAGE,
    }
    args = ('{"city":', '"Oslo"}')
    return messages_stream(
        ("message_start", {"message": message}),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm"},
            {"type": "signature_delta", "signature": "abc"},
        ),
        *block(
            1,
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
            *({"type": "input_json_delta", "partial_json": a} for a in args),
        ),
        (
            "message_delta",
            {"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        ),
        ("message_stop", {}),
    )


def run(client, upstream, request, data, pieces=None):
    """Run a stream from an upstream to a client; return the bytes and the tap."""
    bridge = registry.bridge(client, upstream, "up")
    sent = bridge.build_request(request, Target(model="up"))
    stream = registry.get(client).open_stream(request, request_id="r")
    tap = bridge.open_tap(request, sent, stream)
    out = b"".join([tap.feed(piece) for piece in pieces or [data]])
    return out + tap.eof(), tap


def said(out):
    return [json.loads(line) for line in out.splitlines()]


def untimed(out):
    """Return lines without what a clock wrote."""
    timed = ("created_at", "total_duration", "eval_duration")
    return [
        {key: value for key, value in line.items() if key not in timed}
        for line in said(out)
    ]


def test_t102_a_call_of_claude_reaches_an_ollama_client_whole():
    data = tool_message()
    out, tap = run("ollama", "anthropic", asked(), data)
    thought, call, final = said(out)
    assert thought["message"]["thinking"] == "Hm"
    assert call["message"]["tool_calls"] == [
        {
            "id": "toolu_1",
            "function": {
                "index": 0,
                "name": "weather",
                "arguments": {"city": "Oslo"},
            },
        }
    ]
    assert (final["prompt_eval_count"], final["eval_count"]) == (7, 9)
    assert final["done"] is True
    assert {line["model"] for line in said(out)} == {"llama3.2"}
    assert tap.complete
    for at in range(1, len(data), 7):
        cut, _ = run("ollama", "anthropic", asked(), data, [data[:at], data[at:]])
        assert untimed(cut) == untimed(out)


def test_a_cut_upstream_never_brings_a_last_line():
    data = tool_message()
    for at in range(len(data) - 30):
        out, tap = run("ollama", "anthropic", asked(), data[:at])
        assert b'"done":true' not in out
        assert not tap.complete


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_t88_reasoning_of_a_chat_upstream_is_thinking(field):
    chunks = [{field: "Hm"}, {"content": "Yes"}]
    data = b"".join(
        b"data: %b\n\n"
        % json.dumps(
            {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "up",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        ).encode()
        for delta, finish in [*((each, None) for each in chunks), ({}, "stop")]
    )
    out, tap = run("ollama", "openai", asked(), data + b"data: [DONE]\n\n")
    thought, text, final = said(out)
    assert thought["message"]["thinking"] == "Hm"
    assert text["message"] == {"role": "assistant", "content": "Yes"}
    assert final["done"] is True
    assert tap.complete


def chat(**fields):
    body = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}]}
    return registry.get("openai").read_request(json.dumps(body | fields).encode())


def deltas(out):
    """Return the choices of a chat stream."""
    frames = [frame[6:] for frame in out.decode().split("\n\n") if frame]
    assert frames.pop() == "[DONE]"
    chunks = [json.loads(frame) for frame in frames]
    return [chunk["choices"][0] for chunk in chunks if chunk["choices"]]


def test_t80_p22_calls_in_lines_of_their_own_count_from_zero():
    data = FIXTURES["tools"]["stream"].encode()
    out, tap = run("openai", "ollama", chat(stream=True), data)
    choices = deltas(out)
    calls = [c for each in choices for c in each["delta"].get("tool_calls", ())]
    named = [call for call in calls if "id" in call]
    assert [call["index"] for call in named] == [0, 1]
    assert len({call["id"] for call in named}) == 2
    texts = [
        "".join(
            call["function"].get("arguments", "")
            for call in calls
            if call["index"] == index
        )
        for index in (0, 1)
    ]
    assert [json.loads(text)["city"] for text in texts] == ["Oslo", "Rome"]
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert tap.complete


@pytest.mark.parametrize("name", ["text", "thinking", "tools", "cache_hit"])
def test_usage_is_the_same_streamed_and_whole(name):
    data = FIXTURES[name]["stream"].encode()
    _, tap = run("openai", "ollama", chat(stream=True), data)
    bridge = registry.bridge("openai", "ollama", "up")
    request = chat()
    sent = bridge.build_request(request, Target(model="up"))
    assert json.loads(sent.body)["stream"] is False
    meta = bridge.read_response(request, sent, data.splitlines()[-1])
    assert meta.usage == tap.usage
    assert meta.error is None


def test_t53_a_chat_request_is_spelt_for_ollama():
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a":1}'},
    }
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    request = chat(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ],
        max_tokens=9,
    )
    bridge = registry.bridge("openai", "ollama", "up")
    body = json.loads(bridge.build_request(request, Target(model="up")).body)
    user, assistant, tool = body["messages"]
    assert user == {"role": "user", "content": "Look", "images": ["AAAA"]}
    assert assistant["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert tool["tool_name"] == "f"
    assert body["options"]["num_predict"] == 9


def test_an_error_in_a_line_is_an_error_of_the_stream():
    data = FIXTURES["error_line"]["stream"].encode()
    out, tap = run("openai", "ollama", chat(stream=True), data)
    assert b"[DONE]" not in out
    assert tap.error.message.startswith("an error was encountered")


def test_the_clients_format_is_ollamas():
    assert FORMAT.codec("").id == "ollama"
