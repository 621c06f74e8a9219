"""Walk the plan of a request without sending it: who would be asked when, and why not.

The rooms of the proxy decide; nothing here knows better than they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from poolsite.clock import Clock
from poolsite.money import format_price
from providers.formats import registry
from providers.formats.base import NEED_NAMES
from providers.proxy import admit, nobody, plan
from providers.proxy.errors import ProxyError
from providers.proxy.exchange import Caller, Skip
from providers.proxy.scopes import ScopeBook
from providers.routing.lineups import line_up
from providers.routing.order import Lineup
from providers.routing.overrides import default_way
from providers.routing.pulse import Pulse
from providers.routing.strategies import MODES, known_strategy
from providers.routing.types import Route, Way
from providers.snapshot import types
from providers.snapshot.view import Resolution, Snapshot

_OPENAI: Final = "openai"
WOULD_SERVE: Final = "next"
LAST_RESORT: Final = "last_resort"
SKIPPED: Final = "skipped"
NOT_REACHED: Final = "not_reached"


@dataclass(frozen=True)
class Verdict:
    """What would become of one candidate.

    Shapes:  ``verdict`` is next (its ``place`` is the turn it would be tried at),
             last_resort (tried although it is cooling, for want of a better one) or
             skipped (``reason`` says why). ``lacks`` names wanted capabilities the
             model is not known to have. Candidates of one ``tier`` are equals, who
             share the work or are compared by how they fare; None = in none.
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
    tier: int | None = None


@dataclass(frozen=True)
class Explanation:
    """Where a name leads for one key.

    Shapes:  ``how`` is the step that found the name: alias, model, provider, variant,
             default, auto, nothing; ``error`` is what the client would be told instead.
             ``strategy`` and ``mode`` are those in force for the request.
    """

    asked: str
    how: str
    error: str = ""
    near: list[str] = field(default_factory=list)
    candidates: list[Verdict] = field(default_factory=list)
    strategy: str = ""
    mode: str = ""


class Ask(Struct, frozen=True, kw_only=True):
    """What a request would ask.

    Shapes:  ``needs`` are words of ``NEED_NAMES``; None for strategy or mode = as key
             and pool say. ``dialect`` is the format it would come in.
    """

    model: str
    needs: tuple[str, ...] = ()
    strategy: str | None = None
    mode: str | None = None
    dialect: str = _OPENAI


