"""Room 3: say who may serve a request, lazily and with a reason for everyone passed over.

A request looks at one candidate, mostly, so nothing is judged before its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from poolsite.clock import Clock
from poolsite.destinations import EgressRefusedError, HostPort, host_port_of
from poolsite.egress import Timeouts
from pricing.cost import UNIT_COLUMNS, PriceSpec
from providers.formats.base import WRITING_OPS, Op, WireFormat
from providers.formats.base import Target as Aim
from providers.formats.cli_backed.command import is_program
from providers.proxy import choice
from providers.proxy.exchange import Caller, Candidate, Skip
from providers.proxy.ports import Health
from providers.routing.access import may_use_model, may_use_provider
from providers.routing.types import Route
from providers.snapshot.types import ProviderRecord
from usage.journal.records import PriceRef, Target

ACCOUNT: Final = "account"

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

# What stands in where no price is known is not the model's own price.
_DEFAULT: Final = "default"
_NANO: Final = 1_000_000_000
_MOST_PREPARED: Final = 20_000


class Catalog:
    """Remember what is the same for each request of a candidate.

    An entry stays good as long as the snapshot hands out the very same records; a
    changed provider brings a new record and so a new entry.
    """

    __slots__ = ("_prepared",)

    def __init__(self) -> None:
        self._prepared: dict[tuple[str, int, int, int, Op, int], Candidate] = {}

    def prepare(
        self, route: Route, inbound: WireFormat, op: Op = "chat", needs: int = 0
    ) -> Candidate | None:
        """Return a route made ready for an inbound format.

        Shapes:  ``needs`` count only where a provider speaks several dialects.
        Fails:   None when no bridge joins the two formats.
        """
        provider, model, credential = route.provider, route.model, route.credential
        key = (
            inbound.id,
            provider.id,
            model.id,
            0 if credential is None else credential.id,
            op,
            needs if needs and choice.has_choice(provider, model) else 0,
        )
        known = self._prepared.get(key)
        if known is not None:
            old = known.route
            if (
                old.provider is provider
                and old.model is model
                and old.credential is credential
            ):
                return known
        made = _prepared(route, inbound, op, key[-1])
        if made is not None:
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[key] = made
        return made


class Wish(Struct, frozen=True):
    """Say what a client asks for, as far as it decides who may serve it.

    Shapes:  ``runs_programs`` = the owner allows providers that are programs here.
    """

    wire: WireFormat
    model: str
    needs_price: bool
    needs: int = 0
    op: Op = "chat"
    runs_programs: bool = False


class Plan:
    """Yield the candidates of one request, best first, each when it is asked for.

    Shapes:  ``skipped`` names who was passed over so far, and why. ``condemn`` takes a
             host out of the rest of the plan.
    """

    __slots__ = (
        "_caller",
        "_catalog",
        "_clock",
        "_condemned",
        "_cooled",
        "_health",
        "_routes",
        "_tried",
        "skipped",
        "wish",
    )

    def __init__(
        self,
        routes: Sequence[Route],
        caller: Caller,
        wish: Wish,
        rules: PlanRules,
    ) -> None:
        self._routes: Iterator[Route] = iter(routes)
        self._caller = caller
        self.wish = wish
        self._catalog = rules.catalog
        self._health = rules.health
        self._clock = rules.clock
        self._condemned: set[str] = set()
        self._cooled: list[Route] = []
        self._tried = 0
        self.skipped: list[Skip] = []

    def next(self) -> Candidate | None:
        """Return the next candidate that may be tried, None when there is none.

        When nobody else is left, the least bad of those that are cooling is tried all
        the same, once: a pool never withholds its last usable way.
        """
        for route in self._routes:
            candidate = self._judge(route)
            if candidate is not None:
                self._tried += 1
                return candidate
        if self._cooled:
            return self._least_bad()
        return None

    def condemn(self, candidate: Candidate) -> None:
        """Pass over whoever else lives on this candidate's host."""
        self._condemned.add(candidate.route.provider.origin)

    def skip(self, candidate: Candidate, reason: str) -> None:
        """Note that a candidate was not asked after all."""
        self.skipped.append(Skip(candidate.route, reason))

    def _judge(self, route: Route) -> Candidate | None:
        reason = self._objection(route)
        if reason is None:
            candidate = self._prepared(route)
            if candidate is not None:
                cooling = self._health.cooling(route)
                if cooling is None:
                    return candidate
                self._cooled.append(route)
                reason = COOLING + cooling.reason
                self.skipped.append(Skip(route, reason, cooling.left_s))
                return None
            reason = NO_BRIDGE
        self.skipped.append(Skip(route, reason))
        return None

    def _objection(self, route: Route) -> str | None:
        """Say what speaks against a route whatever its health."""
        provider, model, credential = route.provider, route.model, route.credential
        key = self._caller.key
        if not may_use_model(key, self.wish.model, (provider.slug, model.model_id)):
            return NO_MODEL_ACCESS
        if not may_use_provider(key, provider.slug):
            return NO_PROVIDER_ACCESS
        if is_program(provider.format) and not self.wish.runs_programs:
            return PROGRAMS_OFF
        if provider.origin in self._condemned:
            return SAME_ORIGIN
        if credential is None:
            if provider.needs_key:
                return NO_CREDENTIAL
        elif credential.retire_at_s is not None and (
            self._clock.time_ns() >= credential.retire_at_s * _NANO
        ):
            return RETIRED
        if self.wish.needs_price and not _has_price(model.price, self.wish.op):
            return UNPRICED
        if self._caller.key.unpriced == "block" and model.price_source == _DEFAULT:
            return UNPRICED
        return None

    def _least_bad(self) -> Candidate | None:
        cooled, self._cooled = self._cooled, []
        soft = [route for route in cooled if self._is_worth_a_try(route)]
        soft = [route for route in soft if self._objection(route) is None]
        route = self._health.least_bad(soft)
        if route is None:
            return None
        self._tried += 1
        self.skipped = [skip for skip in self.skipped if skip.route is not route]
        return self._prepared(route)

    def _prepared(self, route: Route) -> Candidate | None:
        wish = self.wish
        return self._catalog.prepare(route, wish.wire, wish.op, wish.needs)

    def _is_worth_a_try(self, route: Route) -> bool:
        """Tell a fault that may have passed from a refusal that will be repeated."""
        cooling = self._health.cooling(route)
        return cooling is None or cooling.reason not in _REPEATED


