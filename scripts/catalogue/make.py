"""Make the texts of every generated file from the sources; write nothing."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import msgspec

from pricing.feeds import litellm, models_dev, openrouter
from pricing.listing import Listing
from scripts.catalogue import entries, genai, hand, report, write
from scripts.catalogue.merge import Sources, merge

MODELS: Final = "pricing/book/models.json"
PROVIDERS: Final = "providers/catalogue/data/providers.json"
DISPUTES: Final = "scripts/catalogue/disagreements.json"

_GZIP: Final = b"\x1f\x8b"


class Inputs(msgspec.Struct, frozen=True):
    """Hold where the sources lie, and the day prices must have begun by."""

    models_dev: Path
    genai_prices: Path
    litellm: Path
    date: str
    openrouter: Path | None = None


class Made(msgspec.Struct):
    """Hold the text of each file by its path, and what there is to say of it."""

    files: dict[str, str]
    summary: list[str]


def made(inputs: Inputs, root: Path) -> Made:
    """Make everything; the same sources give the same bytes.

    Errors:  FeedError and msgspec.ValidationError for a source or a line kept by hand
             that cannot be read.
    """
    sources = Sources(
        hand.read(root),
        genai.read(inputs.genai_prices, date=inputs.date),
        models_dev.read(_bytes(inputs.models_dev), date=inputs.date),
        litellm.read(_bytes(inputs.litellm), date=inputs.date),
    )
    if inputs.openrouter is not None:
        raw = _bytes(inputs.openrouter)
        sources.openrouter = openrouter.read(raw, date=inputs.date)
    catalogue = entries.make(sources.models_dev)
    wanted = {entries.listing_id(entry) for entry in catalogue}
    wanted |= set(sources.models_dev.providers)
    listing, disputed = merge(sources, wanted, inputs.date)
    entries.add_capabilities(catalogue, listing)
    files = {
        MODELS: write.listing_text(listing),
        PROVIDERS: entries.text(catalogue, inputs.date),
        DISPUTES: report.text(disputed, inputs.date),
    }
    return Made(files, _summary(listing, catalogue) + report.summary(disputed))


def _bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw.startswith(_GZIP) else raw


def _summary(listing: Listing, catalogue: list[entries.Entry]) -> list[str]:
    origins: dict[str, int] = {}
    priced = 0
    for provider in listing.providers.values():
        for model in provider.models.values():
            if model.price is not None:
                priced += 1
                origins[model.origin] = origins.get(model.origin, 0) + 1
    shares = ", ".join(f"{name} {count:,}" for name, count in sorted(origins.items()))
    return [
        f"providers in the catalogue: {len(catalogue)}",
        f"models listed: {listing.models_count:,} at {len(listing.providers)} providers",
        f"priced: {priced:,} ({shares})",
    ]
