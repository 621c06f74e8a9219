"""Prove that ids are unique, ordered and carry their time."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.clock import ManualClock, SystemClock
from poolsite.ids import uuid7, uuid7_at

START = datetime(2026, 5, 4, 3, 2, 1, 123000, tzinfo=UTC)


def test_id_is_version_seven_of_the_standard_variant() -> None:
    made = uuid7(ManualClock(START))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_id_tells_its_millisecond() -> None:
    assert uuid7_at(uuid7(ManualClock(START))) == START


def test_other_versions_carry_no_time() -> None:
    with pytest.raises(ValueError, match="version 7"):
        uuid7_at(uuid.uuid4())


def test_ids_of_one_millisecond_rise_past_the_counter() -> None:
    clock = ManualClock(START)
    made = [uuid7(clock) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert uuid7_at(made[-1]) - START <= timedelta(milliseconds=3)


@given(st.lists(st.integers(-2_000, 2_000), max_size=60))
@settings(max_examples=200)
def test_ids_rise_however_the_wall_clock_jumps(steps_ms: list[int]) -> None:
    clock = ManualClock(START)
    made = [uuid7(clock)]
    for step in steps_ms:
        clock.set_wall(clock.now() + timedelta(milliseconds=step))
        made.append(uuid7(clock))
    assert made == sorted(set(made))


def test_another_clock_starts_its_own_order() -> None:
    uuid7(SystemClock())
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert uuid7_at(uuid7(ManualClock(past))) == past


def test_threads_never_share_an_id() -> None:
    clock = ManualClock(START)
    made: list[uuid.UUID] = []

    def run() -> None:
        made.extend([uuid7(clock) for _ in range(5_000)])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 40_000
