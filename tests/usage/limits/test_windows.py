from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage.limits.windows import KINDS, window_at

MOMENTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2040, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
)


@given(MOMENTS, ZONES, st.sampled_from([kind for kind in KINDS if kind != "total"]))
def test_a_window_holds_its_moment_and_meets_the_next(moment, zone, kind):
    window = window_at(kind, zone, moment)
    assert window.starts_at <= moment < window.ends_at
    after = window_at(kind, zone, window.ends_at)
    assert after.starts_at == window.ends_at
    assert after.id != window.id
    assert window_at(kind, zone, window.starts_at) == window


def test_the_day_of_a_clock_change_is_one_window_of_its_own_length():
    spring = window_at("day", "Europe/Berlin", datetime(2026, 3, 29, 12, tzinfo=UTC))
    autumn = window_at("day", "Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert spring.ends_at - spring.starts_at == timedelta(hours=23)
    assert autumn.ends_at - autumn.starts_at == timedelta(hours=25)


def test_the_hour_a_clock_change_repeats_is_two_windows():
    first = window_at(
        "hour", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    )
    second = window_at(
        "hour", "Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    )
    assert first.id != second.id


def test_total_never_resets():
    assert window_at("total", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) == (
        "total",
        None,
        None,
    )


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="fortnight"):
        window_at("fortnight", "UTC", datetime(2026, 1, 1, tzinfo=UTC))
