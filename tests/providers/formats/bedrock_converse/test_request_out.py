from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from providers.formats import registry
from providers.formats.base import Arrival
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Opaque,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.bedrock_converse.talk import (
    CLAUDE,
    LLAMA,
    body_of,
    chat,
    encoded,
    sent,
)

CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "cold"},
    {"role": "user", "content": "And now?"},
]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}


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


def test_a_chat_becomes_a_converse_call() -> None:
    body, made = sent(
        chat(
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
            ],
            max_tokens=50,
            temperature=0.5,
            stop=["END"],
        )
    )
    assert body["system"] == [{"text": "Be brief."}]
    assert body["messages"] == [{"role": "user", "content": [{"text": "Hi"}]}]
    assert body["inferenceConfig"] == {
        "maxTokens": 50,
        "temperature": 0.5,
        "stopSequences": ["END"],
    }
    assert made.path == f"/model/{CLAUDE.replace(':', '%3A')}/converse"
    assert not made.is_stream


def test_a_streamed_call_has_another_path() -> None:
    _, made = sent(chat(stream=True))
    assert made.path.endswith("/converse-stream")
    assert made.is_stream


def test_t25_the_path_holds_an_arn_encoded() -> None:
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude"
    _, made = sent(chat(), arn)
    assert made.path == (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2F"
        "us.anthropic.claude/converse"
    )


@pytest.mark.parametrize("model", [CLAUDE, LLAMA])
def test_t51_p37_a_history_with_calls_has_its_tools(model: str) -> None:
    body, _ = sent(chat(messages=CALLED), model)
    specs = body["toolConfig"]["tools"]
    assert [spec["toolSpec"]["name"] for spec in specs] == ["weather"]
    assert specs[0]["toolSpec"]["inputSchema"]["json"]["type"] == "object"


def test_t51_the_encoder_alone_describes_them_too() -> None:
    call = Turn(role="assistant", parts=(ToolCall(name="weather", id="a"),))
    result = ToolResult(call_id="a", content=(Text(text="cold"),))
    request = Request(
        dialect="openai",
        model="m",
        turns=(call, Turn(role="tool", parts=(result,))),
    )
    specs = body_of(request)["toolConfig"]["tools"]
    assert [spec["toolSpec"]["name"] for spec in specs] == ["weather"]


def test_t47_results_come_first_in_one_message() -> None:
    body, _ = sent(chat(messages=CALLED, tools=[TOOL]))
    last = body["messages"][-1]
    assert last["role"] == "user"
    assert [next(iter(block)) for block in last["content"]] == ["toolResult", "text"]
    assert last["content"][0]["toolResult"]["content"] == [{"text": "cold"}]


def test_t52_p38_no_tool_is_said_by_sending_none() -> None:
    body, _ = sent(chat(tools=[TOOL], tool_choice="none"))
    assert "toolConfig" not in body


def test_t52_tools_stay_where_the_history_needs_them() -> None:
    body, _ = sent(chat(messages=CALLED, tools=[TOOL], tool_choice="none"))
    assert "toolChoice" not in body["toolConfig"]
    assert body["toolConfig"]["tools"]


@pytest.mark.parametrize(
    ("choice", "worded"),
    [
        (ToolChoice(), {"auto": {}}),
        (ToolChoice(mode="any", is_required=True), {"any": {}}),
        (ToolChoice(mode="one", names=("weather",)), {"tool": {"name": "weather"}}),
        (ToolChoice(mode="subset", names=("weather",)), {"auto": {}}),
    ],
)
def test_t44_a_choice_is_worded(choice: ToolChoice, worded: dict[str, Any]) -> None:
    tools = (
        Tool(kind="function", name="weather"),
        Tool(kind="function", name="clock", description=" "),
    )
    config = body_of(asked(tools=tools, tool_choice=choice))["toolConfig"]
    assert config["toolChoice"] == worded
    names = [tool["toolSpec"]["name"] for tool in config["tools"]]
    assert names == (["weather"] if choice.mode == "subset" else ["weather", "clock"])


@pytest.mark.parametrize(
    ("mode", "native"),
    [
        ("auto", {"type": "auto"}),
        ("any", {"type": "any"}),
        ("one", {"type": "tool", "name": "weather"}),
    ],
)
def test_t45_one_call_at_a_time_is_said_in_claudes_own_field(
    mode: Any, native: dict[str, Any]
) -> None:
    choice = ToolChoice(mode=mode, names=("weather",), parallel=False)
    tools = (Tool(kind="function", name="weather"),)
    body = body_of(asked(tools=tools, tool_choice=choice))
    assert body["additionalModelRequestFields"]["tool_choice"] == {
        **native,
        "disable_parallel_tool_use": True,
    }
    assert "toolChoice" not in body["toolConfig"]
    assert "parallel_tool_calls" in losses(
        asked(tools=tools, tool_choice=choice), LLAMA
    )


