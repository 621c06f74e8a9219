"""Codex as an upstream: how it is asked and what it prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.formats.cli_backed.support import (
    CODEX,
    LINES,
    TOOL,
    Exchange,
    chat,
    lines,
)

FAILED = {"type": "turn.failed", "error": {"message": "stream disconnected"}}
ERROR = {"type": "error", "message": "Reconnecting... 1/5"}
TEXT = LINES[4]


def test_it_is_asked_to_read_only_and_for_json_lines() -> None:
    command = Exchange(CODEX).command
    assert command.program == "codex"
    flags = " ".join(command.arguments)
    assert flags == (
        "exec --json --sandbox read-only --skip-git-repo-check --color never "
        "-c features.shell_tool=false -c features.unified_exec=false "
        "-c features.view_image=false --model=m -"
    )


def test_it_has_tools_of_its_own_only_where_it_has_a_workspace() -> None:
    options = {"workspace": "/srv/work"}
    assert "-c" not in Exchange(CODEX, options=options).command.arguments


def test_its_own_model_id_leaves_the_choice_to_the_program() -> None:
    arguments = Exchange(CODEX, model="codex-cli").command.arguments
    assert not [each for each in arguments if each.startswith("--model")]


def test_instructions_stand_in_the_prompt() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    command = Exchange(CODEX, chat(messages=messages)).command
    assert command.stdin == "# System Instructions\n\nBe brief.\n\n# Task\n\nHi"


def test_several_messages_are_joined_by_lines() -> None:
    exchange = Exchange(CODEX)
    assert exchange.message(lines(*LINES))["content"] == "The harbour\nis calm."
    assert exchange.read(lines(*LINES)).response_id == "0199-a"


def test_thoughts_come_back_as_reasoning() -> None:
    message = Exchange(CODEX).message(lines(*LINES))
    assert message["reasoning_content"] == "Think of water."


def test_cached_tokens_are_a_part_of_the_input_and_counted_once() -> None:
    usage = Exchange(CODEX).read(lines(*LINES)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens) == (300, 600)
    assert usage.prompt_tokens == 900
    assert usage.output_tokens == 40


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input_tokens": 5, "cached_input_tokens": 9, "output_tokens": 1}, (0, 5, 1)),
        ({"input_tokens": 5, "output_tokens": "x"}, (5, None, None)),
        ({"output_tokens": 2, "reasoning_output_tokens": 7}, (None, None, 2)),
    ],
)
def test_odd_counters_never_become_negative(
    told: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    done = {"type": "turn.completed", "usage": told}
    meta = Exchange(CODEX).read(lines(TEXT, done))
    usage = meta.usage
    assert usage is not None
    counted = (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens)
    assert counted == expected
    assert (usage.reasoning_tokens or 0) <= (usage.output_tokens or 0)


def test_tokens_written_to_the_cache_are_a_part_of_the_input_too() -> None:
    told = {
        "input_tokens": 100,
        "cached_input_tokens": 60,
        "cache_write_input_tokens": 30,
        "output_tokens": 5,
    }
    done = {"type": "turn.completed", "usage": told}
    usage = Exchange(CODEX).read(lines(TEXT, done)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_write_tokens) == (10, 30)
    assert usage.prompt_tokens == 100


@pytest.mark.parametrize("told", [None, [], {}, {"input_tokens": -1}, "many"])
def test_usage_that_is_none_is_not_reported(told: Any) -> None:
    done = {"type": "turn.completed", "usage": told}
    meta = Exchange(CODEX).read(lines(TEXT, done))
    assert meta.error is None
    assert meta.usage is None


def test_lines_that_cannot_be_read_are_passed_over() -> None:
    text = "hello\n{broken\n[1]\n" + lines({"type": "later"}, {"item": 1}, *LINES)
    assert Exchange(CODEX).message(text)["content"] == "The harbour\nis calm."


def test_a_completed_turn_counts_whatever_the_status() -> None:
    assert Exchange(CODEX).read(lines(*LINES), exit=1, stderr="x").error is None


def test_complaints_on_the_way_to_an_answer_do_not_count() -> None:
    assert Exchange(CODEX).read(lines(ERROR, *LINES)).error is None


def test_text_with_a_good_status_is_an_answer() -> None:
    assert Exchange(CODEX).read(lines(TEXT)).error is None


def test_text_of_a_turn_that_broke_off_is_no_answer() -> None:
    assert Exchange(CODEX).read(lines(TEXT), exit=-15).error is not None
    error = Exchange(CODEX).read(lines(TEXT, FAILED)).error
    assert error is not None
    assert error.message == "stream disconnected"


def test_a_failed_turn_is_told_in_its_own_words() -> None:
    error = Exchange(CODEX).read(lines(ERROR, FAILED), exit=1, stderr="noise").error
    assert error is not None
    assert error.message == "stream disconnected"


def test_an_error_without_an_answer_is_told() -> None:
    limit = {"type": "error", "message": "You've hit your usage limit."}
    error = Exchange(CODEX).read(lines(limit), exit=1).error
    assert error is not None
    assert (error.status, error.code) == (429, "rate_limit_exceeded")


def test_nothing_at_all_is_told_with_what_stands_on_standard_error() -> None:
    error = Exchange(CODEX).read("", exit=1, stderr="Not logged in").error
    assert error is not None
    assert error.status == 401
    assert "Not logged in" in error.message


def test_silence_is_no_answer() -> None:
    done = {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 0}}
    meta = Exchange(CODEX).read(lines(done))
    assert meta.error is not None
    assert meta.usage is not None


def test_tool_calls_are_taken_out_of_the_text() -> None:
    called = {"tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]}
    item = {"type": "agent_message", "text": f"I look.\n{json.dumps(called)}"}
    exchange = Exchange(CODEX, chat(tools=[TOOL]))
    said = lines({"type": "item.completed", "item": item})
    message = exchange.message(said)
    assert message["content"] == "I look."
    assert message["tool_calls"][0]["function"]["name"] == "weather"
