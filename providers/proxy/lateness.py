"""Measure how late the event loop of a worker is: the one figure that shows a stall."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from poolsite.clock import Clock

TICK_S: Final = 0.01
WINDOW_S: Final = 10.0


class Lateness:
    """The longest stall of the last while, and how much of it was our own doing.

    A worker that waits for a processor is late without having stalled: what it did
    itself is at most the processor time it used meanwhile.

    Units:   seconds; a stall is seen less at most one tick of 10 ms.
    Cost:    a hundred wake-ups a second, about 0.1 % of a core.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._now = (0.0, 0.0)
        self._before = (0.0, 0.0)

    @property
    def worst_s(self) -> float:
        """The longest stall of the last 10 to 20 seconds."""
        self._turn()
        return max(self._now[0], self._before[0])

    @property
    def worst_own_s(self) -> float:
        """The longest stall of that time with the worker itself at work."""
        self._turn()
        return max(self._now[1], self._before[1])

    async def run(self) -> None:
        """Watch for ever."""
        now = self._clock.monotonic
        while True:
            due, used = now() + TICK_S, time.process_time()
            await asyncio.sleep(TICK_S)
            self.note(now() - due, time.process_time() - used)

    def note(self, late_s: float, used_s: float) -> None:
        """Take one measurement; ``used_s`` is the processor time of all threads."""
        self._turn()
        late, own = self._now
        self._now = max(late, late_s), max(own, min(late_s, used_s))

    def _turn(self) -> None:
        """Begin a new window when the old one is over."""
        now = self._clock.monotonic()
        windows = (now - self._started) // WINDOW_S
        if windows >= 1:
            self._before = self._now if windows < 2 else (0.0, 0.0)
            self._now = (0.0, 0.0)
            self._started += windows * WINDOW_S
