"""Append records to this process's journal before the work they announce is visible.

``append`` is one ``write(2)``: what was appended survives ``kill -9`` in every mode.
The modes differ in power loss only: ``os`` leaves flushing to the kernel, ``group``
flushes every 50 ms in a thread nobody waits for, ``always`` lets the caller wait for
its flush, many callers sharing one.

A file whose flush or write failed is never flushed again: the kernel may have dropped
the pages and would report success. What was not yet known to be on disk is written
once more into a new segment. Readers therefore meet a record twice at times, and ids,
not positions, make the ledger exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final, Literal

import msgspec

from poolsite.clock import Clock
from usage.journal.directory import (
    RESERVE_NAME,
    HeldDirectory,
    create,
    open_segment,
    sync_directory,
)
from usage.journal.disk import Disk, Reserve
from usage.journal.records import Record, frame

Durability = Literal["os", "group", "always"]

_WRITE_TRIES: Final = 4
_SYNC_ROUNDS: Final = 3
_log: Final = logging.getLogger("usage.journal")


class JournalWriteError(OSError):
    """A record could not be written, not even to a new segment."""


class JournalClosedError(RuntimeError):
    """The journal was closed before this record came."""


class JournalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Set the journal's sizes and rhythms.

    Units: bytes and seconds; ``low_disk`` is the fraction of the volume that must be
        free for new work to be admitted.
    """

    segment_bytes: int = 16 * 1024 * 1024
    reserve_bytes: int = 64 * 1024 * 1024
    sync_interval_s: float = 0.05
    disk_interval_s: float = 1.0
    low_disk: float = 0.05


class JournalStats(msgspec.Struct):
    """Count what happened since the journal was opened, for metrics and alarms."""

    records: int = 0
    bytes: int = 0
    segments: int = 0
    syncs: int = 0
    write_errors: int = 0
    sync_errors: int = 0
    rewritten: int = 0
    reserves_spent: int = 0


