"""Numbers and times are said one way, and unknown is not zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from poolsite.ui import numbers

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 k"),
        (56_120, "56.1 k"),
        (999_600, "1.00 M"),
        (1_240_112, "1.24 M"),
        (3_500_000_000, "3.50 G"),
        (-2_000_000, "-2.00 M"),
    ],
)
def test_counts_are_shortened(number: int | None, text: str) -> None:
    assert numbers.short_count(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (0.18, "0.18 ms"),
        (842, "842 ms"),
        (999.7, "1.0 s"),
        (3214, "3.2 s"),
        (245_000, "4 m 05 s"),
    ],
)
def test_latency_has_a_unit(value: float | None, text: str) -> None:
    assert numbers.duration_ms(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (7800, "2 h 10 m"), (273_600, "3 d 4 h"), (None, "-")],
)
def test_spans_have_two_units(seconds: float | None, text: str) -> None:
    assert numbers.span(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 5, "0 %"),
        (1, 250, "0.4 %"),
        (1, 5, "20 %"),
        (1, 100_000, "< 0.1 %"),
        (1, 0, "-"),
        (None, 5, "-"),
    ],
)
def test_a_share_of_nothing_is_unknown(
    part: float | None, whole: float, text: str
) -> None:
    assert numbers.percent(part, whole) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=3, seconds=50), "3 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(hours=24), ""),
        (timedelta(minutes=-12), "in 12 min"),
    ],
)
def test_recent_times_are_relative(ago: timedelta, text: str) -> None:
    assert numbers.relative(NOW - ago, NOW) == text


def test_a_date_names_its_year_only_when_it_is_another() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert numbers.moment(NOW, zone, NOW) == "20 Nov, 13:00"
    assert numbers.moment(NOW - timedelta(days=400), zone, NOW) == "16 Oct 2025, 14:00"


def test_the_tooltip_says_local_time_and_utc() -> None:
    text = numbers.both_zones(NOW, ZoneInfo("Europe/Berlin"), UTC)
    assert text == "2026-11-20 13:00:00 CET · 2026-11-20 12:00:00 UTC"


def test_ids_are_cut_in_the_middle() -> None:
    assert numbers.middle("0198f2a4-77c1-9c41", 11) == "0198f…-9c41"
    assert numbers.middle("short", 11) == "short"


def test_sizes_have_a_unit() -> None:
    assert numbers.data_size(512) == "512 B"
    assert numbers.data_size(3_400) == "3.4 KB"
    assert numbers.data_size(None) == "-"


def test_change_needs_something_to_compare_with() -> None:
    assert numbers.change(5, 4) == 0.25
    assert numbers.change(5, 0) is None
    assert numbers.change(None, 4) is None