def test_t41_a_tool_without_parameters_takes_an_empty_object() -> None:
    body = body_of(asked(tools=(Tool(kind="function", name="now", strict=True),)))
    assert body["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "now",
                "inputSchema": {"json": {"type": "object", "properties": {}}},
                "strict": True,
            }
        }
    ]


def test_a_tool_run_by_another_vendor_is_lost() -> None:
    tool = Tool(kind="server", name="web", type="web_search", dialect="anthropic")
    assert losses(asked(tools=(tool,))) == {"tools.web_search"}


def test_t38_a_document_gets_an_allowed_name_of_its_own() -> None:
    pdf = Media(
        kind="document",
        source="base64",
        data="JVBERi0=",
        media_type="application/pdf",
        title="Q3: report/final_v2.pdf",
        cites=True,
        context="Numbers",
    )
    blocks = content(pdf, pdf, Text(text="Read."))
    names = [block["document"]["name"] for block in blocks[:2]]
    assert names == ["Q3 report final v2", "Q3 report final v2 (2)"]
    assert blocks[0]["document"]["format"] == "pdf"
    assert blocks[0]["document"]["source"] == {"bytes": "JVBERi0="}
    assert blocks[0]["document"]["citations"] == {"enabled": True}
    assert blocks[0]["document"]["context"] == "Numbers"


def test_t38_a_document_of_an_anthropic_client_is_translated() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "a/b:c.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": "JVBERi0=",
                        },
                    },
                    {"type": "text", "text": "Read."},
                ],
            }
        ],
    }
    client = registry.get("anthropic")
    request = client.read_request(json.dumps(body).encode(), Arrival())
    told, _ = sent(request, "amazon.nova-pro-v1:0")
    document = told["messages"][0]["content"][0]["document"]
    assert (document["name"], document["format"]) == ("a b c", "pdf")


def test_a_document_alone_has_a_word_beside_it() -> None:
    text = Media(kind="document", source="text", data="Hé", media_type="text/plain")
    document, beside = content(text)
    assert document["document"]["source"] == {
        "bytes": b64encode("Hé".encode()).decode()
    }
    assert document["document"]["format"] == "txt"
    assert document["document"]["name"] == "document"
    assert beside == {"text": "."}


@pytest.mark.parametrize(
    ("kind", "media_type", "word"),
    [
        ("image", "image/jpg", "jpeg"),
        ("audio", "audio/mpeg", "mp3"),
        ("video", "video/quicktime", "mov"),
        ("video", "video/x-odd", "x-odd"),
    ],
)
def test_media_are_worded(kind: Any, media_type: str, word: str) -> None:
    part = Media(kind=kind, source="base64", data="AAAA", media_type=media_type)
    assert content(part) == [{kind: {"source": {"bytes": "AAAA"}, "format": word}}]


def test_media_in_a_bucket_stay_there() -> None:
    part = Media(kind="image", source="s3", data="s3://b/k.png", media_type="image/png")
    assert content(part)[0]["image"]["source"] == {
        "s3Location": {"uri": "s3://b/k.png"}
    }


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="image", source="url", data="https://a/", media_type="image/png"),
        Media(kind="image", source="base64", data="AA", media_type="image/tiff"),
        Reasoning(text="Hm."),
        Reasoning(text="Hm.", opaque=(Opaque(family="google", slot="x", data="y"),)),
        Unknown(dialect="anthropic", type="odd", payload=msgspec.Raw(b"{}")),
    ],
)
def test_what_has_no_words_is_named(part: Any) -> None:
    request = asked(Text(text="Hi"), part)
    assert len(losses(request)) == 1
    assert body_of(request)["messages"][0]["content"] == [{"text": "Hi"}]


def test_t89_proof_goes_back_as_it_came() -> None:
    signed = Opaque(family="anthropic", slot="signature", data="Eq+/==")
    hidden = Opaque(family="anthropic", slot="redacted", data="AAEC")
    assert content(
        Reasoning(text="Hm.", opaque=(signed,)),
        Reasoning(opaque=(hidden,), is_redacted=True),
    ) == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eq+/=="}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
    ]


def test_t64_marks_become_cache_points_behind_their_parts() -> None:
    mark, hour = CacheMark(), CacheMark(ttl="1h")
    body = body_of(
        asked(
            Text(text="Hi", cache=mark),
            instructions=(
                Turn(role="instruction", parts=(Text(text="Be", cache=hour),)),
            ),
            tools=(Tool(kind="function", name="now", cache=mark),),
        )
    )
    point = {"cachePoint": {"type": "default"}}
    assert body["messages"][0]["content"] == [{"text": "Hi"}, point]
    assert body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == point


def test_t64_a_model_without_a_cache_gets_no_points() -> None:
    body = body_of(asked(Text(text="Hi", cache=CacheMark())), LLAMA)
    assert body["messages"][0]["content"] == [{"text": "Hi"}]
