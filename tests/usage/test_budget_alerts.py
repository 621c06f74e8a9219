"""Prove that each step of a budget is told once in a window, and again in the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.delivery import services
from poolsite.delivery.rows import AlertChannel, AlertNews
from poolsite.models import Alert
from tests import factories
from usage import budget_alerts
from usage.budget_alerts import watch
from usage.limits.windows import window_at
from usage.models import Budget, BudgetWindow

pytestmark = pytest.mark.django_db
USD = 10**9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


def make(clock: ManualClock, **values: Any) -> Budget:
    given = {"scope": "pool", "window": "day", "amount_nano_usd": 10 * USD, **values}
    return Budget.objects.create(created_at=clock.now(), **given)


def spend(budget: Budget, usd: float, clock: ManualClock, tag: str = "") -> None:
    window = window_at(budget.window, budget.time_zone, clock.now())
    BudgetWindow.objects.update_or_create(
        budget=budget,
        window_id=window.id + tag,
        defaults={"spent_nano_usd": round(usd * USD), "updated_at": clock.now()},
    )


def open_titles() -> list[str]:
    rows = Alert.objects.filter(resolved_at=None).order_by("pk")
    return [row.title for row in rows]


def test_each_step_is_told_once_and_the_highest_is_open(clock: ManualClock) -> None:
    budget = make(clock)
    seen = []
    for usd in (4.99, 5, 5.1, 7.9, 8, 9.4, 9.5, 9.99, 10, 11):
        spend(budget, usd, clock)
        seen.append(watch(clock=clock))
        assert watch(clock=clock) == 0
        assert len(open_titles()) <= 1
    assert seen == [0, 1, 0, 0, 1, 0, 1, 0, 1, 0]
    shares = ["50 %", "80 %", "95 %", "100 %"]
    titles = list(Alert.objects.order_by("pk").values_list("title", flat=True))
    assert titles == [f"The pool: {each} of the budget is spent" for each in shares]
    severities = list(Alert.objects.order_by("pk").values_list("severity", flat=True))
    assert severities == ["info", "warning", "warning", "error"]


def test_lower_steps_make_way_without_a_word(clock: ManualClock) -> None:
    terms = services.Terms(name="M", addresses=["a@b.co"])
    services.create_channel(SYSTEM, "mail", terms, clock=clock)
    budget = make(clock)
    for usd in (5, 8):
        spend(budget, usd, clock)
        watch(clock=clock)
    assert set(AlertNews.objects.values_list("event", flat=True)) == {"alert.opened"}
    clock.advance(86_400)
    watch(clock=clock)
    resolved = AlertNews.objects.filter(event="alert.resolved")
    assert resolved.count() == 1
    assert AlertChannel.objects.count() == 1


def test_next_window_resolves_and_tells_anew(clock: ManualClock) -> None:
    budget = make(clock)
    spend(budget, 8, clock)
    assert watch(clock=clock) == 1
    clock.advance(86_400)
    assert watch(clock=clock) == 0
    assert open_titles() == []
    spend(budget, 8, clock)
    assert watch(clock=clock) == 1
    assert Alert.objects.count() == 2


def test_raised_budget_ends_the_alert_and_has_steps_of_its_own(
    clock: ManualClock,
) -> None:
    budget = make(clock)
    spend(budget, 9.6, clock)
    watch(clock=clock)
    Budget.objects.update(amount_nano_usd=100 * USD)
    assert watch(clock=clock) == 0
    assert open_titles() == []
    spend(budget, 50, clock)
    assert watch(clock=clock) == 1


def test_temporary_increase_counts_until_it_ends(clock: ManualClock) -> None:
    later = clock.now() + timedelta(hours=1)
    budget = make(clock, extra_nano_usd=90 * USD, extra_until=later)
    spend(budget, 9.6, clock)
    assert watch(clock=clock) == 0
    clock.advance(3600)
    assert watch(clock=clock) == 1


def test_closed_by_hand_stays_closed_in_its_window(clock: ManualClock) -> None:
    budget = make(clock)
    spend(budget, 8, clock)
    watch(clock=clock)
    services.resolve_alert(SYSTEM, Alert.objects.get(), clock=clock)
    assert watch(clock=clock) == 0
    assert open_titles() == []


def test_own_percentages_replace_the_usual_ones(clock: ManualClock) -> None:
    budget = make(clock, warn_percents=[30, 200, "x", -1])
    for usd, raised in ((2.9, 0), (3, 1), (9, 0), (20, 1)):
        spend(budget, usd, clock)
        assert watch(clock=clock) == raised


def test_amount_that_warns_is_a_step_too(clock: ManualClock) -> None:
    budget = make(clock, warn_nano_usd=6 * USD)
    spend(budget, 6, clock)
    watch(clock=clock)
    assert open_titles() == ["The pool: $6.00 of the budget is spent"]
    other = make(clock, window="month", amount_nano_usd=0, warn_nano_usd=2 * USD)
    spend(other, 3, clock)
    assert watch(clock=clock) == 1


def test_soft_budget_is_a_warning_at_its_end(clock: ManualClock) -> None:
    spend(make(clock, hard=False), 12, clock)
    watch(clock=clock)
    assert Alert.objects.get().severity == "warning"


def test_text_says_whose_how_much_and_when_it_resets_in_its_zone(
    clock: ManualClock,
) -> None:
    key, _ = factories.make_client_key("ci")
    zone = "Asia/Kathmandu"
    budget = make(clock, scope="key", client_key=key, time_zone=zone)
    spend(budget, 8.1, clock)
    watch(clock=clock)
    alert = Alert.objects.get()
    assert alert.title == "Key ci: 80 % of the budget is spent"
    assert alert.detail == (
        "$8.10 of $10.00 spent this day. Resets 2026-03-02 00:00 (Asia/Kathmandu)."
    )
    assert alert.link == f"/keys/{key.pk}/edit/"


def test_sessions_under_one_rule_are_one_alert_with_their_number(
    clock: ManualClock,
) -> None:
    rule = make(clock, scope="session")
    for number in range(30):
        spend(rule, 8 + number / 100, clock, tag=f"@{number:011d}")
    spend(rule, 1, clock, tag="@small000000")
    assert watch(clock=clock) == 1
    [alert] = Alert.objects.all()
    assert alert.title == "Each session: 80 % of the budget is spent"
    assert alert.detail.startswith("30 reached it, one with $8.29 of $10.00")
    assert watch(clock=clock) == 0


def test_switched_off_budget_and_revoked_key_end_their_alerts(
    clock: ManualClock,
) -> None:
    key, _ = factories.make_client_key("ci")
    first = make(clock)
    second = make(clock, scope="key", client_key=key)
    for budget in (first, second):
        spend(budget, 9, clock)
    assert watch(clock=clock) == 2
    Budget.objects.filter(pk=first.pk).update(enabled=False)
    key.revoked_at = clock.now()
    key.save()
    watch(clock=clock)
    assert open_titles() == []


def test_cost_does_not_grow_with_windows_that_are_over(
    clock: ManualClock, django_assert_max_num_queries: Any
) -> None:
    budgets = [make(clock, window=kind) for kind in ("hour", "day", "month")]
    for _ in range(30):
        for budget in budgets:
            spend(budget, 1, clock)
        clock.advance(86_400)
    with django_assert_max_num_queries(10):
        assert budget_alerts.watch(clock=clock) == 0
