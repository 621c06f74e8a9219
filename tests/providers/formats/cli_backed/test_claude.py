"""Claude Code as an upstream: how it is asked and what it prints."""

from __future__ import annotations

import json

import pytest

from tests.providers.formats.cli_backed.support import (
    CLAUDE,
    RESULT,
    TOOL,
    Exchange,
    chat,
    result,
)


def test_it_is_asked_to_plan_only_and_for_one_json_object() -> None:
    command = Exchange(CLAUDE).command
    assert command.program == "claude"
    flags = " ".join(command.arguments)
    assert (
        flags
        == "-p --output-format json --permission-mode plan --no-chrome --tools= --model=m"
    )
    assert "dangerously" not in flags


def test_it_has_tools_of_its_own_only_where_it_has_a_workspace() -> None:
    options = {"workspace": "/srv/work"}
    assert "--tools=" not in Exchange(CLAUDE, options=options).command.arguments


def test_its_own_model_id_leaves_the_choice_to_the_program() -> None:
    arguments = Exchange(CLAUDE, model="claude-code").command.arguments
    assert not [each for each in arguments if each.startswith("--model")]


def test_one_message_is_sent_bare_and_instructions_by_flag() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    command = Exchange(CLAUDE, chat(messages=messages)).command
    assert command.stdin == "Hi"
    assert "--system-prompt=Be brief." in command.arguments


def test_instructions_that_look_like_a_flag_stay_instructions() -> None:
    evil = "--dangerously-skip-permissions"
    messages = [
        {"role": "system", "content": evil},
        {"role": "user", "content": "Hi"},
    ]
    arguments = Exchange(CLAUDE, chat(messages=messages), model=evil).command.arguments
    assert evil not in arguments
    assert arguments[-2:] == (f"--system-prompt={evil}", f"--model={evil}")


def test_instructions_too_long_for_an_argument_go_in_with_the_prompt() -> None:
    long = "a" * 200_000
    messages = [
        {"role": "system", "content": long},
        {"role": "user", "content": "Hi"},
    ]
    command = Exchange(CLAUDE, chat(messages=messages)).command
    assert max(map(len, command.arguments)) < 1000
    assert command.stdin == f"System: {long}\n\nUser: Hi"


def test_a_null_character_reaches_no_argument() -> None:
    messages = [
        {"role": "system", "content": "a\0b"},
        {"role": "user", "content": "c\0d"},
    ]
    command = Exchange(CLAUDE, chat(messages=messages)).command
    assert "--system-prompt=ab" in command.arguments
    assert command.stdin == "cd"


def test_the_result_is_the_answer_and_the_session_its_id() -> None:
    meta = Exchange(CLAUDE).read(result())
    answer = json.loads(meta.body)
    assert answer["choices"][0]["message"]["content"] == RESULT["result"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert meta.response_id == "5d2f1c3e"


def test_usage_counts_the_cache_apart_and_the_cost_is_the_vendors() -> None:
    meta = Exchange(CLAUDE).read(result())
    usage = meta.usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens) == (12, 4000)
    assert (usage.cache_write_tokens, usage.output_tokens) == (300, 25)
    assert usage.prompt_tokens == 4312
    assert meta.vendor_cost_nano_usd == 12_300_000


def test_a_result_without_usage_and_cost_is_an_answer_all_the_same() -> None:
    meta = Exchange(CLAUDE).read(json.dumps({"type": "result", "result": "Yes."}))
    assert meta.error is None
    assert meta.usage is None
    assert meta.vendor_cost_nano_usd is None


def test_words_before_the_result_are_passed_over() -> None:
    assert (
        Exchange(CLAUDE).message(f"Warning: old\n{result()}\n")["content"]
        == (RESULT["result"])
    )


