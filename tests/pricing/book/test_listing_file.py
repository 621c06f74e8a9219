"""Prove that the embedded listing is whole, exact, small and attributed."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from pathlib import Path

import pytest

from pricing.book import listing_file
from pricing.book.listing_file import ListingFileError, read_listing
from pricing.book.loader import embedded_listing, read_book
from pricing.listing import CAPABILITIES, KINDS
from scripts.catalogue import hand

ROOT = Path(__file__).resolve().parents[3]
BOOK = ROOT / "pricing" / "book"
MAIN = ("input", "output", "cache_read", "cache_write")
ORIGINS = {"overlay", "genai-prices", "models.dev", "litellm", "openrouter"}
LOAD_S = 0.4
"""Processor time, on a busy machine and in a big process; ``make prove`` is strict."""
MEMORY = 12_000_000


def file(*rows, **changes):
    head = {"date": "2026-11-20", "sources": [], "unit": "USD"}
    providers = [{"id": "acme", "models": list(rows)}]
    return json.dumps({**head, "providers": providers, **changes}).encode()


def test_over_four_thousand_models_are_listed():
    listing = embedded_listing()
    assert listing.models_count > 8000
    assert len(listing.providers) > 100
    assert embedded_listing() is listing


def test_every_model_is_well_formed():
    words = set(CAPABILITIES)
    for provider in embedded_listing().providers.values():
        for model in provider.models.values():
            assert model.id.isprintable()
            assert model.kind in KINDS
            assert words.issuperset(model.capabilities)
            assert words.issuperset(model.lacks)
            assert not set(model.capabilities) & set(model.lacks)
            assert model.origin in ORIGINS


def test_hand_list_is_in_the_listing_to_the_nano_dollar():
    listing = embedded_listing()
    kept = hand.read(ROOT)
    settled = {(each.provider, each.model) for each in kept.settlements()}
    checked = set()
    for provider, listed in listing.providers.items():
        by_id = {model.id.lower(): model for model in listed.models.values()}
        for row in kept.models(provider).values():
            assert (provider, row.id) not in settled
            price = by_id[row.id].price
            for column in MAIN:
                assert getattr(price, column) == getattr(row.price, column), row.id
            checked.add(row.id)
    assert checked == set(read_book((BOOK / "prices.json").read_bytes()).models)


def test_every_settlement_names_its_source_and_is_followed():
    listing = embedded_listing()
    settlements = hand.read(ROOT).settlements()
    assert settlements
    for each in settlements:
        found = listing.providers[each.provider].models[each.model]
        if each.price:
            assert found.price.input == each.spec().input
            assert found.price.output == each.spec().output
        else:
            assert found.price is None
        assert each.reason
        assert each.source
        assert each.date


def test_no_disagreement_of_the_sources_is_open():
    report = json.loads((ROOT / "scripts/catalogue/disagreements.json").read_bytes())
    assert report["open"] == 0
    assert all(row["rule"] in report["rules"] for row in report["rows"])


def test_sources_are_attributed_with_their_licences():
    notice = (ROOT / "NOTICE").read_text()
    found = listing_file.sources()
    assert {each.name for each in found} == {"genai-prices", "models.dev", "LiteLLM"}
    for each in found:
        assert each.license.startswith("MIT")
        assert each.name in notice
    assert notice.count("Permission is hereby granted, free of charge") == 1


def test_listing_loads_fast_and_small(capsys):
    raw = (BOOK / listing_file.FILE).read_bytes()
    took = []
    for _ in range(3):
        start = time.process_time()
        listing = read_listing(raw)
        took.append(time.process_time() - start)
    del listing
    gc.collect()
    tracemalloc.start()
    listing = read_listing(raw)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\nlisting: {min(took) * 1e3:.0f} ms, {held / 1e6:.1f} MB held")
    assert min(took) < LOAD_S
    assert held < peak < MEMORY
    assert listing.models_count


@pytest.mark.parametrize(
    ("text", "nano"),
    [("3", 3_000_000_000), ("0.075", 75_000_000), ("0.000000001", 1), ("0", 0)],
)
def test_price_text_is_read_exactly(text, nano):
    listing = read_listing(file({"id": "a", "price": {"input": text}}))
    assert listing.providers["acme"].models["a"].price.input == nano


@pytest.mark.parametrize(
    "bad",
    ["-1", "1e400", "", "x", "0.0000000001", "٣", "NaN", "1,5"],
)
def test_price_that_is_no_price_is_refused(bad):
    with pytest.raises(ListingFileError):
        read_listing(file({"id": "a", "price": {"input": bad}}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        file({"id": "a"}, {"id": "a"}),
        file({"id": "a", "colour": "red"}),
        file({"id": "a", "price": {"colour": "1"}}),
        file(providers=[{"id": "a", "models": []}, {"id": "a", "models": []}]),
    ],
    ids=["empty", "list", "model twice", "column", "price column", "provider twice"],
)
def test_file_that_must_not_be_used_is_refused(raw):
    with pytest.raises(ListingFileError):
        read_listing(raw)
