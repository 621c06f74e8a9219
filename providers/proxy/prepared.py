"""Make routes ready to be asked: what is the same for each request, done once."""

from __future__ import annotations

from typing import Final

from poolsite.destinations import EgressRefusedError, HostPort, host_port_of
from poolsite.egress import Timeouts
from pricing.cost import PriceSpec
from providers.formats.base import Op, WireFormat
from providers.formats.base import Target as Aim
from providers.proxy import choice
from providers.proxy.exchange import Candidate
from providers.routing.types import Route
from providers.snapshot.types import ProviderRecord
from usage.journal.records import PriceRef, Target

ACCOUNT: Final = "account"
_MOST_PREPARED: Final = 20_000
_NONE: Final[frozenset[str]] = frozenset()


class Catalog:
    """Remember what is the same for each request of a candidate.

    An entry stays good as long as the snapshot hands out the very same records; a
    changed provider brings a new record and so a new entry.
    """

    __slots__ = ("_mute", "_prepared")

    def __init__(self) -> None:
        self._mute: dict[tuple[int, Op], tuple[ProviderRecord, frozenset[str]]] = {}
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
                and (not self._mute or known.wire.id not in self._muted(route, op))
            ):
                return known
        made = _prepared(route, inbound, op, key[-1], self._muted(route, op))
        if made is not None:
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[key] = made
        return made

    def otherwise(
        self, candidate: Candidate, inbound: WireFormat, op: Op, needs: int
    ) -> Candidate | None:
        """Return the same route in another dialect, and remember which it lacks.

        What was learned holds until the provider's record changes.

        Fails:   None when it has no other; then nothing is remembered, because it may
                 be anything else that is wrong.
        """
        route = candidate.route
        key = (route.model.id, op)
        mute = self._muted(route, op) | {candidate.wire.id}
        made = _prepared(route, inbound, op, needs, mute)
        if made is None:
            self._mute.pop(key, None)
            return None
        if len(self._mute) >= _MOST_PREPARED:
            self._mute.clear()
        self._mute[key] = (route.provider, mute)
        return made

    def _muted(self, route: Route, op: Op) -> frozenset[str]:
        if not self._mute:
            return _NONE
        provider, mute = self._mute.get((route.model.id, op), (None, _NONE))
        return mute if provider is route.provider else _NONE


def _prepared(
    route: Route,
    inbound: WireFormat,
    op: Op,
    needs: int,
    without: frozenset[str],
) -> Candidate | None:
    provider, model, credential = route.provider, route.model, route.credential
    way = choice.choose(provider, model, inbound, op=op, needs=needs, without=without)
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


def _header(text: str) -> bytes:
    """Make a header value of a name that may hold anything."""
    return text.encode("ascii", "backslashreplace").replace(b"\n", b" ")[:200]
