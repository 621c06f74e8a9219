"""Read OpenRouter's list of models: the live prices of that one provider.

Source:  the shape of https://openrouter.ai/api/v1/models; prices are decimal text in
         USD per token, -1 where the price depends on the model that is picked.
"""

from __future__ import annotations

from typing import Any, Final

from pricing.cost import PriceSpec
from pricing.feeds import fields, kinds
from pricing.feeds.feed_errors import FeedError
from pricing.listing import ListedModel, ListedProvider, Listing

SOURCE: Final = "openrouter"
URL: Final = "https://openrouter.ai/api/v1/models"
PROVIDER: Final = "openrouter"

_TOKEN_PRICES: Final = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "audio": "audio_in",
    "audio_output": "audio_out",
    "image_output": "image_out",
}
# ``image`` is the price of a picture sent in, which no counter of ours knows.
_UNIT_PRICES: Final = {"request": "per_request", "web_search": "per_tool_call"}
_PARAMETERS: Final = {
    "tools": "tools",
    "parallel_tool_calls": "parallel_tools",
    "structured_outputs": "json_schema",
    "response_format": "json",
    "reasoning": "reasoning",
    "include_reasoning": "reasoning",
    "temperature": "temperature",
    "web_search_options": "web_search",
}


def read(raw: bytes, *, date: str) -> Listing:
    """Read the whole list.

    Shapes:  ``date`` is YYYY-MM-DD, the day of the answer.
    Errors:  FeedError for what is not this source's shape. A single bad model is left
             out, and a bad price of a model is no price.
    """
    rows = fields.document(raw, "OpenRouter").get("data")
    if not isinstance(rows, list):
        raise FeedError("What OpenRouter answered has no list of models.")
    models: dict[str, ListedModel] = {}
    for row in rows:
        model = _model(row, date)
        if model is not None:
            models[model.id] = model
    fields.check_amount(len(models), len(rows), "OpenRouter")
    provider = ListedProvider(
        id=PROVIDER,
        name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        environment=("OPENROUTER_API_KEY",),
        models=models,
    )
    return Listing(SOURCE, URL, date, {PROVIDER: provider})


def _model(row: Any, date: str) -> ListedModel | None:
    entry = fields.table(row)
    model = fields.identifier(entry.get("id"))
    if not model:
        return None
    shapes = fields.table(entry.get("architecture"))
    inputs = fields.modalities(shapes.get("input_modalities"))
    outputs = fields.modalities(shapes.get("output_modalities"))
    price = _price(entry.get("pricing"))
    supported = entry.get("supported_parameters")
    flags: dict[str, Any] = {}
    if isinstance(supported, list) and supported:
        flags = dict(kinds.present(supported, _PARAMETERS))
    if price is not None and price.cache_read is not None:
        flags["cache"] = True
    can, cannot = kinds.affirmed(flags, inputs)
    best = fields.table(entry.get("top_provider"))
    return ListedModel(
        id=model,
        name=fields.label(entry.get("name")),
        kind=kinds.kind_of(model, outputs),
        price=price,
        context_window=fields.tokens(entry.get("context_length")),
        max_output=fields.tokens(best.get("max_completion_tokens")),
        inputs=inputs,
        outputs=outputs,
        capabilities=can,
        lacks=cannot,
        released=fields.day(entry.get("created")),
        deprecated=fields.is_past(entry.get("expiration_date"), date),
        origin=SOURCE,
    )


def _price(value: Any) -> PriceSpec | None:
    """Read prices; without both of prompt and completion there is none to bill by."""
    pricing = fields.table(value)
    columns: dict[str, int] = {}
    for theirs, ours in _TOKEN_PRICES.items():
        amount = fields.per_token(pricing.get(theirs))
        if amount is not None:
            columns[ours] = amount
    if "input" not in columns or "output" not in columns:
        return None
    for theirs, ours in _UNIT_PRICES.items():
        amount = fields.per_unit(pricing.get(theirs))
        if amount is not None:
            columns[ours] = amount
    # Zero is written for models whose thinking is billed as output, not for free.
    thinking = fields.per_token(pricing.get("internal_reasoning"))
    if thinking:
        columns["reasoning"] = thinking
    return PriceSpec(**columns)
