"""Read what models.dev publishes: providers, their models, limits and prices.

Source:  the shape of https://models.dev/api.json; prices are USD per million tokens.
"""

from __future__ import annotations

from typing import Any, Final

from pricing.cost import PriceSpec
from pricing.feeds import fields, kinds
from pricing.feeds.provider_ids import catalogue_id
from pricing.listing import ListedModel, ListedProvider, Listing

SOURCE: Final = "models.dev"
URL: Final = "https://models.dev/api.json"

_PRICES: Final = {
    "input": "input",
    "output": "output",
    "reasoning": "reasoning",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "input_audio": "audio_in",
    "output_audio": "audio_out",
}
_LONG_PRICES: Final = ("input", "output", "cache_read", "cache_write")
_LONG_BY_NAME: Final = 200_000


def read(raw: bytes, *, date: str) -> Listing:
    """Read the whole document.

    Shapes:  ``date`` is YYYY-MM-DD, the day of the answer.
    Errors:  FeedError for what is not this source's shape. A single bad model is left
             out, and a bad price of a model is no price.
    """
    document = fields.document(raw, SOURCE)
    providers: dict[str, ListedProvider] = {}
    offered = 0
    for key, value in document.items():
        entry = fields.table(value)
        models = fields.table(entry.get("models"))
        offered += len(models) if models else 1
        ours = catalogue_id("models_dev", fields.identifier(entry.get("id", key)))
        if ours and models:
            known = providers.get(ours)
            found = _provider(ours, entry, models)
            if known is not None:
                found.models.update(known.models)
            providers[ours] = found if known is None else _joined(known, found)
    listing = Listing(SOURCE, URL, date, providers)
    fields.check_amount(listing.models_count, offered, SOURCE)
    return listing


def _joined(known: ListedProvider, found: ListedProvider) -> ListedProvider:
    """Keep what the first of two entries of one provider says of it, all models."""
    return ListedProvider(
        known.id,
        known.name,
        known.base_url,
        known.documentation,
        known.environment,
        found.models,
    )


def _provider(
    ours: str, entry: dict[str, Any], models: dict[str, Any]
) -> ListedProvider:
    found: dict[str, ListedModel] = {}
    for key, value in models.items():
        model = _model(key, value)
        if model is not None:
            found[model.id] = model
    return ListedProvider(
        id=ours,
        name=fields.label(entry.get("name")),
        base_url=fields.web_address(entry.get("api")),
        documentation=fields.web_address(entry.get("doc")),
        environment=fields.names(entry.get("env")),
        models=found,
    )


def _model(key: str, value: Any) -> ListedModel | None:
    if not isinstance(value, dict):
        return None
    model = fields.identifier(value.get("id", key))
    if not model:
        return None
    shapes = fields.table(value.get("modalities"))
    inputs = fields.modalities(shapes.get("input"))
    outputs = fields.modalities(shapes.get("output"))
    price = _price(value.get("cost"))
    can, cannot = kinds.affirmed(
        {
            "tools": value.get("tool_call"),
            "reasoning": value.get("reasoning"),
            "json_schema": value.get("structured_output"),
            "temperature": value.get("temperature"),
            "cache": True if price and price.cache_read is not None else None,
        },
        inputs,
    )
    limits = fields.table(value.get("limit"))
    return ListedModel(
        id=model,
        name=fields.label(value.get("name")),
        family=fields.label(value.get("family")),
        kind=kinds.kind_of(model, outputs),
        price=price,
        context_window=fields.tokens(limits.get("context")),
        max_output=fields.tokens(limits.get("output")),
        inputs=inputs,
        outputs=outputs,
        capabilities=can,
        lacks=cannot,
        released=fields.day(value.get("release_date")),
        deprecated=value.get("status") == "deprecated",
        origin=SOURCE,
    )


def _price(value: Any) -> PriceSpec | None:
    cost = fields.table(value)
    columns: dict[str, int] = {}
    for theirs, ours in _PRICES.items():
        amount = fields.per_million(cost.get(theirs))
        if amount is not None:
            columns[ours] = amount
    if "input" not in columns and "output" not in columns:
        return None
    threshold, long = _long(cost)
    prices = {name: fields.per_million(long.get(name)) for name in _LONG_PRICES}
    if prices["input"] is not None or prices["output"] is not None:
        columns["long_threshold"] = threshold
        for name, amount in prices.items():
            if amount is not None:
                columns[f"long_{name}"] = amount
    return PriceSpec(**columns)


def _long(cost: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Find the first threshold by prompt length and the prices above it.

    A price has one threshold: of several the lowest, which is met first.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    tiers = cost.get("tiers")
    for tier in tiers if isinstance(tiers, list) else []:
        prices = fields.table(tier)
        rule = fields.table(prices.get("tier"))
        size = fields.tokens(rule.get("size"))
        if rule.get("type") == "context" and size is not None:
            found.append((size, prices))
    if found:
        return min(found, key=_size)
    return _LONG_BY_NAME, fields.table(cost.get("context_over_200k"))


def _size(tier: tuple[int, dict[str, Any]]) -> int:
    return tier[0]
