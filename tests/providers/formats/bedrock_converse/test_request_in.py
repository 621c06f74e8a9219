from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.formats import base, registry
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.bedrock_converse.dialect import FORMAT
from providers.formats.neutral.smuggle import NOTHING, pack
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.bedrock_converse.talk import CLAUDE, CODEC, ask, sent

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
POINT = {"cachePoint": {"type": "default", "ttl": "1h"}}


def read(**fields: Any) -> Request:
    return CODEC.decode_request(ask({**HELLO, **fields}))


def parts(*blocks: Any, role: str = "user") -> tuple[Any, ...]:
    request = read(messages=[{"role": role, "content": list(blocks)}])
    return request.turns[0].parts


def test_a_request_is_peeked_into() -> None:
    asked = ask(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": {"format": "png", "source": {"bytes": "AA"}}},
                        {"document": {"name": "d", "source": {"bytes": "AA"}}},
                    ],
                }
            ],
            "inferenceConfig": {"maxTokens": 7},
            "toolConfig": {"tools": []},
            "outputConfig": {"textFormat": {}},
            "additionalModelRequestFields": {"thinking": {}},
        },
        stream=True,
    )
    assert (asked.model, asked.stream, asked.max_output_tokens) == (CLAUDE, True, 7)
    assert asked.needs == (
        base.NEED_VISION
        | base.NEED_FILES
        | base.NEED_TOOLS
        | base.NEED_JSON_SCHEMA
        | base.NEED_REASONING
    )
    spans = [asked.body[start:end] for start, end in asked.content_spans]
    assert spans[0].startswith(b"[{")
    assert len(spans) == 3
    assert ask(HELLO).max_output_tokens is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'"\xff"', None),
        (b'{"messages":[],"messages":[]}', None),
        (b"{}", "messages"),
        (b'{"messages":{}}', "messages"),
        (b'{"messages":[],"inferenceConfig":{"maxTokens":"x"}}', "inferenceConfig.maxTokens"),
        (b'{"messages":[],"inferenceConfig":{"maxTokens":0}}', "inferenceConfig.maxTokens"),
        (b'{' + b",".join(b'"k%d":1' % n for n in range(1_001)) + b'}', None),
    ],
)  # fmt: skip
def test_t131_what_is_no_request_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(FormatError) as caught:
        ask(body)
    assert caught.value.param == param


def test_a_path_without_a_model_is_refused() -> None:
    with pytest.raises(FormatError):
        FORMAT.read_request(json.dumps(HELLO).encode(), Arrival())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"content": [{"text": 5}]}]}, "text"),
        ({"messages": [{"content": 5}]}, "messages[0].content"),
        ({"toolConfig": {"tools": 5}}, "tools"),
        ({"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}}, "outputConfig.textFormat.structure.jsonSchema.schema"),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_named(fields: Any, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(**fields)
    assert caught.value.param == param


def test_a_body_of_a_million_parts_is_refused() -> None:
    body = b'{"messages":[' + b"{}," * 600_000 + b"{}]}"
    with pytest.raises(FormatError, match="too many"):
        CODEC.decode_request(ask(body))


def test_blocks_are_taken_apart() -> None:
    assert parts(
        {"text": "Hi"},
        POINT,
        {"image": {"format": "jpeg", "source": {"bytes": "AA"}}},
        {"audio": {"format": "mp3", "source": {"bytes": "AA"}}},
        {"video": {"format": "odd", "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}}}},
        {"document": {"format": "pdf", "name": "d", "source": {"bytes": "AA"}, "context": "c", "citations": {"enabled": True}}},
        {"document": {"name": "t", "source": {"text": "words"}}},
    ) == (
        Text(text="Hi", cache=CacheMark(ttl="1h")),
        Media(kind="image", source="base64", data="AA", media_type="image/jpeg"),
        Media(kind="audio", source="base64", data="AA", media_type="audio/mpeg"),
        Media(kind="video", source="s3", data="s3://b/k", media_type="video/odd", ext={"bucketOwner": msgspec.Raw(b'"1"')}),
        Media(kind="document", source="base64", data="AA", media_type="application/pdf", name="d", context="c", cites=True),
        Media(kind="document", source="text", data="words", name="t", ext={"text": msgspec.Raw(b"true")}),
    )  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        {"guardContent": {"text": {"text": "x"}}},
        {"searchResult": {"source": "s", "title": "t", "content": []}},
        {"image": {"format": "png", "error": {"message": "gone"}}},
        {"image": {"format": "png", "source": {}}},
        {"toolUse": {"toolUseId": "1", "name": "s", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "1", "content": [], "type": "web"}},
        {},
    ],
)  # fmt: skip
def test_a_block_nobody_knows_stays_as_it_is(block: dict[str, Any]) -> None:
    raw = msgspec.Raw(json.dumps(block).encode())
    kind = next(iter(block), "")
    assert parts(block) == (Unknown(dialect="bedrock", type=kind, payload=raw),)


def test_a_point_that_follows_nothing_stays_a_block() -> None:
    first, text, again = parts(POINT, {"text": "Hi"}, POINT, POINT)
    assert isinstance(first, Unknown)
    assert text.cache == CacheMark(ttl="1h")
    assert isinstance(again, Unknown)


def test_calls_and_results_are_taken_apart() -> None:
    use = {"toolUse": {"toolUseId": "1", "name": "f", "input": {"n": 1.0}}}
    results = [
        {"toolResult": {"toolUseId": "1", "content": [{"json": {"a": 1}}], "status": "error"}},
        {"toolResult": {"toolUseId": "2", "content": [{"text": "b"}, {"json": [1]}, {"image": {"format": "png", "source": {"bytes": "AA"}}}, {"odd": 1}]}},
    ]  # fmt: skip
    request = read(
        messages=[
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"text": "Now?"}, *results]},
            {"role": "system", "content": [{"text": "Be"}]},
        ]
    )
    assert request.turns == (
        Turn(
            role="assistant",
            parts=(ToolCall(name="f", id="1", arguments='{"n": 1.0}'),),
        ),
        Turn(
            role="tool",
            parts=(
                ToolResult(call_id="1", json=msgspec.Raw(b'{"a": 1}'), is_error=True),
                ToolResult(
                    call_id="2",
                    content=(
                        Text(text="b"),
                        Text(text="[1]"),
                        Media(
                            kind="image",
                            source="base64",
                            data="AA",
                            media_type="image/png",
                        ),
                        Unknown(
                            dialect="bedrock",
                            type="odd",
                            payload=msgspec.Raw(b'{"odd": 1}'),
                        ),
                    ),
                ),
            ),
        ),
        Turn(role="user", parts=(Text(text="Now?"),)),
        Turn(role="instruction", parts=(Text(text="Be"),)),
    )


