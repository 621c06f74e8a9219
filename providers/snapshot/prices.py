"""Match models to prices and name the version row every bill will point at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Q

from pricing import matcher, selectors, versions
from pricing.cost import PriceSpec
from pricing.matcher import CustomRule, Matcher
from pricing.models import CustomPrice, PriceVersion
from pricing.versions import Priced
from providers.models import Provider


class ModelPrice(NamedTuple):
    """The price in force for one model.

    Shapes:  all of it None or ``unknown`` for an unpriced model.
    """

    spec: PriceSpec | None
    version_id: int | None
    source: str


class PriceTable:
    """Custom prices and the book, ready to match."""

    def __init__(
        self, rules: Sequence[CustomRule], *, default: CustomRule | None = None
    ) -> None:
        self._matcher = Matcher(rules, default=default)

    @classmethod
    def load(cls) -> PriceTable:
        """Read the prices people set that hold now; one query."""
        rules = [_rule(row) for row in selectors.prices_in_force()]
        default = next((rule for rule in rules if _is_default(rule)), None)
        return cls([rule for rule in rules if rule is not default], default=default)

    def look(self, provider: Provider, model_id: str) -> matcher.Match:
        """Return what a model would be priced with; writes nothing."""
        return self._matcher.match(
            provider.slug,
            model_id,
            is_local=provider.location == Provider.Location.LOCAL,
        )

    @staticmethod
    def known_versions(
        found: Sequence[matcher.Match],
    ) -> dict[matcher.Match, PriceVersion]:
        """Return the version rows of prices that have one; one query."""
        wanted = {match: _priced(match) for match in found}
        digests = {each.digest for each in wanted.values() if each is not None}
        ids = {match.version_id for match in wanted} - {None}
        rows = list(PriceVersion.objects.filter(Q(digest__in=digests) | Q(pk__in=ids)))
        by_id = {row.pk: row for row in rows}
        by_digest = {row.digest: row for row in rows}
        known = {}
        for match, priced in wanted.items():
            row = (
                by_digest.get(priced.digest) if priced else by_id.get(match.version_id)
            )
            if row is not None:
                known[match] = row
        return known

    def match(self, wanted: Sequence[tuple[Provider, str]]) -> list[ModelPrice]:
        """Return the price of each model, making version rows that are missing.

        Cost:  at most three queries, whatever the number of models.
        """
        found = [self.look(provider, model_id) for provider, model_id in wanted]
        priced = [_priced(match) for match in found]
        ids = versions.ensure({each for each in priced if each is not None})
        return [
            ModelPrice(
                match.price,
                match.version_id if price is None else ids[price],
                match.source,
            )
            for match, price in zip(found, priced, strict=True)
        ]


def _rule(row: CustomPrice) -> CustomRule:
    return CustomRule(
        model=row.model,
        price=versions.spec_of(row.version),
        provider_slug=row.provider_slug,
        is_pattern=row.is_pattern,
        version_id=row.version_id,
    )


def _is_default(rule: CustomRule) -> bool:
    return rule.model == selectors.DEFAULT_MODEL


def _priced(match: matcher.Match) -> Priced | None:
    """Return what needs a version row: a price that has none yet."""
    if match.price is None or match.version_id is not None:
        return None
    return Priced(match.key, match.source, match.price)
