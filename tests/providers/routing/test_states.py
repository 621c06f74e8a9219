"""Whom no state concerns is known without looking; nobody concerned is overlooked."""

from __future__ import annotations

import pytest

from providers.routing.remembered import State
from providers.routing.states import States
from providers.routing.types import Route
from tests.providers.snapshot.records import model, provider


def _route(number: int) -> Route:
    owner = provider(number)
    return Route(owner, model(number + 10, number), owner.credentials[0])


@pytest.mark.parametrize(
    ("subject", "concerned"),
    [
        ("provider:1", {1}),
        ("model:12", {2}),
        ("credential:1:api_key:7", {1}),
        ("credential:2:-", {2}),
        ("limit:3:api_key:7:13", {3}),
        ("account:3:org-abc", {3}),
        ("egress:-", {1, 2, 3}),
        ("word-of-a-later-release", {1, 2, 3}),
    ],
)
def test_a_state_concerns_whom_its_subject_names(
    subject: str, concerned: set[int]
) -> None:
    states = States()
    states[subject] = State("timeout")
    assert {n for n in (1, 2, 3) if states.may_concern(_route(n))} == concerned


def test_nobody_is_concerned_once_all_is_forgotten() -> None:
    states = States()
    states["egress:-"] = State("connect")
    del states["egress:-"]
    states["provider:2"] = State("connect")
    assert [states.may_concern(_route(n)) for n in (1, 2)] == [False, True]
