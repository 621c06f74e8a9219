"""Prove what a model is priced with out of rows: lists, feeds, people, the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db import transaction

from poolsite import version
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from pricing import services as prices
from pricing.book.index import PriceIndex
from pricing.cost import PriceSpec
from pricing.listing import ListedModel
from pricing.models import Feed, PriceVersion
from pricing.selectors import DEFAULT_MODEL
from providers.models import ModelList, Provider
from providers.services import discovery
from providers.snapshot import build, types
from providers.snapshot.prices import PriceTable, current_index, listing_id
from tests import factories
from tests.pricing.listed import listing, spec
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICE = {"input": 7_000_000_000, "output": 9_000_000_000}


def give_list(provider: Provider, entries: Any, at: datetime = NOW) -> ModelList:
    row, _ = ModelList.objects.update_or_create(
        provider=provider, defaults={"entries": entries, "fetched_at": at}
    )
    return row


def models(now: datetime = NOW) -> dict[str, types.ModelRecord]:
    return {
        record.model_id: record
        for kind, _, record in build.build_base(now).records
        if kind == types.MODEL
    }


def test_what_a_provider_s_own_list_states_beats_the_book() -> None:
    provider = factories.make_provider("acme", models=["gpt-4o", "gpt-4.1"])
    entry = ListedModel(id="gpt-4o", price=PriceSpec(**PRICE))
    give_list(provider, [msgspec.to_builtins(entry), {"id": "gpt-4.1"}])
    found = models()
    assert found["gpt-4o"].price_source == "live"
    assert found["gpt-4o"].price == PriceSpec(**PRICE)
    assert found["gpt-4.1"].price_source == "book"
    row = PriceVersion.objects.get(pk=found["gpt-4o"].price_version_id)
    assert (row.key, row.source, row.origin) == ("acme/gpt-4o", "live", "acme")


def test_a_list_of_one_provider_says_nothing_of_another() -> None:
    give_list(factories.make_provider("acme"), [{"id": "in-house", "price": PRICE}])
    other = factories.make_provider("other", models=["in-house"])
    assert PriceTable.load().look(other, "in-house").source == "unknown"


def test_a_list_fetched_anew_is_read_anew_and_once(
    django_assert_max_num_queries: Any,
) -> None:
    provider = factories.make_provider("acme")
    give_list(provider, [{"id": "m", "price": PRICE}])
    PriceTable.load()
    with django_assert_max_num_queries(3):
        assert PriceTable.load().look(provider, "m").price == PriceSpec(**PRICE)
    later = NOW + timedelta(hours=1)
    give_list(provider, [{"id": "m", "price": {**PRICE, "input": 1}}], later)
    assert PriceTable.load().look(provider, "m").price.input == 1
    ModelList.objects.all().delete()
    assert PriceTable.load().look(provider, "m").price is None


@pytest.mark.parametrize(
    "entry",
    [
        "x",
        {"id": "m"},
        {"id": "m", "price": "free"},
        {"id": "m", "price": {"input": "1", "output": 2}},
        {"id": "m", "price": {"input": -1, "output": 2}},
        {"id": "m", "price": {"input": 1}},
        {"id": "m", "price": {"input": 10**30, "output": 1}},
        {"id": "m", "price": {"input": 3_000_000 * 10**9, "output": 1}},
        {"id": 7, "price": PRICE},
    ],
)
def test_a_price_that_is_none_is_not_believed(entry: Any) -> None:
    provider = factories.make_provider("acme")
    give_list(provider, [entry, {"id": "good", "price": PRICE}])
    table = PriceTable.load()
    assert table.look(provider, "m").price is None
    assert table.look(provider, "good").source == "live"


def test_a_list_that_is_none_breaks_nothing() -> None:
    provider = factories.make_provider("acme", models=["gpt-4o"])
    give_list(provider, {"data": 1})
    assert models()["gpt-4o"].price_source == "book"


def test_a_provider_of_the_catalogue_is_billed_by_its_own_listing() -> None:
    provider = factories.make_provider("mine", catalogue_id="groq")
    assert listing_id(provider) == "groq"
    listed = listing(
        groq={"llama-9-70b": spec(1, 2)}, llama={"llama-9-70b": spec(8, 9)}
    )
    table = PriceTable([], index=PriceIndex([listed]))
    found = table.look(provider, "llama-9-70b")
    assert (found.key, found.price) == ("groq/llama-9-70b", spec(1, 2))


def test_a_vendor_is_known_by_the_format_only_it_speaks() -> None:
    provider = Provider(slug="mine", api_format="bedrock")
    assert listing_id(provider) == "bedrock"
    assert listing_id(Provider(slug="mine", api_format="openai")) == ""


def test_a_version_names_who_states_a_listed_price() -> None:
    factories.make_provider("anthropic", catalogue_id="anthropic", models=["claude-2"])
    row = PriceVersion.objects.get(pk=models()["claude-2"].price_version_id)
    assert (row.key, row.source) == ("anthropic/claude-2", "book")
    assert row.origin
    assert row.stated_on is not None
    assert "cache_write" in row.reason


def test_limits_a_row_lacks_come_from_the_listing_and_are_not_put_over_its_own() -> (
    None
):
    provider = factories.make_provider("acme", models=["gpt-4o", "gpt-4o-mini"])
    provider.models.filter(model_id="gpt-4o").update(
        context_window=1000, max_output_tokens=10
    )
    found = models()
    own, listed = found["gpt-4o"], found["gpt-4o-mini"]
    assert (own.context_window, own.max_output_tokens) == (1000, 10)
    assert (listed.context_window, listed.max_output_tokens) == (128_000, 16_384)


def test_a_local_model_has_the_limits_its_server_says() -> None:
    factories.make_provider(
        "den", models=["gpt-4o"], location="local",
        base_url="http://127.0.0.1:11434/v1", allow_private=True,
    )  # fmt: skip
    assert models()["gpt-4o"].context_window is None


def test_a_price_a_list_states_anew_is_sent_at_once() -> None:
    def listed(dollars: str) -> Reply:
        pricing = {"prompt": dollars, "completion": "0.000009"}
        return Reply({"object": "list", "data": [{"id": "m", "pricing": pricing}]})

    clock = ManualClock(NOW)
    with Vendor() as vendor:
        provider = factories.make_provider(
            "acme", models=["m"], keys=["sk-acme-0123456789abcdef"],
            base_url=f"{vendor.root}/v1", allow_private=True,
        )  # fmt: skip
        for dollars, sent in (("0.000007", 1), ("0.000007", 0), ("0.000008", 1)):
            vendor.on("GET", "/v1/models", listed(dollars))
            clock.advance(60)
            since = version.current()
            discovery.refresh(provider, clock=clock)
            built = build.build_delta(since, clock.now())
            assert built is not None
            found = [record for kind, _, record in built.records if kind == types.MODEL]
            assert len(found) == sent
    assert (found[0].price_source, found[0].price.input) == ("live", 8_000_000_000)


def test_a_price_holds_from_its_moment_until_its_end() -> None:
    factories.make_provider("acme", models=["m"])
    clock = ManualClock(NOW)
    prices.set_price(
        SYSTEM, "m", PriceSpec(**PRICE),
        valid_from=NOW + timedelta(hours=1), valid_to=NOW + timedelta(hours=2),
        clock=clock,
    )  # fmt: skip
    minutes = {30: "unknown", 60: "custom_model", 119: "custom_model", 120: "unknown"}
    for minute, source in minutes.items():
        found = models(NOW + timedelta(minutes=minute))["m"]
        assert found.price_source == source, minute


def test_the_default_prices_what_nothing_else_does() -> None:
    acme = factories.make_provider("acme")
    other = factories.make_provider("other")
    prices.set_price(SYSTEM, "*", PriceSpec(**PRICE), provider_slug="acme")
    prices.set_price(SYSTEM, DEFAULT_MODEL, PriceSpec(input=1, output=1))
    table = PriceTable.load()
    assert table.look(acme, "never-heard-of").source == "custom_pattern"
    assert table.look(other, "never-heard-of").source == "default"
    assert table.look(other, "gpt-4o").source == "book"


def test_a_refreshed_source_sends_every_model_anew() -> None:
    provider = factories.make_provider("acme", models=["gpt-4o", "in-house"])
    since = version.current()
    with transaction.atomic():
        version.bump(Feed.objects.create(name="models_dev"))
    built = build.build_delta(since, NOW)
    assert built is not None
    sent = {key for kind, key, _ in built.records if kind == types.MODEL}
    assert sent == {str(row.pk) for row in provider.models.all()}


def test_the_index_is_built_once_for_the_same_lists() -> None:
    assert current_index() is current_index()
