"""Seeded ledgers: exact in number, and their sums are what their rows say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from scripts import seed_usage
from usage import rebuild, rollups
from usage.models import Attempt, Request, Rollup15, RollupCube, RollupDay

NOW = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
DAYS = 7
COUNT = 600


@pytest.fixture
def _copied(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_usage, "ROW_BY_ROW", 170)
    monkeypatch.setattr(seed_usage, "KEYS", 4)
    monkeypatch.setattr(seed_usage, "TEAMS", 2)
    seed_usage.fill(COUNT, 3, DAYS, now=NOW)


@pytest.mark.usefixtures("_copied")
def test_copied_days_hold_exactly_what_was_asked_for() -> None:
    assert Request.objects.count() == COUNT
    days = [NOW.date() - timedelta(days=back) for back in range(1, DAYS + 1)]
    counts = {_requests_of(day) for day in days}
    assert len(counts) == 1
    assert Request.objects.order_by("-at")[0].at < NOW


@pytest.mark.usefixtures("_copied")
@pytest.mark.parametrize("back", [1, 3, 7])
def test_sums_of_a_copied_day_are_those_of_its_rows(back: int) -> None:
    day = NOW.date() - timedelta(days=back)
    before = _sums(day)
    attempts = rebuild.rebuild_day(day)
    assert attempts == _of_day(Attempt, day).count() > 0
    assert _sums(day) == before


@pytest.mark.usefixtures("_copied")
def test_copied_ids_carry_the_time_of_their_row() -> None:
    for row in Request.objects.order_by("at", "id")[:50]:
        assert abs((row.id.int >> 80) - row.at.timestamp() * 1_000) <= 1
        tried = Attempt.objects.filter(request_id=row.id)
        assert tried.count() == row.attempts
        assert all(each.at == row.at for each in tried)


@pytest.mark.usefixtures("_copied")
def test_a_copied_session_is_another_one() -> None:
    kind = {"kind": rollups.SESSION}
    refs = [
        set(RollupDay.objects.filter(bucket=day, **kind).values_list("ref", flat=True))
        for day in (NOW.date() - timedelta(days=back) for back in (1, 3))
    ]
    assert refs[0]
    assert not refs[0] & refs[1]


@pytest.mark.django_db
def test_what_came_since_is_filled_up_as_dense_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seed_usage, "MEASURED", 100)
    seed_usage.fill(240, 3, 2, now=NOW)
    later = NOW + timedelta(hours=5)
    count = seed_usage.fill_up(now=later)
    assert 20 <= count <= 30
    until = NOW - timedelta(minutes=1)
    assert Request.objects.filter(at__gt=until).count() == count
    assert seed_usage.fill_up(now=later) <= 1


def _of_day(model: Any, day: date) -> Any:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return model.objects.filter(at__gte=start, at__lt=start + timedelta(days=1))


def _requests_of(day: date) -> int:
    count: int = _of_day(Request, day).count()
    return count


def _sums(day: date) -> list[list[dict[str, Any]]]:
    """Return the rollups of a day without their own numbers, in one order."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = (
        Rollup15.objects.filter(
            bucket__gte=start, bucket__lt=start + timedelta(days=1)
        ),
        RollupDay.objects.filter(bucket=day),
        RollupCube.objects.filter(bucket=day),
    )
    found = []
    for some in rows:
        plain = [{k: v for k, v in row.items() if k != "id"} for row in some.values()]
        found.append(sorted(plain, key=lambda row: str(sorted(row.items()))))
    return found
