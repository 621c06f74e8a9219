"""Lay down small listings for tests of prices."""

from __future__ import annotations

from pricing.book.index import PriceIndex
from pricing.cost import PriceSpec
from pricing.listing import ListedModel, ListedProvider, Listing

USD = 1_000_000_000


def spec(usd_in: float | None = None, usd_out: float | None = None, **more: int):
    """Return a price from USD per million tokens."""
    rates = {"input": usd_in, "output": usd_out}
    known = {name: round(usd * USD) for name, usd in rates.items() if usd is not None}
    return PriceSpec(**known, **more)


def listing(source: str = "embedded", **providers: dict[str, PriceSpec | None]):
    """Return a listing of models with their prices, by provider (``_`` is ``-``)."""
    return Listing(
        source,
        f"https://{source.replace('_', '-')}.example/list",
        "2026-11-01",
        {
            name.replace("_", "-"): ListedProvider(
                id=name.replace("_", "-"),
                models={
                    model: ListedModel(id=model, price=price)
                    for model, price in models.items()
                },
            )
            for name, models in providers.items()
        },
    )


def index(*listings: Listing) -> PriceIndex:
    """Return an index of listings, the most trusted first."""
    return PriceIndex(listings)
