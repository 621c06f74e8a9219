"""Long conversations are fitted in time that grows with their length."""

from __future__ import annotations

import time

import pytest

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.results import fit_results
from providers.formats.neutral.fit.turns import fit_turns
from providers.formats.neutral.types import Request, Text, ToolCall, ToolResult, Turn

MANY = 40_000
CALLS = tuple(ToolCall(name="f", arguments="{}") for _ in range(MANY))
RESULTS = tuple(ToolResult(name="f", content=(Text(text="r"),)) for _ in range(MANY))


def asked(*turns: Turn) -> Request:
    return Request(dialect="openai", model="m", turns=turns)


@pytest.mark.parametrize("name", ["f", ""])
@pytest.mark.parametrize("call_id", ["", "x"])
def test_results_without_ids_find_their_calls_in_one_walk(name, call_id) -> None:
    results = tuple(
        ToolResult(name=name, call_id=call_id, content=(Text(text=str(place)),))
        for place in range(MANY)
    )
    request = asked(
        Turn(role="assistant", parts=CALLS), Turn(role="tool", parts=results)
    )
    began = time.process_time()
    fitted = fit_results(request, Capabilities(), Losses())
    assert time.process_time() - began < 5.0
    texts = [part.content[0].text for part in fitted.turns[1].parts]
    assert texts == [str(place) for place in range(MANY)]


def test_calls_of_one_id_are_answered_in_one_walk() -> None:
    calls = tuple(ToolCall(name="f", arguments="{}", id="x") for _ in range(MANY))
    results = tuple(ToolResult(call_id="x", name="f") for _ in range(MANY))
    request = asked(
        Turn(role="assistant", parts=calls), Turn(role="tool", parts=results)
    )
    losses = Losses()
    began = time.process_time()
    fit_results(request, Capabilities(), losses)
    assert time.process_time() - began < 5.0
    assert losses.all == ()


def test_many_turns_of_one_role_become_one_in_one_walk() -> None:
    said = Turn(role="assistant", parts=(Text(text="x"),))
    request = asked(
        Turn(role="user", parts=(Text(text="x"),)),
        Turn(role="assistant", parts=CALLS[:1]),
        *[said] * MANY,
        Turn(role="user", parts=RESULTS[:1]),
        *[Turn(role="user", parts=(Text(text="x"),))] * MANY,
    )
    began = time.process_time()
    request = fit_results(request, Capabilities(), Losses())
    fitted = fit_turns(request, Capabilities(merges_turns=True), Losses())
    assert time.process_time() - began < 5.0
    assert [turn.role for turn in fitted.turns] == ["user", "assistant", "tool", "user"]
    assert len(fitted.turns[1].parts) == MANY + 1
