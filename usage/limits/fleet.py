"""Limits of one node of a fleet: the shared store, and what happens when it dies.

As long as Redis answers, each step is one script there and exact for all nodes. Once
it does not, the node goes on alone:

- rates and slots by the node's part of each limit (limit / live nodes);
- soft budgets by the ledger's sum and what the node itself has not shipped;
- hard budgets from the node's share, which was reserved in Redis before: a hundredth
  of what was left, for at most a lease. Then they refuse (ShareUsedUpError).

Once a second the node tells Redis what it holds. So a Redis that comes back, with its
data, with old data or with none, knows it within a second; without its data it lets
hard budgets wait (they go on from the shares) until every node was heard of, at most
``REBUILD_S``. Rates start from nothing then.

Nothing is spent twice: at every moment what nodes may spend is reserved where it can
be refused, or was spent and is in a journal. Of a process that stands still for longer
than it takes others to rebuild, the calls under way are known when they settle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final

from poolsite.clock import Clock
from usage.limits.contract import (
    LEASE_S,
    Ask,
    LimitStatus,
    LimitStoreError,
    Refusal,
    Scope,
    ShareUsedUpError,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.own import Own
from usage.limits.redis import NotRebuiltError
from usage.limits.redis_fleet import REBUILD_S, RedisFleet
from usage.limits.refusals import MICRO
from usage.limits.telling import Teller

TELL_S: Final = 1.0
_AGAIN_S: Final = 0.2
_log: Final = logging.getLogger("usage.limits")


class FleetLimits:
    """A ``LimitStore`` that asks Redis while it answers, and itself while it does not.

    Shapes:  ``is_shared`` tells which of both decides; ``alone_refused`` counts the
             calls refused because a share was used up, ``losses`` how often Redis was
             lost. ``nodes`` is a guess at how many nodes share the limits, until
             Redis tells.
    """

    def __init__(
        self,
        redis: RedisFleet,
        clock: Clock,
        *,
        lease_s: float = LEASE_S,
        nodes: int = 1,
    ) -> None:
        self.is_shared = False
        self.alone_refused = 0
        self.losses = 0
        self._redis = redis
        self._own = Own(clock, origin=redis.origin, lease_s=lease_s, nodes=nodes)
        self._teller = Teller(redis, self._own, round(lease_s * MICRO))
        self._telling = asyncio.Lock()
        self._lost = asyncio.Event()

    @property
    def origin(self) -> str:
        """Name the process whose spending this store counts."""
        return self._redis.origin

    # Life

    async def open(self, *, wait_s: float = REBUILD_S) -> bool:
        """Join the others; tell whether Redis decides about money.

        Fails:  without Redis the node starts alone; a Redis that has just been started
                is waited for, because nodes that live may still have to be heard of.
        """
        for _ in range(round(wait_s / _AGAIN_S) + 1):
            if not await self.tell() or self.is_whole:
                break
            await asyncio.sleep(_AGAIN_S)
        if not self.is_shared:
            _log.error("limits_start_alone", extra={"origin": self.origin})
        return self.is_whole

    async def run(self) -> None:
        """Tell Redis for ever what this node holds."""
        while True:
            if _is_cancelled():
                raise asyncio.CancelledError
            pause = TELL_S if self.is_whole else _AGAIN_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), pause)
                # Not at once: a server that is starting would be asked in a loop.
                await asyncio.sleep(_AGAIN_S / 4)
            self._lost.clear()
            await self.tell()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.close()

    # The contract

    async def acquire(self, ask: Ask) -> Ticket | Refusal:
        """Take everything an ask wants, or nothing.

        Errors:  ShareUsedUpError without Redis when the share does not suffice.
        """
        opened = self._own.opened(ask.ticket_id)
        if opened is not None:
            return opened
        if self.is_shared:
            run = self._redis.run
            try:
                answer = await self._redis.acquire(ask)
            except NotRebuiltError:
                self._teller.is_whole = False
            except asyncio.CancelledError:
                # Whoever asked has left, and may have been let in.
                self._own.disown(ask)
                raise
            except LimitStoreError as error:
                self._leave(run, error)
                # It may have been granted, and only the answer was lost.
                self._own.disown(ask)
            else:
                if isinstance(answer, Ticket):
                    self._own.take(answer, is_told=self._is_still(run))
                return answer
        try:
            return self._own.admit(ask)
        except ShareUsedUpError:
            self.alone_refused += 1
            raise

    async def renew(self, ticket: Ticket) -> bool:
        """Extend a lease; False when the ticket is no longer open."""
        is_open = self._own.renew(ticket)
        if is_open and self.is_shared:
            run = self._redis.run
            try:
                is_known = await self._redis.renew(ticket)
            except LimitStoreError as error:
                self._leave(run, error)
                is_known = False
            if not is_known:
                self._doubt(ticket)
        return is_open

    async def re_reserve(self, ticket: Ticket, reserve_nano: int) -> Ticket | Refusal:
        """Change the money a ticket holds, in all its budgets or in none."""
        holding = self._own.held(ticket)
        if self.is_shared and ticket.id in self._own.untold:
            await self.tell()
        if self.is_shared:
            run = self._redis.run
            try:
                answer = await self._redis.re_reserve(holding.ticket, reserve_nano)
            except TicketClosedError:
                # Its lease ended there, in a pause that nobody here noticed.
                raise
            except LimitStoreError as error:
                self._leave(run, error)
            else:
                if isinstance(answer, Ticket) and holding.is_open:
                    self._own.change(holding, answer)
                    if not self._is_still(run):
                        self._own.doubt(holding)
                return answer
        try:
            return self._own.re_reserve(self._own.held(ticket), reserve_nano)
        except ShareUsedUpError:
            self.alone_refused += 1
            raise

    async def settle(self, ticket: Ticket, used: Used) -> bool:
        """Replace a reservation by what was used; False when it was closed before.

        What Redis cannot be told now it is told later.
        """
        holding = self._own.settle(ticket, used)
        if holding is None:
            return False
        if self.is_shared and ticket.id not in self._own.untold:
            run, counted = self._redis.run, self._own.counted(holding)
            try:
                await self._redis.settle(ticket, used, counted=counted)
            except LimitStoreError as error:
                self._leave(run, error)
            else:
                if self._is_still(run):
                    return True
        self._own.doubt(holding)
        return True

    async def release(self, ticket: Ticket) -> bool:
        """Give everything back, the rates too; False when it was closed before."""
        holding = self._own.release(ticket)
        if holding is None:
            return False
        if self.is_shared and ticket.id not in self._own.untold:
            run = self._redis.run
            try:
                await self._redis.release(ticket)
            except LimitStoreError as error:
                self._leave(run, error)
            else:
                return True
        self._own.doubt(holding)
        return True

    async def status(self, scope: Scope) -> tuple[LimitStatus, ...]:
        """Tell what remains of each limit of a scope, as far as it is known."""
        if self.is_shared:
            run = self._redis.run
            try:
                return await self._redis.status(scope)
            except LimitStoreError as error:
                self._leave(run, error)
        return self._own.status(scope)

    async def set_shipped(
        self,
        budget_id: int,
        window_id: str,
        *,
        total_nano: int,
        by_origin: Mapping[str, int],
    ) -> None:
        """Learn what the ledger holds of a budget window."""
        shipped = dict(by_origin)
        self._own.learn(budget_id, window_id, total_nano, shipped)
        if self.is_shared:
            run = self._redis.run
            try:
                await self._redis.set_shipped(
                    budget_id, window_id, total_nano=total_nano, by_origin=shipped
                )
            except LimitStoreError as error:
                self._leave(run, error)
            else:
                return
        self._own.say((budget_id, window_id))

    async def free_expired(self) -> int:
        """Close tickets whose lease ended; return how many."""
        count = self._own.expire()
        if self.is_shared:
            run = self._redis.run
            try:
                return await self._redis.free_expired()
            except LimitStoreError as error:
                self._leave(run, error)
        return count

    # Telling

    async def tell(self) -> bool:
        """Tell Redis what this node holds, and join it if need be.

        Fails:   False when Redis cannot be reached; the node is alone then.
        """
        async with self._telling:
            self._own.expire()
            # Whoever was restarted is met again at the second try.
            for _ in range(2 if self._redis.run else 1):
                try:
                    await self._teller.tell()
                except LimitStoreError as error:
                    self._leave(self._redis.run, error)
                    self._teller.joined = ""
                    self._redis.forget()
                    continue
                if not self.is_shared:
                    _log.info("limits_shared", extra={"origin": self.origin})
                self.is_shared = True
                return True
            return False

    def _doubt(self, ticket: Ticket) -> None:
        with contextlib.suppress(TicketClosedError):
            self._own.doubt(self._own.held(ticket))

    @property
    def is_whole(self) -> bool:
        """Tell whether Redis decides about everything, money too."""
        return self.is_shared and self._teller.is_whole

    def figures(self) -> tuple[bool, int]:
        """Return whether Redis decides, and how many calls a used-up share refused."""
        return self.is_whole, self.alone_refused

    def _is_still(self, run: str) -> bool:
        """Tell whether Redis is the one that was asked."""
        return self.is_shared and self._redis.run == run

    def _leave(self, run: str, error: LimitStoreError) -> None:
        """Go on alone, unless the one that failed is not asked any more."""
        if self.is_shared and self._redis.run in ("", run):
            self.is_shared = False
            self._teller.joined = ""
            self.losses += 1
            _log.warning("limits_alone", extra={"reason": str(error)})
        self._lost.set()


def _is_cancelled() -> bool:
    """Tell whether this task shall end: ``wait_for`` of Python 3.11 may hide it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
