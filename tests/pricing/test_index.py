"""Prove how listed models are found: whose entry, in which reading, how fast."""

from __future__ import annotations

import time

import msgspec
import pytest

from pricing.book.index import PriceIndex, embedded_index, index_of
from pricing.book.loader import embedded_listing
from pricing.cost import PriceSpec
from pricing.listing import ListedModel, Listing
from tests.pricing.listed import index, listing, spec


def stated_by(origin: str, stated: Listing) -> Listing:
    """Name who states what every model of a listing costs."""
    providers = {
        key: msgspec.structs.replace(
            each,
            models={
                name: msgspec.structs.replace(model, origin=origin)
                for name, model in each.models.items()
            },
        )
        for key, each in stated.providers.items()
    }
    return msgspec.structs.replace(stated, providers=providers)


def test_a_provider_s_own_entry_beats_the_maker_s():
    found = index(
        listing(openai={"gpt-9": spec(1, 2)}, azure_openai={"gpt-9": spec(3, 4)})
    )
    assert found.entry("azure-openai", "gpt-9").price == spec(3, 4)
    assert found.generic("gpt-9").provider_id == "openai"
    assert found.entry("groq", "gpt-9") is None
    assert found.entry("openai", "gpt-9.1") is None


def test_who_states_the_price_is_named_where_another_source_leaves_it_open():
    # As a source the release has settled a price against.
    silent = stated_by("models.dev", listing("models_dev", openai={"gpt-9": None}))
    shipped = stated_by("overlay", listing(openai={"gpt-9": spec(1, 2)}))
    found = index(silent, shipped).entry("openai", "gpt-9")
    assert found.price == spec(1, 2)
    assert found.origin == "overlay"
    assert index(shipped, silent).entry("openai", "gpt-9").origin == "overlay"


def test_makers_are_asked_in_their_order_and_only_for_their_own():
    found = index(
        listing(
            qwen_intl={"deepseek-v9": spec(9, 9), "qwen9-max": spec(2, 3)},
            deepseek={"deepseek-v9": spec(1, 1)},
            volcengine={"kimi-k9": spec(5, 5)},
        )
    )
    assert found.generic("deepseek-v9").key == "deepseek/deepseek-v9"
    assert found.generic("qwen9-max").key == "qwen-intl/qwen9-max"
    assert found.generic("kimi-k9") is None


def test_open_weights_have_no_list_price_of_the_maker():
    found = index(listing(openai={"gpt-oss-120b": spec(1, 2)}))
    assert found.generic("gpt-oss-120b") is None
    assert found.entry("openai", "gpt-oss-120b").price == spec(1, 2)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ({"together": spec(1, 2), "groq": spec(1, 2)}, spec(1, 2)),
        ({"together": spec(1, 2), "groq": spec(1, 3)}, None),
        ({"together": spec(1, 2), "groq": spec(1, 2), "venice": spec(2, 2)}, None),
        ({"together": spec(1, 2)}, None),
        ({"together": spec(1, 2), "groq": spec(1, 2), "llama": spec(0, 0)}, spec(1, 2)),
        ({"together": spec(0, 0), "groq": spec(0, 0)}, None),
    ],
    ids=["agree", "differ", "one differs", "one alone", "free is no word", "all free"],
)
def test_other_hosts_count_only_when_they_agree(hosts, expected):
    models = {name: {"glow-70b": price} for name, price in hosts.items()}
    found = index(listing(**models)).generic("vendor/glow-70b")
    assert (found and found.model.price) == expected


def test_hosts_that_spell_a_model_differently_still_count_together():
    found = index(
        listing(together={"vendor/Glow-70B": spec(1, 2)}, groq={"glow_70b": spec(1, 2)})
    )
    assert found.generic("glow-70b").model.price == spec(1, 2)


def test_dated_entries_stand_for_the_model_while_they_cost_the_same():
    same = index(
        listing(openai={"gpt-9-2026-01-01": spec(1, 2), "gpt-9-20260601": spec(1, 2)})
    )
    assert same.generic("gpt-9").model.price == spec(1, 2)
    other = index(
        listing(openai={"gpt-9-2026-01-01": spec(1, 2), "gpt-9-20260601": spec(2, 2)})
    )
    assert other.generic("gpt-9") is None
    assert other.generic("gpt-9-20260601").model.price == spec(2, 2)


