"""Limits shared by many nodes: the store of a fleet, in Redis.

Every step is one call of one script (``redis_script``), loaded when the store is opened
and again by itself when Redis lost it. Time is the server's, so the clocks of the nodes
do not matter.

Fails: every method raises LimitStoreError when Redis cannot be reached. What Redis
    holds can be rebuilt: rates from nothing, money from the ledger and from what the
    nodes hold (``fleet``, which also says what a node does meanwhile).
Cost:  one round trip a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from poolsite.clock import Clock
from usage.limits.contract import (
    LEASE_S,
    Ask,
    BudgetWarning,
    LimitStatus,
    LimitStoreError,
    Refusal,
    Scope,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.redis_script import SCRIPT
from usage.limits.redis_words import (
    Counted,
    Figures,
    answer_of,
    budget_request,
    scope_request,
)
from usage.limits.refusals import MICRO

PREFIX: Final = "pp:{limits}:"


class NotJoinedError(LimitStoreError):
    """Redis does not know this node: its data was lost, or the node was silent."""


class NotRebuiltError(LimitStoreError):
    """Redis lost its data and does not know yet what all nodes hold of a budget."""


_CONNECTIONS: Final = 16
_WAIT_S: Final = 1
BARRED: Final = {
    -2: NotJoinedError("This node is not known to Redis."),
    -3: NotRebuiltError("Redis has not heard of every node yet."),
}
_pack: Final = msgspec.msgpack.Encoder().encode


class RedisLimits:
    """A ``LimitStore`` in Redis.

    Shapes:  ``prefix`` starts every key and holds the hash tag. ``clock`` replaces the
             server's time, for tests.
    """

    def __init__(
        self,
        client: Redis,
        *,
        origin: str,
        prefix: str = PREFIX,
        lease_s: float = LEASE_S,
        clock: Clock | None = None,
    ) -> None:
        self._origin = origin
        self._root = self._prefix = prefix
        self._member = False
        self._lease_us = round(lease_s * MICRO)
        self._clock = clock
        self._client = client
        self._script = client.register_script(SCRIPT)

    @classmethod
    def connect(cls, url: str, *, origin: str, prefix: str = PREFIX) -> Self:
        """Make a store on a pool of connections of its own.

        The pool blocks: the client's ordinary one answers "too many connections" to
        a burst of calls that a few connections serve within milliseconds. A step whose
        answer was lost is sent again: every step may be repeated. A dead server is
        reported within a second or two, where the client's own patience is eight.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_WAIT_S,
            socket_timeout=_WAIT_S,
            socket_connect_timeout=_WAIT_S,
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), retries=2),
        )
        return cls(Redis.from_pool(pool), origin=origin, prefix=prefix)

    async def close(self) -> None:
        """Close the connections of a store made by ``connect``."""
        await self._client.aclose()

    @property
    def origin(self) -> str:
        """Name the process whose spending this store counts."""
        return self._origin

    async def open(self) -> None:
        """Load the script, so that the first request does not.

        Errors: LimitStoreError when Redis cannot be reached.
        """
        try:
            await self._client.script_load(SCRIPT)
        except RedisError as error:
            raise LimitStoreError("Redis cannot be reached.") from error

    async def acquire(self, ask: Ask) -> Ticket | Refusal:
        """Take everything an ask wants, or nothing."""
        reply = await self._call(
            "acquire",
            ask.ticket_id,
            ask.scopes,
            tokens=ask.tokens,
            nano=ask.reserve_nano,
        )
        if reply[0] == 2:
            return Ticket(ask=ask, reserve_nano=int(reply[1]))
        if reply[0] < 0:
            raise BARRED[reply[0]]
        figures = Figures(reply, ask.scopes)
        refusals = figures.refusals(ask.tokens) if reply[0] == 0 else []
        answer = answer_of(
            reply[0], refusals, figures.money_answers(ask.reserve_nano, 0)
        )
        if isinstance(answer, Refusal):
            return answer
        return Ticket(ask=ask, reserve_nano=ask.reserve_nano, warnings=answer)

    async def renew(self, ticket: Ticket) -> bool:
        """Extend a lease; False when the ticket is no longer open."""
        reply = await self._call("renew", ticket.id, ())
        return bool(reply[0])

    async def re_reserve(self, ticket: Ticket, reserve_nano: int) -> Ticket | Refusal:
        """Change the money a ticket holds, in all its budgets or in none."""
        ask = ticket.ask
        reply = await self._call("re_reserve", ticket.id, ask.scopes, nano=reserve_nano)
        if reply[0] == -1:
            raise TicketClosedError(f"Ticket {ticket.id} is not open.")
        held = int(reply[-1])
        warnings: tuple[BudgetWarning, ...] = ()
        if reserve_nano > held:
            money = Figures(reply, ask.scopes).money_answers(reserve_nano, held)
            answer = answer_of(reply[0], [], money)
            if isinstance(answer, Refusal):
                return answer
            warnings = answer
        return Ticket(ask=ask, reserve_nano=reserve_nano, warnings=warnings)

    async def settle(
        self, ticket: Ticket, used: Used, *, counted: Counted | None = None
    ) -> bool:
        """Replace a reservation by what was used; False when it was closed before.

        Shapes:  ``counted`` is what this origin settled in each window, with this
                 ticket, where it keeps count itself: then it is told the sum.
        """
        ask = ticket.ask
        reply = await self._call(
            "settle",
            ticket.id,
            ask.scopes,
            tokens=0 if used.tokens is None else used.tokens - ask.tokens,
            nano=used.cost_nano or 0,
            counted=counted,
        )
        return bool(reply[0])

    async def release(self, ticket: Ticket) -> bool:
        """Give everything back, the rates too; False when it was closed before."""
        ask = ticket.ask
        reply = await self._call("release", ticket.id, ask.scopes, tokens=ask.tokens)
        return bool(reply[0])

    async def status(self, scope: Scope) -> tuple[LimitStatus, ...]:
        """Tell what remains of each limit of a scope."""
        reply = await self._call("status", "", (scope,))
        return Figures(reply, (scope,)).statuses()

    async def set_shipped(
        self,
        budget_id: int,
        window_id: str,
        *,
        total_nano: int,
        by_origin: Mapping[str, int],
    ) -> None:
        """Learn what the ledger holds of a budget window; once a fleet is enough."""
        await self._run(
            {
                "op": "shipped",
                "nano": total_nano,
                "shipped": dict(by_origin),
                "scopes": [],
            },
            [f"{self._prefix}t:", self.budget_key(budget_id, window_id)],
        )

    async def free_expired(self) -> int:
        """Close tickets whose lease ended, at most 500; return how many."""
        reply = await self._call("expire", "", ())
        return int(reply[0])

    async def _call(
        self,
        step: str,
        ticket_id: str,
        scopes: Sequence[Scope],
        *,
        tokens: int = 0,
        nano: int = 0,
        counted: Counted | None = None,
    ) -> Sequence[Any]:
        """Run one step for a ticket over its scopes and their budgets."""
        budgets = [budget for scope in scopes for budget in scope.budgets]
        keys = [f"{self._prefix}t:{ticket_id}"]
        keys += [f"{self._prefix}s:{scope.key}" for scope in scopes]
        keys += [self.budget_key(each.budget_id, each.window_id) for each in budgets]
        request = {
            "op": step,
            "id": ticket_id,
            "tokens": tokens,
            "nano": nano,
            "scopes": [scope_request(scope) for scope in scopes],
            "budgets": [budget_request(budget, counted) for budget in budgets],
            "counted": counted is not None,
            "member": self._member,
        }
        return await self._run(request, keys)

    async def _run(self, request: dict[str, Any], keys: list[str]) -> Sequence[Any]:
        request |= {
            "now": 0 if self._clock is None else self._clock.time_ns() // 1_000,
            "lease": self._lease_us,
            "origin": self._origin,
            "prefix": self._prefix,
        }
        try:
            reply: Sequence[Any] = await self._script(
                keys=[f"{self._prefix}leases", *keys], args=[_pack(request)]
            )
        except RedisError as error:
            raise LimitStoreError("Redis cannot be reached.") from error
        return reply

    def budget_key(self, budget_id: int, window_id: str) -> str:
        """Return the name of a window's money."""
        return f"{self._prefix}b:{budget_id}:{window_id}"
