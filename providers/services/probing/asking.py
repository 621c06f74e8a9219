"""Ask many models at once, a bounded number at a time, without waiting for the last.

Threads that can be left behind: whoever stops does not wait for calls under way. Each
ends by itself within its time-out, and the proxy's books of it are closed as always.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import NamedTuple, Protocol

from providers.services.own_call import ProbeAnswer

_log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One model to be asked: its place in the round, its row and its id."""

    result_id: int
    model_row: int
    model_id: str


class Asks(Protocol):
    """What asks one model (``own_call.Prober``)."""

    def ask(self, model_row: int, model_id: str) -> ProbeAnswer:
        """Ask one model; never raises."""

    def close(self) -> None:
        """Close what is open."""


class Askers:
    """So many threads; none of them touches the database."""

    def __init__(self, prober: Asks, count: int) -> None:
        self._prober = prober
        self._todo: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Item, ProbeAnswer]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._running = self._count = count
        self._lock = threading.Lock()
        for number in range(count):
            name = f"probe-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def put(self, item: Item) -> None:
        """Add a model to be asked."""
        self._todo.put(item)

    def collect(self, *, wait_s: float, most: int) -> list[tuple[Item, ProbeAnswer]]:
        """Return the answers that came: after ``wait_s`` at the latest, or ``most``."""
        found: list[tuple[Item, ProbeAnswer]] = []
        end = time.monotonic() + wait_s
        while len(found) < most:
            left = end - time.monotonic()
            try:
                found.append(self._answers.get(timeout=max(0.0, left)))
            except queue.Empty:
                break
        return found

    def stop(self) -> None:
        """Begin nothing more; does not wait for what is under way."""
        self._stopped.set()
        for _ in range(self._count):
            self._todo.put(None)

    def _work(self) -> None:
        try:
            while True:
                item = self._todo.get()
                if item is None or self._stopped.is_set():
                    return
                self._answers.put((item, self._ask(item)))
        finally:
            with self._lock:
                self._running -= 1
                is_last = not self._running
            # Not before: a connection closed under a reader may become another's.
            if is_last:
                self._prober.close()

    def _ask(self, item: Item) -> ProbeAnswer:
        try:
            return self._prober.ask(item.model_row, item.model_id)
        except Exception as exc:  # noqa: BLE001 - one model must not end the round
            _log.warning("a probe failed: %s", type(exc).__name__)
            return ProbeAnswer(None, category="failed")
