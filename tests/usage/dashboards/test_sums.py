"""Sums as the database makes them: pages of very many values, and plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from usage import log_find, log_search, rollups
from usage.dashboards import sums
from usage.dashboards.periods import Period
from usage.dashboards.question import Source
from usage.models import ClientKey, RollupDay

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PENNY_OFF = 8_999_999_999_999_991
"""Nine million dollars less nine nano-dollars: the largest sums a float tells apart."""


def add(ref: int, back: int, cost: int, requests: int = 1) -> None:
    """Add a session's day."""
    RollupDay.objects.create(
        kind=rollups.SESSION,
        ref=ref,
        bucket=NOW.date() - back * DAY,
        cost_nano_usd=cost,
        requests=requests,
    )


def pages(size: int) -> list[int]:
    """Return the sessions of all pages in their order."""
    source = Source(
        rollups.SESSION, Period(NOW - 7 * DAY, NOW + DAY, UTC, "").in_days()
    )
    found: list[int] = []
    while some := list(sums.sorted_lines(source, len(found), len(found) + size)):
        found += [line.ref for line in some]
    every = [line.ref for line in sums.sorted_lines(source)]
    assert found == every
    return found


def test_pages_of_sessions_follow_cost_then_requests_then_number() -> None:
    add(4, 0, 500)
    add(3, 0, 300)
    add(3, 2, 300)
    add(2, 1, 500)
    add(6, 1, 500, requests=2)
    add(5, 3, 0)
    add(9, 30, 9_000)
    assert pages(2) == [3, 6, 2, 4, 5]


def test_a_nano_dollar_decides_between_sums_of_millions() -> None:
    add(1, 0, PENNY_OFF - 1)
    add(2, 0, 1)
    add(2, 1, PENNY_OFF - 1)
    add(3, 0, PENNY_OFF + 1)
    assert pages(1) == [3, 2, 1]


def test_days_of_a_page_are_those_asked_for_only() -> None:
    add(1, 1, 100)
    add(1, 40, 70)
    source = Source(
        rollups.SESSION, Period(NOW - 7 * DAY, NOW + DAY, UTC, "").in_days()
    )
    [line] = sums.sorted_lines(source, 0, 5)
    assert line.cost_nano_usd == 100


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_a_page_of_a_key_comes_from_its_index_without_sorting(
    *, is_analyzed: bool
) -> None:
    key = ClientKey.objects.create(name="rare", public_id="rare", created_at=NOW)
    if connection.vendor != "sqlite":
        pytest.skip("plans of SQLite")
    with connection.cursor() as cursor:
        if is_analyzed:
            cursor.execute("ANALYZE")
        cursor.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM usage_request WHERE client_key_id IN (%s)"
            " ORDER BY at DESC, id DESC LIMIT 51",
            [key.pk],
        )
        steps = [str(row[-1]) for row in cursor.fetchall()]
    assert len(steps) == 1
    assert "request_key_at_id" in steps[0]
    assert log_find.find(log_search.parse("key:rare"), now=NOW).rows == []
