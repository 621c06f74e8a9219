"""Chat clients on an Anthropic upstream, and Claude Code on a chat upstream."""

from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import FormatError, Target
from tests.providers.formats.anthropic_messages.messages import (
    FIXTURES,
    FORMAT,
    asked,
    ending,
    frames,
    start,
    stream,
    text_block,
    tool_block,
)

CHAT = registry.get("openai")
SONNET, OPUS = "claude-sonnet-4-5", "claude-opus-4-7"
USER = {"role": "user", "content": "Hi"}
F = {"type": "function", "function": {"name": "f"}}


def to_claude(model=SONNET, **fields):
    """Translate a chat request; returns the body and the losses."""
    bridge = registry.bridge("openai", "anthropic", model)
    body = {"model": "m", "messages": [USER], **fields}
    request = CHAT.read_request(json.dumps(body).encode())
    sent = bridge.build_request(request, Target(model=model, catalogue="anthropic"))
    return json.loads(sent.body), sent.losses


def from_claude(data, **fields):
    """Give a chat client a Claude stream; returns its chunks and the tap."""
    bridge = registry.bridge("openai", "anthropic", SONNET)
    body = {"model": "m", "messages": [USER], "stream": True, **fields}
    request = CHAT.read_request(json.dumps(body).encode())
    sent = bridge.build_request(request, Target(model=SONNET))
    tap = bridge.open_tap(request, sent, CHAT.open_stream(request, request_id="r"))
    text = (tap.feed(data) + tap.eof()).decode()
    chunks = [each[6:] for each in text.split("\n\n") if each.startswith("data: ")]
    return chunks, tap


def sse(*chunks):
    texts = [each if isinstance(each, str) else json.dumps(each) for each in chunks]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-5", "object": "chat.completion.chunk", "model": "gpt"}
    return {**head, "choices": [choice], **more}


def to_client(data):
    """Give Claude Code a chat upstream's stream; returns its events and the tap."""
    bridge = registry.bridge("anthropic", "openai", "gpt")
    request = asked(stream=True)
    sent = bridge.build_request(request, Target(model="gpt"))
    own = FORMAT.open_stream(request, request_id="r")
    tap = bridge.open_tap(request, sent, own)
    return frames(tap.feed(data) + tap.eof()), tap


def test_t26_t27_there_is_always_one_limit():
    assert to_claude()[0]["max_tokens"] >= 4096
    both = to_claude(max_tokens=9, max_completion_tokens=7)[0]
    assert both["max_tokens"] == 7


def test_t28_t29_instructions_lead_or_are_folded_never_hoisted():
    calls = [{"id": "c", "type": "function", "function": {"name": "f"}}]
    body, losses = to_claude(
        messages=[
            {"role": "developer", "content": "dev"},
            {"role": "system", "content": "one"},
            {"role": "system", "content": "two"},
            USER,
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "system", "content": "mid"},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
            {"role": "user", "content": "go on"},
        ],
        tools=[F],
    )
    assert [block["text"] for block in body["system"]] == ["dev", "one", "two"]
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    last = body["messages"][-1]["content"]
    assert last[0]["type"] == "tool_result"
    assert any("mid" in block.get("text", "") for block in last[1:])
    assert "messages.system:fold" in losses


def test_t32_t34_roles_alternate_and_empty_parts_are_gone():
    body, _ = to_claude(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": " "}]},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": "d"},
            {"role": "user", "content": "e"},
        ]
    )
    texts = [[b["text"] for b in each["content"]] for each in body["messages"]]
    assert [text for text in texts[0] if text != "(empty)"] == ["a", "b"]
    assert texts[1:] == [["c", "d"], ["e"]]


def test_t35_a_mislabelled_picture_is_what_its_bytes_say():
    url = "data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    body, _ = to_claude(messages=[{"role": "user", "content": content}])
    source = body["messages"][0]["content"][0]["source"]
    assert source["media_type"] == "image/png"


