"""Measure how late the event loop of a worker is: the one figure that shows a stall."""

from __future__ import annotations

import asyncio
from typing import Final

from poolsite.clock import Clock

TICK_S: Final = 0.01
WINDOW_S: Final = 10.0


class Lateness:
    """The longest stall of the last while.

    Units:   seconds; a stall is seen less at most one tick of 10 ms.
    Cost:    a hundred wake-ups a second, about 0.1 % of a core.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._worst = 0.0
        self._worst_before = 0.0

    @property
    def worst_s(self) -> float:
        """The longest stall of the last 10 to 20 seconds."""
        self._turn()
        return max(self._worst, self._worst_before)

    async def run(self) -> None:
        """Watch for ever."""
        now = self._clock.monotonic
        while True:
            due = now() + TICK_S
            await asyncio.sleep(TICK_S)
            self.note(now() - due)

    def note(self, late_s: float) -> None:
        """Take one measurement."""
        self._turn()
        self._worst = max(self._worst, late_s)

    def _turn(self) -> None:
        """Begin a new window when the old one is over."""
        now = self._clock.monotonic()
        windows = (now - self._started) // WINDOW_S
        if windows >= 1:
            self._worst_before = self._worst if windows < 2 else 0.0
            self._worst = 0.0
            self._started += windows * WINDOW_S
