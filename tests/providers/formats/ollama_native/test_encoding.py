from __future__ import annotations

import json

import msgspec
import pytest

from providers.formats.base import FormatError, Target
from providers.formats.neutral.types import (
    EFFORTS,
    Media,
    OutputFormat,
    Request,
    Sampling,
    State,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.ollama_native.support import (
    CODEC,
    encoded,
)

PNG = "iVBORw0KGgoAAAANSUhEUg=="
USER = Turn(role="user", parts=(Text(text="Hi"),))


def request(**fields):
    return Request(**({"dialect": "openai", "model": "m", "turns": (USER,)} | fields))


def test_t53_a_request_from_another_dialect_is_spelt_as_ollama_wants_it():
    body, losses = encoded(
        request(
            turns=(
                Turn(
                    role="user",
                    parts=(
                        Text(text="Look"),
                        Media(kind="image", source="base64", data=PNG),
                    ),
                ),
                Turn(
                    role="assistant",
                    parts=(
                        ToolCall(name="f", arguments='{"n":1.50}', id="call_1"),
                        ToolCall(name="g", arguments="", id="call_2"),
                    ),
                ),
                Turn(
                    role="tool",
                    parts=(
                        ToolResult(call_id="call_1", content=(Text(text="sun"),)),
                        ToolResult(call_id="call_2", is_error=True),
                    ),
                ),
            )
        )
    )
    user, assistant, first, second = body["messages"]
    assert user == {"role": "user", "content": "Look", "images": [PNG]}
    assert assistant["tool_calls"] == [
        {"id": "call_1", "function": {"name": "f", "arguments": {"n": 1.5}}},
        {"id": "call_2", "function": {"name": "g", "arguments": {}}},
    ]
    assert first == {
        "role": "tool",
        "content": "sun",
        "tool_name": "f",
        "tool_call_id": "call_1",
    }
    assert second["tool_name"] == "g"
    assert second["content"] == "Error: "
    assert losses == []


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        ('{"a":1}', "function", {"a": 1}),
        ("", "function", {}),
        ('"{\\"a\\":1}"', "function", {"a": 1}),
        ("{broken", "function", {"_raw": "{broken"}),
        ("[1]", "function", {"_raw": "[1]"}),
        ("free text", "custom", {"input": "free text"}),
    ],
)
def test_p45_t54_arguments_are_always_an_object(arguments, kind, expected):
    call = ToolCall(name="f", arguments=arguments, kind=kind)
    body, _ = encoded(request(turns=(Turn(role="assistant", parts=(call,)),)))
    assert body["messages"][0]["tool_calls"][0]["function"]["arguments"] == expected


def test_numbers_keep_their_precision():
    call = ToolCall(name="f", arguments='{"n": 12345678901234567890.10}')
    turn = Turn(role="assistant", parts=(call,))
    sent = CODEC.encode_request(request(turns=(turn,)), Target(model="m"), None)
    assert b'{"n": 12345678901234567890.10}' in sent.body


def test_options_and_output_are_spelt():
    schema = b'{"type":"object","properties":{"b":{},"a":{}}}'
    body, losses = encoded(
        request(
            sampling=Sampling(temperature=0.5, top_k=4, seed=1, stop=("END",), n=2),
            max_output=99,
            output=OutputFormat(kind="schema", schema=msgspec.Raw(schema), name="x"),
            thinking=Thinking(mode="effort", effort="xhigh"),
            stream=True,
        )
    )
    assert body["options"] == {
        "temperature": 0.5,
        "top_k": 4,
        "seed": 1,
        "stop": ["END"],
        "num_predict": 99,
    }
    assert body["format"] == json.loads(schema)
    assert body["think"] == "max"
    assert body["stream"] is True
    assert losses == ["n:drop"]
    assert encoded(request(output=OutputFormat(kind="json")))[0]["format"] == "json"


