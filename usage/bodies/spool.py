"""Carry bodies from a data process to the keeper, beside everything that must not wait.

The event loop hands over and goes on. A thread takes secrets out, compresses, and
writes one file a call; the keeper makes rows of the files and removes them. Where the
thread or the keeper cannot follow, bodies are dropped and counted: a request never
waits for its body and is never lost with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from usage.bodies import record
from usage.bodies.record import KeptBody, Side

SUFFIX: Final = ".body"
UNFINISHED: Final = ".part"
_MOST_WAITING: Final = 32 * 1024 * 1024
_MOST_SPOOLED: Final = 256 * 1024 * 1024
_COUNT_EVERY: Final = 64
_END_S: Final = 2.0
DIRECTORY: Final = "bodies"
"""Where the files of a node wait, inside its run directory."""

_log: Final = logging.getLogger("usage.bodies")


class Raw(msgspec.Struct, frozen=True, gc=False):
    """What passed of one call, as it passed; it is never written like this.

    Shapes:  ``asked`` and ``answered`` hold the beginning, None = nothing came.
    Units:   bytes; ``keep`` bounds what is kept of each side.
    """

    request_id: str
    at_ns: int
    keep: int
    asked: bytes | None = None
    asked_size: int = 0
    answered: bytes | None = None
    answered_size: int = 0

    @property
    def weight(self) -> int:
        """The memory it holds."""
        return len(self.asked or b"") + len(self.answered or b"")


class Spool:
    """The queue, the thread and the directory of one data process.

    Shapes:  ``dropped`` counts bodies that were not kept although they should be.
    Cost:    ``keep`` about a microsecond; the thread starts with the first body.
    """

    def __init__(
        self,
        root: Path,
        *,
        most_waiting: int = _MOST_WAITING,
        most_spooled: int = _MOST_SPOOLED,
    ) -> None:
        self.dropped = 0
        self._root = root
        self._most_waiting = most_waiting
        self._most_spooled = most_spooled
        self._waiting: deque[Raw] = deque()
        self._weight = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_ending = False
        self._thread: threading.Thread | None = None
        self._until_count = 0
        self._is_full = False

    def keep(self, raw: Raw) -> None:
        """Hand a body over, or drop it where too many wait; never blocks."""
        with self._lock:
            if self._is_ending or self._weight + raw.weight > self._most_waiting:
                self.dropped += 1
                return
            self._weight += raw.weight
            self._waiting.append(raw)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="bodies", daemon=True
            )
            self._thread.start()
        self._wake.set()

    def close(self, *, within_s: float = _END_S) -> None:
        """Write what waits, for a moment, and end."""
        with self._lock:
            self._is_ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        while True:
            raw = self._next()
            if raw is None:
                if self._is_ending:
                    return
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                self._write(raw)
            except Exception:  # noqa: BLE001 - one body is not worth the others
                self.dropped += 1
                _log.exception("body_not_kept", extra={"id": raw.request_id})

    def _next(self) -> Raw | None:
        with self._lock:
            if not self._waiting:
                return None
            raw = self._waiting.popleft()
            self._weight -= raw.weight
            return raw

    def _write(self, raw: Raw) -> None:
        if self._has_no_room():
            self.dropped += 1
            return
        body = KeptBody(
            raw.request_id,
            raw.at_ns,
            _packed(raw.asked, raw.asked_size, raw.keep),
            _packed(raw.answered, raw.answered_size, raw.keep),
        )
        path = self._root / f"{raw.request_id}{SUFFIX}"
        unfinished = path.with_suffix(UNFINISHED)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(record.encode(body))
        os.replace(unfinished, path)

    def _has_no_room(self) -> bool:
        """Look now and then how much waits for the keeper, who may be away."""
        self._until_count -= 1
        if self._until_count < 0 or self._is_full:
            self._until_count = _COUNT_EVERY
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            was_full = self._is_full
            self._is_full = spooled_bytes(self._root) > self._most_spooled
            if self._is_full and not was_full:
                _log.warning("bodies_dropped", extra={"reason": "spool full"})
        return self._is_full


def spooled_bytes(root: Path) -> int:
    """Return how much waits in a spool directory."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def _packed(raw: bytes | None, size: int, keep: int) -> Side | None:
    return None if raw is None else record.pack_side(raw, size, keep=keep)
