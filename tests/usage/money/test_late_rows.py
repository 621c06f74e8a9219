"""Rows that come late or twice, and a shipper that is killed, change no sum."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.usage.money import late_rows


def check(seen: late_rows.Rows, name: str) -> None:
    print(
        f"{name}: {seen.copies} records of {seen.written} requests, {seen.kills} kills:"
        f" lost {seen.lost}, double {seen.double}, difference {seen.difference}"
    )
    assert (seen.lost, seen.double, seen.difference) == (0, 0, 0)


@pytest.mark.django_db
def test_t49_late_rows_and_duplicates_count_once_in_their_own_windows(
    tmp_path: Path,
) -> None:
    seen = late_rows.late_and_twice(tmp_path / "journal", count=150, seed=1)
    assert seen.copies > 2 * seen.written
    check(seen, "T49 late and twice")


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_t34_shipper_killed_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    seen = late_rows.shipper_killed(tmp_path / "journal", count=300, kills=20, seed=2)
    assert seen.kills >= 5
    check(seen, "T34 shipper killed")
