"""Ship the journals of this node's data processes into the ledger.

A living writer's directory is followed from the cursor on. A directory whose lock can
be taken belongs to a dead writer: it is read to its end, what it left open is settled
as crashed, and then it is deleted. Nothing here needs to be told that something died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from django.db import InterfaceError, OperationalError, connection

from poolsite.clock import Clock
from usage import ledger
from usage.journal import directory as directories
from usage.journal.directory import HeldDirectory
from usage.journal.orphans import OpenWork
from usage.journal.reader import Entry, JournalReader, Position, read_all
from usage.journal.records import Fact, Record, Settle
from usage.journal.typical import Typical
from usage.ledger import Batch, Ledger, StalePositionError, Window

SQLITE_BATCH: Final = 200
"""Records a transaction: other writers of the same file wait no longer than 50 ms."""
BATCH: Final = 1000
_BATCHES_A_ROUND: Final = 50
DEAD_LETTERS: Final = "dead-letters.jsonl"

Sink = Callable[[Sequence[Record]], None]
Check = Callable[[str], None]
Announce = Callable[[frozenset[Window]], None]

_log = logging.getLogger("usage.shipper")
_sinks: dict[str, Sink] = {}


class Shipped(NamedTuple):
    """What one round did."""

    records: int = 0
    requests: int = 0
    attempts: int = 0
    adopted: int = 0
    settled_orphans: int = 0
    budgets: frozenset[Window] = frozenset()


def register_sink(kind: str, sink: Sink) -> None:
    """Hand records of a kind (``fact``) to a function of another floor.

    It runs in the transaction that ships them, so it must be quick; what it writes is
    repeated after a crash in between only if it was rolled back.
    """
    _sinks[kind] = sink


def _no_check(step: str) -> None:
    """Do nothing; a test passes a function that kills the process instead."""


def _tell_nobody(windows: frozenset[Window]) -> None:
    """Do nothing."""


class _Feed:
    """One journal directory: reader, open work, budget shares."""

    def __init__(self, path: Path, typical: Typical) -> None:
        self.path = path
        self.start = ledger.position(path.name)
        self.work = OpenWork(typical)
        self.held: HeldDirectory | None = None
        self.budgets = ledger.shares(path.name)
        self._reader = JournalReader(path, self.start, is_final=False)
        self._rejected = 0
        self._catch_up()

    def take(self, limit: int) -> tuple[list[Entry], Position, int]:
        """Return the next entries, the position behind them, and what was cut."""
        entries = self._reader.read(limit)
        rejected = self._reader.rejected - self._rejected
        self._rejected = self._reader.rejected
        return entries, self._reader.position, rejected

    def follow(self, entries: Sequence[Entry]) -> None:
        """Keep the open work up to date with what was shipped."""
        for entry in entries:
            self.work.feed(entry.record, entry.position.segment)

    def adopt(self) -> bool:
        """Take the directory over if its writer is gone."""
        if self.held is None:
            self.held = directories.try_adopt(self.path)
            if self.held is not None:
                self._reader.close()
                self._reader = JournalReader(self.path, self.start, is_final=True)
                self._rejected = 0
        return self.held is not None

    def clean_up(self) -> None:
        """Delete segments nothing needs any more."""
        oldest = self.work.oldest_segment()
        keep = self.start.segment if oldest is None else oldest
        directories.delete_segments_before(self.path, min(keep, self.start.segment))

    def close(self) -> None:
        """Let go of the files; an adopted directory keeps its content."""
        self._reader.close()
        if self.held is not None:
            self.held.release()
            self.held = None

    def _catch_up(self) -> None:
        """Learn what was open at the cursor from the segments that are kept."""
        kept = directories.segments(self.path)
        first = Position(min(kept, default=0), 0)
        for entry in read_all(self.path, first):
            if entry.position > self.start:
                break
            self.work.feed(entry.record, entry.position.segment)


class Shipper:
    """Move records from journal directories to the ledger, exactly once.

    Shapes:  ``announce`` is told which budget windows grew, for each directory, and
             always before a dead one vanishes: who waits for that must find the sums.
    Errors:  database errors come through ``ship``; nothing is lost, the next round
             starts at the cursor again.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        *,
        announce: Announce = _tell_nobody,
        check: Check = _no_check,
    ) -> None:
        self._root = root
        self._announce = announce
        self._clock = clock
        self._check = check
        self._ledger = Ledger(check=check)
        self._typical = Typical()
        self._feeds: dict[str, _Feed] = {}

    @property
    def shares(self) -> dict[str, dict[Window, int]]:
        """Each journal's part of the budget windows, as far as shipped.

        A dead one's is complete when it vanishes.
        """
        return {name: feed.budgets for name, feed in self._feeds.items()}

    def ship(self) -> Shipped:
        """Do one round over every directory.

        Cost: without new records one directory listing and two system calls each.
        """
        total = Shipped()
        found = {path.name: path for path in directories.directories(self._root)}
        for name in self._feeds.keys() - found.keys():
            self._feeds.pop(name).close()
        for name, path in found.items():
            total = _sum(total, self._ship_directory(name, path))
        return total

    def close(self) -> None:
        """Close every file."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    def _ship_directory(self, name: str, path: Path) -> Shipped:
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = _Feed(path, self._typical)
        is_dead = feed.adopt()
        done = Shipped()
        try:
            for _ in range(_BATCHES_A_ROUND):
                records, shipped = self._ship_batch(feed)
                done = _sum(done, shipped)
                if not records:
                    break
            else:
                self._announce(done.budgets)
                return done
            if is_dead:
                return self._finish(feed, done)
        except BaseException:
            # The next round starts over at the cursor.
            self._feeds.pop(name, feed).close()
            raise
        if done.records:
            self._announce(done.budgets)
            feed.clean_up()
        return done

    def _ship_batch(self, feed: _Feed) -> tuple[int, Shipped]:
        limit = SQLITE_BATCH if connection.vendor == "sqlite" else BATCH
        entries, end, rejected = feed.take(limit)
        self._check("read")
        if end == feed.start and not rejected:
            return 0, Shipped()
        if not rejected and not any(map(_is_written, entries)):
            # Only the cursor would move, and it may as well follow later.
            feed.follow(entries)
            return len(entries), Shipped()
        done = self._write(feed, entries, end, rejected)
        feed.follow(entries)
        return max(len(entries), 1), done

    def _write(
        self, feed: _Feed, entries: Sequence[Entry], end: Position, rejected: int
    ) -> Shipped:
        """Write one stretch; find the one record a database cannot take, if any."""
        try:
            return self._write_whole(feed, entries, end, rejected)
        except (OperationalError, InterfaceError, StalePositionError):
            raise
        except Exception as error:
            wanted = [entry for entry in entries if _is_written(entry)]
            if not wanted:
                raise
            if len(wanted) > 1:
                return self._write_one_by_one(feed, wanted, end, rejected)
            self._bury(wanted[0].record, error)
            return self._write_whole(feed, [], end, rejected + 1)

    def _write_one_by_one(
        self, feed: _Feed, entries: Sequence[Entry], end: Position, rejected: int
    ) -> Shipped:
        """Ship around a bad record; the cursor moves with the last one.

        Every part before it starts and ends at the same position: a crash in between
        reads them again, and their ids say that they are known.
        """
        start = feed.start
        total = Shipped()
        for entry in entries:
            total = _sum(total, self._write(feed, [entry], start, 0))
        return _sum(total, self._write_whole(feed, [], end, rejected))

    def _write_whole(
        self, feed: _Feed, entries: Sequence[Entry], end: Position, rejected: int
    ) -> Shipped:
        records = [entry.record for entry in entries]
        batch = Batch(
            directory=feed.path.name,
            start=feed.start,
            end=end,
            settles=[each for each in records if isinstance(each, Settle)],
            records=len(records),
            rejected=rejected,
        )
        written = self._ledger.write(
            batch, now=self._clock.now(), also=lambda: _feed_sinks(records)
        )
        self._check("shipped")
        feed.start = end
        for window, nano in written.budgets.items():
            feed.budgets[window] = feed.budgets.get(window, 0) + nano
        return Shipped(
            records=len(records),
            requests=written.requests,
            attempts=written.attempts,
            budgets=frozenset(written.budgets),
        )

    def _finish(self, feed: _Feed, before: Shipped) -> Shipped:
        """Settle what a dead writer left open, then delete its directory."""
        orphans = feed.work.crashed()
        done = _sum(before, Shipped(adopted=1, settled_orphans=len(orphans)))
        for start in range(0, len(orphans), SQLITE_BATCH):
            part = orphans[start : start + SQLITE_BATCH]
            entries = [Entry(settle, feed.start) for settle in part]
            done = _sum(done, self._write(feed, entries, feed.start, 0))
        self._check("orphans settled")
        self._announce(done.budgets)
        if feed.held is not None:
            feed.held.delete()
        self._check("directory deleted")
        ledger.forget(feed.path.name)
        self._feeds.pop(feed.path.name, feed).close()
        return done

    def _bury(self, record: Record, error: Exception) -> None:
        """Keep a record the database refuses, so that a person can look at it."""
        _log.error("record_refused", extra={"error": str(error)[:200]})
        line = msgspec.json.encode({"error": str(error)[:500], "record": record})
        with open(self._root / DEAD_LETTERS, "ab") as stream:
            stream.write(line + b"\n")


def _is_written(entry: Entry) -> bool:
    """Tell records that become rows from those that only say what is going on."""
    return isinstance(entry.record, Settle | Fact)


def _feed_sinks(records: Sequence[Record]) -> None:
    for kind, sink in _sinks.items():
        wanted = [each for each in records if each.__struct_config__.tag == kind]
        if wanted:
            sink(wanted)


def _sum(left: Shipped, right: Shipped) -> Shipped:
    return Shipped(
        left.records + right.records,
        left.requests + right.requests,
        left.attempts + right.attempts,
        left.adopted + right.adopted,
        left.settled_orphans + right.settled_orphans,
        left.budgets | right.budgets,
    )
