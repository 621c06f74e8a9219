"""Plan requests without sending them, on the very snapshot a worker would get.

The tables are built once a configuration and kept in this process: a person at the
simulator ticks boxes, and a replay plans hundreds of requests twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from poolsite import version
from poolsite.clock import Clock, SystemClock
from providers.models import Fact
from providers.proxy.explaining import Ask, Explainer, Explanation
from providers.routing.health import COOLDOWN_FACT, Health
from providers.routing.order import Turns
from providers.routing.pretended import Pretended
from providers.routing.resolve import Index
from providers.snapshot import types
from providers.snapshot.build import build_base, client_key_records
from providers.snapshot.view import ClientKeys, Snapshot, Tables, make_index
from usage.models import ClientKey

_CLOCK: Final = SystemClock()
_FRESH_S: Final = 30.0
_BY_NUMBER: Final = frozenset({types.PROVIDER, types.MODEL, types.BUDGET})
ANYBODY: Final = types.ClientKeyRecord(0, "", "", "", "anybody")


@dataclass(frozen=True)
class _Kept:
    version: int
    made_at_s: float
    tables: Tables
    index: Index


_kept: dict[str, _Kept] = {}


def prepared(*, clock: Clock = _CLOCK) -> tuple[Tables, Index]:
    """Return what the pool is made of, but for client keys; treat as read-only.

    Shapes:  prices and expiries that change by the hour are at most 30 s old.
    Cost:    one query while nothing changed; else 16, and some 20 us a model.
    """
    now_s, reached = clock.now().timestamp(), version.current()
    kept = _kept.get("-")
    is_same = kept is not None and kept.version == reached
    if kept is not None and is_same and 0 <= now_s - kept.made_at_s < _FRESH_S:
        return kept.tables, kept.index
    tables = _tables(clock)
    kept = _Kept(reached, now_s, tables, make_index(tables))
    _kept["-"] = kept
    return kept.tables, kept.index


def forget() -> None:
    """Drop what is kept in this process."""
    _kept.clear()


def explainers(
    records: Iterable[types.RoutingRecord],
    *,
    down: Iterable[str] = (),
    clock: Clock = _CLOCK,
) -> list[Explainer]:
    """Return who explains requests on each routing, some of the pool pretended down.

    Cost:    ``prepared`` and one query for the cooldowns that are known.
    """
    tables, index = prepared(clock=clock)
    rows = Fact.objects.filter(kind=COOLDOWN_FACT)
    known = list(rows.values_list("key", "payload"))
    names = frozenset(down)
    found = []
    for record in records:
        settings = msgspec.structs.replace(tables.settings, routing=record)
        own = msgspec.structs.replace(tables, settings=settings)
        health = Health(clock)
        health.configure(record.cooldown, providers=len(tables.providers))
        health.load(known)
        seen = Pretended(health, names) if names else health
        snapshot = Snapshot(ClientKeys(), own, index, Turns())
        found.append(Explainer(snapshot, seen, clock))
    return found


def explain(
    record: types.RoutingRecord,
    ask: Ask,
    *,
    key: ClientKey | None = None,
    down: Iterable[str] = (),
    clock: Clock = _CLOCK,
) -> Explanation:
    """Say where a request would go on a routing; without a key, as one of anybody.

    Cost:    ``explainers``, and two queries for the key.
    """
    caller = ANYBODY
    if key is not None:
        caller = client_key_records([key.pk], clock.now()).get(key.pk) or nobody(key)
    [explainer] = explainers([record], down=down, clock=clock)
    return explainer.explain(ask, caller)


def nobody(key: ClientKey) -> types.ClientKeyRecord:
    """Return the record of a key that may not be used: it may do nothing."""
    return types.ClientKeyRecord(0, "", "", "", key.name, model_access="none")


def _tables(clock: Clock) -> Tables:
    found: dict[str, dict[Any, Any]] = {kind: {} for kind in types.KINDS}
    for kind, name, record in build_base(clock.now()).records:
        if kind == types.CLIENT_KEY:
            break  # keys come last
        found[kind][int(name) if kind in _BY_NUMBER else name] = record
    return Tables(
        settings=found[types.SETTINGS]["-"],
        providers=found[types.PROVIDER],
        models=found[types.MODEL],
        aliases=found[types.ALIAS],
        budgets=found[types.BUDGET],
    )
