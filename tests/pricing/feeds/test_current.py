"""What is known right now: the order of trust, and the release's settled prices."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from pricing.book import loader
from pricing.feeds import current, services
from pricing.feeds.refresh import refresh
from pricing.listing import Listing
from tests.pricing.feeds.conftest import USD, World, embedded, listed
from tests.vendors import feeds


def test_embedded_alone_before_anything_was_read(db: None, shipped: Listing) -> None:
    assert current.listings() == [shipped]


def test_sources_stand_in_order_of_trust(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    for name, document in (
        ("litellm", feeds.litellm()),
        ("openrouter", feeds.openrouter()),
    ):
        world.point(name, f"{world.vendor.root}/{name}")
        world.vendor.on("GET", f"/{name}", document)
        assert refresh(name, clock=clock).state == "applied"
    found = [listing.source for listing in current.listings()]
    assert found == ["openrouter", "models.dev", "litellm", "embedded"]


def test_cached_listings_cost_one_query(
    world: World, good: list[Listing], django_assert_num_queries: Any
) -> None:
    current.listings()
    with django_assert_num_queries(1):
        current.listings()


def test_change_is_seen_without_forgetting(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    assert current.listings() is not None
    world.answer(feeds.models_dev(m_2={"input": 3, "output": 2}))
    refresh("models_dev", clock=clock)
    found = current.listings()[0].providers["acme"].models["m-2"].price
    assert found is not None
    assert found.input == 3 * USD


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = embedded(listed("m-1", 5, 5, origin="overlay"), date="2026-01-01")
    monkeypatch.setattr(loader, "embedded_listing", lambda: listing)


def price_of(model: str) -> list[int | None]:
    """Return the input price each listing states, in order of trust."""
    found = []
    for listing in current.listings():
        price = listing.providers["acme"].models[model].price
        found.append(price.input if price else None)
    return found


def test_settled_price_beats_what_the_source_said_first(
    settled: None, world: World, clock: ManualClock
) -> None:
    world.answer(feeds.models_dev())
    refresh("models_dev", clock=clock)
    assert price_of("m-1") == [None, 5 * USD]


def test_source_that_says_something_new_later_is_believed_again(
    settled: None, world: World, clock: ManualClock
) -> None:
    world.answer(feeds.models_dev())
    refresh("models_dev", clock=clock)
    clock.advance(3 * 86_400)
    world.answer(feeds.models_dev(m_1={"input": 4, "output": 4}))
    refresh("models_dev", clock=clock)
    assert price_of("m-1") == [4 * USD, 5 * USD]


def test_later_release_settles_it_again(
    settled: None, world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.answer(feeds.models_dev())
    refresh("models_dev", clock=clock)
    clock.advance(3 * 86_400)
    world.answer(feeds.models_dev(m_1={"input": 4, "output": 4}))
    refresh("models_dev", clock=clock)
    newer = embedded(listed("m-1", 7, 7, origin="overlay"), date="2026-02-01")
    monkeypatch.setattr(loader, "embedded_listing", lambda: newer)
    current.forget()
    assert price_of("m-1") == [None, 7 * USD]


def test_own_list_of_openrouter_is_believed_for_openrouter_only(
    world: World, clock: ManualClock
) -> None:
    world.point("openrouter", f"{world.vendor.root}/o")
    world.vendor.on("GET", "/o", feeds.openrouter())
    refresh("openrouter", clock=clock)
    assert current.listings()[0].providers.keys() == {"openrouter"}


def test_cleared_source_serves_no_more(world: World, good: list[Listing]) -> None:
    services.clear_feed(SYSTEM, "models_dev")
    assert current.listings() == good[1:]


def test_source_switched_off_keeps_serving(world: World, good: list[Listing]) -> None:
    services.set_feed(SYSTEM, "models_dev", enabled=False)
    assert current.listings() == good