class PlanRules:
    """What judging candidates takes, the same for every request."""

    __slots__ = ("catalog", "clock", "health")

    def __init__(self, catalog: Catalog, health: Health, clock: Clock) -> None:
        self.catalog = catalog
        self.health = health
        self.clock = clock


def _prepared(
    route: Route, inbound: WireFormat, op: Op, needs: int
) -> Candidate | None:
    provider, model, credential = route.provider, route.model, route.credential
    way = choice.choose(provider, model, inbound, op=op, needs=needs)
    if way is None:
        return None
    is_shared = len(provider.credentials) > 1
    return Candidate(
        route=route,
        wire=way.wire,
        bridge=way.bridge,
        aim=_aim(route),
        target=Target(
            provider_id=provider.id,
            provider_slug=provider.slug,
            credential_kind="" if credential is None else credential.kind,
            credential_id=None if credential is None else credential.id,
            credential_mask="" if credential is None else credential.mask,
            model_row_id=model.id,
            upstream_model=model.model_id,
        ),
        price=PriceRef(
            spec=model.price,
            version_id=model.price_version_id,
            source=model.price_source,
        ),
        allowed=_private_address(provider),
        timeouts=Timeouts(
            connect_s=provider.timeouts.connect_s,
            # The watch of the call keeps these for a fraction of the price.
            first_byte_s=None,
            gap_s=None,
            total_s=None,
        ),
        name_headers=(
            (b"x-pool-provider", _header(provider.slug)),
            (b"x-pool-model", _header(model.model_id)),
        ),
        is_pooled_account=is_shared
        or (credential is not None and credential.kind == ACCOUNT),
        is_plain=_is_plain(model.price),
        base_url=way.base_url,
        is_relay=way.is_relay,
    )


def _aim(route: Route) -> Aim:
    provider, model, credential = route.provider, route.model, route.credential
    scope = "" if credential is None else f"{credential.kind}:{credential.id}"
    return Aim(
        model=model.model_id,
        provider=provider.slug,
        catalogue=provider.catalogue,
        options=provider.options,
        scope=scope,
        is_account=credential is not None and credential.kind == ACCOUNT,
        max_output_tokens=model.max_output_tokens,
        context_window=model.context_window,
    )


def _private_address(provider: ProviderRecord) -> frozenset[HostPort]:
    """Return the one host and port a provider may have beyond public addresses."""
    if not provider.allow_private:
        return frozenset()
    try:
        return frozenset((host_port_of(provider.base_url),))
    except EgressRefusedError:
        return frozenset()


def _is_plain(price: PriceSpec | None) -> bool:
    return (
        price is not None
        and price.input is not None
        and price.output is not None
        and price.long_threshold is None
        and price.per_request is None
    )


def _has_price(price: PriceSpec | None, op: Op) -> bool:
    """Tell whether a call's cost can be known beforehand."""
    if price is None:
        return False
    if op in WRITING_OPS:
        return price.input is not None and price.output is not None
    if price.input is not None:
        return True
    return any(getattr(price, column) is not None for column in UNIT_COLUMNS.values())


def _header(text: str) -> bytes:
    """Make a header value of a name that may hold anything."""
    return text.encode("ascii", "backslashreplace").replace(b"\n", b" ")[:200]


_REPEATED: Final = frozenset({"auth", "unreadable", "quota", "rate_limit"})