def test_proof_of_another_maker_comes_out_of_its_envelope() -> None:
    google = Opaque(family="google", slot="thought_signature", data="x")

    def thought(signature: str, text: str = "Hm.") -> Any:
        told = {"text": text, "signature": signature}
        return {"reasoningContent": {"reasoningText": told}}

    assert parts(
        thought("own=="),
        thought(pack(google)),
        thought(pack(google), ""),
        thought(pack(NOTHING)),
        {"reasoningContent": {"reasoningText": {"text": "Bare."}}},
        {"reasoningContent": {"redactedContent": "AA=="}},
        role="assistant",
    ) == (
        Reasoning(
            text="Hm.",
            opaque=(Opaque(family="anthropic", slot="signature", data="own=="),),
        ),
        Reasoning(text="Hm.", opaque=(google,)),
        Reasoning(opaque=(google,), is_redacted=True),
        Reasoning(text="Hm."),
        Reasoning(text="Bare."),
        Reasoning(
            is_redacted=True,
            opaque=(Opaque(family="anthropic", slot="redacted", data="AA=="),),
        ),
    )


def test_a_relayed_history_loses_proof_no_bedrock_could_check() -> None:
    packed = pack(Opaque(family="google", slot="thought_signature", data="x"))
    thought = {"reasoningContent": {"reasoningText": {"text": "", "signature": packed}}}
    history = [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [thought, {"text": "Yes"}]},
        {"role": "assistant", "content": [thought]},
        {"role": "user", "content": [{"text": f"{packed} quoted"}]},
        {"role": "user", "content": f"{packed} wrong"},
        {"role": "user", "content": [{"reasoningContent": packed}]},
    ]
    body, _ = sent(ask({"messages": history}))
    assert body["messages"][1]["content"] == [{"text": "Yes"}]
    assert body["messages"][2]["content"] == [{"text": "(empty)"}]
    assert body["messages"][3:] == history[3:]


def test_tools_are_taken_apart() -> None:
    spec = {
        "toolSpec": {
            "name": "f",
            "description": "d",
            "inputSchema": {"json": {}},
            "strict": True,
        }
    }
    request = read(
        toolConfig={
            "tools": [spec, POINT, POINT, {"systemTool": {"name": "grounding"}}, {}],
            "toolChoice": {"any": {}},
        }
    )
    function, point, system, empty = request.tools
    assert function == Tool(
        kind="function",
        name="f",
        description="d",
        schema=msgspec.Raw(b"{}"),
        strict=True,
        cache=CacheMark(ttl="1h"),
    )
    assert (point.kind, point.type) == ("server", "cachePoint")
    assert (system.type, system.name) == ("systemTool", "grounding")
    assert empty.type == ""
    assert request.tool_choice == ToolChoice(mode="any", is_required=True)


