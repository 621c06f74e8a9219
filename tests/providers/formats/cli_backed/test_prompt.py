"""A conversation in plain words."""

from __future__ import annotations

import pytest

from tests.providers.formats.cli_backed.support import CLAUDE, TOOL, Exchange, chat

TALK = [
    {"role": "user", "content": "How is it in Kiel?"},
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {
                "id": "call_9",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Kiel"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_9", "content": "Rain."},
    {"role": "user", "content": "And tomorrow?"},
]


def system(exchange: Exchange) -> str:
    """Return the instructions a program was given."""
    flag = "--system-prompt="
    found = [each for each in exchange.command.arguments if each.startswith(flag)]
    return found[0].removeprefix(flag) if found else ""


def test_every_speaker_is_named_and_results_by_their_calls() -> None:
    text = Exchange(CLAUDE, chat(messages=TALK, tools=[TOOL])).command.stdin
    assert text.splitlines() == [
        "User: How is it in Kiel?",
        "Assistant: I look.",
        '{"tool_calls":[{"id":"call_9","type":"function","function":'
        '{"name":"weather","arguments":"{\\"city\\":\\"Kiel\\"}"}}]}',
        "[Tool Result for call_9]: Rain.",
        "User: And tomorrow?",
    ]


def test_tools_are_described_with_name_words_and_schema() -> None:
    exchange = Exchange(CLAUDE, chat(tools=[TOOL]))
    said = system(exchange)
    assert "## weather\nTell the weather.\n" in said
    assert '"city"' in said
    assert '{"tool_calls":[' in said
    assert exchange.command.tools == ("weather",)


def test_tools_that_must_not_be_called_are_not_described() -> None:
    exchange = Exchange(CLAUDE, chat(tools=[TOOL], tool_choice="none"))
    assert system(exchange) == ""
    assert exchange.command.tools == ()


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_call_that_must_be_made_is_asked_for(choice: object) -> None:
    second = {"type": "function", "function": {"name": "clock"}}
    exchange = Exchange(CLAUDE, chat(tools=[TOOL, second], tool_choice=choice))
    assert "now, not with text" in system(exchange)
    only = choice != "required"
    assert exchange.command.tools == (("weather",) if only else ("weather", "clock"))


def test_one_call_at_a_time_is_asked_for() -> None:
    exchange = Exchange(CLAUDE, chat(tools=[TOOL], parallel_tool_calls=False))
    assert "one tool at a time" in system(exchange)


def test_what_cannot_be_said_is_named() -> None:
    body = chat(temperature=0.2, max_tokens=50, seed=1, stop=["x"])
    losses = " ".join(Exchange(CLAUDE, body).sent.losses)
    for field in ("temperature", "max_tokens", "seed", "stop"):
        assert field in losses


def test_a_schema_is_asked_for_in_words() -> None:
    schema = {"type": "object", "properties": {"depth": {"type": "number"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "d", "schema": schema}}
    exchange = Exchange(CLAUDE, chat(response_format=wanted))
    assert '"depth"' in system(exchange)


def test_neither_prompt_nor_answer_shows_in_a_stray_repr() -> None:
    exchange = Exchange(CLAUDE)
    assert "harbour" not in repr(exchange.command)
