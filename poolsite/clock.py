"""Tell the time through an object, so that a test can hold it still.

Code that needs the time takes a ``Clock`` instead of calling ``datetime.now`` or
``time.monotonic``. The product passes one ``SystemClock``; a test passes a
``ManualClock`` and moves it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

NANOSECONDS_PER_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What every part of the product may ask about time."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime."""
        ...

    def time_ns(self) -> int:
        """Return the wall clock in nanoseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean something."""
        ...


class SystemClock:
    """The machine's own clocks.

    The readings are the interpreter's own functions, without a call around them: a
    request reads the clock a dozen times.
    """

    __slots__ = ()

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC datetime."""
        return datetime.now(UTC)

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class ManualClock:
    """A clock that moves only when told to.

    The time is kept as whole nanoseconds, so that many small steps add up exactly.
    """

    __slots__ = ("_monotonic_ns", "_time_ns")

    def __init__(
        self,
        start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        *,
        monotonic: float = 1_000.0,
    ) -> None:
        if start.tzinfo is None:
            raise ValueError("A clock starts at an aware datetime.")
        micros = (start - _EPOCH) // timedelta(microseconds=1)
        self._time_ns = micros * 1_000
        self._monotonic_ns = round(monotonic * NANOSECONDS_PER_SECOND)

    def now(self) -> datetime:
        """Return the time this clock stands at, cut to the microsecond."""
        return _EPOCH + timedelta(microseconds=self._time_ns // 1_000)

    def time_ns(self) -> int:
        """Return the time this clock stands at in nanoseconds since 1970."""
        return self._time_ns

    def monotonic(self) -> float:
        """Return the monotonic reading in seconds."""
        return self._monotonic_ns / NANOSECONDS_PER_SECOND

    def advance(self, seconds: float) -> None:
        """Move both clocks forward.

        Errors: ValueError for a negative step; a wall clock that is set back is
            ``set_wall``, which leaves the monotonic reading alone.
        """
        if seconds < 0:
            raise ValueError("Time only advances; use set_wall to set it back.")
        step = round(seconds * NANOSECONDS_PER_SECOND)
        self._time_ns += step
        self._monotonic_ns += step

    def set_wall(self, moment: datetime) -> None:
        """Jump the wall clock, as an operator or NTP would; monotonic stays."""
        micros = (moment - _EPOCH) // timedelta(microseconds=1)
        self._time_ns = micros * 1_000
