"""Turn who calls into the scopes a limit store knows: keys, teams, agents, sessions.

What binds a key is the same for all its calls and remembered. Only a pool that has
budgets of agents or sessions asks further who exactly calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from providers.proxy.exchange import Caller
from providers.proxy.ports import SnapshotPort
from providers.snapshot.types import BudgetRecord, ClientKeyRecord
from usage.budgets import personal
from usage.budgets.personal import Rules
from usage.journal.records import BudgetRef
from usage.limits.contract import (
    MAX_AMOUNT,
    Budget,
    LimitStatus,
    RequestCount,
    Scope,
)
from usage.limits.gcra import MINUTE_US, Rate, per_minute
from usage.limits.windows import window_at

_NANO: Final = 1_000_000_000
_DAY_US: Final = 24 * 60 * MINUTE_US
_FRESH_S: Final = 30.0
_MOST_KEYS: Final = 10_000
_MOST_SESSIONS: Final = 50_000
_NOBODY: Final = 0


class Limited(Struct, frozen=True):
    """What one caller is limited by at this moment.

    Shapes:  ``has_hard_budget`` decides whether a model without a price may serve.
             ``records`` are the budgets behind the scopes, by id. ``name`` tells
             callers apart that are told different things; ``session`` is set where it
             matters who served it last.
    Units:   ``good_until`` Unix seconds: then windows may have changed.
    """

    key: ClientKeyRecord
    version: int
    good_until: float
    scopes: tuple[Scope, ...]
    budgets: tuple[BudgetRef, ...]
    has_hard_budget: bool
    records: dict[int, BudgetRecord] = {}
    name: str = ""
    session: str = ""

    def whose(self, budget_id: int | None) -> str:
        """Return the scope of a budget: pool, team, key, agent, session."""
        record = self.records.get(budget_id or 0)
        return "key" if record is None else record.scope

    def warns_at(self, status: LimitStatus) -> int | None:
        """Return from where on a budget warns, None when it does not.

        Units:   nano-USD.
        """
        record = self.records.get(status.budget_id or 0)
        if record is None:
            return None
        if record.warn_nano_usd is not None:
            return record.warn_nano_usd
        return None if record.hard else status.allowed


class ScopeBook:
    """Know what limits a caller, and remember it for a while.

    Cost:  a look-up for a key seen in the last 30 s. Where agents or sessions have
           budgets, one more for a session seen in that time, about 20 us for others.
    """

    __slots__ = ("_clock", "_known", "_last", "_persons", "_rules", "_rules_of")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, Limited] = {}
        self._persons: dict[tuple[int, str, str], tuple[str, Limited, Limited]] = {}
        self._rules: Rules[BudgetRecord] = Rules(())
        self._rules_of: object = None
        # Who served a session last; the oldest are forgotten.
        self._last: OrderedDict[tuple[int, str], str] = OrderedDict()

    def of(self, caller: Caller, snapshot: SnapshotPort, session: str = "") -> Limited:
        """Return what limits a caller now."""
        key = caller.key
        now_s = self._clock.time_ns() / _NANO
        known = self._known.get(key.id)
        if (
            known is None
            or known.key is not key
            or known.version != snapshot.version
            or now_s >= known.good_until
        ):
            known = _limited(key, snapshot, now_s)
            if len(self._known) >= _MOST_KEYS:
                self._known.clear()
            self._known[key.id] = known
        if not snapshot.personal_budgets or key.id == _NOBODY:
            return known
        return self._person(known, snapshot, caller.agent, session)

    def served(self, limited: Limited | None, provider: str) -> None:
        """Note who served a session, where a budget depends on it."""
        if limited is None or not limited.session:
            return
        place = (limited.key.id, limited.session)
        self._last[place] = provider
        self._last.move_to_end(place)
        if len(self._last) > _MOST_SESSIONS:
            self._last.popitem(last=False)

    def _person(
        self, base: Limited, snapshot: SnapshotPort, agent: str, session: str
    ) -> Limited:
        """Add what binds the agent and the session of this very call."""
        if self._rules_of is not snapshot.personal_budgets:
            self._rules = Rules(snapshot.personal_budgets.values())
            self._rules_of = snapshot.personal_budgets
            self._persons.clear()
        key_id = base.key.id
        last = ""
        if self._rules.follows_providers:
            last = self._last.get((key_id, session), "")
        known = self._persons.get((key_id, agent, session))
        now_s = self._clock.time_ns() / _NANO
        if (
            known is not None
            and known[0] == last
            and known[1] is base
            and now_s < known[2].good_until
        ):
            return known[2]
        made = self._made(base, agent, session, last, now_s)
        if len(self._persons) >= _MOST_KEYS:
            self._persons.clear()
        self._persons[key_id, agent, session] = (last, base, made)
        return made

    def _made(
        self, base: Limited, agent: str, session: str, last: str, now_s: float
    ) -> Limited:
        rules, key_id = self._rules, base.key.id
        named = [(rule, agent) for rule in rules.of_agent(key_id, agent)]
        bound = rules.of_session(key_id, session, agent, last)
        named += [(rule, session) for rule in bound]
        found = [
            _personal(rule, now_s, key_id=key_id, name=name)
            for rule, name in named
            if rule.amount_nano_usd or rule.warn_nano_usd
        ]
        follows = session if rules.follows_providers else ""
        if not found:
            return replace(base, session=follows)
        records = {rule.id: rule for rule, _ in named}
        return replace(
            base,
            good_until=min(base.good_until, _next_change(found, records, now_s)),
            scopes=_with_budgets(base, found),
            budgets=(*base.budgets, *_refs(found)),
            has_hard_budget=base.has_hard_budget or any(each.hard for each in found),
            records={**base.records, **records},
            name=f"{key_id}:{agent}:{session}",
            session=follows,
        )


def _limited(key: ClientKeyRecord, snapshot: SnapshotPort, now_s: float) -> Limited:
    records: dict[int, BudgetRecord] = {}
    for budget_id in key.budget_ids:
        record = snapshot.budget(budget_id)
        if record is not None:
            records[budget_id] = record
    budgets = [_budget(record, now_s) for record in records.values()]
    good_until = min(now_s + _FRESH_S, _next_change(budgets, records, now_s))
    count = _count(key, now_s)
    if count is not None and count.ends_at is not None:
        good_until = min(good_until, count.ends_at)
    slots = key.concurrency
    if slots is None:
        slots = snapshot.settings.key_concurrency
    own = Scope(
        key=f"key:{key.id}",
        rpm=None if key.rpm is None else per_minute(max(1, key.rpm)),
        tpm=None if key.tpm is None else per_minute(max(1, key.tpm)),
        concurrency=slots,
        requests=count,
        budgets=tuple(budgets),
    )
    scopes = []
    if key.id != _NOBODY and (
        own.rpm or own.tpm or slots is not None or count or budgets
    ):
        scopes.append(own)
    if key.id != _NOBODY and key.tpd is not None:
        # A day is a rate of its own; the subject has only one per kind.
        day = Rate(max(1, key.tpd), max(1, key.tpd), _DAY_US)
        scopes.append(Scope(key=f"key:{key.id}:day", tpm=day))
    return Limited(
        key,
        snapshot.version,
        good_until,
        tuple(scopes),
        _refs(budgets),
        any(budget.hard for budget in budgets),
        records,
        str(key.id),
    )


def _with_budgets(base: Limited, found: list[Budget]) -> tuple[Scope, ...]:
    """Put more budgets into the key's own scope: one step takes them all."""
    name = f"key:{base.key.id}"
    if base.scopes and base.scopes[0].key == name:
        own, *rest = base.scopes
        return (replace(own, budgets=(*found, *own.budgets)), *rest)
    return (Scope(key=name, budgets=tuple(found)), *base.scopes)