def test_an_own_zero_price_is_free_and_says_nothing_of_other_hosts():
    found = index(listing(google={"gemini-9": spec(0, 0)}))
    assert found.entry("google", "gemini-9").price == spec(0, 0)
    assert found.generic("gemini-9") is None


def test_the_more_trusted_listing_wins_and_says_so():
    found = index(
        listing("models_dev", openai={"gpt-9": spec(1, 2)}),
        listing("embedded", openai={"gpt-9": spec(8, 9), "gpt-8": spec(3, 4)}),
    )
    new = found.find("openai", "gpt-9")
    assert (new.model.price, new.source) == (spec(1, 2), "models_dev")
    assert new.url == "https://models-dev.example/list"
    old = found.find("openai", "gpt-8")
    assert (old.model.price, old.source) == (spec(3, 4), "embedded")


def test_what_a_trusted_source_leaves_open_is_filled_from_the_next():
    found = index(
        listing("models_dev", openai={"gpt-9": spec(1, 2)}),
        listing("embedded", openai={"gpt-9": spec(1, 2, cache_read=7, batch_input=5)}),
    )
    assert found.entry("openai", "gpt-9").price == spec(
        1, 2, cache_read=7, batch_input=5
    )


def test_the_rest_of_another_price_is_never_mixed_in():
    found = index(
        listing("models_dev", openai={"gpt-9": spec(2, 2)}),
        listing("embedded", openai={"gpt-9": spec(1, 2, cache_read=7, batch_input=5)}),
    )
    assert found.entry("openai", "gpt-9").price == spec(2, 2)


def test_long_prices_of_another_threshold_are_never_mixed_in():
    found = index(
        listing("a", openai={"gpt-9": spec(1, 2, long_threshold=100, long_input=9)}),
        listing("b", openai={"gpt-9": spec(1, 2, long_threshold=200, long_output=8)}),
    )
    assert found.entry("openai", "gpt-9").price.long_output is None


def test_a_price_only_the_second_source_states_names_the_second():
    first = listing("models_dev", openai={"gpt-9": None})
    found = index(first, listing("embedded", openai={"gpt-9": spec(1, 2)}))
    assert found.find("openai", "gpt-9").source == "embedded"


def test_a_free_cache_write_is_one_without_a_surcharge():
    found = index(listing(zai={"glm-9": spec(1, 3, cache_write=0, cache_read=0)}))
    price = found.entry("zai", "glm-9").price
    assert (price.cache_write, price.cache_read) == (None, 0)
    free = index(listing(zai={"glm-9": spec(0, 0, cache_write=0)}))
    assert free.entry("zai", "glm-9").price.cache_write == 0


def test_limits_are_filled_from_the_next_source():
    first = listing("models_dev", openai={"gpt-9": spec(1, 2)})
    second = listing("embedded", openai={"gpt-9": spec(5, 6)})
    known = ListedModel(id="gpt-9", price=spec(5, 6), context_window=9, max_output=4)
    second.providers["openai"].models["gpt-9"] = known
    entry = index(first, second).entry("openai", "gpt-9")
    assert (entry.price, entry.context_window, entry.max_output) == (spec(1, 2), 9, 4)


def test_the_same_listings_are_indexed_once():
    one, two = listing(openai={"a": spec(1, 2)}), listing(openai={"a": spec(1, 2)})
    first = index_of([one, two])
    assert index_of([one, two]) is first
    assert index_of([two, one]) is not first
    assert index_of([]).generic("a") is None


def test_every_listed_model_is_found_under_its_own_provider():
    found = embedded_index()
    for provider in embedded_listing().providers.values():
        for model in provider.models.values():
            assert found.entry(provider.id, model.id) is not None


def test_ten_thousand_models_are_looked_up_in_well_under_two_seconds():
    listed = embedded_listing()
    names = [
        (provider.id, f"{model}-2031-01-01")
        for provider in listed.providers.values()
        for model in provider.models
    ]
    names = (names * (10_000 // len(names) + 1))[:10_000]
    began = time.process_time()
    built = PriceIndex([listed])
    for provider, model in names:
        if built.find(provider, model) is None:
            built.generic(f"not-{model}")
    assert time.process_time() - began < 2.0


def test_every_listed_price_fits_its_columns():
    for provider in embedded_listing().providers.values():
        for model in provider.models.values():
            for value in msgspec.structs.astuple(model.price or PriceSpec()):
                assert value is None or 0 <= value < 2**63
