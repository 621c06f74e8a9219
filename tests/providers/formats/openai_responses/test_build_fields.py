from __future__ import annotations

import msgspec
import pytest

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    CacheMark,
    Loss,
    OutputFormat,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)
from tests.providers.formats.openai_responses.rs import (
    CODEC,
    losses,
    neutral,
    worded,
)

USER = Turn(role="user", parts=(Text(text="Hi"),))
SCHEMA = msgspec.Raw(b'{"type":"object"}')


def chat(**fields):
    """Return a request another dialect's client made."""
    return Request(**{"dialect": "openai", "model": "m", "turns": (USER,)} | fields)


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
