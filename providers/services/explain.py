"""Say where a request would go and why, without sending anything.

The rooms of the proxy decide, on a snapshot built this moment from the database and
on the cooldowns that were shipped: what is shown is what a live request meets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from poolsite.clock import Clock, SystemClock
from poolsite.money import format_price
from providers.formats import registry
from providers.models import Fact
from providers.proxy import admit, nobody, plan
from providers.proxy.errors import ProxyError
from providers.proxy.exchange import Caller
from providers.proxy.scopes import ScopeBook
from providers.routing.health import COOLDOWN_FACT, Health
from providers.routing.order import Turns
from providers.routing.types import Route
from providers.snapshot import types
from providers.snapshot.build import build_base
from providers.snapshot.view import ClientKeys, Snapshot, Tables
from usage.models import ClientKey

_CLOCK: Final = SystemClock()
_ANYBODY: Final = types.ClientKeyRecord(0, "", "", "", "anybody")
WOULD_SERVE: Final = "next"
LAST_RESORT: Final = "last_resort"
SKIPPED: Final = "skipped"


@dataclass(frozen=True)
class Verdict:
    """What would become of one candidate.

    Shapes:  ``verdict`` is next (its ``place`` is the turn it would be tried at),
             last_resort (tried although it is cooling, for want of a better one) or
             skipped (``reason`` says why). ``lacks`` names wanted capabilities the
             model is not known to have.
    """

    provider: str
    model: str
    credential: str
    verdict: str
    place: int | None = None
    reason: str = ""
    retry_after_s: float | None = None
    price: str = ""
    price_source: str = ""
    lacks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Explanation:
    """Where a name leads for one key.

    Shapes:  ``how`` is the step that found the name: alias, model, provider, variant,
             default, nothing; ``error`` is what the client would be told instead.
    """

    asked: str
    how: str
    error: str = ""
    near: list[str] = field(default_factory=list)
    candidates: list[Verdict] = field(default_factory=list)


def explain(
    model: str,
    *,
    key: ClientKey | None = None,
    needs: Sequence[str] = (),
    clock: Clock = _CLOCK,
) -> Explanation:
    """Walk the plan of a request for a model.

    Shapes:  without a key, as one that may do everything.
    Cost:    builds a snapshot: seconds with 100,000 client keys.
    """
    snapshot, record = _snapshot(key, clock)
    caller = Caller(record)
    found = snapshot.resolve(model)
    try:
        nobody.resolve(snapshot, caller, model)
    except ProxyError as exc:
        return Explanation(model, found.answer.how, exc.message, list(found.near))
    limited = ScopeBook(clock).of(caller, snapshot)
    ways = plan.Plan(
        found.candidates,
        caller,
        plan.Wish(
            registry.get("openai"),
            model,
            needs_price=admit.needs_price(limited, snapshot.settings),
            runs_programs=snapshot.settings.cli_providers,
        ),
        plan.PlanRules(plan.Catalog(), _health(clock), clock),
    )
    tried = _walk(ways)
    error = "" if tried else nobody.nothing_left(ways, model).message
    verdicts = [_verdict(route, tried, ways, needs) for route in found.candidates]
    return Explanation(model, found.answer.how, error, [], verdicts)


def _walk(ways: plan.Plan) -> dict[int, tuple[int, bool]]:
    """Return for each route that would be tried its turn, and if only for want."""
    tried: dict[int, tuple[int, bool]] = {}
    while (candidate := ways.next()) is not None:
        # Only when nobody else is left does the plan hand out one that is cooling.
        cooling = {
            id(skip.route)
            for skip in ways.skipped
            if skip.reason.startswith(plan.COOLING)
        }
        is_last_resort = id(candidate.route) in cooling
        tried[id(candidate.route)] = (len(tried) + 1, is_last_resort)
    return tried


def _verdict(
    route: Route,
    tried: dict[int, tuple[int, bool]],
    ways: plan.Plan,
    needs: Sequence[str],
) -> Verdict:
    credential, price = route.credential, route.model.price
    facts: dict[str, Any] = {
        "provider": route.provider.slug,
        "model": route.model.model_id,
        "credential": "" if credential is None else credential.mask or credential.label,
        "price": "unpriced"
        if price is None
        else f"{format_price(price.input)} in, {format_price(price.output)} out",
        "price_source": route.model.price_source,
        "lacks": [each for each in needs if each not in route.model.capabilities],
    }
    if id(route) in tried:
        place, is_last_resort = tried[id(route)]
        verdict = LAST_RESORT if is_last_resort else WOULD_SERVE
        return Verdict(**facts, verdict=verdict, place=place)
    skip = next((each for each in ways.skipped if each.route is route), None)
    if skip is None:
        return Verdict(**facts, verdict=SKIPPED, reason="not_reached")
    wait_s = skip.retry_after_s
    return Verdict(**facts, verdict=SKIPPED, reason=skip.reason, retry_after_s=wait_s)


def _health(clock: Clock) -> Health:
    health = Health(clock)
    rows = Fact.objects.filter(kind=COOLDOWN_FACT)
    health.load(rows.values_list("key", "payload"))
    return health


def _snapshot(
    key: ClientKey | None, clock: Clock
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
    tables = Tables(
        settings=found[types.SETTINGS]["-"],
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
