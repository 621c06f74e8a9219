from __future__ import annotations

import pytest

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    Media,
    OutputFormat,
    Request,
    Sampling,
    State,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from tests.providers.formats.openai_chat.cases import EVERYTHING, encoded, raw

MODEST = Capabilities(
    developer_role=False,
    null_content=False,
    stream_options=False,
    strict_tools=False,
    parallel_tool_calls=False,
    end_user=False,
)
IMAGE = Media(kind="image", source="base64", data="aGk=", media_type="image/png")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
TOOL = Tool(kind="function", name="f", schema=raw({"type": "object"}), strict=True)


def asked(*turns, **fields):
    """Ask by another dialect than chat's."""
    return Request(dialect="anthropic", model="m", turns=turns, **fields)


def said(*parts, role="user", **fields):
    return Turn(role=role, parts=parts, **fields)


def conversation(*turns, caps=EVERYTHING, **fields):
    return encoded(asked(*turns, **fields), caps)[0]["messages"]


def called(call_id, name="f"):
    return ToolCall(id=call_id, name=name, arguments="{}")


def test_t42_strict_is_said_where_it_is_known():
    made = encoded(asked(tools=(TOOL,)))[0]["tools"]
    assert made[0]["function"]["strict"] is True
    body, losses = encoded(asked(tools=(TOOL,)), MODEST)
    assert "strict" not in body["tools"][0]["function"]
    assert losses == ["tools.strict:drop"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="any"), "required"),
        (
            ToolChoice(mode="one", names=("f",)),
            {"type": "function", "function": {"name": "f"}},
        ),
        (
            ToolChoice(mode="one", names=("g",)),
            {"type": "custom", "custom": {"name": "g"}},
        ),
        (
            ToolChoice(mode="subset", names=("f",), is_required=True),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
    ],
)
def test_t44_the_choice_of_tools_is_worded(choice, expected):
    custom = Tool(kind="custom", name="g", format=raw({"type": "text"}))
    body, _ = encoded(asked(tools=(TOOL, custom), tool_choice=choice))
    assert body["tool_choice"] == expected
    assert body["tools"][1]["custom"]["format"] == {"type": "text"}


def test_p9_parallel_calls_are_bound_only_with_tools():
    choice = ToolChoice(parallel=False)
    body, _ = encoded(asked(tools=(TOOL,), tool_choice=choice))
    assert body["parallel_tool_calls"] is False
    assert "tool_choice" not in body
    body, _ = encoded(asked(tool_choice=choice))
    assert "parallel_tool_calls" not in body
    body, losses = encoded(asked(tools=(TOOL,), tool_choice=choice), MODEST)
    assert "parallel_tool_calls" not in body
    assert "parallel_tool_calls:drop" in losses


def test_t74_a_search_of_another_dialect_is_lost_by_name():
    search = Tool(
        kind="server", name="web_search", type="web_search", dialect="responses"
    )
    body, losses = encoded(asked(tools=(search,)))
    assert "tools" not in body
    assert losses == ["tools.web_search:drop"]


def test_t55_the_form_of_the_answer_is_worded():
    schema = raw({"type": "object"})
    output = OutputFormat(kind="schema", name="n", schema=schema, strict=False)
    body, _ = encoded(asked(output=output))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": False},
    }
    body, _ = encoded(asked(output=OutputFormat(kind="json")))
    assert body["response_format"] == {"type": "json_object"}
    enum = OutputFormat(kind="enum", description="d", schema=schema)
    body, _ = encoded(asked(output=enum))
    named = body["response_format"]["json_schema"]
    assert (named["name"], named["description"]) == ("response", "d")
    assert encoded(asked(output=OutputFormat()))[0]["response_format"] == {
        "type": "text"
    }


@pytest.mark.parametrize(
    ("thinking", "word"),
    [
        (Thinking(effort="xhigh"), "xhigh"),
        (Thinking(mode="off"), "none"),
        (Thinking(mode="adaptive"), None),
        (Thinking(mode="adaptive", effort="low"), "low"),
        (Thinking(mode="budget", budget=500), "minimal"),
        (Thinking(mode="budget", budget=9000), "medium"),
        (Thinking(mode="budget", budget=31999), "high"),
    ],
)
def test_t60_how_much_to_reason_is_one_word(thinking, word):
    body, _ = encoded(asked(thinking=thinking))
    assert body.get("reasoning_effort") == word


def test_a_model_that_cannot_be_kept_from_reasoning_does_so_least():
    caps = Capabilities()
    off = Thinking(mode="off")
    assert encoded(asked(thinking=off), caps)[0]["reasoning_effort"] == "minimal"
    caps = Capabilities(effort_levels=("low", "high"))
    few = Thinking(mode="budget", budget=10)
    assert encoded(asked(thinking=few), caps)[0]["reasoning_effort"] == "low"
    caps = Capabilities(thinking="none")
    assert "reasoning_effort" not in encoded(asked(thinking=few), caps)[0]


def test_p69_the_limit_has_the_spelling_the_model_takes():
    caps = Capabilities(max_tokens_field="max_completion_tokens")
    assert encoded(asked(max_output=9), caps)[0]["max_completion_tokens"] == 9
    assert encoded(asked(max_output=9))[0]["max_tokens"] == 9


def test_sampling_is_spelled():
    sampling = Sampling(
        temperature=0.5, repeat_penalty=1.1, stop=("x",), n=2, logit_bias=raw({"1": 2})
    )
    body, _ = encoded(asked(sampling=sampling))
    assert (body["temperature"], body["repetition_penalty"]) == (0.5, 1.1)
    assert (body["stop"], body["n"], body["logit_bias"]) == (["x"], 2, {"1": 2})


def test_p104_usage_is_always_asked_of_a_stream():
    body, losses = encoded(asked(stream=True))
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encoded(asked(stream=True), MODEST)[0]
    refused = frozenset({"stream_options"})
    body, losses = encoded(asked(stream=True), drop=refused)
    assert "stream_options" not in body
    assert losses == []


def test_t65_a_conversation_kept_elsewhere_is_refused():
    for state, param in (
        (State(previous_id="resp_1"), "previous_response_id"),
        (State(conversation="conv_1"), "conversation"),
    ):
        with pytest.raises(FormatError) as caught:
            encoded(asked(state=state))
        assert caught.value.param == param
    state = State(store=True, background=True)
    body, losses = encoded(asked(state=state), MODEST)
    assert "store" not in body
    assert losses == ["background:drop", "store:drop"]
    assert encoded(asked(state=State(store=False)))[0]["store"] is False


def test_what_a_server_does_not_know_is_lost_by_name():
    request = asked(
        verbosity="low", cache_key="k", end_user="u", metadata={"a": "b"},
        service_tier="flex", modalities=("text",), ext={"odd": raw(1)},
    )  # fmt: skip
    body, losses = encoded(request, MODEST)
    assert set(body) == {"model", "messages"}
    assert losses == [
        "verbosity:drop",
        "prompt_cache_key:drop",
        "user:drop",
        "metadata:drop",
        "service_tier:drop",
        "odd:drop",
    ]


def test_what_an_upstream_refuses_is_left_out():
    caps = Capabilities(refuses=("top_p", "model", "seed"))
    sampling = Sampling(top_p=0.5, temperature=0.5)
    drop = frozenset({"temperature", "messages"})
    body, losses = encoded(asked(sampling=sampling), caps, drop=drop)
    assert set(body) == {"model", "messages"}
    assert losses == ["temperature:drop", "top_p:drop"]
