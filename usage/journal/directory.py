"""The journal's directories: one per data process, owned through a file lock.

A process writes into ``<root>/<uuid7>/``. The kernel drops the lock when the process
ends, however it ends, so a lock that can be taken means a dead writer: the keeper
adopts the directory, ships what is left and deletes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from poolsite.clock import Clock
from poolsite.ids import uuid7

LOCK_NAME: Final = "lock"
RESERVE_NAME: Final = "reserve"
_SUFFIX: Final = ".seg"
_DIGITS: Final = 8
_PRIVATE_DIR: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class HeldDirectory:
    """A journal directory whose lock this process holds."""

    __slots__ = ("_lock", "path")

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def name(self) -> str:
        """Return the directory's id, which is also the origin of its spending."""
        return self.path.name

    def release(self) -> None:
        """Give the lock back and leave the files; doing it twice is harmless."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def delete(self) -> None:
        """Remove the directory and everything in it, then give the lock back."""
        shutil.rmtree(self.path)
        self.release()


def create(root: Path, clock: Clock) -> HeldDirectory:
    """Make a new directory under ``root`` and hold it.

    The directory appears under its final name only when the lock is already held:
    otherwise a keeper looking at that moment would take it for a dead writer's.
    """
    root.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
    name = str(uuid7(clock))
    hidden = root / f".{name}"
    hidden.mkdir(mode=_PRIVATE_DIR)
    lock = _take(hidden)
    if lock is None:  # pragma: no cover - nobody else knows this name
        raise RuntimeError(
            "A directory made a moment ago is locked by another process."
        )
    final = root / name
    hidden.rename(final)
    sync_directory(root)
    return HeldDirectory(final, lock)


def directories(root: Path) -> list[Path]:
    """List the journal directories under ``root``, oldest first.

    The names are UUIDv7, so the order of names is the order of birth.
    """
    try:
        found = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    return sorted(entry for entry in found if entry.is_dir())


def try_adopt(path: Path) -> HeldDirectory | None:
    """Take over a directory whose writer is gone.

    Fails: None while the writer lives, while another keeper holds it, or when the
        directory vanished in the meantime.
    """
    lock = _take(path)
    return None if lock is None else HeldDirectory(path, lock)


def segment_path(directory: Path, number: int) -> Path:
    """Name the file of one segment."""
    return directory / f"{number:0{_DIGITS}d}{_SUFFIX}"


def segments(directory: Path) -> list[int]:
    """List the numbers of the segments that exist, in order."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isdigit())


def delete_segments_before(directory: Path, number: int) -> int:
    """Delete segments whose every record is in the ledger; return how many went.

    The caller keeps the segment of the oldest open request: an orphan is settled from
    its intent.
    """
    old = [found for found in segments(directory) if found < number]
    for found in old:
        segment_path(directory, found).unlink(missing_ok=True)
    return len(old)


def open_segment(directory: Path, number: int) -> int:
    """Create the file of a new segment for appending and return its descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    return os.open(segment_path(directory, number), flags, _PRIVATE_FILE)


def sync_directory(directory: Path) -> None:
    """Make a new file's name durable; the file's own sync does not promise that."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take(path: Path) -> int | None:
    """Lock a directory; None when somebody else has it or it is gone."""
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file that was deleted while this process waited to open it can be locked
        # too, and means nothing: only the lock with a name counts.
        if os.fstat(lock).st_nlink > 0:
            return lock
    os.close(lock)
    return None
