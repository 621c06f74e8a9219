"""A journal directory belongs to one process, and to the keeper after its death."""

from __future__ import annotations

import os

from poolsite.clock import ManualClock
from usage.journal.directory import (
    create,
    delete_segments_before,
    directories,
    open_segment,
    segments,
    try_adopt,
)


def test_directory_of_a_living_writer_cannot_be_adopted(tmp_path):
    held = create(tmp_path, ManualClock())
    assert try_adopt(held.path) is None
    held.release()


def test_released_directory_is_adopted_once(tmp_path):
    held = create(tmp_path, ManualClock())
    held.release()
    adopted = try_adopt(held.path)
    assert adopted is not None
    assert adopted.name == held.path.name
    assert try_adopt(held.path) is None
    adopted.release()


def test_deleted_directory_is_gone_and_cannot_be_adopted(tmp_path):
    held = create(tmp_path, ManualClock())
    held.delete()
    assert directories(tmp_path) == []
    assert try_adopt(held.path) is None


def test_directories_are_listed_in_order_of_birth(tmp_path):
    clock = ManualClock()
    held = [create(tmp_path, clock) for _ in range(5)]
    assert directories(tmp_path) == [each.path for each in held]
    for each in held:
        each.release()


def test_half_made_directory_is_not_listed(tmp_path):
    (tmp_path / ".0000").mkdir()
    (tmp_path / "file").touch()
    assert directories(tmp_path) == []


def test_missing_root_holds_no_directories(tmp_path):
    assert directories(tmp_path / "nowhere") == []
    assert segments(tmp_path / "nowhere") == []


def test_only_shipped_segments_are_deleted(tmp_path):
    for number in (1, 2, 3):
        os.close(open_segment(tmp_path, number))
    assert delete_segments_before(tmp_path, 3) == 2
    assert segments(tmp_path) == [3]
