"""Which fallback rule a call meets, and what it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from providers.routing import rules
from providers.routing.rules import Asked
from providers.routing.steps import STEPS
from providers.snapshot.types import RuleRecord

ASKED = Asked("gpt-4o", "coder", "team key")


def rule(trigger: str, action: str = "switch_model", **changes: Any) -> RuleRecord:
    given = {"trigger": trigger, "action": action, "model": "mini", **changes}
    return RuleRecord(**given)


@pytest.mark.parametrize(
    ("funds", "is_met"),
    [(None, False), (99, True), (100, False), (0, True), (-5, True)],
)
def test_low_funds_are_those_below_the_threshold(
    funds: int | None, is_met: bool
) -> None:
    """Not reported and unlimited never match."""
    listed = [rule("low_funds", below_nano_usd=100)]
    met = rules.for_low_funds(listed, ASKED, funds)
    assert (met is not None) == is_met


def test_the_first_matching_low_funds_rule_decides() -> None:
    listed = [
        rule("low_funds", below_nano_usd=10, name="empty"),
        rule("low_funds", "wait_and_retry", below_nano_usd=500),
        rule("low_funds", below_nano_usd=100, name="low"),
        rule("low_funds", below_nano_usd=1000, name="later"),
        rule("low_funds"),
    ]
    met = rules.for_low_funds(listed, ASKED, 50)
    assert met is not None
    assert (met.name, met.place) == ("low", 2)
    met = rules.for_low_funds(listed, ASKED, 50, used={2})
    assert met is not None
    assert met.name == "later"
    assert rules.for_low_funds(listed, ASKED, 50, used={2, 3}) is None


def test_a_cost_rule_names_the_limit_it_looks_at() -> None:
    listed = [rule("cost_limit", limit="hard", name="h"), rule("cost_limit", name="s")]
    soft = rules.for_cost(listed, ASKED, rules.SOFT)
    hard = rules.for_cost(listed, ASKED, rules.HARD)
    assert soft is not None
    assert hard is not None
    assert (soft.name, hard.name) == ("s", "h")


@pytest.mark.parametrize(
    ("kind", "status", "trigger"),
    [
        ("rate_limit", 429, "rate_limit"),
        ("quota", 429, "rate_limit"),
        ("rate_limit", None, "rate_limit"),
        ("quota", 402, "error"),
        ("auth", 401, "error"),
        ("server_error", 500, "error"),
        ("overloaded", 529, "error"),
        ("unavailable", 503, "error"),
        ("timeout", None, "error"),
        ("connect", None, "error"),
        ("model", 404, "error"),
        ("context_overflow", 400, "error"),
        ("format", 400, ""),
        ("request", 413, ""),
        ("image_size", 400, ""),
        ("image_dimension", 400, ""),
        ("unknown", 418, ""),
        ("inexpressible", None, ""),
    ],
)
def test_each_failure_meets_one_trigger_or_none(
    kind: str, status: int | None, trigger: str
) -> None:
    for each in ("rate_limit", "error", "low_funds", "cost_limit"):
        assert rules.meets(rule(each), kind, status) == (each == trigger)


def test_every_class_is_either_worth_a_rule_or_not() -> None:
    for kind, step in STEPS.items():
        is_met = rules.meets(rule("error"), kind, 500)
        assert is_met == (step.scope != "request" and kind != "rate_limit")


def test_a_request_too_long_is_not_repeated() -> None:
    again = rule("error", "wait_and_retry")
    assert not rules.meets(again, "context_overflow", 400)
    assert rules.meets(again, "server_error", 500)


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({}, True),
        ({"enabled": False}, False),
        ({"models": ("gpt-*",)}, True),
        ({"models": ("claude-*",)}, False),
        ({"agents": ("coder",)}, True),
        ({"agents": ("writer",)}, False),
        ({"keys": ("team*",)}, True),
        ({"keys": ("other",)}, False),
        ({"models": ("gpt-*",), "agents": ("writer",)}, False),
    ],
)
def test_a_rule_is_for_the_models_agents_and_keys_it_names(
    changes: dict[str, Any], applies: bool
) -> None:
    assert rules.applies(rule("error", **changes), ASKED) == applies


def test_rules_are_used_once_each_in_their_order() -> None:
    listed = [rule("rate_limit", name="a"), rule("error"), rule("error", name="c")]
    used: set[int] = set()
    found = []
    while met := rules.for_failure(
        listed, ASKED, kind="server_error", status=500, used=used
    ):
        used.add(met.place)
        found.append(met.name)
    assert found == ["rule 2", "c"]


def test_waits_are_constant_or_doubling_and_bounded() -> None:
    constant = rule("rate_limit", "wait_and_retry", backoff="constant")
    doubling = rule("rate_limit", "wait_and_retry")
    assert [rules.pause_s(constant, n, cap_s=60) for n in range(4)] == [0, 1, 1, 1]
    waits = [rules.pause_s(doubling, n, cap_s=60) for n in range(7)]
    assert waits == [0, 2, 4, 8, 16, 30, 30]
    assert rules.pause_s(doubling, 9999, cap_s=10) == 10


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"action": "switch_model", "model": "mini"}, ("p1/mini",)),
        (
            {"action": "switch_provider", "provider": "p2", "model": "mini"},
            ("p2/mini",),
        ),
        (
            {"action": "switch_provider", "provider": "p2", "model": ""},
            ("p2/fast", "p2/gpt-4o"),
        ),
    ],
)
def test_a_switch_names_its_target(
    changes: dict[str, Any], names: tuple[str, ...]
) -> None:
    made = rule("error", **changes)
    assert rules.names_of(made, "fast", ("p1", "gpt-4o")) == names
