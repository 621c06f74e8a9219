from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.bedrock_converse.dialect import FORMAT
from providers.formats.bedrock_converse.invoke import wrapped
from providers.formats.capabilities import capabilities
from providers.formats.neutral.bridge import TranslationBridge
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import End
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    OutputFormat,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.providers.formats.bedrock_converse.talk import (
    CLAUDE,
    CODEC,
    FIXTURES,
    ask,
    body_of,
    decoded,
    encoded,
    frames,
    sent,
)


def asked(*parts: Any, **fields: Any) -> Request:
    turn = Turn(role="user", parts=parts or (Text(text="Hi"),))
    return Request(dialect="openai", model="m", turns=(turn,), **fields)


@pytest.mark.parametrize(
    "source",
    [
        {"text": "words"},
        {"s3Location": {"uri": "s3://b/k.pdf", "bucketOwner": "123456789012"}},
    ],
)
def test_a_document_keeps_where_it_is(source: dict[str, Any]) -> None:
    block = {"document": {"name": "d", "source": source}}
    request = CODEC.decode_request(
        ask({"messages": [{"role": "user", "content": [block]}]})
    )
    assert body_of(request)["messages"][0]["content"] == [block]


def test_a_document_of_an_unknown_kind_names_none() -> None:
    odd = Media(kind="document", source="base64", data="AA", media_type="x/y", name="a")
    document = body_of(asked(odd, Text(text="Hi")))["messages"][0]["content"][0]
    assert document == {"document": {"source": {"bytes": "AA"}, "name": "a"}}


def test_a_text_of_an_unknown_kind_is_text() -> None:
    odd = Media(kind="document", source="text", data="Hi")
    document = body_of(asked(odd, Text(text="Hi")))["messages"][0]["content"][0]
    assert document["document"]["format"] == "txt"


def test_a_result_of_which_nothing_can_be_said_is_empty() -> None:
    remote = Media(kind="image", source="url", data="https://a/")
    result = ToolResult(call_id="1", content=(Text(text=" "), remote))
    block = body_of(asked(result))["messages"][0]["content"][0]
    assert block["toolResult"]["content"] == [{"text": "(empty)"}]


def test_an_object_is_not_repeated_in_words() -> None:
    result = ToolResult(
        call_id="1", json=msgspec.Raw(b'{"a":1}'), content=(Text(text='{"a":1}'),)
    )
    block = body_of(asked(result))["messages"][0]["content"][0]
    assert block["toolResult"]["content"] == [{"json": {"a": 1}}]


def test_a_turn_without_words_is_no_message() -> None:
    request = asked(Text(text=" "))
    assert body_of(request)["messages"] == []


def test_no_tools_and_no_history_is_no_configuration() -> None:
    request = asked(
        tools=(Tool(kind="builtin", name="b"),), tool_choice=ToolChoice(mode="any")
    )
    assert "toolConfig" not in body_of(request)
    none = asked(
        tools=(Tool(kind="function", name="f"),), tool_choice=ToolChoice(mode="none")
    )
    assert "toolConfig" not in body_of(none)


@pytest.mark.parametrize(
    ("choice", "worded"),
    [
        (ToolChoice(parallel=True), {"auto": {}}),
        (ToolChoice(mode="none", parallel=False), None),
    ],
)
def test_parallel_calls_need_no_word(choice: ToolChoice, worded: Any) -> None:
    call = Turn(role="assistant", parts=(ToolCall(name="f", id="1"),))
    request = Request(
        dialect="openai",
        model="m",
        turns=(call, Turn(role="tool", parts=(ToolResult(call_id="1", name="f"),))),
        tools=(Tool(kind="function", name="f"),),
        tool_choice=choice,
    )
    body = body_of(request)
    assert body["toolConfig"].get("toolChoice") == worded
    assert "additionalModelRequestFields" not in body


def test_results_alone_still_need_a_tool() -> None:
    named = ToolResult(call_id="2", name="f")
    body = body_of(asked(ToolResult(call_id="1"), named))
    names = [each["toolSpec"]["name"] for each in body["toolConfig"]["tools"]]
    assert names == ["f"]
    body = body_of(asked(ToolResult(call_id="1")))
    names = [each["toolSpec"]["name"] for each in body["toolConfig"]["tools"]]
    assert names == ["tool"]


def test_a_subset_keeps_what_the_history_calls() -> None:
    call = Turn(role="assistant", parts=(ToolCall(name="g", id="1"),))
    request = Request(
        dialect="openai",
        model="m",
        turns=(call,),
        tools=tuple(Tool(kind="function", name=name) for name in ("f", "g", "h")),
        tool_choice=ToolChoice(mode="subset", names=("f",)),
    )
    tools = body_of(request)["toolConfig"]["tools"]
    assert [each["toolSpec"]["name"] for each in tools] == ["f", "g"]


def test_a_tools_mark_needs_a_cache() -> None:
    tool = Tool(kind="function", name="f", cache=CacheMark())
    body = body_of(asked(tools=(tool,)), "meta.llama3-1-8b-instruct-v1:0")
    assert len(body["toolConfig"]["tools"]) == 1


def test_a_schema_may_have_no_name() -> None:
    output = OutputFormat(kind="schema", schema=msgspec.Raw(b"{}"))
    wire = body_of(asked(output=output))["outputConfig"]["textFormat"]
    assert wire["structure"]["jsonSchema"] == {"schema": "{}"}


