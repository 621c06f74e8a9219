"""Say where a request would go and why, without sending anything.

The rooms of the proxy decide, on a snapshot built this moment from the database and
on the cooldowns that were shipped: what is shown is what a live request meets. Of
figures that only live in the processes of the proxy (speed, calls under way, whose turn
it is) nothing is known here; where equals are compared by them, all count alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from poolsite.clock import Clock, SystemClock
from providers.models import Fact
from providers.proxy import plan
from providers.proxy.explaining import LAST_RESORT as LAST_RESORT
from providers.proxy.explaining import SKIPPED as SKIPPED
from providers.proxy.explaining import WOULD_SERVE as WOULD_SERVE
from providers.proxy.explaining import Ask, Explainer
from providers.proxy.explaining import Explanation as Explanation
from providers.proxy.explaining import Verdict as Verdict
from providers.routing.health import COOLDOWN_FACT, Health
from providers.routing.order import Turns
from providers.routing.pretended import Pretended
from providers.snapshot import types
from providers.snapshot.build import build_base
from providers.snapshot.view import ClientKeys, Snapshot, Tables
from usage.models import ClientKey

_CLOCK: Final = SystemClock()
_ANYBODY: Final = types.ClientKeyRecord(0, "", "", "", "anybody")


def explain(  # noqa: PLR0913 - what a request may vary in, by name
    model: str,
    *,
    key: ClientKey | None = None,
    needs: Sequence[str] = (),
    clock: Clock = _CLOCK,
    settings: types.RoutingRecord | None = None,
    down: Iterable[str] = (),
    strategy: str | None = None,
    mode: str | None = None,
) -> Explanation:
    """Walk the plan of a request for a model.

    Shapes:  without a key, as one that may do everything. ``settings`` stands in for
             the routing in force; ``down`` names providers, ``provider/model`` or masks
             of credentials that count as cooling.
    Cost:    builds a snapshot: seconds with 100,000 client keys.
    """
    snapshot, record = _snapshot(key, clock, settings)
    explainer = Explainer(snapshot, _health(snapshot, clock, down), clock)
    ask = Ask(model=model, needs=tuple(needs), strategy=strategy, mode=mode)
    return explainer.explain(ask, record)


def explainer_of(
    *,
    clock: Clock = _CLOCK,
    settings: types.RoutingRecord | None = None,
    down: Iterable[str] = (),
) -> Explainer:
    """Prepare the explanation of many requests on one routing.

    Cost:    builds a snapshot without client keys, once.
    """
    snapshot, _ = _snapshot(None, clock, settings)
    return Explainer(snapshot, _health(snapshot, clock, down), clock)


def _health(snapshot: Snapshot, clock: Clock, down: Iterable[str]) -> plan.Watched:
    health = Health(clock)
    health.configure(
        snapshot.settings.routing.cooldown,
        providers=snapshot.counts()[types.PROVIDER],
    )
    rows = Fact.objects.filter(kind=COOLDOWN_FACT)
    health.load(rows.values_list("key", "payload"))
    names = frozenset(down)
    return Pretended(health, names) if names else health


def _snapshot(
    key: ClientKey | None,
    clock: Clock,
    routing: types.RoutingRecord | None = None,
) -> tuple[Snapshot, types.ClientKeyRecord]:
    """Build the snapshot in memory, and the record of the key in question."""
    found: dict[str, dict[Any, Any]] = {kind: {} for kind in types.KINDS}
    wanted = "" if key is None else key.public_id
    for kind, name, record in build_base(clock.now()).records:
        if kind == types.CLIENT_KEY and name != wanted:
            if not wanted:
                break  # keys come last
            continue
        is_row = kind in (types.PROVIDER, types.MODEL, types.BUDGET)
        found[kind][int(name) if is_row else name] = record
        if kind == types.CLIENT_KEY:
            break
    settings: types.SettingsRecord = found[types.SETTINGS]["-"]
    if routing is not None:
        settings = msgspec.structs.replace(settings, routing=routing)
    tables = Tables(
        settings=settings,
        providers=found[types.PROVIDER],
        models=found[types.MODEL],
        aliases=found[types.ALIAS],
        budgets=found[types.BUDGET],
    )
    record = _ANYBODY if key is None else found[types.CLIENT_KEY].get(wanted)
    return Snapshot(ClientKeys(), tables, None, Turns()), record or _none(key)


def _none(key: ClientKey | None) -> types.ClientKeyRecord:
    """Return the record of a key that is not in the snapshot: it may do nothing."""
    name = "" if key is None else key.name
    return types.ClientKeyRecord(0, "", "", "", name, model_access="none")
