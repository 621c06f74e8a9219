"""The few disk calls of the journal, and the reserve that outlasts a full disk.

They stand behind one small class, so that a test can make the nth call fail the way a
dying disk does.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Disk:
    """The operating system's calls, unchanged."""

    __slots__ = ()

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of ``data``; OSError may leave a part of it in the file."""
        done = os.write(descriptor, data)
        while done < len(data):
            done += os.write(descriptor, data[done:])

    def sync(self, descriptor: int) -> None:
        """Wait until the file's data is on the medium."""
        os.fdatasync(descriptor)

    def free_fraction(self, path: Path) -> float:
        """Tell how much of the volume an ordinary user may still fill, 0.0 to 1.0."""
        stat = os.statvfs(path)
        return stat.f_bavail / stat.f_blocks if stat.f_blocks else 0.0

    def allocate(self, descriptor: int, size: int) -> None:
        """Claim real blocks, so that deleting the file frees real space."""
        os.posix_fallocate(descriptor, 0, size)


class Reserve:
    """A file that only takes up space, given up so that running calls can be settled.

    Units: ``size`` in bytes; 0 keeps no reserve.
    """

    __slots__ = ("_disk", "_path", "_size", "is_held")

    def __init__(self, path: Path, size: int, disk: Disk) -> None:
        self._path = path
        self._size = size
        self._disk = disk
        self.is_held = False

    @property
    def is_spent(self) -> bool:
        """Tell whether a reserve was wanted and is not there."""
        return self._size > 0 and not self.is_held

    def claim(self) -> bool:
        """Take the space; False when the volume has none to give."""
        if self._size == 0 or self.is_held:
            return True
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                self._disk.allocate(handle, self._size)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()
            return False
        self.is_held = True
        return True

    def give_up(self) -> None:
        """Free the space; doing it twice is harmless."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.is_held = False