def test_a_field_learned_to_be_refused_is_not_worded() -> None:
    request = asked(metadata={"a": "b"})
    made = CODEC.encode_request(
        request,
        Target(model=CLAUDE, drop=frozenset({"requestMetadata"})),
        capabilities("bedrock", "", CLAUDE),
    )
    assert b"requestMetadata" not in made.body
    assert [loss.field for loss in made.losses] == ["requestMetadata"]
    assert encoded(request).losses == ()


@pytest.mark.parametrize("payload", [b'{"systemTool":5}', b'{"systemTool":null}'])
def test_a_tool_of_a_strange_form_stays_as_it_is(payload: bytes) -> None:
    body = b'{"messages":[],"toolConfig":{"tools":[%b]}}' % payload
    (tool,) = CODEC.decode_request(ask(body)).tools
    assert (tool.name, bytes(tool.payload or b"")) == ("", payload)
    config = CODEC.decode_request(ask(b'{"messages":[],"toolConfig":null}'))
    assert config.tools == ()


@pytest.mark.parametrize("text", [b'"\\ud800"', b"[" * 1_500 + b"]" * 1_500])
def test_t138_what_no_json_reader_takes_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        ask(b'{"messages":[{"role":"user","content":[{"text":%b}]}]}' % text)


def test_an_error_of_a_million_parts_is_text() -> None:
    detail = FORMAT.read_error(500, b"[" + b"1," * 600_000 + b"1]")
    assert detail.status == 500


def test_metadata_before_the_stop_is_no_end() -> None:
    start, *rest, stop, usage = FIXTURES["text"]["events"]
    events = decoded(frames([start, *rest, usage, stop]))
    assert isinstance(events[-1], End)
    decoder = CODEC.open_decoder(Reply(model=CLAUDE))
    early = [e for piece in frames([start, *rest, usage]) for e in decoder.feed(piece)]
    assert not any(isinstance(event, End) for event in early)


def test_a_whole_answer_is_relayed_as_it_is() -> None:
    for inbound, told in (
        ("bedrock", FIXTURES["text"]["answer"]),
        (
            "bedrock-invoke",
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude",
                "content": [{"type": "text", "text": "Hi"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1, "output_tokens": 2},
            },
        ),
    ):
        bridge = registry.bridge(inbound, "bedrock", CLAUDE)
        body = json.dumps(
            {"messages": [{"role": "user", "content": []}], "max_tokens": 5}
        ).encode()
        asked_for = registry.get(inbound).read_request(body, Arrival(path_model="m"))
        assert bridge is not None
        made = bridge.build_request(asked_for, Target(model=CLAUDE))
        answer = json.dumps(told).encode()
        meta = bridge.read_response(asked_for, made, answer)
        assert meta.body == answer
        assert meta.usage is not None


def test_an_invoke_call_needs_a_model_in_its_path() -> None:
    with pytest.raises(FormatError):
        registry.get("bedrock-invoke").read_request(b"{}", Arrival())


def test_an_invoke_stream_that_was_cut_has_no_end() -> None:
    codec = registry.get("bedrock-invoke").codec("")
    assert codec is not None
    assert codec.open_decoder(Reply(model=CLAUDE)).eof() == []


def test_t89_a_signature_reaches_an_anthropic_client_through_converse() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    client = registry.get("anthropic")
    request = client.read_request(json.dumps(body).encode(), Arrival())
    source = client.codec("")
    assert source is not None
    bridge = TranslationBridge(source, CODEC, "bedrock")
    made = bridge.build_request(request, Target(model=CLAUDE))
    stream = client.open_stream(request, request_id="r")
    tap = bridge.open_tap(request, made, stream)
    out = b"".join(map(tap.feed, frames(FIXTURES["tools_and_thought"]["events"])))
    told = [json.loads(line[6:]) for line in out.split(b"\n") if line[:5] == b"data:"]
    signatures = [
        event["delta"]["signature"]
        for event in told
        if event.get("delta", {}).get("type") == "signature_delta"
    ]
    assert signatures == ["EqQBCkYIBxgCKkD+/==sig"]
    assert tap.complete


def test_t64_marks_of_an_anthropic_client_become_points() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief.", **mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]}
        ],
    }
    client = registry.get("anthropic")
    request = client.read_request(json.dumps(body).encode(), Arrival())
    told, _ = sent(request, "amazon.nova-pro-v1:0")
    point = {"cachePoint": {"type": "default"}}
    assert told["system"] == [{"text": "Be brief."}, point]
    assert told["messages"][0]["content"] == [{"text": "Hi"}, point]


def test_records_are_relayed_to_any_writer() -> None:
    bridge = registry.bridge("bedrock-invoke", "bedrock", CLAUDE)
    body = b'{"messages":[{"role":"user","content":[]}],"max_tokens":5}'
    arrival = Arrival(path_model="m", is_stream=True)
    request = registry.get("bedrock-invoke").read_request(body, arrival)
    assert bridge is not None
    made = bridge.build_request(request, Target(model=CLAUDE))
    tap = bridge.open_tap(request, made, FORMAT.open_stream(request, request_id="r"))
    start = {"type": "content_block_start", "index": 0}
    block = {**start, "content_block": {"type": "tool_use", "id": "1", "name": "f"}}
    data = wrapped(b"data: " + json.dumps(block).encode() + b"\n\n")
    assert tap.feed(data) == data