def test_t41_t43_t45_tools_are_worded_and_parallel_calls_switched_off():
    odd = {"type": "function", "function": {"name": "my.tool:v1/x"}}
    body, _ = to_claude(tools=[F, odd], parallel_tool_calls=False)
    first, second = body["tools"]
    assert first["input_schema"] == {"type": "object", "properties": {}}
    assert second["name"].replace("_", "").isalnum()
    assert body["tool_choice"]["disable_parallel_tool_use"] is True


def test_t46_p47_a_forced_call_gives_way_to_thinking():
    body, losses = to_claude(
        tools=[F], tool_choice="required", reasoning_effort="high", max_tokens=30_000
    )
    assert body.get("tool_choice", {"type": "auto"})["type"] == "auto"
    assert body["thinking"]["type"] == "enabled"
    assert "tool_choice:clamp" in losses


def test_t47_t50_results_are_grouped_filled_in_and_told_once():
    calls = [
        {"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for each in ("a", "b", "c")
    ]
    body, _ = to_claude(
        messages=[
            USER,
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "b", "content": "first"},
            {"role": "tool", "tool_call_id": "b", "content": "second"},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "zz", "content": "orphan"},
            {"role": "user", "content": "and?"},
        ],
        tools=[F],
    )
    content = body["messages"][2]["content"]
    results = {
        each["tool_use_id"]: each for each in content if each["type"] == "tool_result"
    }
    assert set(results) == {"a", "b", "c"}
    assert results["b"]["content"] == "second"
    assert results["c"]["is_error"] is True
    assert [each["type"] for each in content[:3]] == ["tool_result"] * 3
    assert any("orphan" in each.get("text", "") for each in content[3:])
    assert content[-1]["text"] == "and?"


def test_t56_t57_stops_and_sampling_are_what_the_model_takes():
    body, losses = to_claude(stop=["\n", "END", ""], temperature=1.7, top_p=0.9)
    assert body["stop_sequences"] == ["END"]
    assert body["temperature"] == 1.0
    assert "top_p" not in body
    assert {"temperature:clamp", "top_p:drop", "stop:drop"} <= set(losses)


def test_t58_p62_newer_models_take_no_sampling_and_no_budget():
    body, _ = to_claude(OPUS, temperature=0.5, top_p=0.5, reasoning_effort="high")
    assert not {"temperature", "top_p"} & body.keys()
    assert body["thinking"]["type"] == "adaptive"
    assert body["output_config"]["effort"] == "high"


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh"])
def test_t59_p61_a_budget_always_leaves_room(effort):
    body, _ = to_claude(reasoning_effort=effort, max_tokens=500)
    thinking = body["thinking"]
    assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]


def test_t60_a_budget_becomes_an_effort():
    bridge = registry.bridge("anthropic", "openai", "gpt-5")
    thinking = {"type": "enabled", "budget_tokens": 31_999}
    request = asked(thinking=thinking, max_tokens=32_000)
    sent = bridge.build_request(request, Target(model="gpt-5", catalogue="openai"))
    assert json.loads(sent.body)["reasoning_effort"] in ("high", "xhigh")


def test_t61_t62_what_cannot_be_said_is_named():
    body, losses = to_claude(seed=1, logit_bias={"5": 1}, presence_penalty=0.5)
    assert not {"seed", "logit_bias", "presence_penalty"} & body.keys()
    assert {"seed:drop", "logit_bias:drop", "presence_penalty:drop"} <= set(losses)
    with pytest.raises(FormatError) as caught:
        to_claude(n=3)
    assert caught.value.param == "n"


def test_t31_p1_the_billing_header_is_gone_and_named():
    header = {"type": "text", "text": "x-anthropic-billing-header: cch=1"}
    bridge = registry.bridge("anthropic", "openai", "gpt")
    request = asked(system=[header, {"type": "text", "text": "You are."}])
    sent = bridge.build_request(request, Target(model="gpt"))
    assert b"billing" not in sent.body
    assert "system:drop" in sent.losses


def test_t30_a_system_message_stays_in_its_place():
    bridge = registry.bridge("anthropic", "openai", "gpt")
    request = asked(messages=[USER, {"role": "system", "content": "Be brief."}])
    sent = bridge.build_request(request, Target(model="gpt"))
    roles = [each["role"] for each in json.loads(sent.body)["messages"]]
    assert roles == ["user", "system"]


