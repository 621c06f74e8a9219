from __future__ import annotations

from typing import Any

import msgspec
import pytest

from providers.formats.neutral.types import (
    Citation,
    Media,
    OutputFormat,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.bedrock_converse.talk import (
    CLAUDE,
    LLAMA,
    body_of,
    encoded,
)


def asked(*parts: Any, **fields: Any) -> Request:
    """Make a neutral request of one user turn."""
    return Request(
        dialect="openai",
        model="m",
        turns=(Turn(role="user", parts=parts or (Text(text="Hi"),)),),
        **fields,
    )


def content(*parts: Any) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = body_of(asked(*parts))["messages"][0]["content"]
    return value


def losses(request: Request, model: str = CLAUDE) -> set[str]:
    return {loss.field for loss in encoded(request, model).losses}


@pytest.mark.parametrize(
    ("arguments", "worded"),
    [
        ("", {}),
        ('{"n":1.50,"a":"b"}', {"n": 1.5, "a": "b"}),
        ("{broken", {"_raw": "{broken"}),
        ("[1]", {"_raw": "[1]"}),
    ],
)
def test_t54_arguments_are_an_object(arguments: str, worded: Any) -> None:
    call = ToolCall(name="f", id="1", arguments=arguments)
    assert content(call)[0]["toolUse"]["input"] == worded
    if arguments.startswith('{"'):
        assert arguments.encode() in encoded(asked(call)).body


def test_results_keep_their_kind() -> None:
    picture = Media(kind="image", source="base64", data="AA", media_type="image/png")
    odd = Unknown(dialect="bedrock", type="video", payload=msgspec.Raw(b'{"video":{}}'))
    results = content(
        ToolResult(call_id="1", json=msgspec.Raw(b'{"t":1}'), is_error=True),
        ToolResult(call_id="2", content=(Text(text="a"), picture, odd)),
        ToolResult(call_id="3", json=msgspec.Raw(b"[1]")),
        ToolResult(call_id="4"),
    )
    told = [block["toolResult"] for block in results]
    assert told[0] == {
        "toolUseId": "1",
        "content": [{"json": {"t": 1}}],
        "status": "error",
    }
    assert [next(iter(block)) for block in told[1]["content"]] == [
        "text",
        "image",
        "video",
    ]
    assert told[2]["content"] == [{"text": "[1]"}]
    assert told[3]["content"] == [{"text": "(empty)"}]


def test_words_that_are_blank_are_left_out() -> None:
    assert content(Text(text=" \n"), Refusal(text=" "), Refusal(text="No")) == [
        {"text": "No"}
    ]


def test_a_source_goes_back_with_its_text() -> None:
    text = Text(
        text="Cold.",
        citations=(Citation(url="https://a/", title="A", cited_text="b"), Citation()),
    )
    (block,) = content(text)
    assert block["citationsContent"]["content"] == [{"text": "Cold."}]
    assert block["citationsContent"]["citations"] == [
        {
            "location": {"web": {"url": "https://a/"}},
            "title": "A",
            "sourceContent": [{"text": "b"}],
        }
    ]


@pytest.mark.parametrize(
    ("model", "thinking", "additional", "effort"),
    [
        (CLAUDE, Thinking(mode="budget", budget=2048), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, None),
        (CLAUDE, Thinking(mode="adaptive", effort="high"), {"thinking": {"type": "adaptive"}}, "high"),
        (CLAUDE, Thinking(mode="effort", effort="low"), None, "low"),
        (CLAUDE, Thinking(mode="off"), None, None),
        ("anthropic.claude-opus-4-7-v1:0", Thinking(mode="off", effort=""), {"thinking": {"type": "disabled"}}, None),
        ("anthropic.claude-opus-4-7-v1:0", Thinking(mode="adaptive", show="auto"), {"thinking": {"type": "adaptive", "display": "summarized"}}, None),
        ("openai.gpt-oss-120b-1:0", Thinking(effort="low"), {"reasoning_effort": "low"}, None),
        ("amazon.nova-2-lite-v1:0", Thinking(effort="low"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        (LLAMA, Thinking(mode="off"), None, None),
    ],
)  # fmt: skip
def test_t59_reasoning_is_asked_for(
    model: str, thinking: Thinking, additional: Any, effort: str | None
) -> None:
    body = body_of(asked(thinking=thinking), model)
    assert body.get("additionalModelRequestFields") == additional
    assert body.get("outputConfig", {}).get("effort") == effort


def test_what_a_model_has_no_field_for_is_named() -> None:
    sampling = Sampling(
        top_k=4, seed=1, presence_penalty=0.5, n=2, logprobs=True, stop=("x",)
    )
    request = asked(
        sampling=sampling,
        thinking=Thinking(effort="low"),
        output=OutputFormat(kind="json"),
        end_user="\u00fc",
        metadata={"ok": "a b", "bad": "é"},
        service_tier="scale",
        ext={"modalities": msgspec.Raw(b"[]")},
    )
    assert losses(request, LLAMA) == {
        "top_k",
        "seed",
        "presence_penalty",
        "n",
        "logprobs",
        "thinking",
        "response_format",
        "user",
        "metadata",
        "service_tier",
        "modalities",
    }
    assert body_of(request, LLAMA)["requestMetadata"] == {"ok": "a b"}
    named = body_of(asked(end_user="u-1", metadata={"a": "b"}))
    assert named["requestMetadata"] == {"a": "b", "end_user": "u-1"}
    assert body_of(request)["additionalModelRequestFields"] == {"top_k": 4}
    assert body_of(request)["additionalModelResponseFieldPaths"]
    nova = body_of(request, "amazon.nova-pro-v1:0")["additionalModelRequestFields"]
    assert nova["inferenceConfig"] == {"topK": 4}


def test_t55_a_schema_has_its_own_field() -> None:
    output = OutputFormat(
        kind="schema",
        name="n",
        description="d",
        schema=msgspec.Raw(b'{"type":"object"}'),
    )
    body = body_of(asked(output=output, service_tier="flex"))
    assert body["outputConfig"]["textFormat"] == {
        "type": "json_schema",
        "structure": {
            "jsonSchema": {
                "schema": '{"type":"object"}',
                "name": "n",
                "description": "d",
            }
        },
    }
    assert body["serviceTier"] == {"type": "flex"}
    assert "outputConfig" not in body_of(asked(output=OutputFormat()))