class Explainer:
    """Walk the plans of requests on one snapshot.

    Shapes:  ``pulse`` are the live figures to compare equals by; without them all of
             them are unknown.
    Cost:    some 20 us a candidate.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        health: plan.Watched,
        clock: Clock,
        pulse: Pulse | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._rules = plan.PlanRules(plan.Catalog(), health, clock)
        self._clock = clock
        self._pulse = pulse or Pulse()

    def explain(self, ask: Ask, record: types.ClientKeyRecord) -> Explanation:
        """Say where a request of a client key would go; no turn is used up by it."""
        snapshot, caller = self._snapshot, Caller(record)
        found = snapshot.resolve(ask.model)
        how = found.answer.how
        try:
            nobody.resolve(snapshot, caller, ask.model)
        except ProxyError as exc:
            return Explanation(ask.model, how, exc.message, list(found.near))
        way = self._way(ask, record)
        lineup = self._lineup(found, way)
        ways = plan.Plan(lineup, caller, self._wish(ask, caller), self._rules)
        tried = _walk(ways, self._rules.health)
        error = ""
        if not tried:
            error = nobody.nothing_left(ways, ask.model, way.mode).message
        verdicts = _Verdicts(ways, tried, lineup, ask.needs)
        listed = [verdicts.of(route) for route in lineup]
        listed += [verdicts.left_out(route) for route in lineup.order.left_out]
        return Explanation(ask.model, how, error, [], listed, way.strategy, way.mode)

    def first(self, ask: Ask, record: types.ClientKeyRecord) -> Route | None:
        """Return who would be asked first; a turn is used up, as by a live request.

        Fails:   None for a request that would be refused.
        """
        caller = Caller(record)
        try:
            found = nobody.resolve(self._snapshot, caller, ask.model)
        except ProxyError:
            return None
        way = self._way(ask, record)
        now = self._clock.monotonic()
        turn = self._snapshot.resolve(ask.model).take_turn()
        lineup = line_up(found, way, turn, pulse=self._pulse, now=now)
        ways = plan.Plan(lineup, caller, self._wish(ask, caller), self._rules)
        candidate = ways.next()
        return None if candidate is None else candidate.route

    def _way(self, ask: Ask, record: types.ClientKeyRecord) -> Way:
        routing = self._snapshot.settings.routing
        way = default_way(
            record.default_strategy,
            record.default_mode,
            routing.strategy,
            routing.mode,
        )
        return Way(
            strategy=known_strategy(ask.strategy or "") or way.strategy,
            mode=ask.mode if ask.mode in MODES else way.mode,
        )

    def _lineup(self, found: Resolution, way: Way) -> Lineup:
        now = self._clock.monotonic()
        return line_up(found, way, found.peek_turn(), pulse=self._pulse, now=now)

    def _wish(self, ask: Ask, caller: Caller) -> plan.Wish:
        snapshot = self._snapshot
        limited = ScopeBook(self._clock).of(caller, snapshot)
        return plan.Wish(
            registry.get(ask.dialect),
            ask.model,
            needs_price=admit.needs_price(limited, snapshot.settings),
            needs=sum({NEED_NAMES.get(word, 0) for word in ask.needs}),
            runs_programs=snapshot.settings.cli_providers,
        )


def _walk(ways: plan.Plan, health: plan.Watched) -> dict[int, tuple[int, bool]]:
    """Return for each route that would be tried its turn, and if only for want."""
    tried: dict[int, tuple[int, bool]] = {}
    while (candidate := ways.next()) is not None:
        route = candidate.route
        # Only when nobody else is left does the plan hand out one that is cooling.
        is_last_resort = health.cooling(route) is not None
        tried[id(route)] = (len(tried) + 1, is_last_resort)
    return tried


class _Verdicts:
    """Word what became of each route of a plan that was walked to its end."""

    def __init__(
        self,
        ways: plan.Plan,
        tried: dict[int, tuple[int, bool]],
        lineup: Lineup,
        needs: Sequence[str],
    ) -> None:
        self._tried = tried
        self._needs = needs
        self._skips: dict[int, Skip] = {}
        for skip in ways.skipped:
            self._skips.setdefault(id(skip.route), skip)
        self._tiers = {
            id(route): tier
            for tier, group in enumerate(lineup.order.groups, start=1)
            for route in group.routes
        }

    def of(self, route: Route) -> Verdict:
        """Word what would become of a route."""
        facts = self._facts(route)
        facts["tier"] = self._tiers.get(id(route))
        if id(route) in self._tried:
            place, is_last_resort = self._tried[id(route)]
            verdict = LAST_RESORT if is_last_resort else WOULD_SERVE
            return Verdict(**facts, verdict=verdict, place=place)
        skip = self._skips.get(id(route))
        if skip is None:
            return Verdict(**facts, verdict=SKIPPED, reason=NOT_REACHED)
        facts["retry_after_s"] = skip.retry_after_s
        return Verdict(**facts, verdict=SKIPPED, reason=skip.reason)

    def left_out(self, route: Route) -> Verdict:
        """Word what the mode rules out."""
        return Verdict(**self._facts(route), verdict=SKIPPED, reason=plan.NOT_IN_MODE)

    def _facts(self, route: Route) -> dict[str, Any]:
        model, credential = route.model, route.credential
        price = model.price
        shown = "unpriced"
        if price is not None:
            shown = f"{format_price(price.input)} in, {format_price(price.output)} out"
        return {
            "provider": route.provider.slug,
            "model": model.model_id,
            "credential": ""
            if credential is None
            else credential.mask or credential.label,
            "price": shown,
            "price_source": model.price_source,
            "lacks": [each for each in self._needs if each not in model.capabilities],
        }