def _refs(budgets: Iterable[Budget]) -> tuple[BudgetRef, ...]:
    return tuple((budget.budget_id, budget.window_id) for budget in budgets)


def _next_change(
    budgets: Iterable[Budget], records: dict[int, BudgetRecord], now_s: float
) -> float:
    """Return when the first window ends or the first increase is over."""
    ends = [budget.ends_at for budget in budgets]
    ends += [record.extra_until_s for record in records.values()]
    return min((end for end in ends if end is not None and end > now_s), default=1e18)


def _budget(record: BudgetRecord, now_s: float) -> Budget:
    moment = datetime.fromtimestamp(now_s, UTC)
    window = window_at(record.window, record.time_zone, moment)
    amount = record.amount_nano_usd
    if record.extra_until_s is not None and now_s < record.extra_until_s:
        amount += record.extra_nano_usd
    return Budget(
        budget_id=record.id,
        window_id=window.id,
        limit_nano=amount,
        hard=record.hard,
        ends_at=None if window.ends_at is None else window.ends_at.timestamp(),
    )


def _personal(record: BudgetRecord, now_s: float, *, key_id: int, name: str) -> Budget:
    """Make the budget of one agent or session; one that only warns has no limit."""
    shared = _budget(record, now_s)
    own = personal.window_id(shared.window_id, record, key_id=key_id, name=name)
    if record.amount_nano_usd:
        return replace(shared, window_id=own)
    return replace(shared, window_id=own, limit_nano=MAX_AMOUNT, hard=False)


def _count(key: ClientKeyRecord, now_s: float) -> RequestCount | None:
    if key.window_requests is None or not key.window_s:
        return None
    number = int(now_s // key.window_s)
    return RequestCount(
        limit=key.window_requests,
        window_id=f"{key.window_s}:{number}",
        ends_at=float((number + 1) * key.window_s),
    )
