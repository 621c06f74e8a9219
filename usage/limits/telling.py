"""Tell the shared store what a node holds, so that it may lose everything and return.

What is told are sums and states, never changes: a part whose answer was lost is told
again and does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from usage.limits.accounts import Account, Holding
from usage.limits.own import Own
from usage.limits.redis_fleet import Line, Met, RedisFleet, Told
from usage.limits.refusals import MICRO

_ACTIVE_US: Final = 60 * MICRO
_PART: Final = 400
_ROUNDS: Final = 5


class Teller:
    """One node's word to the shared store.

    Shapes:  ``is_whole`` = the store knows all nodes and decides about money.
             ``joined`` is the run it was told everything, blank when that is to be
             done again.
    """

    def __init__(self, redis: RedisFleet, own: Own, lease_us: int) -> None:
        self.joined = ""
        self.is_whole = False
        self._redis = redis
        self._own = own
        self._lease_us = lease_us
        self._known: frozenset[str] = frozenset()

    async def tell(self) -> None:
        """Tell what changed since the last time, everything to a server not met before.

        Errors:  LimitStoreError when nobody answers, or somebody else than before.
        """
        started_s = await self._redis.meet()
        run, own = self._redis.run, self._own
        if run != self.joined:
            for holding in own.open_holdings():
                own.doubt(holding)
            own.unsaid.update(own.accounts)
        for _ in range(_ROUNDS):
            await self._tell_in_parts()
            await self._tell_the_rest(started_s)
            if not own.untold:
                break
        self.joined = run

    async def _tell_in_parts(self) -> None:
        """Tell first what is too much for one step."""
        own = self._own
        while len(own.unsaid) > _PART:
            await self._send([], list(own.unsaid)[:_PART])
        while len(own.untold) > _PART:
            # With all windows: no ticket is closed before its cost was told.
            await self._send(list(own.untold)[:_PART], list(own.unsaid))

    async def _send(
        self,
        names: Sequence[str],
        keys: Sequence[tuple[int, str]],
        *,
        lent: Sequence[Account] = (),
        started_s: float = 0.0,
        is_final: bool = False,
    ) -> Met:
        """Tell some tickets and windows; what changed meanwhile is told again."""
        own = self._own
        holdings = [own.untold.pop(name) for name in names]
        accounts = {key: own.unsaid.pop(key) for key in keys}
        tickets = [_told(each) for each in holdings]
        now_us = own.now().us
        lines = [_line(each) for each in accounts.values()]
        lines += [_line(each, each.hand_in(now_us)) for each in lent]
        if is_final:
            for holding in own.open_holdings():
                holding.from_share = 0
        try:
            met = await self._redis.tell(
                tickets,
                lines,
                started_s=started_s,
                known=None if self.joined else sorted(self._known),
                is_final=is_final,
            )
        except BaseException:
            for holding in holdings:
                own.untold.setdefault(holding.ticket.id, holding)
            own.unsaid.update(accounts)
            raise
        for holding, told in zip(holdings, tickets, strict=True):
            # A settle may have overtaken us, and then we opened the ticket again.
            if _told(holding) != told:
                own.doubt(holding)
        return met

    async def _tell_the_rest(self, started_s: float) -> None:
        own = self._own
        now_us = own.now().us
        lent = self._lent(now_us)
        met = await self._send(
            list(own.untold),
            list(own.unsaid),
            lent=lent,
            started_s=started_s,
            is_final=True,
        )
        for account, share in zip(lent, met.shares, strict=True):
            account.lend(share, now_us, self._lease_us)
        # Until all were heard of, those not yet back are not forgotten.
        before = frozenset() if met.is_open else self._known
        self._known = (before | met.alive) - {self._redis.origin}
        own.nodes = max(1, len(met.alive))
        self.is_whole = met.is_open

    def _lent(self, now_us: int) -> list[Account]:
        """List the windows that have a share of this node's, or shall have one."""
        found = [
            account
            for account in self._own.accounts.values()
            if account.budget.hard
            and (
                account.share
                or account.share_used
                or (account.unit and now_us - account.asked_us < _ACTIVE_US)
            )
        ]
        found.sort(key=_lately, reverse=True)
        return found[:_PART]


def _told(holding: Holding) -> Told:
    return Told(ticket=holding.ticket, nano=holding.nano, is_open=holding.is_open)


def _line(account: Account, held: int | None = None) -> Line:
    return Line(
        budget=account.budget,
        mine=account.local,
        held=held,
        unit=account.unit,
        total=account.total,
        shipped=account.shipped,
    )


def _lately(account: Account) -> int:
    return account.asked_us
