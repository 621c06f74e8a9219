"""Read the prices in force, model by model, for screens, commands and the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, QuerySet, Window

from poolsite.columns import is_plain
from pricing import matcher, selectors, units
from pricing.cost import PriceSpec
from pricing.matcher import Match
from pricing.models import PriceVersion
from pricing.versions import spec_of
from providers.models import Provider, ProviderModel
from providers.snapshot.prices import PriceTable

PAGE_SIZE: Final = 50
GROUPS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "custom": (
        "Set by hand",
        frozenset(
            {
                matcher.CUSTOM_PROVIDER,
                matcher.CUSTOM_MODEL,
                matcher.CUSTOM_PATTERN,
            }
        ),
    ),
    "live": ("Provider's own list", frozenset({matcher.LIVE})),
    "book": ("Price book", frozenset({matcher.BOOK})),
    "guessed": ("Guessed", frozenset({matcher.HEURISTIC})),
    "default": ("Default", frozenset({matcher.DEFAULT})),
    "local": ("Local", frozenset({matcher.LOCAL})),
    "unknown": ("Unpriced", frozenset({matcher.UNKNOWN})),
}
"""What a list of prices may be narrowed to: its words and the sources it means."""


@dataclass(frozen=True)
class PriceRow:
    """The price in force of one model at one provider.

    Shapes:  ``version`` is the row bills point at, None while nothing was billed with
             this price; ``price`` None = unpriced.
    """

    provider: Provider
    model_id: str
    match: Match
    version: PriceVersion | None = None

    @property
    def price(self) -> PriceSpec | None:
        """Return the price, None for unpriced."""
        return self.match.price

    @property
    def source(self) -> str:
        """Return where the price is from."""
        return self.match.source


@dataclass(frozen=True)
class Known:
    """What prices are looked up with, read once for a whole page.

    Shapes:  ``providers`` are the live ones by row id, by name.
    """

    table: PriceTable
    providers: Mapping[int, Provider]

    @classmethod
    def load(cls) -> Known:
        """Read it; one query beside the table's."""
        return cls.of(Provider.objects.filter(deleted_at=None))

    @classmethod
    def of(cls, providers: Iterable[Provider]) -> Known:
        """Read the table for providers that were read before."""
        rows = sorted(providers, key=lambda row: (row.name.lower(), row.slug))
        return cls(PriceTable.load(), {row.pk: row for row in rows})


@dataclass(frozen=True)
class PriceFilters:
    """What to list: a group of sources, a provider's id, a part of the model's id."""

    source: str = ""
    provider: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.source or self.provider or self.text)


