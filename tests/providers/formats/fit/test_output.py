from __future__ import annotations

import msgspec
import pytest

from providers.formats.neutral.types import OutputFormat, Thinking, ToolChoice
from tests.providers.formats.fit.made import fitted, raw, request, tool, words

SCHEMA = raw(
    {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "additionalProperties": False,
    }
)
ASKED = OutputFormat(kind="schema", name="answer", schema=SCHEMA, strict=True)


@pytest.mark.parametrize(
    ("to", "model"),
    [
        ("anthropic", "claude-opus-4-7"),
        ("anthropic", "claude-haiku-4-5"),
        ("google", ""),
        ("ollama", ""),
        ("responses", ""),
        ("openai", ""),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
    ids=lambda each: f"t55-{each}",
)
def test_a_schema_is_asked_for_natively(to, model):
    done = fitted(request(output=ASKED), to, model)
    assert done.request.output == ASKED
    assert done.json_tool == ""
    assert not done.losses


@pytest.mark.parametrize(
    ("to", "model"), [("anthropic", "claude-sonnet-4"), ("bedrock", "")]
)
def test_t55_older_claude_must_call_a_tool_that_stands_for_the_answer(to, model):
    done = fitted(request(output=ASKED), to, model)
    (made,) = done.request.tools
    assert done.json_tool == made.name == "json_output"
    assert made.schema == SCHEMA
    assert done.request.output is None
    choice = done.request.tool_choice
    assert (choice.mode, choice.names) == ("one", ("json_output",))
    assert words(done) == {"response_format:emulate"}


def test_t55_beside_other_tools_one_of_them_must_be_called():
    asked = request(output=ASKED, tools=(tool("json_output"),))
    done = fitted(asked, "anthropic", "claude-sonnet-4")
    assert done.json_tool == "json_output_"
    assert done.request.tool_choice.mode == "any"


@pytest.mark.parametrize(
    "more",
    [
        {"thinking": Thinking(mode="effort", effort="low")},
        {
            "tools": (tool(),),
            "tool_choice": ToolChoice(mode="one", names=("look",)),
        },
        {"output": OutputFormat(kind="json")},
        {"output": OutputFormat(kind="schema", schema=raw({"enum": ["a"]}))},
        {"output": OutputFormat(kind="schema", schema=msgspec.Raw(b"{"))},
        {"output": OutputFormat(kind="enum", schema=raw({"enum": ["a"]}))},
    ],
    ids=["thinking", "forced", "any-json", "no-object", "no-json", "enum"],
)
def test_where_no_tool_can_be_forced_words_ask_for_it(more):
    done = fitted(request(**{"output": ASKED, **more}), model="claude-sonnet-4")
    assert done.json_tool == ""
    assert done.request.output is None
    asked = done.request.instructions[-1].parts[0].text
    schema = more.get("output", ASKED).schema
    assert asked.startswith("Answer with one JSON value")
    assert schema is None or bytes(schema).decode() in asked
    assert "response_format:emulate" in words(done)


def test_p53_older_gemini_is_asked_in_words_beside_functions():
    asked = request(output=ASKED, tools=(tool(),))
    done = fitted(asked, "google")
    assert done.request.output is None
    assert done.request.instructions
    assert fitted(asked, "google", "gemini-3-pro-preview").request.output == ASKED


def test_plain_text_is_no_format():
    done = fitted(request(output=OutputFormat(kind="text")), "openai")
    assert done.request.output is None
    loose = fitted(request(output=OutputFormat(kind="schema")), "openai")
    assert loose.request.output == OutputFormat(kind="json")


def test_a_refused_response_format_is_asked_for_in_words():
    done = fitted(request(output=ASKED), "openai", drop=frozenset({"response_format"}))
    assert done.request.output is None
    assert msgspec.to_builtins(done.request.instructions)
