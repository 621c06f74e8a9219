"""What one node of a fleet took itself: enough to go on alone, and to tell others.

Kept beside the shared store, call by call. While that store is away this decides: rates
and slots by the node's part of each limit, hard budgets by the share the node had
reserved before. And it is what a store that lost its data is rebuilt from.

All methods run in one event loop and none awaits, so each is atomic as it stands.

Cost:  some 10 us a call, beside the shared store's round trip.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from poolsite.clock import Clock
from usage.limits.accounts import Account, Holding, Key, part_of
from usage.limits.contract import (
    Ask,
    Budget,
    BudgetWarning,
    LimitStatus,
    Refusal,
    Scope,
    ShareUsedUpError,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.gcra import Rate
from usage.limits.refusals import MICRO, longest
from usage.limits.state import Moment, Subject

_KEEP_EXPIRED_US: Final = 1_800 * MICRO
"""Shorter than an idle window is kept: a late settle still finds its account."""

_SWEPT: Final = 64


class Own:
    """The counts of this node.

    Shapes:  ``nodes`` is how many share the limits. ``untold`` are the tickets whose
             state the shared store does not know yet, ``unsaid`` the windows.
    Units:   ``lease_s`` in seconds.
    """

    def __init__(
        self, clock: Clock, *, origin: str, lease_s: float, nodes: int = 1
    ) -> None:
        self.nodes = nodes
        self.accounts: OrderedDict[Key, Account] = OrderedDict()
        self.untold: dict[str, Holding] = {}
        self.unsaid: dict[Key, Account] = {}
        self._clock = clock
        self._origin = origin
        self._lease_us = round(lease_s * MICRO)
        self._subjects: OrderedDict[str, Subject] = OrderedDict()
        self._holdings: OrderedDict[str, Holding] = OrderedDict()
        self._expired: OrderedDict[str, Holding] = OrderedDict()
        self._parts: dict[str, tuple[Scope, int, Scope]] = {}

    # What happened at the shared store

    def opened(self, ticket_id: str) -> Ticket | None:
        """Return a ticket that is open here already."""
        self._expire_leases(self.now())
        holding = self._holdings.get(ticket_id)
        return None if holding is None else holding.ticket

    def take(self, ticket: Ticket, *, is_told: bool = True) -> Holding:
        """Note a ticket that was granted."""
        now = self.now()
        ask = ticket.ask
        accounts = self._accounts_of(ask, now)
        holding = Holding(ticket, now.us + self._lease_us, accounts)
        for scope in ask.scopes:
            part, subject = self._part(scope), self._subject(scope.key)
            subject.take(part, _cost(scope, part, ask.tokens), now.us)
            self._cap(subject, part, now.us)
        for account in accounts:
            account.reserve(ticket.reserve_nano, now.us)
        self._holdings[ask.ticket_id] = holding
        self._expired.pop(ask.ticket_id, None)
        if not is_told:
            self.doubt(holding)
        return holding

    def renew(self, ticket: Ticket) -> bool:
        """Extend a lease; False when the ticket is not open."""
        self._expire_leases(self.now())
        holding = self._holdings.get(ticket.id)
        if holding is None:
            return False
        holding.expires_us = self.now().us + self._lease_us
        self._holdings.move_to_end(ticket.id)
        return True

    def held(self, ticket: Ticket) -> Holding:
        """Return what a ticket holds. Errors: TicketClosedError."""
        self._expire_leases(self.now())
        holding = self._holdings.get(ticket.id)
        if holding is None:
            raise TicketClosedError(f"Ticket {ticket.id} is not open.")
        return holding

    def change(self, holding: Holding, ticket: Ticket) -> None:
        """Note that a ticket holds another amount now."""
        now = self.now()
        more = ticket.reserve_nano - holding.nano
        for account in holding.accounts:
            account.reserve(more, now.us)
        holding.ticket = ticket

    def settle(self, ticket: Ticket, used: Used) -> Holding | None:
        """Close a ticket once and count what it used; None when it was closed."""
        now = self.now()
        holding = self._close(ticket, now)
        if holding is None:
            return None
        ask, cost = ticket.ask, used.cost_nano or 0
        if used.tokens is not None:
            for scope in ask.scopes:
                part, subject = self._part(scope), self._subject(scope.key)
                more = _cost(scope, part, used.tokens)
                more -= _cost(scope, part, ask.tokens)
                subject.add_tokens(part, more, now.us)
                self._cap(subject, part, now.us)
        if cost:
            beyond = max(0, cost - holding.granted) if holding.from_share else 0
            for account in holding.accounts:
                account.local += cost
                account.share_used += beyond
        holding.from_share = 0
        return holding

    def release(self, ticket: Ticket) -> Holding | None:
        """Close a ticket whose call never happened; None when it was closed."""
        now = self.now()
        holding = self._close(ticket, now)
        if holding is None:
            return None
        for scope in ticket.ask.scopes:
            part, subject = self._part(scope), self._subject(scope.key)
            subject.give_request(part, now.us)
            tokens = _cost(scope, part, ticket.ask.tokens)
            subject.add_tokens(part, -tokens, now.us)
        holding.from_share = 0
        return holding

    def doubt(self, holding: Holding) -> None:
        """Note that the shared store may not know a ticket as it is."""
        self.untold[holding.ticket.id] = holding
        for scope in holding.ticket.ask.scopes:
            for budget in scope.budgets:
                self.say((budget.budget_id, budget.window_id))

    def disown(self, ask: Ask) -> None:
        """Have a ticket closed that the shared store may have granted unheard."""
        holding = Holding(Ticket(ask=ask, reserve_nano=0), 0, [])
        holding.is_open = False
        self.untold[ask.ticket_id] = holding

    def say(self, key: Key) -> None:
        """Note that the shared store may not know a window as it is."""
        account = self.accounts.get(key)
        if account is not None:
            self.unsaid[key] = account

    def counted(self, holding: Holding) -> dict[Key, int]:
        """Return what this node settled itself in each window of a ticket."""
        return {
            (account.budget.budget_id, account.budget.window_id): account.local
            for account in holding.accounts
        }

    def learn(
        self, budget_id: int, window_id: str, total_nano: int, shipped: dict[str, int]
    ) -> None:
        """Learn what the ledger holds of a window."""
        budget = Budget(budget_id=budget_id, window_id=window_id, limit_nano=0)
        account = self._account(budget, self.now(), is_news=True)
        account.total = total_nano
        account.own_shipped = shipped.get(self._origin, 0)
        account.shipped = shipped

    # Alone

    def admit(self, ask: Ask) -> Ticket | Refusal:
        """Decide without the shared store.

        Errors:  ShareUsedUpError when a hard budget may have room, but the share of
                 this node has not.
        """
        now = self.now()
        found: list[Refusal] = []
        for scope in ask.scopes:
            part = self._part(scope)
            subject = self._subjects.get(scope.key, _UNTOUCHED)
            subject.check(part, _cost(scope, part, ask.tokens), now, found)
        warnings = self._check_money(ask, ask.reserve_nano, 0, now, found)
        if found:
            return longest(found)
        self._check_shares(ask, ask.reserve_nano, now)
        ticket = Ticket(ask=ask, reserve_nano=ask.reserve_nano, warnings=warnings)
        holding = self.take(ticket, is_told=False)
        self._charge(holding, ask.reserve_nano)
        return ticket

    def re_reserve(self, holding: Holding, reserve_nano: int) -> Ticket | Refusal:
        """Change what a ticket holds without the shared store. Errors: as ``admit``."""
        now = self.now()
        ask, more = holding.ticket.ask, reserve_nano - holding.nano
        warnings: tuple[BudgetWarning, ...] = ()
        if more > 0:
            found: list[Refusal] = []
            warnings = self._check_money(ask, reserve_nano, holding.nano, now, found)
            if found:
                return longest(found)
            self._check_shares(ask, more, now)
        ticket = Ticket(ask=ask, reserve_nano=reserve_nano, warnings=warnings)
        self._charge(holding, max(more, -holding.from_share))
        self.change(holding, ticket)
        self.doubt(holding)
        return ticket

    def status(self, scope: Scope) -> tuple[LimitStatus, ...]:
        """Tell what remains as far as this node knows."""
        now = self.now()
        self._expire_leases(now)
        subject = self._subjects.get(scope.key, _UNTOUCHED)
        money = [
            self._account(budget, now).status(scope.key, budget, now)
            for budget in scope.budgets
        ]
        return (*subject.statuses(self._part(scope), now), *money)

    # Keeping

    def now(self) -> Moment:
        """Read both clocks."""
        clock = self._clock
        return Moment(round(clock.monotonic() * MICRO), clock.time_ns() / 1e9)

    def open_holdings(self) -> Iterator[Holding]:
        """Yield every ticket that is open."""
        yield from self._holdings.values()

    def expire(self) -> int:
        """Close tickets whose lease ended, and forget what is idle; return how many."""
        now = self.now()
        count = self._expire_leases(now)
        while self._expired:
            holding = next(iter(self._expired.values()))
            if holding.expires_us > now.us:
                break
            self._expired.popitem(last=False)
        self._sweep(now)
        return count

    def _expire_leases(self, now: Moment) -> int:
        count = 0
        while self._holdings:
            holding = next(iter(self._holdings.values()))
            if holding.expires_us > now.us:
                break
            self._holdings.popitem(last=False)
            self._give_back(holding, now)
            holding.expires_us = now.us + _KEEP_EXPIRED_US
            self._expired[holding.ticket.id] = holding
            count += 1
        return count

    def _sweep(self, now: Moment) -> None:
        for _ in range(min(_SWEPT, len(self._subjects))):
            key, subject = self._subjects.popitem(last=False)
            if not subject.is_idle(now):
                self._subjects[key] = subject
        for _ in range(min(_SWEPT, len(self.accounts))):
            name, account = self.accounts.popitem(last=False)
            if name in self.unsaid or not account.is_idle(now):
                self.accounts[name] = account
        if len(self._parts) > 2 * len(self._subjects) + _SWEPT:
            self._parts.clear()

    def _close(self, ticket: Ticket, now: Moment) -> Holding | None:
        """End a ticket once, whether its lease still runs or not."""
        holding = self._holdings.pop(ticket.id, None)
        if holding is None:
            return self._expired.pop(ticket.id, None)
        self._give_back(holding, now)
        return holding

    def _give_back(self, holding: Holding, now: Moment) -> None:
        holding.is_open = False
        holding.granted = holding.nano - holding.from_share
        ask = holding.ticket.ask
        for scope in ask.scopes:
            self._subject(scope.key).leases -= 1
        for account in holding.accounts:
            account.reserve(-holding.nano, now.us)
            account.share_used -= holding.from_share

    def _charge(self, holding: Holding, nano: int) -> None:
        """Take an amount from the shares a ticket draws on; a negative one returns."""
        holding.from_share += nano
        for account in holding.accounts:
            account.share_used += nano

    def _check_money(
        self, ask: Ask, more: int, held: int, now: Moment, found: list[Refusal]
    ) -> tuple[BudgetWarning, ...]:
        """Append the refusals of budgets known to be full."""
        if more <= 0:
            return ()
        warnings = []
        for scope in ask.scopes:
            for budget in scope.budgets:
                account = self._account(budget, now)
                answer = account.check(scope.key, budget, more=more, held=held, now=now)
                if isinstance(answer, Refusal):
                    found.append(answer)
                elif answer is not None:
                    warnings.append(answer)
        return tuple(warnings)

    def _check_shares(self, ask: Ask, more: int, now: Moment) -> None:
        if more <= 0:
            return
        for account in self._accounts_of(ask, now):
            if account.budget.hard and account.share_left(now.us) < more:
                raise ShareUsedUpError("This node's share of a budget is used up.")

    def _accounts_of(self, ask: Ask, now: Moment) -> list[Account]:
        return [
            self._account(budget, now)
            for scope in ask.scopes
            for budget in scope.budgets
        ]

    def _account(
        self, budget: Budget, now: Moment, *, is_news: bool = False
    ) -> Account:
        name = (budget.budget_id, budget.window_id)
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(budget, now.us)
            self.unsaid[name] = account
        if not is_news:
            account.budget = budget
            account.ends_at = budget.ends_at
            account.touched_us = now.us
        return account

    def _subject(self, key: str) -> Subject:
        subject = self._subjects.get(key)
        if subject is None:
            subject = self._subjects[key] = Subject()
        return subject

    def _cap(self, subject: Subject, part: Scope, now_us: int) -> None:
        """Leave no more debt than a full burst: others may have left their part."""
        if self.nodes <= 1:
            return
        if part.rpm is not None:
            subject.rpm = min(subject.rpm, (now_us + _whole_us(part.rpm), 0))
        if part.tpm is not None:
            subject.tpm = min(subject.tpm, (now_us + _whole_us(part.tpm), 0))

    def _part(self, scope: Scope) -> Scope:
        """Return this node's part of a scope's limits."""
        known = self._parts.get(scope.key)
        if known is not None and known[0] is scope and known[1] == self.nodes:
            return known[2]
        part = part_of(scope, self.nodes)
        self._parts[scope.key] = (scope, self.nodes, part)
        return part


def _cost(scope: Scope, part: Scope, tokens: int) -> int:
    """Let a call that fits into the whole limit fit into this node's part of it."""
    if part.tpm is None or scope.tpm is None or tokens > scope.tpm.burst:
        return tokens
    return min(tokens, part.tpm.burst)


def _whole_us(rate: Rate) -> int:
    return rate.burst * rate.period_us // rate.limit


_UNTOUCHED: Final = Subject()
