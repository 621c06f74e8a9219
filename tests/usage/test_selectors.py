"""Prove that sums over any span are those of the rows, on every edge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage
from providers.models import Provider
from tests import factories
from usage import selectors, services
from usage.journal.records import PriceRef
from usage.models import Budget, BudgetWindow, ClientKey, Request

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 20, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
MOMENTS = [
    DAY - timedelta(days=2),
    DAY - timedelta(microseconds=1),
    DAY,
    DAY + timedelta(minutes=14, seconds=59, microseconds=999_999),
    DAY + QUARTER,
    DAY + timedelta(hours=12, minutes=7),
    DAY + timedelta(days=1) - timedelta(microseconds=1),
    DAY + timedelta(days=1),
    DAY + timedelta(days=1, minutes=1),
    DAY + timedelta(days=3, hours=5),
]


@pytest.fixture
def acme() -> Provider:
    return factories.make_provider("acme", models=["m"], keys=["sk-acme-0123456789"])


@pytest.fixture
def key() -> ClientKey:
    return factories.make_client_key("ci")[0]


def record(
    provider: Provider, key: ClientKey | None, at: datetime, number: int
) -> None:
    """Record a call whose numbers tell it from every other one."""
    usage = TokenUsage(
        input_tokens=10**number,
        output_tokens=2,
        reasoning_tokens=1,
        cache_read_tokens=3,
        cache_write_tokens=4,
        cache_write_1h_tokens=5,
    )
    price = PriceRef(spec=PriceSpec(input=10**6, output=0), version_id=1, source="x")
    one = factories.try_at(provider, "m", usage=usage, price=price)
    factories.make_request(
        key, one, at=at, session=f"s{number}", end_user="u", agent="a"
    )


def total(**span: Any) -> int:
    """The input tokens of a span: its decimal digits say which calls are in it."""
    found: int = selectors.usage_summary(**span)["totals"]["input_tokens"]
    return found


def expected(since: datetime | None, until: datetime | None) -> int:
    return sum(
        10**number
        for number, at in enumerate(MOMENTS)
        if (since is None or at >= since) and (until is None or at < until)
    )


@pytest.fixture
def recorded(acme: Provider, key: ClientKey) -> Iterator[None]:
    for number, at in enumerate(MOMENTS):
        record(acme, key, at, number)
    return


EDGES = [
    None, DAY - timedelta(days=5), DAY - timedelta(days=1), DAY - QUARTER, DAY,
    DAY + QUARTER, DAY + timedelta(hours=12), DAY + timedelta(hours=12, minutes=15),
    DAY + timedelta(days=1) - QUARTER, DAY + timedelta(days=1),
    DAY + timedelta(days=1, minutes=15), DAY + timedelta(days=2),
    DAY + timedelta(days=30),
]  # fmt: skip


@pytest.mark.usefixtures("recorded")
def test_span_between_any_two_quarters_holds_exactly_its_calls() -> None:
    for since in EDGES:
        for until in EDGES:
            assert total(since=since, until=until) == expected(since, until), (
                since,
                until,
            )


@pytest.mark.usefixtures("recorded")
def test_span_within_quarters_is_widened_to_them() -> None:
    since = DAY + timedelta(minutes=7)
    until = DAY + timedelta(hours=12, minutes=8)
    wide = (DAY, DAY + timedelta(hours=12, minutes=15))
    assert total(since=since, until=until) == expected(*wide)


@pytest.mark.usefixtures("recorded")
def test_span_in_another_zone_is_the_same_instant() -> None:
    zone = datetime.fromisoformat("2026-11-20T09:00:00+09:00")
    assert total(since=zone) == expected(DAY, None)


@pytest.mark.usefixtures("recorded")
def test_sessions_and_users_are_whole_days_and_end_before_until() -> None:
    def sessions(**span: Any) -> set[str]:
        groups = selectors.usage_summary(by="session", **span)["groups"]
        return {group["name"] for group in groups}

    day = {"s2", "s3", "s4", "s5", "s6"}
    assert sessions(since=DAY, until=DAY + timedelta(days=1)) == day
    noon = DAY + timedelta(hours=12)
    assert sessions(since=noon, until=noon + timedelta(minutes=1)) == day
    assert sessions() == {f"s{number}" for number in range(10)}


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("provider", "acme"), ("model", "m"), ("key", "ci"), ("team", "Core"),
        ("user", "u"), ("session", "s1"), ("agent", "a"), ("status", "200"),
    ],
)  # fmt: skip
def test_groups_carry_names_and_add_up_to_the_totals(
    by: str, name: str, acme: Provider
) -> None:
    team = services.create_team(factories.SYSTEM, slug="core", name="Core")
    key, _ = factories.make_client_key("ci", team=team)
    usage = TokenUsage(input_tokens=7, output_tokens=3)
    for number in range(3):
        factories.make_request(
            key, factories.try_at(acme, "m", usage=usage), at=DAY, session="s1",
            end_user="u", agent="a", team_id=team.pk, asked=f"ask{number}",
        )  # fmt: skip
    found = selectors.usage_summary(by=by)
    [group] = found["groups"]
    assert group.pop("name") == name
    assert group == found["totals"]


def test_totals_are_those_of_the_rows(acme: Provider, key: ClientKey) -> None:
    plain = factories.try_at(acme, "m")
    factories.make_request(key, plain, at=DAY)
    factories.make_request(key, factories.failed_at(acme, "m"), plain, at=DAY)
    factories.make_request(key, factories.failed_at(acme, "m"), at=DAY)
    factories.make_request(None, at=DAY, status=401)
    factories.make_request(key, plain, at=DAY, purpose="probe")
    totals = selectors.usage_summary()["totals"]
    assert totals["requests"] == 4
    assert totals["attempts"] == 4
    assert totals["errors"] == 2
    assert totals["input_tokens"] == 2 * 1200
    assert totals["unpriced_requests"] == 2
    assert Request.objects.count() == 5


def test_nothing_used_is_zeros_and_no_groups(db: None) -> None:
    found = selectors.usage_summary(by="provider")
    assert set(found["totals"].values()) == {0}
    assert found["groups"] == []


def test_dearest_group_comes_first(key: ClientKey) -> None:
    for slug, price in (("cheap", 1), ("dear", 9)):
        row = factories.make_provider(slug, models=["m"])
        spec = PriceSpec(input=price * 10**6, output=0)
        ref = PriceRef(spec=spec, version_id=1, source="x")
        factories.make_request(key, factories.try_at(row, "m", price=ref), at=DAY)
    groups = selectors.usage_summary(by="provider")["groups"]
    assert [group["name"] for group in groups] == ["dear", "cheap"]


def test_summary_costs_a_fixed_number_of_queries(
    acme: Provider, key: ClientKey, django_assert_max_num_queries: Any
) -> None:
    record(acme, key, DAY, 1)
    span = {"since": DAY + QUARTER, "until": DAY + timedelta(days=3, minutes=3)}
    with django_assert_max_num_queries(7):
        selectors.usage_summary(by="key", **span)


def test_many_budgets_are_read_in_two_queries(
    django_assert_num_queries: Any, db: None
) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    terms = services.BudgetTerms(5)
    keys = [factories.make_client_key(f"k{number}")[0] for number in range(3)]
    budgets = [services.set_key_budget(factories.SYSTEM, key, terms) for key in keys]
    Budget.objects.bulk_create(
        [
            Budget(scope="session", amount_nano_usd=1, window="day", created_at=now)
            for _ in range(1500)
        ]
    )
    windows = {"window_id": "month:20261101T0000Z", "updated_at": now}
    BudgetWindow.objects.create(budget=budgets[0], spent_nano_usd=3, **windows)
    windows["window_id"] = "month:20261001T0000Z"
    BudgetWindow.objects.create(budget=budgets[1], spent_nano_usd=9, **windows)
    with django_assert_num_queries(2):
        rows = selectors.spending(Budget.objects.all(), now=now)
    spent = {row["client_key_id"]: row["spent_nano_usd"] for row in rows}
    assert len(rows) == 1503
    assert [spent[key.pk] for key in keys] == [3, 0, 0]
    assert rows[0]["resets_at"] == datetime(2026, 12, 1, tzinfo=UTC)


def test_key_table_masks_and_costs_three_queries(
    django_assert_num_queries: Any, db: None
) -> None:
    texts = [factories.make_client_key(f"k{n}", budget_usd="1")[1] for n in range(4)]
    with django_assert_num_queries(3):
        rows = selectors.key_table()
    assert [len(row["budgets"]) for row in rows] == [1, 1, 1, 1]
    assert all(text not in str(rows) for text in texts)


@settings(max_examples=40, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 4 * 24 * 60), max_size=6),
    edges=st.tuples(st.integers(0, 4 * 96), st.integers(0, 4 * 96)),
)
def test_any_span_of_any_calls_adds_up(
    minutes: list[int], edges: tuple[int, int]
) -> None:
    from django.db import transaction

    with transaction.atomic():
        acme = factories.make_provider("acme", models=["m"])
        for minute in minutes:
            record(acme, None, DAY + timedelta(minutes=minute), 0)
        since, until = (DAY + QUARTER * edge for edge in edges)
        inside = [m for m in minutes if since <= DAY + timedelta(minutes=m) < until]
        assert total(since=since, until=until) == len(inside)
        transaction.set_rollback(True)