class _Segment:
    """One open file and the frames not yet known to be on disk."""

    __slots__ = ("descriptor", "is_broken", "is_new", "size", "unsynced")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        self.is_new = True
        self.is_broken = False
        self.unsynced: list[bytes] = []

    def take_unsynced(self) -> list[bytes]:
        frames, self.unsynced = self.unsynced, []
        return frames


Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Journal:
    """The append-only file set of one process.

    Cost: ``append`` about 3 us, encoding included. Whoever appends writes; one daemon
        thread flushes and watches the disk.
    """

    def __init__(
        self,
        held: HeldDirectory,
        *,
        durability: Durability,
        options: JournalOptions,
        disk: Disk,
    ) -> None:
        self.path = held.path
        self.stats = JournalStats()
        self._held = held
        self._durability = durability
        self._keeps_unsynced = durability != "os"
        self._options = options
        self._disk = disk
        self._reserve = Reserve(held.path / RESERVE_NAME, options.reserve_bytes, disk)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._retired: list[_Segment] = []
        self._waiters: list[Waiter] = []
        self._number = 0
        self._homeless: deque[bytes] = deque()
        self._is_low = False
        self._is_failing = False
        self._is_closed = False
        self._segment = self._next_segment()
        self.check_disk()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        clock: Clock,
        durability: Durability = "group",
        options: JournalOptions | None = None,
        disk: Disk | None = None,
    ) -> Journal:
        """Make a directory under ``root``, hold its lock and start the thread."""
        held = create(root, clock)
        try:
            return cls(
                held,
                durability=durability,
                options=options or JournalOptions(),
                disk=disk or Disk(),
            )
        except OSError:
            held.release()
            raise

    @property
    def origin(self) -> str:
        """Return the id of this file set: who spent what the ledger did not see yet."""
        return self._held.name

    def can_admit(self) -> bool:
        """Tell whether new work may start: there is room to record its end."""
        return not (self._is_low or self._is_failing or self._is_closed)

    def append(self, record: Record) -> None:
        """Write one record; when this returns it survives the death of the process.

        Errors: JournalWriteError after several segments failed; JournalClosedError.
        """
        data = frame(record)
        with self._lock:
            self._write(data)
        if self._keeps_unsynced and not self._wake.is_set():
            self._wake.set()

    async def append_durable(self, record: Record) -> None:
        """Write one record and wait as long as the durability setting promises.

        With ``always`` until it is on the medium, otherwise not at all. A cancelled
        caller stops waiting; its record is written all the same.

        Errors: as ``append``.
        """
        if self._durability != "always":
            self.append(record)
            return
        data = frame(record)
        loop = asyncio.get_running_loop()
        flushed: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._write(data)
            self._waiters.append((loop, flushed))
        self._wake.set()
        await flushed

    def check_disk(self) -> None:
        """Look at the free space: stop admitting, or start again when it is back.

        The thread calls it at least once a second.
        """
        try:
            free = self._disk.free_fraction(self.path)
        except OSError:
            free = 0.0
        is_low = free < self._options.low_disk
        if not is_low:
            # Held already, or claimed anew after a full disk was cleared.
            is_low = not self._reserve.claim()
        if is_low and not self._is_low:
            _log.error("journal_disk_low", extra={"free_fraction": free})
        self._is_low = is_low

    def sync(self) -> None:
        """Flush everything appended so far, moving it when its file fails.

        Errors: JournalWriteError when several segments in a row could not be flushed.
        """
        with self._flushing:
            with self._lock:
                waiters, self._waiters = self._waiters, []
            try:
                self._sync_rounds()
            except JournalWriteError as error:
                self._is_failing = True
                _tell(waiters, error)
                raise
            self._is_failing = False
            _tell(waiters, None)

    def close(self) -> None:
        """Flush, stop the thread and release the directory to the keeper."""
        if self._is_closed:
            return
        self._stop.set()
        self._wake.set()
        self._thread.join()
        try:
            if self._keeps_unsynced:
                self.sync()
        finally:
            with self._lock:
                self._is_closed = True
            for segment in [*self._retired, self._segment]:
                os.close(segment.descriptor)
            self._retired = []
            self._reserve.give_up()
            self._held.release()

    def _run(self) -> None:
        """Flush in groups and watch the disk until the journal is closed."""
        while not self._stop.is_set():
            is_woken = self._wake.wait(self._options.disk_interval_s)
            if is_woken and self._durability == "group":
                self._stop.wait(self._options.sync_interval_s)
            self._wake.clear()
            if self._keeps_unsynced and (is_woken or self._is_failing):
                try:
                    self.sync()
                except JournalWriteError:
                    _log.exception("journal_sync_failed")
            self.check_disk()

    def _write(self, data: bytes) -> None:
        """Append one frame, moving to a new segment when this one fails.

        The caller holds the lock.
        """
        if self._is_closed:
            raise JournalClosedError("The journal is closed.")
        size = len(data)
        for _ in range(_WRITE_TRIES):
            try:
                segment = self._segment_for(size)
                self._disk.write(segment.descriptor, data)
            except OSError as error:
                # Half a frame may be in the file; a reader stops there, so nothing
                # may follow it.
                self._segment.is_broken = True
                self._note_write_error(error)
                continue
            segment.size += size
            if self._keeps_unsynced:
                segment.unsynced.append(data)
            stats = self.stats
            stats.records += 1
            stats.bytes += size
            return
        raise JournalWriteError(errno.EIO, "The journal could not be written.")

    def _segment_for(self, size: int) -> _Segment:
        """Return the segment for the next frame, rotating when it is full or broken."""
        segment = self._segment
        is_full = segment.size and segment.size + size > self._options.segment_bytes
        if not is_full and not segment.is_broken:
            return segment
        try:
            fresh = self._next_segment()
        except OSError:
            if segment.is_broken:
                raise
            return segment  # too long a file is better than no record
        if self._keeps_unsynced:
            self._retired.append(segment)
        else:
            os.close(segment.descriptor)
        self._segment = fresh
        return fresh

    def _next_segment(self) -> _Segment:
        descriptor = open_segment(self.path, self._number + 1)
        self._number += 1
        self.stats.segments += 1
        return _Segment(descriptor)

    def _note_write_error(self, error: OSError) -> None:
        self.stats.write_errors += 1
        _log.error("journal_write_failed", extra={"errno": error.errno})
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and self._reserve.is_held:
            self._reserve.give_up()
            self._is_low = True
            self.stats.reserves_spent += 1

    def _sync_rounds(self) -> None:
        if not any(self._sync_round() for _ in range(_SYNC_ROUNDS)):
            raise JournalWriteError(errno.EIO, "The disk refuses to flush.")

    def _sync_round(self) -> bool:
        """Flush each file once; False when some frames moved and need another round.

        Errors: JournalWriteError when they could not even be written again; they stay
            in ``_homeless`` for the next round.
        """
        with self._lock:
            self._rehome()
            retired, self._retired = self._retired, []
            batches = [(each, each.take_unsynced()) for each in retired]
            batches.append((self._segment, self._segment.take_unsynced()))
        is_clean = True
        for segment, frames in batches:
            if frames and not self._flush(segment):
                is_clean = False
                with self._lock:
                    segment.is_broken = True
                    self._homeless += [*frames, *segment.take_unsynced()]
        for segment in retired:
            os.close(segment.descriptor)
        if not is_clean:
            with self._lock:
                self._rehome()
        return is_clean

    def _flush(self, segment: _Segment) -> bool:
        try:
            if segment.is_new:
                sync_directory(self.path)
                segment.is_new = False
            self._disk.sync(segment.descriptor)
        except OSError as error:
            self.stats.sync_errors += 1
            _log.error("journal_sync_error", extra={"errno": error.errno})
            return False
        self.stats.syncs += 1
        return True

    def _rehome(self) -> None:
        """Write what lost its file into the current one, in order."""
        while self._homeless:
            self._write(self._homeless[0])
            self._homeless.popleft()
            self.stats.rewritten += 1


def _tell(waiters: list[Waiter], error: JournalWriteError | None) -> None:
    """Wake the callers that wait for a flush, each in its own loop."""
    for loop, flushed in waiters:
        # A loop that is closed has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, flushed, error)


def _resolve(flushed: asyncio.Future[None], error: JournalWriteError | None) -> None:
    if flushed.done():
        return
    if error is None:
        flushed.set_result(None)
    else:
        flushed.set_exception(error)
