"""Make time-ordered ids (UUID version 7) for requests and attempts.

Ids are made at the door, before any database is asked, by many processes at once.
The first 48 bits are milliseconds, so rows land in time order and a partition can
be named from an id alone.

Source: RFC 9562, section 5.7, with a counter as in section 6.2, method 1.
"""

from __future__ import annotations

import os
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from poolsite.clock import Clock

_COUNTER_BITS: Final = 12
_COUNTER_LIMIT: Final = 1 << _COUNTER_BITS
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0x2 << 62
_LOW_MASK: Final = (1 << 62) - 1
_POOL_BYTES: Final = 4096
_TAIL_BYTES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Generator:
    """One thread's last id time and counter, and its store of random bytes.

    Random bytes are drawn a page at a time: one system call serves 512 ids. A forked
    child must not repeat its parent's bytes, so the store is emptied after a fork.
    """

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.last_ms = -1
        self.counter = 0
        self.pool = b""
        self.offset = 0

    def follow(self, clock: Clock) -> None:
        """Start over on another clock, whose time may be far from the last one's."""
        self.clock = clock
        self.last_ms = -1

    def forget_random(self) -> None:
        self.pool = b""
        self.offset = 0

    def tail(self) -> int:
        start = self.offset
        end = start + _TAIL_BYTES
        if end > len(self.pool):
            self.pool = os.urandom(_POOL_BYTES)
            start, end = 0, _TAIL_BYTES
        self.offset = end
        return int.from_bytes(self.pool[start:end], "big") & _LOW_MASK


class _Generators(threading.local):
    """Each thread's own; reading one attribute of a thread's storage is slow enough."""

    def __init__(self) -> None:
        self.own = _Generator()


_generators: Final = _Generators()
os.register_at_fork(after_in_child=lambda: _generators.own.forget_random())


def uuid7(clock: Clock) -> uuid.UUID:
    """Make one id, greater than every id this thread made before from this clock.

    Within one millisecond a 12-bit counter rises; when it runs over, or the wall
    clock is set back, the id's own time runs ahead instead of repeating. Across
    threads and processes 62 random bits keep ids apart; order is not promised there.

    Units: the id's time is UTC milliseconds.
    Cost:  about a microsecond.
    """
    return uuid.UUID(int=_next(clock))


def uuid7_text(clock: Clock) -> str:
    """Make one id as ``uuid7`` does, as its usual text, without the object."""
    text = f"{_next(clock):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid7_at(value: uuid.UUID) -> datetime:
    """Return the moment inside a version 7 id, exact to the millisecond.

    Errors: ValueError when the id is of another version and holds no such time.
    """
    if value.version != 7:
        raise ValueError("Only a version 7 UUID carries its time.")
    return _EPOCH + timedelta(milliseconds=value.int >> 80)


def first_at(moment: datetime) -> uuid.UUID:
    """Return what no id of this moment or later is below: an index over time."""
    milliseconds = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    return uuid.UUID(int=milliseconds << 80)


def _next(clock: Clock) -> int:
    """Return the next id as its 128-bit number."""
    state = _generators.own
    if clock is not state.clock:
        state.follow(clock)
    now_ms = clock.time_ns() // 1_000_000
    if now_ms > state.last_ms:
        state.last_ms = now_ms
        state.counter = 0
    else:
        state.counter += 1
        if state.counter >= _COUNTER_LIMIT:
            state.last_ms += 1
            state.counter = 0
    return (
        (state.last_ms << 80)
        | _VERSION
        | (state.counter << 64)
        | _VARIANT
        | state.tail()
    )
