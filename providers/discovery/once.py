"""Let the same test run once, however often it is asked for at the same moment.

Two clicks, or two people, get one run and the same answer. It holds in one process;
a console is one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

_R = TypeVar("_R")
_LONGEST_WAIT_S: Final = 60.0


class Flights(Generic[_R]):
    """Runs under way, by what they are about."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[_R]] = {}

    def run(self, key: str, work: Callable[[], _R]) -> _R:
        """Do the work, or wait for whoever is doing the same.

        Errors:  what the work raises, for everyone who waits.
        """
        with self._lock:
            flight = self._running.get(key)
            is_first = flight is None
            if flight is None:
                flight = self._running[key] = Future()
        if not is_first:
            return flight.result(timeout=_LONGEST_WAIT_S)
        try:
            flight.set_result(work())
        except BaseException as exc:
            flight.set_exception(exc)
            raise
        finally:
            with self._lock:
                del self._running[key]
        return flight.result()


def key_of(*parts: object) -> str:
    """Return a key that says nothing of the parts, secrets among them."""
    text = "\x1f".join(repr(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
