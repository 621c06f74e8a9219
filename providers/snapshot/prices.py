"""Match models to prices and name the version row every bill will point at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from pricing import matcher, selectors, versions
from pricing.book.index import PriceIndex, index_of
from pricing.cost import PriceSpec
from pricing.feeds.current import listings
from pricing.matcher import CustomRule, Limits, Matcher
from pricing.models import CustomPrice, PriceVersion
from pricing.versions import Priced
from providers.catalogue import spec as catalogue
from providers.models import Provider
from providers.snapshot.stated import Prices, stated_prices

_NO_LIMITS = Limits()
_BY_FORMAT = {
    "azure": "azure-openai",
    "bedrock": "bedrock",
    "bedrock-invoke": "bedrock",
    "vertex": "vertex",
}
"""Formats only one vendor speaks: it is known whatever the provider was made from."""


class ModelPrice(NamedTuple):
    """The price in force for one model, and what else is listed of it.

    Shapes:  all of the price None or ``unknown`` for an unpriced model; ``limits`` are
             for what its row does not say.
    """

    spec: PriceSpec | None
    version_id: int | None
    source: str
    limits: Limits = _NO_LIMITS


class PriceTable:
    """Everything that states a price, ready to match.

    Shapes:  what is not given is what is known now: the public lists, and the prices
             providers state themselves.
    Cost:    two queries for what is not given, one more for a list that is new.
    """

    def __init__(
        self,
        rules: Sequence[CustomRule],
        *,
        default: CustomRule | None = None,
        index: PriceIndex | None = None,
        stated: Mapping[int, Prices] | None = None,
    ) -> None:
        self._matcher = Matcher(
            rules, default=default, index=current_index() if index is None else index
        )
        self._stated = stated_prices() if stated is None else stated

    @classmethod
    def load(cls, at: datetime | None = None) -> PriceTable:
        """Read the prices people set that hold now, or at a moment; three queries."""
        rules = [_rule(row) for row in selectors.prices_in_force(at)]
        default = next((rule for rule in rules if _is_default(rule)), None)
        return cls([rule for rule in rules if rule is not default], default=default)

    def look(self, provider: Provider, model_id: str) -> matcher.Match:
        """Return what a model would be priced with; writes nothing."""
        return self._matcher.match(
            provider.slug,
            model_id,
            listing_id=listing_id(provider),
            is_local=_is_local(provider),
            stated=self._stated.get(provider.pk, {}).get(model_id),
        )

    def limits(self, provider: Provider, model_id: str) -> Limits:
        """Return a model's listed limits; a local one's are its server's to say."""
        if _is_local(provider):
            return _NO_LIMITS
        return self._matcher.limits(listing_id(provider), model_id)

    @staticmethod
    def known_versions(
        found: Sequence[matcher.Match],
    ) -> dict[matcher.Match, PriceVersion]:
        """Return the version rows of prices that have one; two queries."""
        wanted = {match: _priced(match) for match in found}
        rows = versions.in_force([each for each in wanted.values() if each is not None])
        ids = {match.version_id for match in wanted if match.version_id is not None}
        by_id = PriceVersion.objects.in_bulk(ids) if ids else {}
        known = {}
        for match, priced in wanted.items():
            row = (
                by_id.get(match.version_id or 0) if priced is None else rows.get(priced)
            )
            if row is not None:
                known[match] = row
        return known

    def match(self, wanted: Sequence[tuple[Provider, str]]) -> list[ModelPrice]:
        """Return the price of each model, making version rows that are missing.

        Cost:  one query, whatever the number of models; three more for new prices.
        """
        found = [self.look(provider, model_id) for provider, model_id in wanted]
        priced = [_priced(match) for match in found]
        ids = versions.ensure({each for each in priced if each is not None})
        return [
            ModelPrice(
                match.price,
                match.version_id if price is None else ids[price],
                match.source,
                self.limits(*place),
            )
            for place, match, price in zip(wanted, found, priced, strict=True)
        ]


def current_index() -> PriceIndex:
    """Return the index over what is publicly listed now; one query."""
    return index_of(listings())


def listing_id(provider: Provider) -> str:
    """Return a provider's id in the listings, blank for one they cannot know."""
    entry = catalogue.entries().get(provider.catalogue_id)
    return (
        (entry.listing_id if entry else "")
        or provider.catalogue_id
        or _BY_FORMAT.get(provider.api_format, "")
    )


def _is_local(provider: Provider) -> bool:
    return provider.location == Provider.Location.LOCAL


def _rule(row: CustomPrice) -> CustomRule:
    return CustomRule(
        model=row.model,
        price=versions.spec_of(row.version),
        provider_slug=row.provider_slug,
        is_pattern=row.is_pattern,
        version_id=row.version_id,
    )


def _is_default(rule: CustomRule) -> bool:
    return rule.model == selectors.DEFAULT_MODEL and not rule.provider_slug


def _priced(match: matcher.Match) -> Priced | None:
    """Return what needs a version row: a price that has none yet."""
    if match.price is None or match.version_id is not None:
        return None
    return Priced(
        match.key,
        match.source,
        match.price,
        origin=match.origin,
        origin_url=match.url,
        stated_on=_day(match.date),
        reason=f"Follows from input: {', '.join(match.derived)}"
        if match.derived
        else "",
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
