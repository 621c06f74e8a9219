"""Prove that docs/catalogue.md tells the figures of the files it is about."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pricing.book.loader import embedded_listing
from scripts.catalogue.hand import FOLDER

ROOT = Path(__file__).resolve().parents[3]
PAGE = " ".join((ROOT / "docs" / "catalogue.md").read_text().split())


def read(path):
    return json.loads((ROOT / path).read_bytes())


def test_page_tells_how_many_there_are():
    listing = embedded_listing()
    models = [
        model for each in listing.providers.values() for model in each.models.values()
    ]
    priced = sum(model.price is not None for model in models)
    providers = read("providers/catalogue/data/providers.json")["providers"]
    kept = read("scripts/catalogue/overlay/providers.json")["providers"]
    assert f"knows {len(providers)} providers and {len(models):,} models" in PAGE
    assert f"{len(listing.providers)} providers, {priced:,} with a price" in PAGE
    assert f"{len(kept)} providers, one a line" in PAGE


def test_page_tells_how_disagreements_were_settled():
    rows = read("scripts/catalogue/disagreements.json")["rows"]
    models = {(row["provider"], row["model"]) for row in rows}
    assert f"{len(rows)} columns of {len(models)} models" in PAGE
    for rule, count in Counter(row["rule"] for row in rows).items():
        assert f"| `{rule}` | {count} |" in PAGE


def test_entries_kept_by_hand_are_shipped_as_they_are():
    shipped = {
        row["id"]: row
        for row in read("providers/catalogue/data/providers.json")["providers"]
    }
    kept = json.loads((FOLDER / "providers.json").read_bytes())["providers"]
    for row in kept:
        assert row["source"]
        assert row["date"]
        for name in row.keys() - {"source", "date", "aliases"}:
            assert shipped[row["id"]][name] == row[name], (row["id"], name)
