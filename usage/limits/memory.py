"""Limits kept in this process: the store of a single data worker.

All methods run in one event loop and none awaits inside, so each is atomic as it
stands. Durations are measured on the monotonic clock, so a wall clock that jumps
neither frees nor blocks anybody; only the ends of calendar windows read the wall clock.

Cost: independent of the number of subjects; acquire and settle together about 10 us
    for three limits and a budget. Idle state goes away two subjects per admission.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from poolsite.clock import Clock
from usage.limits.contract import (
    LEASE_S,
    Ask,
    Budget,
    BudgetWarning,
    LimitStatus,
    Refusal,
    Scope,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.refusals import MICRO, longest
from usage.limits.state import Moment, Spending, Subject

_KEEP_EXPIRED_US: Final = 3_600 * MICRO
"""Longer than any request runs: a late settle must still find its ticket once."""

_SWEPT_PER_ASK: Final = 2
_SWEEP_EVERY: Final = 8
"""Looking at some sixteen things every eighth time costs less than at two each time."""


class _Lease:
    __slots__ = ("expires_us", "ticket")

    def __init__(self, ticket: Ticket, expires_us: int) -> None:
        self.ticket = ticket
        self.expires_us = expires_us


class MemoryLimits:
    """A ``LimitStore`` in this process's memory.

    Units: ``lease_s`` in seconds.
    """

    def __init__(self, clock: Clock, *, origin: str, lease_s: float = LEASE_S) -> None:
        self._clock = clock
        self._origin = origin
        self._lease_us = round(lease_s * MICRO)
        self._subjects: OrderedDict[str, Subject] = OrderedDict()
        self._windows: OrderedDict[tuple[int, str], Spending] = OrderedDict()
        # All leases are equally long, so both stay ordered by their end.
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._expired: OrderedDict[str, int] = OrderedDict()
        # No lease ends and no closed ticket is forgotten before this moment.
        self._quiet_until_us = 0
        self._asked = 0

    @property
    def origin(self) -> str:
        """Name the process whose spending this store counts."""
        return self._origin

    async def acquire(self, ask: Ask) -> Ticket | Refusal:
        """Take everything an ask wants, or nothing."""
        now = self._now()
        self._expire(now.us)
        opened = self._leases.get(ask.ticket_id)
        if opened is not None:
            return opened.ticket
        found: list[Refusal] = []
        for scope in ask.scopes:
            subject = self._subjects.get(scope.key, _UNTOUCHED)
            subject.check(scope, ask.tokens, now, found)
        warnings = self._check_budgets(ask, ask.reserve_nano, now, found=found)
        self._asked += 1
        if self._asked % _SWEEP_EVERY == 0:
            self._sweep(now)
        if found:
            return longest(found)
        ticket = Ticket(ask=ask, reserve_nano=ask.reserve_nano, warnings=warnings)
        for scope in ask.scopes:
            self._subject(scope.key).take(scope, ask.tokens, now.us)
        self._reserve(ask, ask.reserve_nano, now)
        if self._expired:
            self._expired.pop(ask.ticket_id, None)
        self._leases[ask.ticket_id] = _Lease(ticket, now.us + self._lease_us)
        return ticket

    async def renew(self, ticket: Ticket) -> bool:
        """Extend a lease; False when the ticket is no longer open."""
        now = self._now()
        self._expire(now.us)
        lease = self._leases.get(ticket.id)
        if lease is None:
            return False
        lease.expires_us = now.us + self._lease_us
        self._leases.move_to_end(ticket.id)
        return True

    async def re_reserve(self, ticket: Ticket, reserve_nano: int) -> Ticket | Refusal:
        """Change the money a ticket holds, in all its budgets or in none."""
        now = self._now()
        self._expire(now.us)
        lease = self._leases.get(ticket.id)
        if lease is None:
            raise TicketClosedError(f"Ticket {ticket.id} is not open.")
        ask = ticket.ask
        held = lease.ticket.reserve_nano
        warnings: tuple[BudgetWarning, ...] = ()
        if reserve_nano > held:
            found: list[Refusal] = []
            warnings = self._check_budgets(
                ask, reserve_nano, now, found=found, held=held
            )
            if found:
                return longest(found)
        self._reserve(ask, reserve_nano - held, now)
        lease.ticket = Ticket(ask=ask, reserve_nano=reserve_nano, warnings=warnings)
        return lease.ticket

    async def settle(self, ticket: Ticket, used: Used) -> bool:
        """Replace a reservation by what was used; False when it was closed before."""
        now = self._now()
        if not self._close(ticket, now):
            return False
        ask = ticket.ask
        if used.tokens is not None and used.tokens != ask.tokens:
            for scope in ask.scopes:
                subject = self._subject(scope.key)
                subject.add_tokens(scope, used.tokens - ask.tokens, now.us)
        if used.cost_nano:
            for scope in ask.scopes:
                for budget in scope.budgets:
                    self._window(budget, now).local += used.cost_nano
        return True

    async def release(self, ticket: Ticket) -> bool:
        """Give everything back, the rates too; False when it was closed before."""
        now = self._now()
        if not self._close(ticket, now):
            return False
        for scope in ticket.ask.scopes:
            subject = self._subject(scope.key)
            subject.give_request(scope, now.us)
            subject.add_tokens(scope, -ticket.ask.tokens, now.us)
        return True

    async def status(self, scope: Scope) -> tuple[LimitStatus, ...]:
        """Tell what remains of each limit of a scope."""
        now = self._now()
        self._expire(now.us)
        subject = self._subjects.get(scope.key, _UNTOUCHED)
        money = [
            self._look(budget, now).status(scope.key, budget, now)
            for budget in scope.budgets
        ]
        return (*subject.statuses(scope, now), *money)

    async def set_shipped(
        self,
        budget_id: int,
        window_id: str,
        *,
        total_nano: int,
        by_origin: Mapping[str, int],
    ) -> None:
        """Learn what the ledger holds of a budget window."""
        now = self._now()
        window = self._windows.get((budget_id, window_id))
        if window is None:
            window = self._windows[budget_id, window_id] = Spending(0, now.us)
        window.total = total_nano
        window.own_shipped = by_origin.get(self._origin, 0)
        window.touched_us = now.us

    async def free_expired(self) -> int:
        """Close tickets whose lease ended; return how many."""
        return self._expire(self._now().us)

    def _now(self) -> Moment:
        clock = self._clock
        return Moment(round(clock.monotonic() * MICRO), clock.time_ns() / 1e9)

    def _subject(self, key: str) -> Subject:
        subject = self._subjects.get(key)
        if subject is None:
            subject = self._subjects[key] = Subject()
        return subject

    def _window(self, budget: Budget, now: Moment) -> Spending:
        name = (budget.budget_id, budget.window_id)
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = Spending(budget.spent_nano, now.us)
        window.ends_at = budget.ends_at
        window.touched_us = now.us
        return window

    def _look(self, budget: Budget, now: Moment) -> Spending:
        window = self._windows.get((budget.budget_id, budget.window_id))
        return Spending(budget.spent_nano, now.us) if window is None else window

    def _check_budgets(
        self,
        ask: Ask,
        more: int,
        now: Moment,
        *,
        found: list[Refusal],
        held: int = 0,
    ) -> tuple[BudgetWarning, ...]:
        """Append the refusals of budgets without room; return warnings of soft ones."""
        if more <= 0:
            return ()
        warnings: list[BudgetWarning] = []
        for scope in ask.scopes:
            for budget in scope.budgets:
                window = self._look(budget, now)
                answer = window.check(scope.key, budget, more=more, held=held, now=now)
                if answer is None:
                    continue
                if isinstance(answer, Refusal):
                    found.append(answer)
                else:
                    warnings.append(answer)
        return tuple(warnings) if warnings else ()

    def _reserve(self, ask: Ask, more: int, now: Moment) -> None:
        for scope in ask.scopes:
            for budget in scope.budgets:
                self._window(budget, now).reserved += more

    def _close(self, ticket: Ticket, now: Moment) -> bool:
        """End a ticket once, whether its lease still runs or not."""
        self._expire(now.us)
        lease = self._leases.pop(ticket.id, None)
        if lease is None:
            return self._expired.pop(ticket.id, None) is not None
        self._give_back(lease.ticket, now)
        return True

    def _give_back(self, ticket: Ticket, now: Moment) -> None:
        for scope in ticket.ask.scopes:
            self._subject(scope.key).leases -= 1
        self._reserve(ticket.ask, -ticket.reserve_nano, now)

    def _expire(self, now_us: int) -> int:
        """Close every ticket whose lease ended, and forget those ended long ago."""
        if now_us < self._quiet_until_us:
            return 0
        quiet_until_us = now_us + self._lease_us
        count = 0
        while self._leases:
            ticket_id, lease = next(iter(self._leases.items()))
            if lease.expires_us > now_us:
                quiet_until_us = min(quiet_until_us, lease.expires_us)
                break
            del self._leases[ticket_id]
            self._give_back(lease.ticket, Moment(now_us, 0.0))
            self._expired[ticket_id] = now_us + _KEEP_EXPIRED_US
            count += 1
        while self._expired:
            ticket_id, forget_us = next(iter(self._expired.items()))
            if forget_us > now_us:
                quiet_until_us = min(quiet_until_us, forget_us)
                break
            del self._expired[ticket_id]
        self._quiet_until_us = quiet_until_us
        return count

    def _sweep(self, now: Moment) -> None:
        """Look at the subjects and windows not looked at for longest."""
        most = _SWEPT_PER_ASK * _SWEEP_EVERY
        for _ in range(min(most, len(self._subjects))):
            key, subject = next(iter(self._subjects.items()))
            if subject.is_idle(now):
                del self._subjects[key]
            else:
                self._subjects.move_to_end(key)
        for _ in range(min(most, len(self._windows))):
            name, window = next(iter(self._windows.items()))
            if window.is_idle(now):
                del self._windows[name]
            else:
                self._windows.move_to_end(name)


_UNTOUCHED: Final = Subject()
"""Read in place of a subject nobody took anything from; never written to."""
