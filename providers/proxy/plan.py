"""Room 3: say who may serve a request, lazily and with a reason for everyone passed over.

A request looks at one candidate, mostly, so nothing is judged before its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from pricing.cost import UNIT_COLUMNS, PriceSpec
from providers.formats.base import NEED_NAMES, WRITING_OPS, Op, WireFormat
from providers.formats.cli_backed.command import is_program
from providers.proxy import choice
from providers.proxy.exchange import Caller, Candidate, Skip
from providers.proxy.ports import Cooling
from providers.proxy.prepared import ACCOUNT as ACCOUNT
from providers.proxy.prepared import Catalog as Catalog
from providers.routing.access import ALL, may_use_model, may_use_provider
from providers.routing.health import PROBING
from providers.routing.order import Lineup
from providers.routing.strategies import AUTO, is_in
from providers.routing.subjects import EGRESS_SUBJECT
from providers.routing.types import Route

# Why a candidate was passed over.
NO_MODEL_ACCESS: Final = "key_may_not_use_model"
NO_PROVIDER_ACCESS: Final = "key_may_not_use_provider"
NO_CREDENTIAL: Final = "no_credential"
RETIRED: Final = "credential_retired"
NO_BRIDGE: Final = "format_not_supported"
UNPRICED: Final = "unpriced"
COOLING: Final = "cooling:"
SAME_ORIGIN: Final = "host_is_down"
OVER_BUDGET: Final = "over_budget"
PROGRAMS_OFF: Final = "cli_providers_off"
EXCLUDED: Final = "excluded_by_client"
NOT_IN_MODE: Final = "not_in_mode"
LACKS: Final = "lacks:"

# What stands in where no price is known is not the model's own price.
_DEFAULT: Final = "default"
_NANO: Final = 1_000_000_000


class Wish(Struct, frozen=True):
    """Say what a client asks for, as far as it decides who may serve it.

    Shapes:  ``runs_programs`` = the owner allows providers that are programs here.
             ``exclude`` are slugs or ``provider/model`` the client does not want;
             ``mode`` says where it may be served.
    """

    wire: WireFormat
    model: str
    needs_price: bool
    needs: int = 0
    op: Op = "chat"
    runs_programs: bool = False
    exclude: tuple[str, ...] = ()
    mode: str = AUTO


class Plan:
    """Yield the candidates of one request, best first, each when it is asked for.

    Shapes:  ``skipped`` names who was passed over so far, and why. ``condemn`` takes a
             host out of the rest of the plan, and of those that follow it.
    """

    __slots__ = (
        "_caller",
        "_condemned",
        "_cooled",
        "_lacking",
        "_routes",
        "_rules",
        "_takes_anybody",
        "_tried",
        "skipped",
        "wish",
    )

    def __init__(
        self,
        routes: Iterable[Route],
        caller: Caller,
        wish: Wish,
        rules: PlanRules,
    ) -> None:
        self._caller = caller
        self.wish = wish
        self._rules = rules
        self._condemned: set[str] = set()
        self._cooled: list[Route] = []
        self._lacking: list[Route] = []
        self._takes_anybody = False
        self._tried: tuple[Route, ...] = ()
        self.skipped: list[Skip] = []
        self._routes: Iterator[Route] = (
            routes.walk(self._is_usable) if isinstance(routes, Lineup) else iter(routes)
        )

    def next(self) -> Candidate | None:
        """Return the next candidate that may be tried, None when there is none.

        Who is known to lack what the request needs is tried only when there is nobody
        else. When everybody is cooling, the least bad of them is tried all the same,
        once: a pool never withholds its last usable way.
        """
        for route in self._routes:
            candidate = self._judge(route)
            if candidate is not None:
                self._tried += (route,)
                return candidate
        if self._lacking and not self._tried:
            return self._next_lacking()
        if self._cooled:
            return self._least_bad()
        return None

    def condemn(self, candidate: Candidate) -> None:
        """Pass over whoever else lives on this candidate's host."""
        self._condemned.add(candidate.route.provider.origin)

    def follow(self, earlier: Plan) -> None:
        """Go on after another plan of the call: what that found out holds here too."""
        self.skipped = earlier.skipped
        self._condemned = earlier._condemned

    def skip(self, candidate: Candidate, reason: str) -> None:
        """Note that a candidate was not asked after all."""
        self.skipped.append(Skip(candidate.route, reason))

    def passed_over(self) -> list[Skip]:
        """Return who was passed over, of those the client may know of."""
        return [
            skip
            for skip in self.skipped
            if may_use_provider(self._caller.key, skip.route.provider.slug)
        ]

    def recheck(self, candidate: Candidate) -> Candidate | None:
        """Judge once more somebody who was looked up ahead; None when it is no use."""
        return self._judge(candidate.route)

    def otherwise(self, candidate: Candidate) -> Candidate | None:
        """Return the same route asked in another dialect, None when it has none."""
        wish, provider = self.wish, candidate.route.provider
        if not choice.has_choice(provider, candidate.route.model):
            return None
        return self._rules.catalog.otherwise(candidate, wish.wire, wish.op, wish.needs)

    def _judge(self, route: Route) -> Candidate | None:
        # First of all: in bad times most of a pool is cooling, and is not worth more.
        cooling = self._rules.health.cooling(route)
        if cooling is not None:
            self._cooled.append(route)
            why = COOLING + cooling.reason
            self.skipped.append(Skip(route, why, cooling.left_s))
            return None
        reason = self._objection(route)
        if reason is None:
            candidate = self._prepared(route)
            if candidate is None:
                reason = NO_BRIDGE
            elif route.model.lacks:
                reason = self._shortcoming(route)
            if candidate is not None and reason is None:
                return candidate
        self.skipped.append(Skip(route, reason or NO_BRIDGE))
        return None

    def _shortcoming(self, route: Route) -> str | None:
        """Say what a model is known to lack of what the request needs."""
        needs = self.wish.needs
        if not needs or self._takes_anybody:
            return None
        refuted = _bits(route.model.lacks) & needs
        if not refuted:
            return None
        self._lacking.append(route)
        return LACKS + ",".join(_names(refuted))

    def _objection(self, route: Route) -> str | None:
        """Say what speaks against a route whatever its health."""
        provider, model, credential = route.provider, route.model, route.credential
        key, wish = self._caller.key, self.wish
        # Most keys may use everything; then not even a name is looked at.
        if key.model_access != ALL and not may_use_model(
            key, wish.model, (provider.slug, model.model_id)
        ):
            return NO_MODEL_ACCESS
        if key.provider_access != ALL and not may_use_provider(key, provider.slug):
            return NO_PROVIDER_ACCESS
        if is_program(provider.format) and not wish.runs_programs:
            return PROGRAMS_OFF
        if self._condemned and provider.origin in self._condemned:
            return SAME_ORIGIN
        if credential is None:
            if provider.needs_key:
                return NO_CREDENTIAL
        elif credential.retire_at_s is not None and (
            self._rules.clock.time_ns() >= credential.retire_at_s * _NANO
        ):
            return RETIRED
        return self._refusal(route)

    def _refusal(self, route: Route) -> str | None:
        """Say what the client or its key have against a route they may use."""
        wish, model = self.wish, route.model
        if wish.mode != AUTO and not is_in(wish.mode, route.provider):
            return NOT_IN_MODE
        if wish.exclude and _is_excluded(route, wish.exclude):
            return EXCLUDED
        if wish.needs_price and not _has_price(model.price, wish.op):
            return UNPRICED
        if self._caller.key.unpriced == "block" and model.price_source == _DEFAULT:
            return UNPRICED
        return None

    def _is_usable(self, route: Route) -> bool:
        """Tell whether a comparison of equals shall consider a route."""
        if self._rules.health.cooling(route) is not None:
            return False
        return self._objection(route) is None

    def _next_lacking(self) -> Candidate | None:
        """Try those who lack something after all: nobody else is there."""
        lacking, self._lacking = self._lacking, []
        self._takes_anybody = True
        self._routes = iter(lacking)
        for route in lacking:
            self._unskip(route)
        return self.next()

    def _least_bad(self) -> Candidate | None:
        """Try the one nearest to recovery, of those who could serve but for cooling."""
        cooled, self._cooled = self._cooled, []
        barred: dict[int, str] = {}
        soft, suspected = [], []
        for each in cooled:
            reason = self._objection(each)
            if reason is None and self._prepared(each) is None:
                reason = NO_BRIDGE
            if reason is not None:
                barred[id(each)] = reason
            elif self._is_worth_a_try(each):
                soft.append(each)
            elif self._is_only_suspected(each):
                suspected.append(each)
        if barred:
            # That they are cooling too is no news to anybody.
            self.skipped = [
                Skip(skip.route, barred[id(skip.route)])
                if id(skip.route) in barred
                else skip
                for skip in self.skipped
            ]
        # Each suspect is asked before the call fails for its neighbours' sake.
        self._cooled = suspected if soft else suspected[1:]
        soft = soft or suspected[:1]
        route = self._rules.health.least_bad(soft)
        if route is None:
            return None
        # What others did not find in this call, the next one may.
        self._cooled += [
            each for each in soft if each is not route and self._is_hearsay(each)
        ]
        self._tried += (route,)
        self._unskip(route)
        candidate = self._prepared(route)
        cooling = self._rules.health.cooling(route)
        if candidate is None or cooling is None or cooling.reason == PROBING:
            return candidate
        return replace(candidate, panic=cooling.reason)

    def _prepared(self, route: Route) -> Candidate | None:
        wish = self.wish
        return self._rules.catalog.prepare(route, wish.wire, wish.op, wish.needs)

    def _is_worth_a_try(self, route: Route) -> bool:
        """Tell a fault that may have passed from a refusal that will be repeated."""
        cooling = self._rules.health.cooling(route)
        return cooling is None or cooling.reason not in _REPEATED

    def _is_only_suspected(self, route: Route) -> bool:
        """Tell whether a route rests for what its neighbours did in this very call."""
        cooling = self._rules.health.cooling(route)
        if cooling is None or not cooling.subject.startswith(_SHARED):
            return False
        is_of_model = cooling.subject.startswith(_SHARED[0])
        return any(
            each.model is route.model
            if is_of_model
            else each.provider is route.provider
            for each in self._tried
        )

    def _is_hearsay(self, route: Route) -> bool:
        """Tell whether a route rests only for what others did not find in this call."""
        cooling = self._rules.health.cooling(route)
        if cooling is None:
            return False
        if cooling.subject == EGRESS_SUBJECT:
            return bool(self._tried)
        is_of_model = cooling.subject.startswith(_SHARED[0])
        return is_of_model and any(each.model is route.model for each in self._tried)

    def _unskip(self, route: Route) -> None:
        self.skipped = [skip for skip in self.skipped if skip.route is not route]


