"""The generic cell rate algorithm in exact integers.

One number per rate says when everything taken so far will have drained: the
theoretical arrival time. Taking moves it into the future by cost x period / limit;
a call fits while it stays within burst x period / limit of now. That is a leaky bucket
without a timer. The division rarely comes out even in microseconds, so the remainder
is kept beside the time, in units of 1/limit microseconds: no drift, whatever the rate.

Pure functions; the Redis twin does the same arithmetic in Lua.

Source: ATM Forum Traffic Management 4.1, virtual scheduling; cost above 1 as in
    Brandur Leach, "Rate Limiting, Cells, and GCRA" (2015).
"""

from __future__ import annotations

from typing import Final

import msgspec

MINUTE_US: Final = 60_000_000

Tat = tuple[int, int]
"""(theoretical arrival time in microseconds, remainder in 1/limit microseconds)."""

FRESH: Final[Tat] = (0, 0)
"""A rate nothing was taken from."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """So many units a period, of which ``burst`` may come at once.

    Units: ``limit`` and ``burst`` count requests or tokens; the period microseconds.
    """

    limit: int
    burst: int
    period_us: int = MINUTE_US

    def __post_init__(self) -> None:
        """Refuse rates that mean nothing; "none at all" is a policy, not a rate."""
        if self.limit < 1 or self.burst < 1 or self.period_us < 1:
            raise ValueError("A rate needs a limit, a burst and a period above zero.")


def per_minute(limit: int, burst: int | None = None) -> Rate:
    """Make a rate per minute; a whole minute's worth may come at once by default."""
    return Rate(limit, limit if burst is None else burst)


def wait_us(tat: Tat, rate: Rate, cost: int, now_us: int) -> int | None:
    """Tell how long until ``cost`` fits: 0 now, None never (it exceeds the burst)."""
    room = (rate.burst - cost) * rate.period_us - _backlog(tat, rate, now_us)
    if room >= 0:
        return 0
    if cost > rate.burst:
        return None
    return -(room // rate.limit)


def advance(tat: Tat, rate: Rate, cost: int, now_us: int) -> Tat:
    """Take ``cost``, whether it fits or not; a negative cost gives back.

    What is given back never makes a rate fuller than untouched, because a time that
    lies in the past counts as now.
    """
    at, part = tat
    if at < now_us:
        at, part = now_us, 0
    # A remainder left by a higher limit than today's is at most one microsecond.
    part = min(part, rate.limit - 1)
    whole, rest = divmod(part + cost * rate.period_us, rate.limit)
    return at + whole, rest


def remaining(tat: Tat, rate: Rate, now_us: int) -> int:
    """Tell how many units would fit now; 0 also while in debt."""
    room = rate.burst * rate.period_us - _backlog(tat, rate, now_us)
    return max(0, room // rate.period_us)


def drained_us(tat: Tat, rate: Rate, now_us: int) -> int:
    """Tell how long until nothing is left of what was taken."""
    return -(-_backlog(tat, rate, now_us) // rate.limit)


def _backlog(tat: Tat, rate: Rate, now_us: int) -> int:
    """Return what has not drained yet, in 1/limit microseconds."""
    at, part = tat
    if at < now_us:
        return 0
    return (at - now_us) * rate.limit + min(part, rate.limit - 1)
