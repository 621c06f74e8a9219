from __future__ import annotations

import msgspec
import pytest

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    CacheMark,
    Citation,
    Loss,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
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
from tests.providers.formats.openai_responses.rs import (
    CODEC,
    losses,
    neutral,
    worded,
)

USER = Turn(role="user", parts=(Text(text="Hi"),))
SCHEMA = msgspec.Raw(b'{"type":"object"}')
OWN = Opaque(family="openai", slot="encrypted", data="gA", scope="account-a")


def chat(**fields):
    """Return a request another dialect's client made."""
    return Request(**{"dialect": "openai", "model": "m", "turns": (USER,)} | fields)


def said(*parts, **fields):
    return chat(turns=(USER, Turn(role="assistant", parts=parts, **fields)))


def item_of(*parts, **fields):
    return worded(said(*parts, **fields))["input"][1:]


def test_a_request_of_ours_keeps_nothing_and_asks_for_proof():
    body = worded(chat(stream=True))
    assert body["model"] == "gpt-5.5"
    assert body["store"] is False
    assert body["stream"] is True
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
        }
    ]


@pytest.mark.parametrize(
    ("strict", "sent"), [(None, False), (False, False), (True, True)]
)
def test_t42_p52_strictness_is_said_in_so_many_words(strict, sent):
    tool = Tool(
        kind="function", name="f", description="d", schema=SCHEMA, strict=strict
    )
    (made,) = worded(chat(tools=(tool,)))["tools"]
    assert made == {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": {"type": "object"},
        "strict": sent,
    }


def test_a_function_without_parameters_gets_an_empty_schema():
    (made,) = worded(chat(tools=(Tool(kind="function", name="f"),)))["tools"]
    assert made["parameters"] == {"type": "object", "properties": {}}


def test_t70_p17_what_the_model_said_is_output_text():
    cited = Text(text="abc", citations=(Citation(url="u", title="t", start=0, end=1),))
    (item,) = item_of(cited, Refusal(text="No."), phase="final_answer", id="msg_1")
    assert item["role"] == "assistant"
    assert item["phase"] == "final_answer"
    assert "id" not in item
    assert item["content"][0]["type"] == "output_text"
    assert item["content"][0]["annotations"][0]["url"] == "u"
    assert item["content"][1] == {"type": "refusal", "refusal": "No."}


def test_leading_instructions_go_into_their_field_and_the_others_in_place():
    def instruction(text, authority="system"):
        parts = (Text(text=text),)
        return Turn(role="instruction", parts=parts, authority=authority)

    asked = chat(
        instructions=(instruction("One"), instruction("Two", "developer")),
        turns=(USER, instruction("Three")),
    )
    body = worded(asked)
    assert body["instructions"] == "One"
    assert [item["role"] for item in body["input"]] == ["developer", "user", "system"]
    older = worded(asked, caps=Capabilities(developer_role=False))
    assert older["input"][0]["role"] == "system"
    assert "instructions" not in worded(
        chat(instructions=(instruction("a", "developer"),))
    )


def test_p60_reasoning_goes_back_with_its_proof_and_its_ids():
    thought = Reasoning(text="a", kind="summary", opaque=(OWN,), item_id="rs_1")
    call = ToolCall(name="f", id="c", arguments="", item_id="fc_1", namespace="ns")
    asked = said(thought, Text(text="b"), call, id="msg_1")
    items = worded(asked, scope="account-a")["input"][1:]
    assert items[0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "encrypted_content": "gA",
    }
    assert items[1]["id"] == "msg_1"
    assert items[2] == {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "f",
        "namespace": "ns",
        "arguments": "{}",
    }


@pytest.mark.parametrize(
    "opaque",
    [
        msgspec.structs.replace(OWN, scope="account-b"),
        msgspec.structs.replace(OWN, family="anthropic"),
        msgspec.structs.replace(OWN, slot="signature"),
    ],
)
def test_t69_foreign_proof_is_dropped_with_the_ids_that_lean_on_it(opaque):
    thought = Reasoning(text="a", opaque=(opaque,), item_id="rs_1")
    asked = said(thought, ToolCall(name="f", id="c", item_id="fc_1"), id="msg_1")
    (item,) = worded(asked, scope="account-a")["input"][1:]
    assert item["type"] == "function_call"
    assert "id" not in item
    assert losses(asked, scope="account-a") == ["reasoning:drop"]


def test_ids_stay_away_where_an_upstream_takes_none():
    asked = said(Reasoning(opaque=(OWN,), item_id="rs_1"))
    items = worded(asked, caps=Capabilities(), scope="account-a")["input"]
    assert "id" not in items[1]


def test_open_weight_servers_get_their_reasoning_as_text():
    asked = said(Reasoning(text="a"))
    caps = Capabilities(replays_reasoning_content=True)
    assert worded(asked, caps=caps)["input"][1] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "a"}],
    }