class Watched(Protocol):
    """Live health, as far as a plan looks at it."""

    def cooling(self, route: Route) -> Cooling | None:
        """Return what keeps a route from being tried now, None when nothing."""

    def least_bad(self, routes: Iterable[Route]) -> Route | None:
        """Choose whom to try although all of them are cooling."""


class PlanRules:
    """What judging candidates takes, the same for every request."""

    __slots__ = ("catalog", "clock", "health")

    def __init__(self, catalog: Catalog, health: Watched, clock: Clock) -> None:
        self.catalog = catalog
        self.health = health
        self.clock = clock


def _is_excluded(route: Route, names: tuple[str, ...]) -> bool:
    slug = route.provider.slug
    return slug in names or f"{slug}/{route.model.model_id}" in names


@lru_cache(maxsize=1024)
def _bits(names: tuple[str, ...]) -> int:
    return sum({NEED_NAMES.get(name, 0) for name in names})


def _names(bits: int) -> list[str]:
    return [name for name, bit in NEED_NAMES.items() if bits & bit]


def _has_price(price: PriceSpec | None, op: Op) -> bool:
    """Tell whether a call's cost can be known beforehand."""
    if price is None:
        return False
    if op in WRITING_OPS:
        return price.input is not None and price.output is not None
    if price.input is not None:
        return True
    return any(getattr(price, column) is not None for column in UNIT_COLUMNS.values())


_REPEATED: Final = frozenset({"auth", "unreadable", "quota", "rate_limit"})
_SHARED: Final = ("model:", "provider:")
