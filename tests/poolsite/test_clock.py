"""Prove that a manual clock moves only when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from poolsite.clock import Clock, ManualClock, SystemClock

START = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def test_manual_clock_stands_still() -> None:
    clock: Clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    assert clock.monotonic() == clock.monotonic()


def test_advance_moves_all_three_readings_together() -> None:
    clock = ManualClock(START)
    before_ns, before_mono = clock.time_ns(), clock.monotonic()
    for _ in range(1_000):
        clock.advance(0.1)
    assert clock.now() == START + timedelta(seconds=100)
    assert clock.time_ns() - before_ns == 100 * 1_000_000_000
    assert clock.monotonic() - before_mono == pytest.approx(100)


def test_negative_advance_is_refused() -> None:
    with pytest.raises(ValueError, match="set_wall"):
        ManualClock().advance(-1)


def test_wall_clock_set_back_leaves_monotonic_alone() -> None:
    clock = ManualClock(START)
    before = clock.monotonic()
    clock.set_wall(START - timedelta(hours=1))
    assert clock.now() == START - timedelta(hours=1)
    assert clock.monotonic() == before


def test_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_system_clock_reads_agree() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now().timestamp() - clock.time_ns() / 1e9) < 5
    assert clock.monotonic() <= clock.monotonic()
