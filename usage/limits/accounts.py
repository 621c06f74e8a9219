"""The pieces a node keeps of its own: a window's money, a ticket, its part of a limit."""

from __future__ import annotations

from typing import Final

import msgspec

from usage.limits.contract import Budget, RequestCount, Scope, Ticket
from usage.limits.gcra import Rate
from usage.limits.state import Spending

Key = tuple[int, str]
"""A budget's id and its window's."""

_MARGIN_US: Final = 1_000_000
"""A share ends here a second before the store gives it to others."""


class Account(Spending):
    """One budget window as one node sees it, with the node's share of it.

    Shapes:  the share was reserved in the shared store before, so spending it needs
             nobody's leave; ``share_used`` is what of it the store was not told yet.
    Units:   nano-USD; ``unit`` is what a call reserves, on average.
    """

    __slots__ = (
        "asked_us",
        "budget",
        "share",
        "share_until_us",
        "share_used",
        "shipped",
        "unit",
    )

    def __init__(self, budget: Budget, now_us: int) -> None:
        super().__init__(budget.spent_nano, now_us)
        self.budget = budget
        self.asked_us = 0
        self.unit = 0
        self.share = 0
        self.share_used = 0
        self.share_until_us = 0
        self.shipped: dict[str, int] | None = None

    def reserve(self, nano: int, now_us: int) -> None:
        """Hold an amount; a negative one is given back."""
        self.reserved += nano
        if nano > 0:
            self.asked_us = now_us
            self.unit = (7 * self.unit + nano) // 8 if self.unit else nano

    def share_left(self, now_us: int) -> int:
        """Return what the share still pays for; nothing once its lease ended."""
        if now_us >= self.share_until_us:
            return 0
        return max(0, self.share - self.share_used)

    def hand_in(self, now_us: int) -> int:
        """Keep what is left of the share, because the store is told the rest now.

        Shapes:  returns what is left. A lost answer does no harm: the store has either
                 the old share or the new one with what was taken from it.
        """
        self.share = self.share_left(now_us)
        self.share_used = 0
        return self.share

    def lend(self, share: tuple[int, int], sent_us: int, lease_us: int) -> None:
        """Learn how large the share is now, and how large it should be."""
        amount, want = share
        self.share = max(min(amount, want), self.share_used)
        self.share_until_us = sent_us + lease_us - _MARGIN_US


class Holding:
    """A ticket, its lease here, its budgets, and what of it the share pays.

    Units:   ``from_share`` in nano-USD, the same in each hard budget of the ticket;
             ``granted`` is the rest, known once it is closed.
    """

    __slots__ = ("accounts", "expires_us", "from_share", "granted", "is_open", "ticket")

    def __init__(
        self, ticket: Ticket, expires_us: int, accounts: list[Account]
    ) -> None:
        self.ticket = ticket
        self.accounts = accounts
        self.expires_us = expires_us
        self.from_share = 0
        self.granted = 0
        self.is_open = True

    @property
    def nano(self) -> int:
        """Return the money it holds."""
        return self.ticket.reserve_nano


def part_of(scope: Scope, nodes: int) -> Scope:
    """Return what one of so many nodes may take of a scope's limits alone."""
    if nodes <= 1:
        return scope
    return msgspec.structs.replace(
        scope,
        rpm=_rate_part(scope.rpm, nodes),
        tpm=_rate_part(scope.tpm, nodes),
        concurrency=_part(scope.concurrency, nodes),
        requests=_count_part(scope.requests, nodes),
    )


def _rate_part(rate: Rate | None, nodes: int) -> Rate | None:
    if rate is None:
        return None
    limit, burst = max(1, rate.limit // nodes), max(1, rate.burst // nodes)
    return Rate(limit, burst, rate.period_us)


def _count_part(count: RequestCount | None, nodes: int) -> RequestCount | None:
    if count is None:
        return None
    return msgspec.structs.replace(
        count, limit=_part(count.limit, nodes) or 0, used=count.used // nodes
    )


def _part(number: int | None, nodes: int) -> int | None:
    return number if not number else max(1, number // nodes)