def test_freeform_calls_and_their_results_keep_their_kind():
    result = ToolResult(call_id="c", kind="custom", content=(Text(text="ok"),))
    asked = chat(
        turns=(
            USER,
            Turn(
                role="assistant",
                parts=(ToolCall(name="t", id="c", kind="custom", arguments="raw"),),
            ),
            Turn(role="tool", parts=(result,)),
        )
    )
    items = worded(asked)["input"][1:]
    assert items[0]["type"] == "custom_tool_call"
    assert items[0]["input"] == "raw"
    assert items[1] == {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": "ok",
    }


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult(call_id="c"), ""),
        (ToolResult(call_id="c", content=(Text(text="a"),)), "a"),
        (
            ToolResult(call_id="c", content=(Text(text="a"), Text(text="b"))),
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        ),
        (ToolResult(call_id="c", json=msgspec.Raw(b'{"a":1}')), '{"a":1}'),
        (
            ToolResult(
                call_id="c",
                content=(
                    Text(text="a"),
                    Media(kind="image", source="base64", data="iVBO"),
                ),
            ),
            [
                {"type": "input_text", "text": "a"},
                {
                    "type": "input_image",
                    "detail": "auto",
                    "image_url": "data:image/png;base64,iVBO",
                },
            ],
        ),
    ],
)
def test_p49_results_are_text_or_parts(result, output):
    asked = chat(turns=(USER, Turn(role="tool", parts=(result,))))
    assert worded(asked)["input"][1]["output"] == output


def test_a_failed_result_says_so_in_the_losses():
    result = ToolResult(call_id="c", is_error=True)
    assert losses(chat(turns=(Turn(role="tool", parts=(result,)),))) == [
        "is_error:drop"
    ]


def test_every_kind_of_media_has_its_part():
    media = [
        Media(kind="image", source="url", data="https://a.example/b.png", detail="low"),
        Media(kind="image", source="file_id", data="file-1"),
        Media(kind="document", source="base64", data="JVBE"),
        Media(kind="document", source="url", data="https://a.example/b.pdf"),
        Media(kind="document", source="file_id", data="file-2"),
        Media(kind="document", source="text", data="words", name="a.txt"),
        Media(kind="audio", source="base64", data="AA", media_type="audio/mpeg"),
    ]
    asked = chat(turns=(Turn(role="user", parts=tuple(media)),))
    content = worded(asked)["input"][0]["content"]
    assert content == [
        {
            "type": "input_image",
            "detail": "low",
            "image_url": "https://a.example/b.png",
        },
        {"type": "input_image", "detail": "auto", "file_id": "file-1"},
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,JVBE",
        },
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_text", "text": "a.txt\n\nwords"},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
    ]


def test_what_has_no_word_is_a_loss():
    parts = (
        Media(kind="video", source="url", data="v"),
        Media(kind="image", source="gs", data="gs://a"),
        Media(kind="document", source="s3", data="s3://a"),
        Unknown(dialect="anthropic", type="x", payload=SCHEMA),
        Refusal(text="No."),
    )
    asked = chat(
        turns=(
            Turn(role="user", parts=parts),
            Turn(
                role="assistant",
                parts=(
                    Media(kind="image", source="base64", data="iVBO"),
                    ToolCall(name="search", kind="server"),
                ),
            ),
        )
    )
    assert losses(asked) == [
        "video:drop",
        "image:drop",
        "document:drop",
        "x:drop",
        "image:drop",
        "search:drop",
    ]


def test_marks_of_a_cached_prefix_are_breakpoints():
    part = Text(text="a", cache=CacheMark())
    asked = chat(
        instructions=(Turn(role="instruction", parts=(part,)),),
        turns=(Turn(role="user", parts=(part,)),),
    )
    body = worded(asked)
    assert "instructions" not in body
    mark = {"mode": "explicit"}
    assert body["input"][0]["content"][0]["prompt_cache_breakpoint"] == mark
    assert body["input"][1]["content"][0]["prompt_cache_breakpoint"] == mark


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="any"), "required"),
        (ToolChoice(mode="one", names=("f",)), {"type": "function", "name": "f"}),
        (ToolChoice(mode="one", names=("t",)), {"type": "custom", "name": "t"}),
        (
            ToolChoice(mode="one", names=("docs",)),
            {"type": "mcp", "server_label": "docs"},
        ),
        (ToolChoice(mode="one", names=("web_search",)), {"type": "web_search"}),
        (
            ToolChoice(mode="subset", names=("f",), is_required=True),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
        (
            ToolChoice(mode="subset", names=("f",)),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
    ],
)
def test_t44_every_choice_of_a_tool_is_worded(choice, expected):
    tools = (
        Tool(kind="function", name="f"),
        Tool(kind="custom", name="t", format=SCHEMA),
        Tool(
            kind="server", name="docs", type="mcp", dialect="responses", payload=SCHEMA
        ),
        Tool(kind="server", name="web_search", type="web_search_20250305"),
    )
    assert worded(chat(tools=tools, tool_choice=choice))["tool_choice"] == expected


