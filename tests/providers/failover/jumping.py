"""An event loop whose time jumps ahead whenever nobody has anything left to do.

A cell of the table may wait ten seconds for a deadline; three hundred cells would wait
for minutes, or would need deadlines so short that a busy machine breaks them. Here the
sockets are real and only the clock is not: it stands still while anything is under way
and jumps to the next timer when all is quiet. So deadlines are met exactly, however
busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_QUIET_S = 0.003
"""Real time without an event that counts as quiet: loopback delivers far faster."""

_PAST_S = 1e-6
_START = datetime(2026, 8, 1, 12, tzinfo=UTC)
_FIRST_S = 1_000.0


class _Selector(selectors.DefaultSelector):
    """Look at the sockets; where there is nothing to see, move the clock instead."""

    jump: Callable[[float], bool]

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(_QUIET_S)
        while not events and not self.jump(timeout):
            events = super().select(_QUIET_S)
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop; ``time`` is its own and starts anywhere."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.jump = self._jump
        self._now_s = _FIRST_S
        self._outside = 0
        super().__init__(selector)

    def time(self) -> float:
        """Return seconds that pass only while the loop is idle."""
        return self._now_s

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Hand work to a thread; time stands still until it is done."""
        self._outside += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._returned)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """End the threads; time stands still meanwhile."""
        self._outside += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._outside -= 1

    def _returned(self, _: object) -> None:
        self._outside -= 1

    def _jump(self, seconds: float) -> bool:
        if self._outside:
            return False
        # Past the timer: one that comes early would be set again and again.
        self._now_s += seconds + _PAST_S
        return True


class LoopClock:
    """The product's clock, told by a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.monotonic = loop.time

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime."""
        return _START + timedelta(seconds=self.monotonic() - _FIRST_S)

    def time_ns(self) -> int:
        """Return the wall clock in nanoseconds since 1970, UTC."""
        passed_ns = round((self.monotonic() - _FIRST_S) * 1e9)
        return int(_START.timestamp()) * 1_000_000_000 + passed_ns


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)