@pytest.mark.parametrize(
    ("choice", "native", "read_as"),
    [
        (None, None, None),
        ({"auto": {}}, None, ToolChoice()),
        ({"tool": {"name": "f"}}, None, ToolChoice(mode="one", names=("f",), is_required=True)),
        (None, {"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        (None, {"type": "any"}, ToolChoice(mode="any", is_required=True)),
        (None, {"type": "none"}, ToolChoice(mode="none")),
        (None, {"type": "tool", "name": "f"}, ToolChoice(mode="one", names=("f",), is_required=True)),
    ],
)  # fmt: skip
def test_a_choice_is_taken_apart(choice: Any, native: Any, read_as: Any) -> None:
    fields: dict[str, Any] = {"toolConfig": {"toolChoice": choice}} if choice else {}
    if native:
        fields["additionalModelRequestFields"] = {"tool_choice": native}
    assert read(**fields).tool_choice == read_as


@pytest.mark.parametrize(
    ("extra", "effort", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "", Thinking(mode="budget", budget=9)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, "max", Thinking(mode="adaptive", effort="max", show="none")),
        ({"thinking": {"type": "disabled"}}, "", Thinking(mode="off")),
        ({"reasoning_effort": "low"}, "", Thinking(effort="low")),
        ({"output_config": {"effort": "low"}}, "", Thinking(effort="low")),
        ({}, "high", Thinking(effort="high")),
        ({"output_config": {"effort": 5}, "thinking": "odd", "top_k": "x"}, "", None),
        ({"output_config": 5}, "", None),
    ],
)  # fmt: skip
def test_reasoning_is_taken_apart(extra: Any, effort: str, thinking: Any) -> None:
    request = read(additionalModelRequestFields=extra, outputConfig={"effort": effort})
    assert request.thinking == thinking
    if thinking is None:
        rest = json.loads(bytes(request.ext["additionalModelRequestFields"]))
        assert rest == extra


def test_the_rest_is_taken_apart() -> None:
    schema = '{"type": "object"}'
    request = read(
        system=[{"text": "Be"}, POINT, {"guardContent": {}}],
        inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        additionalModelRequestFields={"top_k": 4, "other": 1},
        requestMetadata={"a": "b"},
        serviceTier={"type": "flex"},
        outputConfig={"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema, "name": "n"}}}},
        guardrailConfig={"guardrailIdentifier": "g"},
        promptVariables=None,
    )  # fmt: skip
    assert len(request.instructions[0].parts) == 2
    assert request.sampling == Sampling(
        temperature=0.5, top_p=0.9, top_k=4, stop=("x",)
    )
    assert request.max_output == 5
    assert request.metadata == {"a": "b"}
    assert request.service_tier == "flex"
    assert request.output == OutputFormat(
        kind="schema", name="n", schema=msgspec.Raw(schema.encode())
    )
    assert set(request.ext) == {"guardrailConfig", "additionalModelRequestFields"}
    assert read(inferenceConfig=None, outputConfig=None, toolConfig=None).ext == {}


def test_a_converse_client_is_served_by_another_dialect() -> None:
    bridge = registry.bridge("bedrock", "openai", "gpt-4o")
    assert bridge is not None
    asked = ask({**HELLO, "system": [{"text": "Be brief."}]})
    made = bridge.build_request(asked, Target(model="gpt-4o"))
    told = json.loads(made.body)
    assert [message["role"] for message in told["messages"]] == ["system", "user"]
    answer = {
        "id": "c",
        "choices": [
            {"index": 0, "message": {"content": "Hello"}, "finish_reason": "length"}
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
    meta = bridge.read_response(asked, made, json.dumps(answer).encode())
    converse = json.loads(meta.body)
    assert converse["output"]["message"]["content"] == [{"text": "Hello"}]
    assert converse["stopReason"] == "max_tokens"
    assert converse["usage"] == {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}


def test_a_field_learned_to_be_refused_is_left_out_of_relayed_bytes() -> None:
    bridge = registry.bridge("bedrock", "bedrock", CLAUDE)
    body = b'{ "messages":[{"content":[{"text":"\\u00e9"}]}] , "performanceConfig":{}}'
    assert bridge is not None
    made = bridge.build_request(ask(body), Target(model=CLAUDE))
    assert made.body == body
    target = Target(model=CLAUDE, drop=frozenset({"performanceConfig"}))
    made = bridge.build_request(ask(body), target)
    assert b"performanceConfig" not in made.body
    assert b"\\u00e9" in made.body
    assert made.losses == ("performanceConfig:drop",)
