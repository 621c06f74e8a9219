"""Read journal directories: a live writer's or a dead one's.

A torn tail, as a killed process or a power cut leaves it, ends a segment: what stands
before it is kept, what follows is cut and counted. In the newest segment of a live
writer the same bytes only mean that a write is on its way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from usage.journal.directory import segment_path, segments
from usage.journal.records import (
    FRAME,
    MAX_PAYLOAD,
    JournalFormatError,
    Record,
    decode,
    frames,
)

_CHUNK: Final = 1024 * 1024


class Position(NamedTuple):
    """A place in a directory: the next byte to read."""

    segment: int = 0
    offset: int = 0


class Entry(NamedTuple):
    """One record and the position behind it: what to store once it is shipped."""

    record: Record
    position: Position


class JournalReader:
    """Read one directory from a position on, following its writer.

    Shapes:  ``is_final`` says that the writer is dead (the directory was adopted):
             then the newest segment's bad tail is cut instead of waited for.
             ``rejected`` counts cuts and payloads this release cannot read,
             ``lost_bytes`` the bytes behind the cuts.
    """

    def __init__(
        self, directory: Path, position: Position | None = None, *, is_final: bool
    ) -> None:
        self.position = position or Position()
        self.rejected = 0
        self.lost_bytes = 0
        self._directory = directory
        self._is_final = is_final
        self._has_ended = False
        self._descriptor = -1
        self._open_number = -1

    def read(self, limit: int = 1000) -> list[Entry]:
        """Return the next records, at most ``limit``; none when there are none yet."""
        found: list[Entry] = []
        while len(found) < limit:
            # Looked up first: when a later segment exists, nothing more is appended
            # to this one, so an empty read after that really is its end.
            later = self._later_segment()
            size = len(found)
            is_data = self._read_segment(found, limit)
            if len(found) > size or is_data:
                continue
            if later is None:
                self._end()
                break
            self._cut_tail()
            self.position = Position(later, 0)
        return found

    def close(self) -> None:
        """Close the open segment; reading on opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._open_number = -1

    def _later_segment(self) -> int | None:
        current = self.position.segment
        later = (found for found in segments(self._directory) if found > current)
        return next(later, None)

    def _read_segment(self, found: list[Entry], limit: int) -> bool:
        """Append records to ``found``; True when bytes were consumed."""
        if not self._open():
            return False
        number, start = self.position
        offset = start
        for payload, end in self._frames_at(start):
            offset = start + end
            try:
                record = decode(payload)
            except JournalFormatError:
                self.rejected += 1
                self.lost_bytes += len(payload)
            else:
                found.append(Entry(record, Position(number, offset)))
            if len(found) >= limit:
                break
        self.position = Position(number, offset)
        return offset > start

    def _frames_at(self, start: int) -> Iterator[tuple[memoryview, int]]:
        data = os.pread(self._descriptor, _CHUNK, start)
        is_empty = True
        for each in frames(data):
            is_empty = False
            yield each
        if is_empty and len(data) == _CHUNK:
            yield from frames(
                os.pread(self._descriptor, FRAME.size + MAX_PAYLOAD, start)
            )

    def _open(self) -> bool:
        number = self.position.segment
        if self._open_number == number:
            return True
        self.close()
        try:
            self._descriptor = os.open(
                segment_path(self._directory, number), os.O_RDONLY
            )
        except FileNotFoundError:
            return False
        self._open_number = number
        return True

    def _cut_tail(self) -> None:
        """Count what is left behind when this segment is done with."""
        if not self._open():
            return
        rest = os.fstat(self._descriptor).st_size - self.position.offset
        if rest > 0:
            self.rejected += 1
            self.lost_bytes += rest

    def _end(self) -> None:
        if self._is_final and not self._has_ended:
            self._has_ended = True
            self._cut_tail()


def read_all(directory: Path, position: Position | None = None) -> Iterator[Entry]:
    """Iterate over everything intact in a directory, as it is at this moment."""
    reader = JournalReader(directory, position, is_final=False)
    try:
        while batch := reader.read():
            yield from batch
    finally:
        reader.close()
