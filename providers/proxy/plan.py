"""Room 3: say who may serve a request, lazily and with a reason for everyone passed over.

A request looks at one candidate, mostly, so nothing is judged before its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from poolsite.clock import Clock
from poolsite.destinations import EgressRefusedError, HostPort, host_port_of
from poolsite.egress import Timeouts
from pricing.cost import PriceSpec
from providers.formats import registry
from providers.formats.base import Target as Aim
from providers.formats.base import WireFormat
from providers.proxy.errors import ClientError, ProxyError, UpstreamError
from providers.proxy.exchange import Caller, Candidate, Skip
from providers.proxy.ports import Health, Resolution, SnapshotPort
from providers.routing.access import NONE, may_use_model, may_use_provider
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

_NANO: Final = 1_000_000_000
_MOST_PREPARED: Final = 20_000
_DEFAULT_RETRY_S: Final = 30.0
_HIDE: Final = frozenset({NO_MODEL_ACCESS, NO_PROVIDER_ACCESS})


class Catalog:
    """Remember what is the same for each request of a candidate.

    An entry stays good as long as the snapshot hands out the very same records; a
    changed provider brings a new record and so a new entry.
    """

    __slots__ = ("_prepared",)

    def __init__(self) -> None:
        self._prepared: dict[tuple[str, int, int, int], Candidate] = {}

    def prepare(self, route: Route, inbound: WireFormat) -> Candidate | None:
        """Return a route made ready for an inbound format.

        Fails:  None when no bridge joins the two formats.
        """
        provider, model, credential = route.provider, route.model, route.credential
        key = (
            inbound.id,
            provider.id,
            model.id,
            0 if credential is None else credential.id,
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
        made = _prepared(route, inbound)
        if made is not None:
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[key] = made
        return made


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
        "_model",
        "_needs_price",
        "_routes",
        "_tried",
        "_wire",
        "skipped",
    )

    def __init__(
        self,
        routes: Sequence[Route],
        caller: Caller,
        *,
        wire: WireFormat,
        model: str,
        rules: PlanRules,
        needs_price: bool,
    ) -> None:
        self._routes: Iterator[Route] = iter(routes)
        self._caller = caller
        self._wire = wire
        self._model = model
        self._catalog = rules.catalog
        self._health = rules.health
        self._clock = rules.clock
        self._needs_price = needs_price
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
            candidate = self._catalog.prepare(route, self._wire)
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
        if not may_use_model(key, self._model, (provider.slug, model.model_id)):
            return NO_MODEL_ACCESS
        if not may_use_provider(key, provider.slug):
            return NO_PROVIDER_ACCESS
        if provider.origin in self._condemned:
            return SAME_ORIGIN
        if credential is None:
            if provider.needs_key:
                return NO_CREDENTIAL
        elif credential.retire_at_s is not None and (
            self._clock.time_ns() >= credential.retire_at_s * _NANO
        ):
            return RETIRED
        if self._needs_price and not _has_price(model.price):
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
        return self._catalog.prepare(route, self._wire)

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


def resolve(snapshot: SnapshotPort, caller: Caller, model: str) -> Resolution:
    """Find what a requested name leads to.

    Errors:  ClientError 404 with near names the key may see; 403 for a key that may
             use no model at all; UpstreamError 503 when nobody serves it now.
    """
    if caller.key.model_access == NONE:
        raise ClientError(
            "This API key may not use any model.", status=403, code="model_not_allowed"
        )
    found = snapshot.resolve(model)
    if not found.is_known:
        raise unknown_model(snapshot, caller, model)
    if not found.candidates:
        raise UpstreamError(
            f"No provider serves the model '{model}' at the moment.",
            status=503,
            code="no_provider",
            retry_after_s=_DEFAULT_RETRY_S,
        )
    return found


def nothing_left(plan: Plan, model: str) -> ProxyError:
    """Say why a plan had nobody to ask, from what was passed over."""
    reasons = {skip.reason for skip in plan.skipped}
    if reasons and reasons <= _HIDE:
        what = "model" if NO_MODEL_ACCESS in reasons else "provider"
        return ClientError(
            f"This API key may not use the {what} behind '{model}'.",
            status=403,
            code=f"{what}_not_allowed",
            param="model",
        )
    if reasons and reasons <= (_HIDE | {UNPRICED}):
        return ClientError(
            f"The price of '{model}' is unknown, and this API key has a budget that "
            "needs one. Set a price for the model.",
            status=403,
            code="model_unpriced",
            param="model",
        )
    waits = [skip for skip in plan.skipped if skip.reason.startswith(COOLING)]
    known = [skip.retry_after_s for skip in waits if skip.retry_after_s is not None]
    wait_s = min(known) if known else _DEFAULT_RETRY_S
    if waits and {skip.reason for skip in waits} <= {COOLING + "rate_limit"}:
        return UpstreamError(
            f"Every provider of '{model}' is rate limited; try again in "
            f"{max(1, round(wait_s))} s.",
            status=429,
            code="rate_limit_exceeded",
            retry_after_s=wait_s,
        )
    return UpstreamError(
        f"No provider of '{model}' is usable at the moment.",
        status=503,
        code="no_provider",
        retry_after_s=wait_s,
    )


def unknown_model(snapshot: SnapshotPort, caller: Caller, model: str) -> ClientError:
    """Word a 404; names the key may not use are not hinted at."""
    names = snapshot.resolve(model).near
    near = [name for name in names if _may_see(snapshot, caller, name)]
    shown = model if len(model) <= 100 else model[:99] + "…"
    words = f"The model '{shown}' does not exist here."
    if near:
        quoted = ", ".join(f"'{name}'" for name in near)
        words += f" Did you mean {quoted}?"
    return ClientError(words, status=404, code="model_not_found", param="model")


def _may_see(snapshot: SnapshotPort, caller: Caller, name: str) -> bool:
    key = caller.key
    if key.model_access == "all" and key.provider_access == "all":
        return True
    return any(
        may_use_model(key, name, (route.provider.slug, route.model.model_id))
        and may_use_provider(key, route.provider.slug)
        for route in snapshot.resolve(name).candidates[:20]
    )


def _prepared(route: Route, inbound: WireFormat) -> Candidate | None:
    provider, model, credential = route.provider, route.model, route.credential
    bridge = registry.bridge(inbound.id, provider.format, model.model_id)
    if bridge is None:
        return None
    is_shared = len(provider.credentials) > 1
    return Candidate(
        route=route,
        wire=registry.get(provider.format),
        bridge=bridge,
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


def _has_price(price: PriceSpec | None) -> bool:
    return price is not None and price.input is not None and price.output is not None


def _header(text: str) -> bytes:
    """Make a header value of a name that may hold anything."""
    return text.encode("ascii", "backslashreplace").replace(b"\n", b" ")[:200]


_REPEATED: Final = frozenset({"auth", "unreadable", "quota", "rate_limit"})
