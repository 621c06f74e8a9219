"""Budgets of every scope: set, changed, raised for a while, read as a tree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite.actor import CLI
from poolsite.models import AuditEvent
from tests.factories import make_client_key
from usage import services as key_services
from usage.budgets import personal, selectors, services
from usage.budgets.services import Whose
from usage.models import Budget, BudgetWindow, Team
from usage.selectors import spending
from usage.services import BudgetTerms, UsageError

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
USD = 10**9


def team() -> Team:
    return key_services.create_team(CLI, slug="red", name="Red")


def spend(budget: Budget, window: str, nano: int) -> None:
    BudgetWindow.objects.create(
        budget=budget, window_id=window, spent_nano_usd=nano, updated_at=NOW
    )


def test_one_scope_and_window_has_one_budget() -> None:
    key, _ = make_client_key("ci")
    first = services.add_budget(CLI, Whose("key", key=key), BudgetTerms(5))
    again = services.add_budget(CLI, Whose("key", key=key), BudgetTerms(6))
    other = services.add_budget(
        CLI, Whose("key", key=key), BudgetTerms(1, window="day")
    )
    assert first == again
    assert first != other
    assert [row["amount_nano_usd"] for row in selectors.of_key(key)] == [6, 1]


def test_an_override_is_one_row_with_both_amounts() -> None:
    whose = Whose("session", applies_to="agent", value="bot")
    services.add_budget(CLI, whose, BudgetTerms(9, window="total", warn_nano_usd=3))
    services.add_budget(CLI, whose, BudgetTerms(7, window="day"))
    row = Budget.objects.get()
    assert (row.amount_nano_usd, row.warn_nano_usd, row.window) == (7, None, "day")


@pytest.mark.parametrize(
    ("whose", "terms", "field"),
    [
        (Whose("galaxy"), BudgetTerms(1), "scope"),
        (Whose("team"), BudgetTerms(1), "team"),
        (Whose("key"), BudgetTerms(1), "key"),
        (Whose("pool", applies_to="one", value="x"), BudgetTerms(1), "applies_to"),
        (
            Whose("agent", applies_to="provider", value="x"),
            BudgetTerms(1),
            "applies_to",
        ),
        (Whose("session", applies_to="agent"), BudgetTerms(1), "value"),
        (Whose("session", value="x"), BudgetTerms(1), "value"),
        (Whose("agent", applies_to="one", value="x" * 201), BudgetTerms(1), "value"),
        (Whose("pool"), BudgetTerms(5, warn_nano_usd=6), "warn"),
        (Whose("pool"), BudgetTerms(5, warn_nano_usd=0), "warn"),
    ],
)
def test_what_is_no_budget_is_refused(
    whose: Whose, terms: BudgetTerms, field: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        services.add_budget(CLI, whose, terms)
    assert refusal.value.field == field
    assert not Budget.objects.exists()


def test_increase_counts_until_it_ends() -> None:
    budget = services.add_budget(CLI, Whose("pool"), BudgetTerms(5 * USD))
    until = datetime.now(UTC) + timedelta(hours=1)
    services.increase_budget(CLI, budget, 2 * USD, until)
    rows = Budget.objects.all()
    [now] = spending(rows)
    [later] = spending(rows, now=until)
    assert (now["limit_nano_usd"], now["extra_until"]) == (7 * USD, until)
    assert (later["limit_nano_usd"], later["extra_until"]) == (5 * USD, None)
    services.increase_budget(CLI, budget, 0, None)
    assert Budget.objects.get().extra_until is None
    actions = AuditEvent.objects.filter(action="budget.increase")
    assert actions.count() == 2


@pytest.mark.parametrize(
    ("nano", "until", "field"),
    [
        (-1, None, "extra"),
        (1, None, "until"),
        (1, datetime(2020, 1, 1, tzinfo=UTC), "until"),
    ],
)
def test_increase_without_an_end_is_refused(nano: int, until: Any, field: str) -> None:
    budget = services.add_budget(CLI, Whose("pool"), BudgetTerms(5))
    with pytest.raises(UsageError) as refusal:
        services.increase_budget(CLI, budget, nano, until)
    assert refusal.value.field == field


def test_removed_budget_can_be_neither_changed_nor_raised() -> None:
    budget = services.add_budget(CLI, Whose("pool"), BudgetTerms(5))
    key_services.remove_budget(CLI, Budget.objects.get())
    with pytest.raises(UsageError, match="removed"):
        services.change_budget(CLI, budget, BudgetTerms(6))
    with pytest.raises(UsageError, match="removed"):
        services.increase_budget(CLI, budget, 0, None)


def test_tree_hangs_keys_below_their_teams(django_assert_max_num_queries: Any) -> None:
    red = team()
    inside, _ = make_client_key("inside")
    key_services.update_key(CLI, inside, team=red)
    loose, _ = make_client_key("loose")
    pool = services.add_budget(CLI, Whose("pool"), BudgetTerms(9 * USD))
    services.add_budget(CLI, Whose("key", key=inside), BudgetTerms(2 * USD))
    services.add_budget(CLI, Whose("key", key=loose), BudgetTerms(1 * USD))
    rule = services.add_budget(CLI, Whose("session"), BudgetTerms(USD, window="total"))
    spend(pool, "month:20260301T0000Z", 4 * USD)
    for name, nano in (("a", 3), ("b", 8)):
        spend(rule, personal.window_id("total", rule, key_id=1, name=name), nano)
    with django_assert_max_num_queries(6):
        found = selectors.tree(now=NOW)
    assert found.pool.budgets[0]["left_nano_usd"] == 5 * USD
    names = [(branch.kind, branch.name) for branch in found.pool.below]
    assert names == [("team", "Red"), ("key", "loose")]
    assert [branch.name for branch in found.pool.below[0].below] == ["inside"]
    [session] = found.personal
    assert session.name == "Each session"
    assert (session.budgets[0]["counted"], session.budgets[0]["most"]) == (2, 8)


def test_budgets_above_a_key_are_found_narrowest_first() -> None:
    key, _ = make_client_key("ci")
    key_services.update_key(CLI, key, team=team())
    for whose in (Whose("pool"), Whose("team", team=key.team), Whose("key", key=key)):
        services.add_budget(CLI, whose, BudgetTerms(5))
    key.refresh_from_db()
    scopes = [row["scope"] for row in selectors.of_key(key)]
    assert scopes == ["key", "team", "pool"]


def test_a_session_is_told_what_binds_it() -> None:
    key, _ = make_client_key("ci")
    services.add_budget(
        CLI, Whose("session"), BudgetTerms(5, window="total", warn_nano_usd=2)
    )
    rule = Budget.objects.get()
    spend(rule, personal.window_id("total", rule, key_id=key.pk, name="s"), 3)
    services.add_budget(
        CLI, Whose("agent", applies_to="one", value="x"), BudgetTerms(1)
    )
    [row] = selectors.of_session(key, "s", "bot")
    assert (row["spent_nano_usd"], row["limit_nano_usd"]) == (3, 5)
    rows = selectors.of_session(key, "t", "x")
    assert [(each["rule"], each["spent_nano_usd"]) for each in rows] == [
        ("Agent x", 0),
        ("Each session", 0),
    ]
