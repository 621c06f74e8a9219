"""Prove how rules are edited, judged, and told apart in words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from poolsite.actor import CLI
from providers import selectors_routing as selectors
from providers.models import AccountStatus
from providers.routing import rules as meant
from providers.routing import strategies
from providers.routing.cooldowns import CooldownSettings
from providers.selectors_routing import PoolNames
from providers.services import models, providers, routing_checks, routing_rules
from providers.services import routing_words as words
from providers.services.errors import ServiceError
from providers.services.routing_words import differences, rule_in_words
from providers.snapshot.types import RoutingRecord, RuleRecord
from tests.factories import make_client_key, make_provider
from usage.budgets import services as budgets
from usage.budgets.services import Whose
from usage.services import BudgetTerms

pytestmark = pytest.mark.django_db


def rule(provider: str = "acme", **values: Any) -> RuleRecord:
    plain = {"trigger": "error", "action": "switch_provider", "provider": provider}
    return RuleRecord(**{**plain, **values})


def order() -> list[str]:
    return [each.provider for each in selectors.standing().edited.rules]


def test_rules_are_added_moved_switched_and_removed() -> None:
    for name in ("a", "b", "c"):
        routing_rules.add_rule(CLI, rule(name))
    routing_rules.add_rule(CLI, rule("d"), place=1)
    assert order() == ["d", "a", "b", "c"]
    routing_rules.move_rule(CLI, 1, 3)
    assert order() == ["a", "b", "d", "c"]
    routing_rules.move_rule(CLI, 4, 0)
    assert order() == ["c", "a", "b", "d"]
    routing_rules.move_rule(CLI, 1, 99)
    assert order() == ["a", "b", "d", "c"]
    routing_rules.switch_rule(CLI, 2, enabled=False)
    enabled = [each.enabled for each in selectors.standing().edited.rules]
    assert enabled == [True, False, True, True]
    routing_rules.set_rule(CLI, 2, rule("e"))
    routing_rules.remove_rule(CLI, 1)
    assert order() == ["e", "d", "c"]


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_place_without_a_rule_is_refused(place: int) -> None:
    routing_rules.add_rule(CLI, rule())
    changes: list[Callable[[], object]] = [
        lambda: routing_rules.set_rule(CLI, place, rule("b")),
        lambda: routing_rules.move_rule(CLI, place, 1),
        lambda: routing_rules.switch_rule(CLI, place, enabled=False),
        lambda: routing_rules.remove_rule(CLI, place),
    ]
    for change in changes:
        with pytest.raises(ServiceError, match="There is no rule"):
            change()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"trigger": "moon"}, "trigger"),
        ({"action": "pray"}, "action"),
        ({"provider": ""}, "provider"),
        ({"action": "switch_model"}, "model"),
        ({"action": "wait_and_retry", "max_retries": 0}, "max_retries"),
        ({"action": "wait_and_retry", "backoff": "linear"}, "backoff"),
        ({"trigger": "low_funds"}, "below_usd"),
        ({"trigger": "low_funds", "action": "wait_and_retry"}, "action"),
        ({"trigger": "cost_limit", "action": "wait_and_retry"}, "action"),
        ({"trigger": "cost_limit", "limit": "firm"}, "limit"),
        ({"models": ("m",) * 51}, "models"),
        ({"agents": ("",)}, "agents"),
        ({"keys": ("k\x00",)}, "keys"),
        ({"name": "n" * 121}, "name"),
    ],
)
def test_a_rule_that_cannot_do_anything_is_refused(
    values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        routing_rules.add_rule(CLI, rule(**values))
    assert caught.value.field == field
    assert selectors.standing().draft is None


def test_what_a_rule_does_not_use_is_not_kept() -> None:
    kept = rule(
        action="wait_and_retry", trigger="rate_limit", model="m", below_nano_usd=5
    )
    routing_rules.add_rule(CLI, kept)
    [found] = selectors.standing().edited.rules
    assert (found.provider, found.model, found.below_nano_usd) == ("", "", None)


def test_there_are_at_most_a_hundred_rules() -> None:
    record = RoutingRecord(rules=tuple(rule(f"p{n}") for n in range(101)))
    with pytest.raises(ServiceError, match="At most 100"):
        routing_checks.check(record)


# What would do nothing


def said(*rules: RuleRecord) -> list[str]:
    found = routing_checks.flags(RoutingRecord(rules=rules), PoolNames())
    return [f"{each.place}: {each.reason}" for each in found]


@pytest.fixture
def pool() -> None:
    make_provider("acme", models=["gpt-a", "vendor/x"], keys=["sk-acme-1"])
    make_client_key("my laptop")
    models.set_alias(CLI, "fast", ["gpt-a"])


@pytest.mark.usefixtures("pool")
def test_good_rules_are_not_flagged() -> None:
    assert not said(
        rule(),
        rule(model="gpt-a"),
        rule(action="switch_model", provider="", model="vendor/x"),
        rule(models=("GPT-*",), keys=("my *",), agents=("anything",)),
        rule(models=("fas?",)),
        rule("gone", enabled=False),
    )


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"provider": "gone"}, "There is no provider gone"),
        ({"model": "gpt-b"}, "acme does not offer gpt-b"),
        ({"action": "switch_model", "model": "nope"}, "Nobody offers nope"),
        ({"action": "switch_model", "model": "fast"}, "fast is an alias"),
        ({"models": ("claude-*",)}, "no model or alias has such a name"),
        ({"keys": ("nobody",)}, "no client key has such a name"),
        ({"trigger": "low_funds", "below_nano_usd": 1}, "no account reports"),
        ({"trigger": "cost_limit"}, "no budget of sessions is soft"),
        ({"trigger": "cost_limit", "limit": "hard"}, "no budget of sessions is hard"),
    ],
)
def test_a_rule_that_would_do_nothing_is_flagged(
    values: dict[str, Any], reason: str
) -> None:
    [flag] = said(rule(**values))
    assert reason in flag


@pytest.mark.usefixtures("pool")
def test_a_provider_that_is_off_or_deleted_is_flagged() -> None:
    other = make_provider("beta", models=["m"], keys=["sk-beta-1"])
    providers.set_enabled(CLI, other, enabled=False)
    assert said(rule("beta")) == ["1: The provider beta is switched off."]
    providers.remove_provider(CLI, other)
    assert said(rule("beta")) == ["1: There is no provider beta."]


@pytest.mark.usefixtures("pool")
def test_an_alias_for_many_names_may_match_what_is_not_listed() -> None:
    models.set_alias(CLI, "claude-*", ["gpt-a"])
    assert not said(rule(models=("claude-opus*",)))


@pytest.mark.usefixtures("pool")
def test_money_rules_are_fine_once_somebody_reports_or_limits() -> None:
    provider = make_provider("paid", models=["m"], keys=["sk-paid-1"])
    AccountStatus.objects.create(
        provider=provider,
        credential="key:1",
        left=Decimal(3),
        unit="USD",
        checked_at=timezone.now(),
    )
    terms = BudgetTerms(amount_nano_usd=5, window="total", warn_nano_usd=3)
    budgets.add_budget(CLI, Whose("session"), terms)
    assert (
        not said(
            rule(trigger="low_funds", below_nano_usd=5),
            rule(trigger="cost_limit"),
            rule(trigger="cost_limit", limit="hard", models=("gpt-a",)),
        )
        or said(rule(trigger="cost_limit", limit="hard")) == []
    )


@pytest.mark.usefixtures("pool")
def test_a_rule_behind_one_that_always_comes_first_is_flagged() -> None:
    low = {"trigger": "low_funds", "action": "switch_provider"}
    found = said(
        rule(**low, below_nano_usd=9),
        rule(**low, below_nano_usd=5, models=("gpt-a",)),
        rule(**low, below_nano_usd=10),
    )
    assert [each for each in found if "earlier" in each] == [
        "2: An earlier rule always comes first."
    ]
    twice = said(rule(), rule(name="again"), rule(models=("gpt-a",)))
    assert twice == ["2: An earlier rule does the same."]


def test_flags_cost_six_queries_at_most(
    django_assert_max_num_queries: Any,
) -> None:
    rules = [
        rule(),
        rule(action="switch_model", model="x", provider=""),
        rule(models=("*",), keys=("*",)),
        rule(trigger="low_funds", below_nano_usd=1),
        rule(trigger="cost_limit"),
    ]
    with django_assert_max_num_queries(6):
        said(*rules * 10)


# In words


def test_every_word_and_number_of_routing_has_words() -> None:
    assert {each.word for each in words.STRATEGIES} == set(strategies.STRATEGIES)
    assert {each.word for each in words.MODES} == set(strategies.MODES)
    told = {name: label for name, label, _ in words.cooldown_fields()}
    assert set(told) == set(CooldownSettings.__struct_fields__)
    assert set(told) <= set(words._COOLDOWNS)
    assert len(set(told.values())) == len(told)
    kinds = {meant.ERROR, meant.RATE_LIMIT, meant.LOW_FUNDS, meant.COST_LIMIT}
    assert {each.word for each in words.TRIGGERS} == kinds
    deeds = {meant.SWITCH_PROVIDER, meant.SWITCH_MODEL, meant.WAIT_AND_RETRY}
    assert {each.word for each in words.ACTIONS} == deeds


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "When a call fails: ask provider acme."),
        ({"model": "m"}, "When a call fails: ask provider acme for m."),
        (
            {"trigger": "rate_limit", "action": "wait_and_retry", "provider": ""},
            "When a call is rate limited: try 3 more times, waiting longer each time.",
        ),
        (
            {"trigger": "low_funds", "below_nano_usd": 2_500_000_000},
            "When less than $2.50 is left: ask provider acme.",
        ),
        (
            {
                "trigger": "cost_limit",
                "action": "switch_model",
                "model": "m",
                "models": ("a", "b*"),
                "keys": ("ci",),
                "agents": ("bot",),
            },
            "When a session reached its soft limit for model a or b*, of agent bot, "
            "with key ci: ask for m instead.",
        ),
    ],
)
def test_a_rule_in_words(values: dict[str, Any], sentence: str) -> None:
    assert rule_in_words(rule(**values)) == sentence


def test_what_differs_is_said_in_words() -> None:
    old = RoutingRecord(
        rules=(rule("a"), rule("b"), rule("c", name="third"), rule("x"))
    )
    new = RoutingRecord(
        strategy="cost",
        sticky_s=0,
        groups=("free", "eu-*"),
        format_affinity=False,
        cooldown={"rate_first_s": 60, "failure_after": 4},
        rules=(rule("c", name="third", model="m"), rule("a"), rule("b"), rule("new")),
    )
    lines = differences(old, new)
    assert [each.kind for each in lines] == [*["changed"] * 6, "changed", "moved", "changed"]  # fmt: skip
    told = {each.what: (each.before, each.after) for each in lines}
    assert told["Strategy"] == ("Priority", "Cheapest")
    assert told["A session stays at its provider for"] == ("30 min", "not at all")
    assert told["Groups, one after another"] == ("none", "free models, then eu-*")
    assert told["Rate limited: stay away at first"] == ("30 s", "1 min")
    assert told["Errors and time-outs: after so many in a row"] == ("3", "4")
    assert told["third"] == ("3", "1")
    assert not differences(old, old)


def test_added_removed_and_switched_rules_are_told_apart() -> None:
    old = RoutingRecord(rules=(rule("a"), rule("b", trigger="rate_limit")))
    new = RoutingRecord(rules=(rule("a", enabled=False),))
    kinds = [(each.kind, each.what) for each in differences(old, new)]
    assert kinds == [("removed", "Rule 2"), ("changed", "Rule 1")]
    kinds = [(each.kind, each.what) for each in differences(RoutingRecord(), new)]
    assert kinds == [("added", "Rule 1")]
