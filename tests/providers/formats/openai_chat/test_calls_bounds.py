"""Calls by the thousand are read in time that grows with their number."""

from __future__ import annotations

import time

from tests.providers.formats.openai_chat.test_calls import call, calls_of

MANY = 20_000


def test_many_calls_without_ids_are_read_in_linear_time() -> None:
    chunks = [call(index, name="f", arguments="{") for index in range(MANY)]
    began = time.process_time()
    calls = calls_of(chunks)
    assert time.process_time() - began < 5.0
    assert len({call_id for call_id, _, _ in calls}) == MANY


def test_a_call_that_became_whole_is_closed_when_the_next_begins() -> None:
    calls = calls_of(
        call(0, "a", "f", '{"x":'),
        call(0, arguments="1}"),
        call(0, arguments=" "),
        call(0, name="g", arguments="{}"),
    )
    assert [(name, text) for _, name, text in calls] == [
        ("f", '{"x":1} '),
        ("g", "{}"),
    ]