def test_an_error_in_the_result_is_a_failure_that_keeps_its_cost() -> None:
    meta = Exchange(CLAUDE).read(result(is_error=True, result="API Error: odd"))
    assert meta.error is not None
    assert meta.error.message == "API Error: odd"
    assert meta.vendor_cost_nano_usd == 12_300_000
    assert meta.usage is not None


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("Invalid API key · Please run /login", 401, "invalid_api_key"),
        ("Claude AI usage limit reached|1766", 429, "rate_limit_exceeded"),
        ("Credit balance is too low", 402, "insufficient_quota"),
        ("API Error: 529 Overloaded", 529, "server_is_overloaded"),
        ("Prompt is too long", 400, "context_length_exceeded"),
        ("The model x may not exist", 404, "model_not_found"),
        ("something else", None, "program_failed"),
    ],
)
def test_the_words_of_a_failure_say_what_kind_it_is(
    words: str, status: int | None, code: str
) -> None:
    error = Exchange(CLAUDE).read(result(is_error=True, result=words)).error
    assert error is not None
    assert (error.status, error.code) == (status, code)


def test_a_bad_status_without_a_result_is_told_with_its_complaint() -> None:
    error = Exchange(CLAUDE).read("", exit=3, stderr="boom\n").error
    assert error is not None
    assert error.message == "the program ended with status 3: boom"


def test_a_bad_status_with_a_good_result_is_no_answer() -> None:
    assert Exchange(CLAUDE).read(result(), exit=1).error is not None


def test_a_run_that_was_killed_is_no_answer() -> None:
    error = Exchange(CLAUDE).read("", exit=-9).error
    assert error is not None
    assert error.message == "the program was ended by signal 9"


@pytest.mark.parametrize(
    "stdout", ["", "{", "[]", "null", '{"type":"assistant"}', "[" * 5000, "{" * 5000]
)
def test_what_is_no_result_is_a_failure(stdout: str) -> None:
    assert Exchange(CLAUDE).read(stdout).error is not None


def test_a_run_that_ended_without_a_result_says_why() -> None:
    text = result(subtype="error_max_turns", result=None)
    error = Exchange(CLAUDE).read(text).error
    assert error is not None
    assert "error_max_turns" in error.message


def test_odd_types_do_not_matter() -> None:
    odd = json.dumps(
        {
            "type": "result",
            "result": "Yes.",
            "usage": [1],
            "total_cost_usd": "x",
            "session_id": 7,
        }
    )
    meta = Exchange(CLAUDE).read(odd)
    assert meta.error is None
    assert meta.vendor_cost_nano_usd is None


def test_a_body_no_runner_made_is_a_failure() -> None:
    exchange = Exchange(CLAUDE)
    meta = exchange.bridge.read_response(exchange.request, exchange.sent, b'{"a":1}')
    assert meta.error is not None


def test_tool_calls_in_the_result_are_calls() -> None:
    called = (
        '{"tool_calls":[{"id":"call_1","type":"function","function":'
        '{"name":"weather","arguments":"{\\"city\\":\\"Kiel\\"}"}}]}'
    )
    exchange = Exchange(CLAUDE, chat(tools=[TOOL]))
    message = exchange.message(result(result=called))
    (call,) = message["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Kiel"}'}
    assert not message["content"]


@pytest.mark.parametrize(("told", "status"), [(503, 503), (None, None), (200, None)])
def test_the_vendors_status_is_known_where_the_program_says_it(
    told: int | None, status: int | None
) -> None:
    out = result(is_error=True, result="API Error: odd", api_error_status=told)
    error = Exchange(CLAUDE).read(out, exit=1).error
    assert error is not None
    assert error.status == status


def test_a_failure_that_asked_nobody_used_nothing() -> None:
    zeros = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0}
    words = "Not logged in · Please run /login"
    out = result(is_error=True, result=words, usage=zeros, total_cost_usd=0)
    meta = Exchange(CLAUDE).read(out, exit=1)
    assert meta.error is not None
    assert meta.error.status == 401
    assert meta.usage is None
