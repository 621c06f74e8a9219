"""What a store of limits promises, whatever it is made of.

A call is admitted by one atomic step over all its scopes (client key, team, credential
...): every check passes and everything is taken, or one refuses and nothing is. What is
taken is a ticket with a lease, not a bare counter: a ticket nobody renews gives back
its slots and its reservation when the lease ends, so a crash cannot leak them.

Life of a ticket: ``acquire``, any number of ``renew`` and ``re_reserve`` (a fallback
target with another price), then once ``settle`` (the call happened) or ``release`` (it
never did). Settling twice, or after the lease ended, is harmless and counts once.

What remains after a settle: requests and tokens in their rates, and money spent. A
budget's truth is the ledger; ``set_shipped`` tells the store what the ledger knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

from usage.limits.gcra import Rate

LEASE_S: Final = 60.0
"""How long a ticket lives without being renewed; streams renew every 20 s or so."""

BUSY_RETRY_S: Final = 1.0
"""What to advise when another call's end is awaited, which nobody can foretell."""

MAX_AMOUNT: Final = 2**53 - 1
"""The largest limit in nano-USD (9 million USD) that every store keeps exactly."""

LimitKind = Literal["rpm", "tpm", "concurrency", "requests", "budget"]


class LimitStoreError(RuntimeError):
    """The store cannot answer. This is the pool's fault, never the caller's."""


class ShareUsedUpError(LimitStoreError):
    """The store is away and this process's share of a hard budget does not suffice."""


class TicketClosedError(LimitStoreError):
    """The ticket was settled or released, or its lease ended."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One money budget in the window that is open now.

    Units:   ``limit_nano`` and ``spent_nano`` in nano-USD; ``ends_at`` in seconds since
             1970, None for a window that never ends.
    Shapes:  a new ``window_id`` starts from ``spent_nano``, the ledger's figure when
             this object was built; later only ``set_shipped`` corrects it.
    """

    budget_id: int
    window_id: str
    limit_nano: int
    hard: bool = True
    spent_nano: int = 0
    ends_at: float | None = None


class RequestCount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many requests in a calendar window; ``used`` seeds a window not seen yet."""

    limit: int
    window_id: str
    used: int = 0
    ends_at: float | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything one subject is limited by; None means unlimited.

    Shapes:  ``key`` names the subject (``key:12``, ``team:3``, ``credential:9``) and
             occurs once in an ask, and so does a budget.
    """

    key: str
    rpm: Rate | None = None
    tpm: Rate | None = None
    concurrency: int | None = None
    requests: RequestCount | None = None
    budgets: tuple[Budget, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one call wants to take.

    Shapes:  ``scopes`` narrowest first. Asking again with the id of an open ticket
             returns that ticket and takes nothing more.
    Units:   ``tokens`` the estimate for both directions; ``reserve_nano`` in nano-USD,
             0 for a free target, which fits every budget.
    """

    ticket_id: str
    scopes: tuple[Scope, ...]
    tokens: int = 0
    reserve_nano: int = 0


class BudgetWarning(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Say that this call crosses a soft budget; the next one will be refused."""

    budget_id: int
    window_id: str
    committed_nano: int
    limit_nano: int


class Ticket(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was taken. It is its ask, admitted; the store keeps the lease.

    Shapes:  ``warnings`` names the soft budgets this very step carried past a limit.
    """

    ask: Ask
    reserve_nano: int
    warnings: tuple[BudgetWarning, ...] = ()

    @property
    def id(self) -> str:
        """Return the id the caller chose."""
        return self.ask.ticket_id


class Refusal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Say which limit refused and when asking again makes sense.

    Shapes:  when several limits refuse, the one that will refuse longest. ``used`` and
             ``allowed`` are in the limit's own unit: requests, tokens, slots, nano-USD.
    Units:   ``retry_after_s`` in seconds, None when this very call can never fit;
             ``reset_at`` in seconds since 1970, when the limit is whole again or its
             window ends, None when unknown.
    """

    limit: LimitKind
    scope: str
    allowed: int
    used: int
    retry_after_s: float | None
    reset_at: float | None = None
    budget_id: int | None = None


class Used(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a call really used, over all its attempts.

    Units:   ``tokens`` both directions, None leaves the estimate standing;
             ``cost_nano`` in nano-USD, None when unknown, which adds nothing.
    """

    tokens: int | None = None
    cost_nano: int | None = None


class LimitStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What remains of one limit, for headers and screens.

    Units:   ``allowed`` and ``remaining`` in the limit's own unit, never negative;
             ``reserved`` is the part of a budget held by running calls. ``reset_s`` is
             seconds until the limit is whole again, None when unknown.
    """

    limit: LimitKind
    scope: str
    allowed: int
    remaining: int
    reserved: int = 0
    reset_s: float | None = None
    budget_id: int | None = None


class LimitStore(Protocol):
    """Admit, renew and settle calls; each method is one atomic step.

    Errors: LimitStoreError from every method when the store cannot be reached. What
        then happens is the caller's policy: closed for hard budgets, open for rates.
    """

    @property
    def origin(self) -> str:
        """Name the process whose spending this store counts itself."""
        ...

    async def acquire(self, ask: Ask) -> Ticket | Refusal:
        """Take everything an ask wants, or nothing."""
        ...

    async def renew(self, ticket: Ticket) -> bool:
        """Extend a lease; False when the ticket is no longer open."""
        ...

    async def re_reserve(self, ticket: Ticket, reserve_nano: int) -> Ticket | Refusal:
        """Change the money a ticket holds, before a call to a target of another price.

        Shapes:  ``reserve_nano`` is the whole amount: what earlier attempts cost plus
                 the estimate for the next. Refused, the ticket stays as it was. A
                 smaller or equal amount always fits.
        Errors:  TicketClosedError when the ticket is not open.
        """
        ...

    async def settle(self, ticket: Ticket, used: Used) -> bool:
        """Replace a reservation by what was used; False when it was closed before."""
        ...

    async def release(self, ticket: Ticket) -> bool:
        """Give everything back, the rates too; False when it was closed before."""
        ...

    async def status(self, scope: Scope) -> tuple[LimitStatus, ...]:
        """Tell what remains of each limit of a scope."""
        ...

    async def set_shipped(
        self,
        budget_id: int,
        window_id: str,
        *,
        total_nano: int,
        by_origin: Mapping[str, int],
    ) -> None:
        """Learn what the ledger holds of a budget window.

        Shapes:  ``by_origin`` is the part of ``total_nano`` that came from each origin
                 still alive, and the final part of one that died. An origin's own
                 count beyond its part is what the ledger has not seen yet:
                 spent = total + sum(max(0, counted - shipped)).
        """
        ...

    async def free_expired(self) -> int:
        """Close tickets whose lease ended; return how many. Admission does it too."""
        ...
