"""What was appended is there, whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import time

import pytest

from tests.usage.journal.conftest import SMALL
from tests.usage.journal.factories import make_fact, make_intent
from usage.journal.directory import (
    RESERVE_NAME,
    segment_path,
    segments,
    try_adopt,
)
from usage.journal.disk import Disk
from usage.journal.reader import read_all
from usage.journal.writer import (
    JournalClosedError,
    JournalOptions,
    JournalWriteError,
)

MODES = ["os", "group", "always"]


def keys(path):
    """List the facts' keys, each once, in the order of first appearance."""
    found = [each.record.key for each in read_all(path)]
    return list(dict.fromkeys(found))


def expected(count):
    return [make_fact(number).key for number in range(count)]


@pytest.mark.parametrize("mode", MODES)
def test_appended_record_is_readable_at_once(open_journal, mode):
    journal = open_journal(mode)
    journal.append(make_intent())
    assert [each.record for each in read_all(journal.path)] == [make_intent()]


@pytest.mark.parametrize("mode", MODES)
def test_segments_rotate_and_lose_nothing(open_journal, mode):
    journal = open_journal(mode)
    for number in range(500):
        journal.append(make_fact(number))
    assert len(segments(journal.path)) > 3
    assert keys(journal.path) == expected(500)
    sizes = [each.stat().st_size for each in journal.path.glob("*.seg")]
    assert max(sizes) <= SMALL.segment_bytes


async def test_always_returns_after_the_flush(open_journal):
    journal = open_journal("always")
    await journal.append_durable(make_fact())
    assert journal.stats.syncs >= 1


async def test_many_waiters_share_a_flush(open_journal):
    journal = open_journal("always", disk=SlowDisk())
    await asyncio.gather(
        *(journal.append_durable(make_fact(number)) for number in range(200))
    )
    assert journal.stats.syncs < 50
    assert keys(journal.path) == expected(200)


