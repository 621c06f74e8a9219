from __future__ import annotations

import pytest

from providers.formats.neutral.types import (
    CacheMark,
    OutputFormat,
    Thinking,
    ToolChoice,
)
from tests.providers.formats.openai_chat.cases import decoded, messages, plain, raw

FUNCTION = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def only_part(part):
    return messages(user(part)).turns[0].parts[0]


def test_t27_the_newer_limit_wins():
    both = decoded(max_tokens=5, max_completion_tokens=9)
    assert (both.max_output, both.max_output_field) == (9, "max_completion_tokens")
    older = decoded(max_tokens=5)
    assert (older.max_output, older.max_output_field) == (5, "max_tokens")
    assert decoded().max_output is None


def test_tools_of_every_shape_become_tools():
    tools = [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "parameters": {"type": "object"},
                "strict": True,
            },
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
        {"type": "function", "name": "h"},
        {"type": "custom", "name": "i", "description": "free"},
        {"type": "mcp", "server_label": "x"},
    ]
    made = decoded(tools=tools, web_search_options={"search_context_size": "low"})
    assert [(tool.kind, tool.name) for tool in made.tools] == [
        ("function", "f"),
        ("custom", "g"),
        ("function", "h"),
        ("custom", "i"),
        ("server", "mcp"),
        ("server", "web_search"),
    ]
    assert made.tools[0].strict is True
    assert made.tools[0].cache == CacheMark()
    assert plain(made.tools[0].schema) == {"type": "object"}
    assert plain(made.tools[1].format) == {"type": "text"}
    assert plain(made.tools[4].payload) == tools[4]


def test_t41_t42_what_a_tool_does_not_say_stays_unsaid():
    tool = decoded(tools=[FUNCTION]).tools[0]
    assert (tool.schema, tool.strict, tool.description) == (None, None, "")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="any")),
        (FUNCTION, ToolChoice(mode="one", names=("f",))),
        (
            {"type": "custom", "custom": {"name": "g"}},
            ToolChoice(mode="one", names=("g",)),
        ),
        ({"type": "function", "name": "f"}, ToolChoice(mode="one", names=("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [FUNCTION]},
            },
            ToolChoice(mode="subset", names=("f",), is_required=True),
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]},
            ToolChoice(mode="subset", names=("f",)),
        ),
    ],
)
def test_t44_the_choice_of_tools_is_read(choice, expected):
    assert decoded(tools=[FUNCTION], tool_choice=choice).tool_choice == expected


def test_t45_parallel_calls_are_part_of_the_choice():
    made = decoded(tools=[FUNCTION], parallel_tool_calls=False)
    assert made.tool_choice == ToolChoice(parallel=False)
    assert decoded().tool_choice is None


def test_t55_the_form_of_the_answer_is_read():
    assert decoded(response_format={"type": "text"}).output == OutputFormat()
    made = decoded(response_format={"type": "json_object"}).output
    assert made == OutputFormat(kind="json")
    schema = {"name": "n", "description": "d", "schema": {"type": "object"}}
    made = decoded(
        response_format={
            "type": "json_schema",
            "json_schema": schema | {"strict": True},
        }
    ).output
    assert (made.kind, made.name, made.description) == ("schema", "n", "d")
    assert made.strict is True
    assert plain(made.schema) == {"type": "object"}
    made = decoded(response_format={"type": "grammar"})
    assert made.output is None
    assert plain(made.ext["response_format"]) == {"type": "grammar"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "high"}, Thinking(effort="high")),
        ({"reasoning_effort": "none"}, Thinking(mode="off", effort="none")),
        ({"reasoning": {"effort": "low", "exclude": True}}, Thinking(effort="low", show="none")),
        ({"reasoning": {"max_tokens": 9}}, Thinking(mode="budget", budget=9)),
        ({"reasoning": {"enabled": False}}, Thinking(mode="off", effort="none")),
        ({"reasoning": {"enabled": True}}, Thinking(mode="adaptive")),
        ({"thinking": {"type": "disabled"}}, Thinking(mode="off", effort="none")),
        ({"thinking": {"type": "enabled"}}, Thinking(mode="adaptive")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            Thinking(mode="budget", budget=9),
        ),
        ({}, None),
    ],
)  # fmt: skip
def test_how_much_to_reason_is_read(fields, expected):
    assert decoded(**fields).thinking == expected


def test_t56_t61_t62_sampling_is_read_as_it_is():
    made = decoded(
        stop=["\n", "END", ""], temperature=1, top_p=0.5, top_k=4, min_p=0.1, n=3,
        seed=7, presence_penalty=1, frequency_penalty=-1, repetition_penalty=1.1,
        logit_bias={"50256": -100}, logprobs=True, top_logprobs=2,
    ).sampling  # fmt: skip
    assert made.stop == ("\n", "END", "")
    assert (made.temperature, made.top_p, made.top_k, made.n) == (1.0, 0.5, 4, 3)
    assert (made.repeat_penalty, made.seed, made.top_logprobs) == (1.1, 7, 2)
    assert plain(made.logit_bias) == {"50256": -100}
    assert decoded(stop="x").sampling.stop == ("x",)


def test_what_surrounds_the_conversation_is_read():
    made = decoded(
        user="u", safety_identifier="s", metadata={"a": "b", "c": 1}, store=True,
        service_tier="flex", verbosity="low", prompt_cache_key="k",
        modalities=["text", "audio"], cache_control={"type": "ephemeral"},
    )  # fmt: skip
    assert (made.end_user, made.service_tier, made.verbosity) == ("s", "flex", "low")
    assert made.metadata == {"a": "b", "c": "1"}
    assert (made.cache_key, made.cache) == ("k", CacheMark())
    assert made.modalities == ("text", "audio")
    assert made.state.store is True
    assert made.ext == {}
    assert decoded(user="u").end_user == "u"


def test_unknown_fields_are_kept_and_nulls_are_not():
    made = decoded(brand_new={"a": [1]}, prediction=None, audio={"voice": "x"})
    assert made.ext == {"brand_new": raw({"a": [1]}), "audio": raw({"voice": "x"})}