@dataclass(frozen=True)
class PricePage:
    """One page of prices; ``total`` counts all that match."""

    rows: Sequence[PriceRow]
    total: int
    number: int = 1
    size: int = PAGE_SIZE

    @property
    def last(self) -> int:
        """Return the number of the last page."""
        return max(1, -(-self.total // self.size))


def page_of_prices(
    filters: PriceFilters,
    number: int = 1,
    *,
    size: int = PAGE_SIZE,
    known: Known | None = None,
) -> PricePage:
    """Return one page of effective prices, by provider and model.

    Cost:  two queries, and what is not given. Only the models of the page are matched,
           unless they are chosen by their source: then every model is, at some
           microseconds each.
    """
    known = known or Known.load()
    models = _models(filters)
    number = max(1, number)
    wanted = GROUPS.get(filters.source)
    if wanted is None:
        total, pairs = _slice(models, number, size)
        number = _within(number, total, size)
        found = _rows(pairs, known)
    else:
        every = _rows(models.values_list("model_id", "provider_id"), known)
        matching = [row for row in every if row.source in wanted[1]]
        total = len(matching)
        number = _within(number, total, size)
        found = matching[(number - 1) * size : number * size]
    return PricePage(with_versions(found), total, number, size)


def price_of(
    provider_slug: str, model_id: str, known: Known | None = None
) -> PriceRow | None:
    """Return the price in force of one live model; two queries beside ``Known``."""
    if not is_plain(model_id):
        return None
    rows = _models(PriceFilters(provider=provider_slug)).filter(model_id=model_id)
    pairs = rows.values_list("model_id", "provider_id")
    found = _rows(pairs, known or Known.load())
    return with_versions(found)[0] if found else None


def without_own(row: PriceRow) -> Match:
    """Return what the model would cost without the prices people set; no query."""
    return PriceTable([]).look(row.provider, row.model_id)


def past_versions(row: PriceRow) -> list[tuple[PriceVersion, PriceSpec]]:
    """Return the versions this model was billed with or may be; one query."""
    keys = {row.model_id, row.match.key}
    rows = selectors.history(keys, row.provider.slug)
    return [(each, spec_of(each)) for each in rows]


def with_versions(rows: Sequence[PriceRow]) -> list[PriceRow]:
    """Return rows with the version each price has; one query."""
    known = PriceTable.known_versions([row.match for row in rows if row.price])
    return [
        PriceRow(row.provider, row.model_id, row.match, known.get(row.match))
        for row in rows
    ]


def price_table(rows: Iterable[PriceRow]) -> list[dict[str, Any]]:
    """Return rows as the API and commands show them.

    Units:   USD per million tokens as text, ``per_*`` in USD for one; None = unknown.
    """
    return [
        {
            "provider": row.provider.slug,
            "model": row.model_id,
            "source": row.source,
            "found_as": row.match.key or None,
            **selectors.price_texts(row.price),
            "since": row.version.valid_from.isoformat() if row.version else None,
        }
        for row in rows
    ]


def price_facts(row: PriceRow) -> dict[str, Any]:
    """Return one price with what it means and where it is from; no query."""
    [plain] = price_table([row])
    match, version = row.match, row.version
    examples = units.examples(row.price) if row.price else []
    return {
        **plain,
        "origin": match.origin or None,
        "origin_url": match.url or None,
        "stated_on": match.date or None,
        "derived": list(match.derived),
        "price_version": version.pk if version else None,
        "examples": [
            {"what": each.words, "cost_nano_usd": each.nano_usd} for each in examples
        ],
    }


def _models(filters: PriceFilters) -> QuerySet[ProviderModel]:
    rows = ProviderModel.objects.filter(
        deleted_at=None,
        gone_at=None,
        enabled=True,
        provider__enabled=True,
        provider__deleted_at=None,
    )
    if not is_plain(filters.provider) or not is_plain(filters.text):
        return rows.none()
    if filters.provider:
        rows = rows.filter(provider__slug=filters.provider)
    if filters.text:
        rows = rows.filter(model_id__icontains=filters.text)
    return rows.order_by("model_id", "provider__slug", "pk")


def _slice(
    models: QuerySet[ProviderModel], number: int, size: int
) -> tuple[int, list[tuple[str, int]]]:
    """Return how many there are, and one page of them: as a rule in one query."""
    start = (number - 1) * size
    counted = models.annotate(total=Window(Count("pk")))
    rows = list(
        counted.values_list("model_id", "provider_id", "total")[start : start + size]
    )
    if rows or number == 1:
        return rows[0][2] if rows else 0, [row[:2] for row in rows]
    total = models.count()
    return _slice(models, _within(number, total, size), size) if total else (0, [])


def _rows(pairs: Iterable[tuple[str, int]], known: Known) -> list[PriceRow]:
    """Match models; no object a model, since there may be many."""
    found = []
    for model_id, provider_id in pairs:
        provider = known.providers.get(provider_id)
        if provider is not None:
            match = known.table.look(provider, model_id)
            found.append(PriceRow(provider, model_id, match))
    return found


def _within(number: int, total: int, size: int) -> int:
    """Return a page number that exists."""
    return max(1, min(number, -(-total // size)))
