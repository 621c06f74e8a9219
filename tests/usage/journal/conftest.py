"""Journals in a temporary directory, closed when the test ends."""

from __future__ import annotations

import pytest

from poolsite.clock import ManualClock
from usage.journal.writer import Journal, JournalOptions

SMALL = JournalOptions(
    segment_bytes=4_096, reserve_bytes=65_536, sync_interval_s=0.002, low_disk=0.0
)


@pytest.fixture
def open_journal(tmp_path):
    opened = []

    def open_journal(durability="group", *, options=SMALL, disk=None):
        journal = Journal.open(
            tmp_path / "journal",
            clock=ManualClock(),
            durability=durability,
            options=options,
            disk=disk,
        )
        opened.append(journal)
        return journal

    yield open_journal
    for journal in opened:
        journal.close()