def test_t76_a_chat_client_reads_claude():
    data = stream(start(), *text_block(0, "Hel", "lo"), *ending())
    chunks, tap = from_claude(data)
    assert chunks[-1] == "[DONE]"
    parsed = [json.loads(each) for each in chunks[:-1]]
    assert {(each["id"], each["created"]) for each in parsed} == {
        (parsed[0]["id"], parsed[0]["created"])
    }
    deltas = [each["choices"][0]["delta"] for each in parsed if each["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(each.get("content") or "" for each in deltas) == "Hello"
    finishes = [each["choices"][0]["finish_reason"] for each in parsed]
    assert finishes[-1] == "stop"
    assert tap.usage == TokenUsage(input_tokens=10, output_tokens=5)


def test_t81_calls_are_counted_from_zero():
    data = stream(
        start(),
        *text_block(0, "Hm"),
        *tool_block(1, "t1", "f", "{}"),
        *tool_block(2, "t2", "f", "{}"),
        *ending("tool_use"),
    )
    chunks, _ = from_claude(data, tools=[F])
    seen = [
        call["index"]
        for each in chunks[:-1]
        for choice in json.loads(each)["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert sorted(set(seen)) == [0, 1]


def test_t94_a_refusal_is_no_success_for_a_chat_client():
    chunks, _ = from_claude(FIXTURES["refusal"]["stream"].encode())
    assert '"content_filter"' in chunks[-2]


def test_t77_claude_code_reads_a_chat_upstream():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    events, tap = to_client(
        sse(
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}),
            chunk({}, "stop"),
            {**chunk({}), "choices": [], "usage": usage},
            "[DONE]",
        )
    )
    assert events[0]["message"]["model"] == "claude-x"
    assert events[-1]["type"] == "message_stop"
    assert events[-2]["usage"]["input_tokens"] == 9
    assert events[-2]["usage"]["output_tokens"] == 2
    assert tap.complete


def test_t82_interleaved_calls_of_a_chat_upstream_are_two_blocks():
    def piece(index, text, **head):
        function = {**head.pop("function", {}), "arguments": text}
        return chunk({"tool_calls": [{"index": index, "function": function, **head}]})

    events, _ = to_client(
        sse(
            piece(0, "", id="a", function={"name": "f"}),
            piece(1, "", id="b", function={"name": "g"}),
            piece(0, '{"x":'),
            piece(1, '{"y":2}'),
            piece(0, "1}"),
            chunk({}, "stop"),
            "[DONE]",
        )
    )
    opened = [each for each in events if each["type"] == "content_block_start"]
    assert [each["index"] for each in opened] == [0, 1]
    assert [each["content_block"]["id"] for each in opened] == ["a", "b"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_t116_a_chat_upstreams_full_context_makes_claude_code_compact():
    body = json.dumps(
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. "
                "However, your messages resulted in 9001 tokens.",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            }
        }
    ).encode()
    detail = CHAT.read_error(400, body)
    status, made = FORMAT.build_error(400, detail, request_id="r")
    message = json.loads(made)["error"]["message"]
    assert (status, message) == (
        400,
        "prompt is too long: 9001 tokens > 8192 maximum",
    )


@pytest.mark.parametrize("is_reset", [False, True])
def test_t117_t118_t119_a_broken_stream_never_ends_clean(is_reset):
    begun = sse(chunk({"content": "Hel"}))
    broken = b"" if is_reset else sse({"error": {"message": "m", "type": "x"}})
    events, tap = to_client(begun + broken)
    assert all(each["type"] != "message_stop" for each in events)
    assert not tap.complete
    events, tap = to_client(broken)
    assert events == []
    assert not tap.useful
    assert not tap.complete
    error = {"type": "error", "error": {"type": "api_error", "message": "m"}}
    data = stream(start(), *text_block(0, "x"), *([] if is_reset else [error]))
    chunks, tap = from_claude(data)
    assert "[DONE]" not in chunks
    assert not tap.complete