@pytest.mark.parametrize(
    ("thinking", "word"),
    [
        (Thinking(mode="off"), False),
        (Thinking(mode="adaptive"), True),
        (Thinking(mode="budget", budget=1024), "low"),
        (Thinking(mode="budget", budget=8192), "medium"),
        (Thinking(mode="budget", budget=16_000), "high"),
        (Thinking(mode="budget", budget=32_000), "max"),
        (Thinking(mode="effort"), True),
        *(
            (Thinking(mode="effort", effort=effort), word)
            for effort, word in zip(
                EFFORTS,
                (False, "low", "low", "medium", "high", "max", "max"),
                strict=True,
            )
        ),
    ],
)
def test_t59_thinking_is_yes_no_or_a_level(thinking, word):
    assert encoded(request(thinking=thinking))[0]["think"] == word


def test_t44_what_a_choice_of_tools_can_say():
    tools = (Tool(kind="function", name="f"), Tool(kind="function", name="g"))

    def sent(**choice):
        body, losses = encoded(
            request(tools=tools, tool_choice=ToolChoice(**choice)),
        )
        return [t["function"]["name"] for t in body.get("tools", ())], losses

    assert sent(mode="auto") == (["f", "g"], [])
    assert sent(mode="none") == ([], [])
    assert sent(mode="any") == (["f", "g"], ["tool_choice:drop"])
    assert sent(mode="one", names=("f",)) == (["f", "g"], ["tool_choice:drop"])
    assert sent(mode="subset", names=("g",)) == (["g"], [])
    assert sent(parallel=False)[1] == ["parallel_tool_calls:drop"]


def test_tools_are_functions_with_a_schema():
    body, losses = encoded(
        request(
            tools=(
                Tool(kind="function", name="f", description="d", strict=True),
                Tool(kind="server", name="s", type="web_search"),
            )
        )
    )
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "d",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]
    assert losses == ["tools.web_search:drop", "tools.strict:drop"]


def test_what_has_no_word_here_is_named():
    body, losses = encoded(
        request(
            end_user="u",
            metadata={"a": "b"},
            service_tier="flex",
            verbosity="low",
            cache_key="k",
            modalities=("text", "audio"),
            state=State(store=True, background=True),
            ext={"prediction": msgspec.Raw(b"{}")},
        )
    )
    assert set(losses) == {
        f"{name}:drop"
        for name in (
            "user",
            "metadata",
            "service_tier",
            "verbosity",
            "prompt_cache_key",
            "modalities",
            "store",
            "background",
            "prediction",
        )
    }
    assert set(body) == {"model", "messages", "stream"}


def test_a_field_the_upstream_was_learned_to_refuse_is_left_out():
    target = Target(model="m", drop=frozenset({"think", "tools"}))
    body, losses = encoded(request(thinking=Thinking(mode="adaptive")), target)
    assert "think" not in body
    assert losses == ["think:drop"]


@pytest.mark.parametrize("field", ["previous_id", "conversation"])
def test_t65_kept_conversations_are_refused(field):
    with pytest.raises(FormatError):
        encoded(request(state=State(**{field: "x"})))


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="image", source="url", data="https://x/y.png"),
        Media(kind="document", source="base64", data="JVBERi0="),
        Media(kind="audio", source="base64", data="UklGRg=="),
    ],
)
def test_files_nobody_could_see_are_refused(media):
    with pytest.raises(FormatError) as refused:
        encoded(request(turns=(Turn(role="user", parts=(media,)),)))
    assert refused.value.param == "messages"


def test_odd_parts_are_folded_or_named():
    body, losses = encoded(
        request(
            turns=(
                Turn(
                    role="user",
                    parts=(
                        Media(kind="document", source="text", data="a,b", title="T"),
                        Unknown(dialect="x", type="widget", payload=msgspec.Raw(b"1")),
                    ),
                ),
                Turn(
                    role="tool",
                    parts=(ToolResult(name="f", json=msgspec.Raw(b'{"a":1}')),),
                ),
            )
        )
    )
    assert body["messages"][0]["content"] == "T\na,b"
    assert body["messages"][1]["content"] == '{"a":1}'
    assert losses == ["widget:drop"]
