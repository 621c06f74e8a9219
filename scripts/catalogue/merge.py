"""Join what the sources say of each model into one listing, field by field.

Order:   kept by hand > genai-prices > models.dev > LiteLLM > OpenRouter. A price is taken whole from
         the first that states one: columns of two sources together would be a price
         nobody charges. What it leaves out (tiers, batch, pieces) is added only from a
         source whose plain rates are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from pricing.cost import PriceSpec
from pricing.listing import ListedModel, ListedProvider, Listing
from scripts.catalogue import disputes, genai
from scripts.catalogue.hand import Hand, undated_id

HAND: Final = "overlay"

MAIN: Final = ("input", "output", "cache_read", "cache_write")
_LONG: Final = tuple(
    name for name in PriceSpec.__struct_fields__ if name.startswith("long_")
)
_EXTRA: Final = tuple(
    name
    for name in PriceSpec.__struct_fields__
    if name not in MAIN and name not in _LONG and name != "reasoning"
)
_BY_LITELLM: Final = frozenset(
    {"embedding", "rerank", "moderation", "transcription", "speech", "realtime"}
    | {"completion"}
)


class Sources(msgspec.Struct):
    """Hold everything that is merged."""

    hand: Hand
    genai: genai.Prices
    models_dev: Listing
    litellm: Listing
    openrouter: Listing | None = None

    def listings(self) -> list[Listing]:
        """Return the listings in their order; OpenRouter's knows only itself."""
        given = (self.models_dev, self.litellm, self.openrouter)
        return [each for each in given if each is not None]


class Stated(msgspec.Struct):
    """Hold what each source states of one model, the first source first."""

    provider: str
    model: str
    rows: list[ListedModel]

    def prices(self) -> list[tuple[str, PriceSpec]]:
        """Return the prices with their sources."""
        return [(row.origin, row.price) for row in self.rows if row.price is not None]


def merge(
    sources: Sources, providers: Iterable[str], date: str
) -> tuple[Listing, list[disputes.Dispute]]:
    """Merge all models of the given providers.

    Shapes:  providers and models come in alphabetical order.
    """
    merged: dict[str, ListedProvider] = {}
    disputed: list[disputes.Dispute] = []
    for provider in sorted(providers):
        models: dict[str, ListedModel] = {}
        for model in _ids(sources, provider):
            stated = _stated(sources, provider, model)
            disputed.extend(disputes.find(provider, model, stated.prices()))
            models[model] = _merged(sources.hand, stated)
        if models:
            known = sources.models_dev.providers.get(provider)
            name = known.name if known is not None else ""
            merged[provider] = ListedProvider(provider, name, models=models)
    disputes.settle(disputed, sources.hand)
    return Listing("embedded", "", date, merged), disputed


def _ids(sources: Sources, provider: str) -> list[str]:
    """Return every id of a provider once; of two spellings the first source's."""
    found: dict[str, str] = {}
    for listing in sources.listings():
        known = listing.providers.get(provider)
        for model in known.models if known is not None else ():
            found.setdefault(model.lower(), model)
    for row in sources.genai.rows.get(provider, []):
        found.setdefault(row.model.id.lower(), row.model.id)
    for model in sources.hand.models(provider):
        found.setdefault(model.lower(), model)
    return sorted(found.values())


def _stated(sources: Sources, provider: str, model: str) -> Stated:
    rows = list(_below_hand(sources, provider, model))
    own = sources.hand.find(provider, model)
    if own is None:
        own = sources.hand.undated(provider, model)
        if own is not None and not _costs_as_undated(sources, provider, model, rows):
            own = None
    if own is not None:
        row = ListedModel(
            id=model,
            price=own.price,
            context_window=own.context_window,
            max_output=own.max_output,
            origin=HAND,
        )
        rows.insert(0, row)
    decided = sources.hand.settlement(provider, model)
    if decided is not None and not decided.price:
        rows = [replace(row, price=None) for row in rows]
    elif decided is not None:
        row = ListedModel(id=model, price=decided.spec(), origin=HAND)
        rows.insert(0, row)
    return Stated(provider, model, rows)


