"""A small embedded catalogue, a source to ask, and nothing cached between tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from poolsite.clock import ManualClock
from pricing.book import loader
from pricing.cost import PriceSpec
from pricing.feeds import current
from pricing.feeds.refresh import refresh
from pricing.listing import ListedModel, ListedProvider, Listing
from pricing.models import Feed
from tests.vendors import feeds
from tests.vendors.server import Vendor

PATH = "/api.json"
USD = 1_000_000_000


def embedded(*models: ListedModel, date: str = "2025-12-01") -> Listing:
    """Return an embedded catalogue of one provider."""
    by_id = {model.id: model for model in models}
    providers = {"acme": ListedProvider("acme", "Acme", models=by_id)}
    return Listing("embedded", "", date, providers)


def listed(model: str, input_usd: float, output_usd: float, **more: Any) -> ListedModel:
    """Return a model with a price."""
    price = PriceSpec(input=round(input_usd * USD), output=round(output_usd * USD))
    more.setdefault("origin", "models.dev")
    return ListedModel(model, price=price, **more)


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listing]:
    """Ship a small catalogue: one model of the sources, one of its own."""
    listing = embedded(listed("m-1", 1, 2), listed("own-1", 5, 6))
    monkeypatch.setattr(loader, "embedded_listing", lambda: listing)
    current.forget()
    yield listing
    current.forget()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class World:
    """A source that a test lays answers down for."""

    def __init__(self, vendor: Vendor, settings: Any) -> None:
        self.vendor = vendor
        self._settings = settings
        self.point("models_dev", vendor.root + PATH)

    def point(self, name: str, url: str) -> Feed:
        """Let a feed ask an address on loopback."""
        parts = urlsplit(url)
        allowed = (*self._settings.CONFIG.allow_private, parts.netloc)
        self._settings.CONFIG = msgspec.structs.replace(
            self._settings.CONFIG, allow_private=allowed
        )
        return Feed.objects.update_or_create(name=name, defaults={"url": url})[0]

    def answer(self, answer: Any, **values: Any) -> None:
        """Lay down what the source answers."""
        self.vendor.on("GET", PATH, answer, **values)

    def feed(self, name: str = "models_dev") -> Feed:
        """Return the stored state."""
        return Feed.objects.get(name=name)


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    with Vendor() as vendor:
        yield World(vendor, settings)


@pytest.fixture
def good(world: World, clock: ManualClock) -> list[Listing]:
    """Read a good answer once; return what serves from then on."""
    world.answer(feeds.Conditional(feeds.models_dev()))
    outcome = refresh("models_dev", clock=clock)
    assert outcome.state == "applied", outcome
    return current.listings()