def test_parallel_calls_are_only_spoken_of_beside_tools():
    choice = ToolChoice(parallel=False)
    tool = Tool(kind="function", name="f")
    body = worded(chat(tools=(tool,), tool_choice=choice))
    assert body["parallel_tool_calls"] is False
    assert not worded(chat(tool_choice=choice)).keys() & {"tools", "tool_choice"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web_search_20250305", "web_search"),
        ("googleSearch", "web_search"),
        ("code_execution_20250825", "code_interpreter"),
        ("codeExecution", "code_interpreter"),
    ],
)
def test_t74_other_vendors_hosted_tools_find_their_like(name, expected):
    tool = Tool(kind="server", name=name, type=name, dialect="other")
    assert worded(chat(tools=(tool,)))["tools"][0]["type"] == expected


def test_hosted_tools_without_their_like_are_a_loss():
    tool = Tool(kind="server", name="urlContext", type="urlContext", dialect="google")
    assert losses(chat(tools=(tool,))) == ["urlContext:drop"]


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (Thinking(mode="off"), {"effort": "none"}),
        (
            Thinking(effort="high", show="full"),
            {"effort": "high", "summary": "detailed"},
        ),
        (Thinking(effort="low", show="none"), {"effort": "low"}),
        (Thinking(mode="adaptive", show="auto"), {"summary": "auto"}),
        (Thinking(mode="budget", budget=4096), {"effort": "low"}),
        (Thinking(mode="budget", budget=12_000), {"effort": "medium"}),
        (Thinking(mode="budget", budget=24_576), {"effort": "high"}),
        (Thinking(mode="budget", budget=31_999), {"effort": "xhigh"}),
    ],
)
def test_t59_t60_reasoning_is_an_effort(thinking, expected):
    assert worded(chat(thinking=thinking))["reasoning"] == expected


def test_t55_p54_the_schema_lies_flat():
    output = OutputFormat(
        kind="schema", name="n", description="d", schema=SCHEMA, strict=True
    )
    body = worded(chat(output=output, verbosity="low"))
    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "n",
            "description": "d",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    }
    made = worded(chat(output=OutputFormat(kind="json")))["text"]["format"]
    assert made == {"type": "json_object"}
    made = worded(chat(output=OutputFormat(kind="schema", schema=SCHEMA)))["text"]
    assert made["format"]["name"] == "answer"
    assert worded(chat(output=OutputFormat()))["text"] == {"format": {"type": "text"}}


def test_the_smallest_output_is_sixteen():
    asked = chat(max_output=5, max_output_field="max_tokens")
    assert worded(asked)["max_output_tokens"] == 16
    assert losses(asked) == ["max_tokens:clamp"]
    assert losses(chat(max_output=16)) == []


def test_t62_what_bounds_sampling_elsewhere_is_a_loss():
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        seed=1,
        presence_penalty=0.1,
        stop=("END",),
        n=2,
        logprobs=True,
        top_logprobs=3,
    )
    asked = chat(sampling=sampling)
    body = worded(asked)
    assert (body["temperature"], body["top_p"], body["top_logprobs"]) == (0.5, 0.9, 3)
    assert "message.output_text.logprobs" in body["include"]
    assert losses(asked) == [
        "top_k:drop",
        "presence_penalty:drop",
        "seed:drop",
        "stop:drop",
        "n:drop",
    ]


def test_who_asks_and_for_what_tier():
    body = worded(
        chat(
            end_user="u",
            metadata={"a": "b"},
            cache_key="k",
            service_tier="standard_only",
        )
    )
    assert body["safety_identifier"] == "u"
    assert body["metadata"] == {"a": "b"}
    assert body["prompt_cache_key"] == "k"
    assert body["service_tier"] == "default"


def test_what_an_upstream_refuses_is_taken_out_and_named():
    asked = chat(service_tier="flex", sampling=Sampling(temperature=1.0))
    caps = Capabilities(refuses=("temperature", "unheard_of"))
    body = worded(asked, caps=caps, drop=frozenset({"service_tier"}))
    assert not body.keys() & {"temperature", "service_tier"}
    encoded = CODEC.encode_request(
        asked, Target(model="m", drop=frozenset({"service_tier"})), caps
    )
    assert encoded.losses == (Loss(field="service_tier"), Loss(field="temperature"))
    assert (encoded.path, encoded.is_stream) == ("/responses", False)


def test_fields_of_the_clients_own_dialect_go_on():
    asked = neutral(
        truncation="auto",
        reasoning={"effort": "low", "context": "all_turns"},
        store=True,
        background=True,
    )
    body = worded(asked)
    assert body["truncation"] == "auto"
    assert body["reasoning"] == {"context": "all_turns", "effort": "low"}
    assert (body["store"], body["background"]) == (True, True)
    assert "include" not in body
    foreign = chat(ext={"response_format": SCHEMA})
    assert "response_format" not in worded(foreign)


def test_namespaces_are_one_entry_each():
    namespace = {
        "type": "namespace",
        "name": "mcp",
        "description": "Of a server",
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": None,
                "defer_loading": True,
            },
            {"type": "custom", "name": "t"},
        ],
    }
    assert worded(neutral(tools=[namespace]))["tools"] == [namespace]
    bare = Tool(kind="function", name="f", namespace="ns")
    (made,) = worded(chat(tools=(bare,)))["tools"]
    assert (made["type"], made["name"]) == ("namespace", "ns")
    assert made["tools"][0]["name"] == "f"