async def test_cancelled_waiter_harms_nobody(open_journal):
    journal = open_journal("always", disk=SlowDisk())
    waiting = asyncio.create_task(journal.append_durable(make_fact(0)))
    other = asyncio.create_task(journal.append_durable(make_fact(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    await other
    assert keys(journal.path) == expected(2)


@pytest.mark.parametrize("mode", ["os", "group"])
async def test_durable_append_does_not_wait_in_the_other_modes(open_journal, mode):
    journal = open_journal(mode, options=JournalOptions(sync_interval_s=60))
    await asyncio.wait_for(journal.append_durable(make_fact()), 5)
    assert keys(journal.path) == expected(1)


def test_close_flushes_and_leaves_the_directory_to_the_keeper(open_journal):
    journal = open_journal("group", options=JournalOptions(reserve_bytes=0))
    journal.append(make_fact())
    journal.close()
    journal.close()
    assert journal.stats.syncs >= 1
    adopted = try_adopt(journal.path)
    assert adopted is not None
    assert adopted.name == journal.origin
    adopted.release()


def test_append_after_close_is_refused(open_journal):
    journal = open_journal()
    journal.close()
    assert not journal.can_admit()
    with pytest.raises(JournalClosedError):
        journal.append(make_fact())


@pytest.mark.parametrize("nth", range(1, 51))
@pytest.mark.parametrize("mode", MODES)
async def test_nth_failing_write_loses_nothing(open_journal, mode, nth):
    disk = FaultyDisk(write_faults={nth})
    journal = open_journal(mode, disk=disk)
    for number in range(60):
        await journal.append_durable(make_fact(number))
    journal.close()
    assert journal.stats.write_errors == 1
    assert keys(journal.path) == expected(60)


@pytest.mark.parametrize("nth", range(1, 51))
async def test_nth_failing_flush_moves_the_records(open_journal, nth):
    disk = FaultyDisk(sync_faults={nth})
    journal = open_journal("always", disk=disk)
    for number in range(60):
        await journal.append_durable(make_fact(number))
    assert journal.stats.sync_errors == 1
    assert journal.stats.rewritten >= 1
    assert keys(journal.path) == expected(60)
    failed = disk.failed_descriptors
    assert all(disk.synced_after_failure(each) == 0 for each in failed)


def test_failed_flush_rewrites_also_what_came_during_it(open_journal):
    journal = open_journal("group", options=SLEEPY, disk=FaultyDisk(sync_faults={1}))
    for number in range(300):
        journal.append(make_fact(number))
    journal.sync()
    last = segments(journal.path)[-1]
    assert journal.stats.rewritten > 0
    assert keys(journal.path) == expected(300)
    assert journal.stats.segments == last


async def test_dead_disk_tells_the_waiter_and_stops_admission(open_journal):
    disk = FaultyDisk(sync_faults=set(range(1, 1_000)))
    journal = open_journal("always", disk=disk)
    with pytest.raises(JournalWriteError):
        await journal.append_durable(make_fact(0))
    assert not journal.can_admit()
    disk.sync_faults.clear()
    journal.sync()
    assert journal.can_admit()
    assert keys(journal.path) == expected(1)


def test_write_error_in_every_segment_is_raised(open_journal):
    journal = open_journal(disk=FaultyDisk(write_faults=set(range(2, 100))))
    journal.append(make_fact(0))
    with pytest.raises(JournalWriteError):
        journal.append(make_fact(1))
    assert keys(journal.path) == expected(1)


def test_full_disk_spends_the_reserve_and_settles_what_runs(open_journal):
    disk = FullDisk(room=4_000, reserve=4_000)
    options = JournalOptions(
        segment_bytes=100_000, reserve_bytes=4_000, disk_interval_s=60, low_disk=0.05
    )
    journal = open_journal("os", options=options, disk=disk)
    number = 0
    while journal.can_admit():
        journal.append(make_fact(number))
        number += 1
    admitted = number
    for _ in range(20):
        journal.append(make_fact(number))
        number += 1
    assert admitted > 20
    assert journal.stats.reserves_spent == 1
    assert not (journal.path / RESERVE_NAME).exists()
    assert keys(journal.path) == expected(number)
    journal.check_disk()
    assert not journal.can_admit()
    disk.room += 100_000
    disk.free = 0.5
    journal.check_disk()
    assert journal.can_admit()
    assert (journal.path / RESERVE_NAME).exists()


def test_low_disk_stops_admission_before_it_is_full(open_journal):
    disk = FaultyDisk()
    journal = open_journal(disk=disk, options=JournalOptions(reserve_bytes=4_096))
    assert journal.can_admit()
    disk.free = 0.04
    journal.check_disk()
    assert not journal.can_admit()
    journal.append(make_fact(0))
    assert keys(journal.path) == expected(1)
    disk.free = 0.06
    journal.check_disk()
    assert journal.can_admit()


def test_volume_without_room_for_the_reserve_admits_nothing(open_journal):
    options = JournalOptions(reserve_bytes=10_000, low_disk=0.0)
    journal = open_journal("os", options=options, disk=FullDisk(room=0, reserve=500))
    assert not journal.can_admit()


def test_volume_that_cannot_be_asked_counts_as_full(open_journal):
    journal = open_journal(disk=LostDisk(), options=JournalOptions(reserve_bytes=0))
    assert not journal.can_admit()


def test_no_new_segment_to_be_had_keeps_the_old_one_growing(open_journal):
    journal = open_journal("os")
    segment_path(journal.path, 2).touch()
    for number in range(300):
        journal.append(make_fact(number))
    assert segment_path(journal.path, 1).stat().st_size > SMALL.segment_bytes
    assert keys(journal.path) == expected(300)


@pytest.mark.parametrize("seed", range(20))
def test_random_faults_never_lose_an_appended_record(open_journal, seed):
    pick = random.Random(seed)
    disk = FaultyDisk(
        write_faults={n for n in range(1, 2_000) if pick.random() < 0.1},
        sync_faults={n for n in range(1, 200) if pick.random() < 0.3},
    )
    journal = open_journal("group", options=SLEEPY, disk=disk)
    written = []
    for number in range(300):
        try:
            journal.append(make_fact(number))
            written.append(make_fact(number).key)
            if pick.random() < 0.1:
                journal.sync()
        except JournalWriteError:
            continue
    disk.write_faults.clear()
    disk.sync_faults.clear()
    journal.sync()
    assert set(written) <= set(keys(journal.path))


SLEEPY = JournalOptions(
    segment_bytes=4_096,
    reserve_bytes=0,
    sync_interval_s=3_600,
    disk_interval_s=3_600,
    low_disk=0.0,
)


class SlowDisk(Disk):
    """A medium that takes a while, so that callers pile up."""

    def sync(self, descriptor):
        time.sleep(0.005)
        super().sync(descriptor)


class FaultyDisk(Disk):
    """A medium whose nth write or flush fails, writes with half the data done."""

    def __init__(self, *, write_faults=(), sync_faults=()):
        self.write_faults = set(write_faults)
        self.sync_faults = set(sync_faults)
        self.free = 0.5
        self.writes = 0
        self.syncs = 0
        self.history = []

    def write(self, descriptor, data):
        self.writes += 1
        if self.writes in self.write_faults:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.EIO, "injected")
        super().write(descriptor, data)

    def sync(self, descriptor):
        self.syncs += 1
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        self.history.append((name, self.syncs in self.sync_faults))
        if self.syncs in self.sync_faults:
            raise OSError(errno.EIO, "injected")
        super().sync(descriptor)

    def free_fraction(self, path):
        return self.free

    @property
    def failed_descriptors(self):
        return [name for name, has_failed in self.history if has_failed]

    def synced_after_failure(self, name):
        calls = [has_failed for each, has_failed in self.history if each == name]
        return len(calls) - calls.index(True) - 1


class LostDisk(Disk):
    """A volume that answers nothing about itself."""

    def free_fraction(self, path):
        raise OSError(errno.EIO, "injected")


class FullDisk(Disk):
    """A volume with so many bytes of room, of which the reserve takes its part."""

    def __init__(self, *, room, reserve):
        self.room = room + reserve
        self.reserve = reserve
        self.free = 0.5
        self.used = 0
        self.path = None

    def allocate(self, descriptor, size):
        if self.room - self.used < size:
            raise OSError(errno.ENOSPC, "injected")
        self.path = os.readlink(f"/proc/self/fd/{descriptor}")
        super().allocate(descriptor, size)

    def write(self, descriptor, data):
        held = self.reserve if self.path and os.path.exists(self.path) else 0
        if self.used + len(data) + held > self.room:
            self.free = 0.0
            raise OSError(errno.ENOSPC, "injected")
        self.used += len(data)
        super().write(descriptor, data)

    def free_fraction(self, path):
        return self.free
