"""``pool model``: fetch, compare, find, switch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.models import Provider
from tests.factories import make_provider
from tests.providers.commands.conftest import Pool
from tests.vendors import lists
from tests.vendors.server import Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on("GET", "/v1/models", lists.openai("gpt-4o", "house"))
        yield running


@pytest.fixture
def acme(pool: Pool, vendor: Vendor) -> Provider:
    return make_provider("acme", base_url=f"{vendor.root}/v1", allow_private=True)


def test_a_sync_may_apply_nothing_or_all(
    pool: Pool, acme: Provider, vendor: Vendor
) -> None:
    out = pool.ok("model", "sync", "acme", "--apply", "none").out
    assert "2 models listed, 0 new." in out
    assert "2 more wait: pool model changes acme" in out
    rows = pool.ok("model", "changes", "acme", "--json").json
    assert [(row["change"], row["id"]) for row in rows] == [
        ("new", "gpt-4o"),
        ("new", "house"),
    ]
    pool.ok("model", "sync", "acme")
    vendor.on("GET", "/v1/models", lists.openai("gpt-4o"))
    out = pool.ok("model", "sync", "acme", "--apply", "all").out
    assert "1 models listed, 0 new, 1 gone." in out


def test_models_are_found_and_switched(pool: Pool, acme: Provider) -> None:
    pool.ok("model", "sync", "acme")
    rows = pool.ok("model", "find", "--capability", "vision", "--json").json
    assert [row["id"] for row in rows] == ["gpt-4o"]
    assert "house" in pool.ok("model", "find", "hous").out
    assert "at 1 provider." in pool.ok("model", "disable", "house").out
    assert not acme.models.get(model_id="house").enabled
    pool.ok("model", "enable", "house", "--provider", "acme")
    assert acme.models.get(model_id="house").enabled
    assert "no model nothing" in pool.refused("model", "disable", "nothing")


def test_the_schedule_is_shown_and_changed(pool: Pool) -> None:
    said = "Lists are fetched every 3600 s; new models wait for a person."
    assert said in pool.ok("model", "schedule").out
    out = pool.ok("model", "schedule", "--every", "0", "--auto-add", "on").out
    assert "Lists are fetched never; new models are added." in out
    assert "The interval is 0" in pool.refused("model", "schedule", "--every", "5")
