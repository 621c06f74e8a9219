"""The counts behind the in-process store: one object a subject, one a budget window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from usage.limits.contract import (
    Budget,
    BudgetWarning,
    LimitKind,
    LimitStatus,
    Refusal,
    RequestCount,
    Scope,
)
from usage.limits.gcra import (
    FRESH,
    Rate,
    Tat,
    advance,
    drained_us,
    remaining,
    wait_us,
)
from usage.limits.refusals import (
    MICRO,
    budget_fits,
    budget_refusal,
    rate_refusal,
    requests_refusal,
    slots_refusal,
    soft_warning,
)

KEEP_IDLE_US: Final = 3_600 * MICRO


class Moment(NamedTuple):
    """Now, twice: monotonic microseconds for durations, wall seconds for calendars."""

    us: int
    wall_s: float


class Meter(NamedTuple):
    """A rate, what was taken from it, and what is asked of it."""

    rate: Rate
    tat: Tat
    cost: int = 0


class Subject:
    """The counts of one scope key."""

    __slots__ = ("leases", "rpm", "tpm", "window_ends", "window_id", "window_used")

    def __init__(self) -> None:
        self.leases = 0
        self.rpm: Tat = FRESH
        self.tpm: Tat = FRESH
        self.window_id = ""
        self.window_used = 0
        self.window_ends: float | None = None

    def check(
        self, scope: Scope, tokens: int, now: Moment, found: list[Refusal]
    ) -> None:
        """Append a refusal for each limit of the scope that has no room."""
        rpm, tpm = scope.rpm, scope.tpm
        if rpm is not None and wait_us(self.rpm, rpm, 1, now.us) != 0:
            found.append(_too_fast("rpm", scope.key, Meter(rpm, self.rpm, 1), now))
        if tpm is not None and wait_us(self.tpm, tpm, tokens, now.us) != 0:
            found.append(_too_fast("tpm", scope.key, Meter(tpm, self.tpm, tokens), now))
        slots, leases = scope.concurrency, self.leases
        if slots is not None and leases >= slots:
            found.append(slots_refusal(scope.key, allowed=slots, used=leases))
        count = scope.requests
        if count is not None and (used := self._used_in(count)) >= count.limit:
            found.append(
                requests_refusal(scope.key, count=count, used=used, wall_s=now.wall_s)
            )

    def take(self, scope: Scope, tokens: int, now_us: int) -> None:
        """Take a slot, a request and the estimated tokens."""
        self.leases += 1
        if scope.rpm is not None:
            self.rpm = advance(self.rpm, scope.rpm, 1, now_us)
        if scope.tpm is not None and tokens:
            self.tpm = advance(self.tpm, scope.tpm, tokens, now_us)
        if scope.requests is not None:
            self._count_in(scope.requests, 1)

    def give_request(self, scope: Scope, now_us: int) -> None:
        """Give back what a call that never happened took from the rates."""
        if scope.rpm is not None:
            self.rpm = advance(self.rpm, scope.rpm, -1, now_us)
        if scope.requests is not None and scope.requests.window_id == self.window_id:
            self._count_in(scope.requests, -1)

    def add_tokens(self, scope: Scope, more: int, now_us: int) -> None:
        """Correct the token rate; a negative number gives back."""
        if scope.tpm is not None:
            self.tpm = advance(self.tpm, scope.tpm, more, now_us)

    def statuses(self, scope: Scope, now: Moment) -> Iterator[LimitStatus]:
        """Tell what remains of each limit but the budgets."""
        if scope.rpm is not None:
            yield _rate_status("rpm", scope.key, Meter(scope.rpm, self.rpm), now)
        if scope.tpm is not None:
            yield _rate_status("tpm", scope.key, Meter(scope.tpm, self.tpm), now)
        if scope.concurrency is not None:
            yield LimitStatus(
                limit="concurrency",
                scope=scope.key,
                allowed=scope.concurrency,
                remaining=max(0, scope.concurrency - self.leases),
            )
        count = scope.requests
        if count is not None:
            yield LimitStatus(
                limit="requests",
                scope=scope.key,
                allowed=count.limit,
                remaining=max(0, count.limit - self._used_in(count)),
                reset_s=seconds_left(count.ends_at, now.wall_s),
            )

    def is_idle(self, now: Moment) -> bool:
        """Tell whether a fresh object would behave the same from now on."""
        if self.leases or self.rpm[0] > now.us or self.tpm[0] > now.us:
            return False
        return not self.window_id or (
            self.window_ends is not None and self.window_ends < now.wall_s
        )

    def _used_in(self, count: RequestCount) -> int:
        return self.window_used if count.window_id == self.window_id else count.used

    def _count_in(self, count: RequestCount, more: int) -> None:
        self.window_used = self._used_in(count) + more
        self.window_id = count.window_id
        self.window_ends = count.ends_at


_BACK_S: Final = 2 * 86_400.0
"""How far a wall clock may be set back and still find what a window had spent."""


class Spending:
    """The money of one budget window: what the ledger knows and what it does not."""

    __slots__ = ("ends_at", "local", "own_shipped", "reserved", "total", "touched_us")

    def __init__(self, total: int, now_us: int) -> None:
        self.total = total
        self.own_shipped = 0
        self.local = 0
        self.reserved = 0
        self.ends_at: float | None = None
        self.touched_us = now_us

    @property
    def spent(self) -> int:
        """Return the ledger's figure and what this process has settled beyond it."""
        return self.total + max(0, self.local - self.own_shipped)

    def check(
        self, scope: str, budget: Budget, *, more: int, held: int, now: Moment
    ) -> Refusal | BudgetWarning | None:
        """Refuse a reservation that does not fit, or warn where one crosses.

        Units: ``more`` is what the ticket shall hold, ``held`` what it holds already.
        """
        committed = self.spent + self.reserved - held
        if budget_fits(budget, committed_nano=committed, more_nano=more):
            return soft_warning(budget, committed_nano=committed, more_nano=more)
        return budget_refusal(
            scope,
            budget,
            spent_nano=self.spent,
            committed_nano=committed,
            more_nano=more,
            wall_s=now.wall_s,
        )

    def status(self, scope: str, budget: Budget, now: Moment) -> LimitStatus:
        """Tell what remains of a budget beside what running calls hold."""
        return LimitStatus(
            limit="budget",
            scope=scope,
            allowed=budget.limit_nano,
            remaining=max(0, budget.limit_nano - self.spent - self.reserved),
            reserved=self.reserved,
            reset_s=seconds_left(budget.ends_at, now.wall_s),
            budget_id=budget.budget_id,
        )

    def is_idle(self, now: Moment) -> bool:
        """Tell whether a fresh object would behave the same from now on.

        What the ledger said of an open window is kept however quiet it is: it is told
        again only when the window grows, and a forgotten sum is a budget renewed.
        """
        if self.reserved or self.touched_us + KEEP_IDLE_US > now.us:
            return False
        is_over = self.ends_at is not None and self.ends_at + _BACK_S < now.wall_s
        return is_over or not (self.total or self.local)


def seconds_left(ends_at: float | None, wall_s: float) -> float | None:
    """Count down to the end of a window; None for one without end."""
    return None if ends_at is None else max(0.0, ends_at - wall_s)


def _too_fast(kind: LimitKind, scope: str, meter: Meter, now: Moment) -> Refusal:
    return rate_refusal(
        kind,
        scope,
        rate=meter.rate,
        backlog_us=drained_us(meter.tat, meter.rate, now.us),
        wait_us=wait_us(meter.tat, meter.rate, meter.cost, now.us),
        wall_s=now.wall_s,
    )


def _rate_status(kind: LimitKind, scope: str, meter: Meter, now: Moment) -> LimitStatus:
    return LimitStatus(
        limit=kind,
        scope=scope,
        allowed=meter.rate.limit,
        remaining=remaining(meter.tat, meter.rate, now.us),
        reset_s=drained_us(meter.tat, meter.rate, now.us) / MICRO,
    )