def _below_hand(sources: Sources, provider: str, model: str) -> Iterator[ListedModel]:
    dated = sources.genai.find(provider, model)
    if dated is not None:
        yield dated
    for listing in sources.listings():
        known = listing.providers.get(provider)
        if known is None:
            continue
        row = known.models.get(model) or _by_case(known, model)
        if row is not None:
            yield row


def _by_case(provider: ListedProvider, model: str) -> ListedModel | None:
    plain = model.lower()
    rows = provider.models.values()
    return next((row for row in rows if row.id.lower() == plain), None)


def _costs_as_undated(
    sources: Sources, provider: str, model: str, rows: list[ListedModel]
) -> bool:
    """Tell whether a dated id is priced as the id without its date is.

    A maker may charge an older date differently; the sources tell.
    """
    undated = list(_below_hand(sources, provider, undated_id(model)))
    for row in rows:
        for other in undated:
            if row.price and other.price and row.origin == other.origin:
                return disputes.is_same_rate(row.price, other.price)
    return True


def _merged(hand: Hand, stated: Stated) -> ListedModel:
    rows = stated.rows
    first = rows[0]
    price, origin = _price(stated)
    by_source = {row.origin: row for row in rows}
    described = [each for each in rows if each.inputs]
    inputs = described[0].inputs if described else ()
    outputs = next((each.outputs for each in rows if each.outputs), ())
    can = {word for row in rows for word in row.capabilities}
    cannot = {word for row in rows for word in row.lacks} - can
    return ListedModel(
        id=stated.model,
        name=next((row.name for row in rows if row.name), ""),
        family=next((row.family for row in rows if row.family), ""),
        kind=_kind(stated.model, by_source),
        price=price,
        context_window=_first_int(row.context_window for row in rows),
        max_output=_first_int(row.max_output for row in rows),
        inputs=inputs,
        outputs=outputs,
        capabilities=tuple(sorted(can)),
        lacks=tuple(sorted(cannot)),
        released=next((row.released for row in rows if row.released), ""),
        deprecated=any(row.deprecated for row in rows),
        origin=origin or first.origin,
    )


def _first_int(values: Iterable[int | None]) -> int | None:
    return next((each for each in values if each is not None), None)


def _kind(model: str, rows: dict[str, ListedModel]) -> str:
    """Take the kind LiteLLM states where models.dev could only guess chat."""
    guessed = rows.get("models.dev")
    stated = rows.get("litellm")
    if guessed is None:
        return stated.kind if stated is not None else disputes.kind_by_id(model)
    if stated is not None and guessed.kind == "chat" and stated.kind in _BY_LITELLM:
        return stated.kind
    return guessed.kind


def _price(stated: Stated) -> tuple[PriceSpec | None, str]:
    """Return the first price, filled up from those that charge the same."""
    prices = stated.prices()
    if not prices:
        return None, ""
    origin, price = prices[0]
    is_long_settled = False
    for source, other in prices[1:]:
        if not disputes.is_same_rate(price, other):
            continue
        if price.long_threshold is None and not is_long_settled:
            price = _with_long(price, other)
            # The first that charges the same also says whether length matters.
            is_long_settled = source == genai.SOURCE
        price = _filled(price, other, _EXTRA)
        if origin != HAND:
            price = _filled(price, other, MAIN)
    return price, origin


def _with_long(price: PriceSpec, other: PriceSpec) -> PriceSpec:
    if other.long_threshold is None:
        return price
    return replace(price, **{name: getattr(other, name) for name in _LONG})


def _filled(price: PriceSpec, other: PriceSpec, names: Iterable[str]) -> PriceSpec:
    added = {
        name: getattr(other, name)
        for name in names
        if getattr(price, name) is None and getattr(other, name)
    }
    return replace(price, **added) if added else price
