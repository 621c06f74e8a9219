"""Tool calls inside a text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.cli_backed.toolcalls import take_calls

NAMES = ("weather", "clock")


def worded(*calls: Any) -> str:
    """Word calls as a model is asked to."""
    return json.dumps({"tool_calls": list(calls)})


def call(name: str = "weather", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    """Word one call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}} | (
        more
    )


def test_a_brace_inside_a_string_ends_nothing() -> None:
    arguments = json.dumps({"city": 'a}}]}"{ \\" b'})
    text, calls = take_calls(f"Well. {worded(call(arguments=arguments))} So.", NAMES)
    assert text == "Well.  So."
    assert calls[0].arguments == arguments


@given(st.dictionaries(st.text(), st.text()))
def test_any_arguments_come_back_as_they_were(arguments: dict[str, str]) -> None:
    text = json.dumps(arguments)
    rest, calls = take_calls(worded(call(arguments=text)), NAMES)
    assert rest == ""
    assert calls[0].arguments == text


@given(st.text())
def test_any_text_behind_the_start_is_survived(tail: str) -> None:
    text = '{"tool_calls":' + tail
    rest, calls = take_calls(text, NAMES)
    assert calls or rest == text


def test_several_calls_have_ids_of_their_own() -> None:
    one, two = call(id="call_1"), call("clock", id="call_1")
    calls = take_calls(worded(one, two), NAMES)[1]
    assert [each.name for each in calls] == ["weather", "clock"]
    assert calls[0].id != calls[1].id
    assert take_calls(worded(one), NAMES)[1][0].id != calls[0].id


def test_name_and_arguments_may_stand_beside_the_function() -> None:
    flat = {"name": "clock", "arguments": {"zone": "UTC"}}
    calls = take_calls(worded(flat), NAMES)[1]
    assert (calls[0].name, calls[0].arguments) == ("clock", '{"zone":"UTC"}')


@pytest.mark.parametrize("arguments", ["{", "[1]", "", 7, None, ["a"], "null"])
def test_arguments_that_are_no_object_become_an_empty_one(arguments: Any) -> None:
    assert take_calls(worded(call(arguments=arguments)), NAMES)[1][0].arguments == "{}"


@pytest.mark.parametrize(
    "text",
    [
        worded(call())[:-1],
        worded(),
        worded("weather"),
        worded(call("other")),
        worded(call(), call("other")),
        '{"tool_calls": {}}',
        '{"tool_calls": ' + "[" * 5000,
        '{"tool_calls": ' * 5000,
        "say tool_calls",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert take_calls(text, NAMES) == (text, ())


def test_nothing_is_called_where_nothing_was_offered() -> None:
    text = worded(call())
    assert take_calls(text, ()) == (text, ())


def test_a_broken_start_does_not_hide_the_calls_behind_it() -> None:
    text, calls = take_calls('{"tool_calls": oh ' + worded(call()), NAMES)
    assert len(calls) == 1
    assert text == '{"tool_calls": oh'


def test_the_fence_around_calls_goes_with_them() -> None:
    assert take_calls(f"```json\n{worded(call())}\n```", NAMES)[0] == ""
