"""Learn from the keeper what the ledger holds of each budget window.

A worker knows what it spent itself; the rest (other processes, and itself before a
restart) is known when the keeper has shipped it. The keeper writes one small file
after each shipment.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from providers.proxy.ports import LimitStore
from usage.journal.directory import LOCK_NAME, directories

FILE: Final = "spend.json"
POLL_INTERVAL_S: Final = 0.25
BOOT_WAIT_S: Final = 3.0
_BOOT_PAUSE_S: Final = 0.02
_NEWS_WAIT_S: Final = 0.5
_SLICE: Final = 200
_NO_FILE: Final = (0, 0)
_log: Final = logging.getLogger("providers.proxy.spend")


class Spend(msgspec.Struct, frozen=True):
    """What the ledger holds.

    Shapes:  each window is (budget id, window id, nano-USD in all, nano-USD by journal
             directory).
    """

    windows: list[tuple[int, str, int, dict[str, int]]]
    at_s: float = 0.0


class SpendFollower:
    """Feed a limit store from the keeper's file.

    Cost:  a look that finds nothing new is one ``stat``.
    """

    def __init__(self, path: Path, limits: LimitStore) -> None:
        self._path = path
        self._limits = limits
        self._seen: tuple[int, int] | None = None

    async def run(self, interval_s: float = POLL_INTERVAL_S) -> None:
        """Follow for ever."""
        while True:
            await asyncio.sleep(interval_s)
            await self.poll()

    async def poll(self) -> bool:
        """Look for news; tell whether there were any.

        Fails:   never: a file that cannot be read is looked at again next time.
        """
        try:
            seen = _stamp(self._path)
            if seen in (self._seen, _NO_FILE):
                return False
            spend = msgspec.json.decode(self._path.read_bytes(), type=Spend)
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("spend_unreadable", extra={"reason": str(error)})
            return False
        self._seen = seen
        for number, (budget_id, window_id, total, own) in enumerate(spend.windows, 1):
            await self._limits.set_shipped(
                budget_id, window_id, total_nano=total, by_origin=own
            )
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return True


async def wait_for_the_dead(
    journal_root: Path,
    *,
    news: Path,
    is_only_one: bool,
    wait_s: float = BOOT_WAIT_S,
) -> bool:
    """Wait until the keeper has shipped what killed workers left behind.

    A worker that starts right after a kill would not know what its predecessor spent
    in the last moment. Give up after ``wait_s``: no keeper must not mean no service.

    Shapes:  ``news`` is the keeper's file: what it shipped counts when it says so.
             ``is_only_one`` = no other worker is alive, so every directory left is a
             dead one's, also while the keeper holds it.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    before = _stamp(news)
    is_anybody_dead = False
    while any(is_only_one or _is_dead(path) for path in directories(journal_root)):
        is_anybody_dead = True
        if loop.time() > end:
            _log.warning("journal_of_the_dead_not_shipped")
            return False
        await asyncio.sleep(_BOOT_PAUSE_S)
    told_by = min(end, loop.time() + _NEWS_WAIT_S)
    while is_anybody_dead and loop.time() < told_by:
        if _stamp(news) != before:
            break
        await asyncio.sleep(_BOOT_PAUSE_S)
    return True


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError:
        return _NO_FILE
    return stat.st_ino, stat.st_mtime_ns


def _is_dead(directory: Path) -> bool:
    """Tell whether nobody holds a journal directory.

    A shared lock is tried and given back at once; it cannot be mistaken for a writer.
    """
    try:
        lock = os.open(directory / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)
