"""The Redis store as one node of a fleet uses it: it joins, and tells what it holds.

A server that was restarted is another one, whatever it still has on disk: the last
moments may be missing. So all keys carry the server's run, every connection makes sure
that it still meets the same run, and a new run starts from what the nodes tell it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from poolsite.clock import Clock
from usage.limits.contract import LEASE_S, Budget, LimitStoreError, Ticket
from usage.limits.redis import BARRED, PREFIX, RedisLimits
from usage.limits.redis_words import budget_request
from usage.limits.refusals import MICRO

SILENCE_S: Final = 10.0
"""After so long without a word a node is taken for gone."""

REBUILD_S: Final = 8.0
"""How long a server that lost its data waits for nodes: the keeper ships what a dead
one left within five seconds."""

_CONNECTIONS: Final = 16
_WAIT_S: Final = 1.0
_RUN_LENGTH: Final = 16
_RUN: Final = re.compile(rf"^run_id:(\w{{1,{_RUN_LENGTH}}})", re.MULTILINE)


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A ticket as its node has it now."""

    ticket: Ticket
    nano: int
    is_open: bool


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A budget window as its node knows it.

    Units:   nano-USD. ``mine`` was settled here, ``held`` is what the share still has,
             None leaves the share as it is; ``unit`` what one call reserves; ``total`` and ``shipped``
             what the ledger said last, None when it said nothing.
    """

    budget: Budget
    mine: int
    held: int | None = None
    unit: int = 0
    total: int = 0
    shipped: dict[str, int] | None = None


class Met(NamedTuple):
    """What a server answers: who else lives, whether it decides about money again.

    Shapes:  ``shares`` of the lines with a share, in their order: how large it is now
             and how large it should be.
    """

    is_open: bool
    alive: frozenset[str]
    shares: list[tuple[int, int]]


class RedisFleet(RedisLimits):
    """A member of a fleet on one Redis.

    Shapes:  ``run`` is the server's run that this node tells and asks, blank between
             ``forget`` and the next connection.
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
        super().__init__(
            client, origin=origin, prefix=prefix, lease_s=lease_s, clock=clock
        )
        self._member = True
        self.run = ""
        self.silence_s, self.rebuild_s = SILENCE_S, REBUILD_S

    @classmethod
    def connect(cls, url: str, *, origin: str, prefix: str = PREFIX) -> Self:
        """Make a store on connections that make sure whom they meet.

        Nothing is sent twice: a connection that broke may mean that the server was
        restarted, and then this node has to tell first what it holds.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_WAIT_S,
            socket_timeout=_WAIT_S,
            socket_connect_timeout=_WAIT_S,
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), retries=0),
        )
        store = cls(Redis.from_pool(pool), origin=origin, prefix=prefix)
        pool.connection_kwargs["redis_connect_func"] = store._greet
        return store

    def forget(self) -> None:
        """Be ready to meet another server."""
        self.run = ""

    async def meet(self) -> float:
        """Look which run answers; return when it started.

        Units:   seconds since 1970 by the server's own clock.
        Errors:  LimitStoreError when it is another than before, or nobody answers.
        """
        try:
            facts: dict[str, Any] = await self._client.info("server")
            at = await self._client.time()
        except RedisError as error:
            raise LimitStoreError("Redis cannot be reached.") from error
        self._know(str(facts.get("run_id", "none"))[:_RUN_LENGTH])
        now_s = at[0] if self._clock is None else self._clock.time_ns() / 1e9
        return float(now_s) - float(facts.get("uptime_in_seconds", 0))

    async def tell(
        self,
        tickets: Sequence[Told],
        lines: Sequence[Line],
        *,
        started_s: float = 0.0,
        known: Sequence[str] | None = (),
        is_final: bool = True,
    ) -> Met:
        """Tell what this node holds; the last part of it makes it a member.

        Shapes:  ``known`` are the other nodes it knew of, None from a node that has
                 joined before. ``lines`` of another part than the last say nothing
                 about shares.
        Errors:  LimitStoreError when Redis cannot be reached, NotJoinedError when it
                 forgot a node that had joined.
        """
        keys = [f"{self._prefix}t:"]
        keys += [
            self.budget_key(each.budget.budget_id, each.budget.window_id)
            for each in lines
        ]
        reply = await self._run(
            {
                "op": "sync",
                "id": "",
                "nano": 0,
                "scopes": [],
                "budgets": [_line(each) for each in lines],
                "tickets": [self._told(each) for each in tickets],
                "joined": known is None,
                "known": list(known or ()),
                "member": True,
                "final": is_final,
                "started": round(started_s * MICRO),
                "silence": round(self.silence_s * MICRO),
                "rebuild": round(self.rebuild_s * MICRO),
            },
            keys,
        )
        if reply[0] == -2:
            raise BARRED[reply[0]]
        if not is_final:
            return Met(False, frozenset(), [])
        alive = frozenset(name.decode() for name in reply[1])
        shares = [(int(amount), int(want)) for amount, want in reply[2]]
        return Met(reply[0] == 1, alive, shares)

    def _told(self, told: Told) -> dict[str, Any]:
        scopes = told.ticket.ask.scopes
        budgets = [budget for scope in scopes for budget in scope.budgets]
        return {
            "id": told.ticket.id,
            "open": told.is_open,
            "nano": told.nano,
            "subjects": [f"{self._prefix}s:{scope.key}" for scope in scopes],
            "windows": [self.budget_key(b.budget_id, b.window_id) for b in budgets],
        }

    async def _greet(self, connection: AbstractConnection) -> None:
        """Refuse a connection to another run before anything is sent on it."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        try:
            facts = await connection.read_response()
        except ResponseError:
            return
        text = facts.decode(errors="replace") if isinstance(facts, bytes) else ""
        found = _RUN.search(text)
        try:
            self._know("none" if found is None else found[1])
        except LimitStoreError as error:
            raise RedisConnectionError("Redis was restarted.") from error

    def _know(self, run: str) -> None:
        if self.run in ("", run):
            self.run = run
            self._prefix = f"{self._root}{run}:"
            return
        raise LimitStoreError("Redis was restarted.")


def _line(line: Line) -> dict[str, Any]:
    spelled = budget_request(line.budget)
    spelled |= {"mine": line.mine, "unit": line.unit}
    if line.held is not None:
        spelled["held"] = line.held
    if line.shipped is not None:
        spelled |= {"total": line.total, "shipped": line.shipped}
    return spelled
