"""Load the embedded listing: every known model of every known provider.

It is what answers before any source on the internet was asked, and where none ever is.
The file is made by ``python -m scripts.catalogue``; its prices are decimal text.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, TypeVar

import msgspec

from poolsite.money import NANO_PER_USD, per_million_nano_from_usd
from pricing.cost import PriceSpec
from pricing.listing import ListedModel, ListedProvider, Listing

SOURCE: Final = "embedded"
FILE: Final = "models.json"

_PLACES: Final = 9
_Shared = TypeVar("_Shared")


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Name where facts of the listing come from, and under which licence."""

    name: str
    url: str
    license: str


class _Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Name the columns of the file as ListedModel has them, prices as texts."""

    id: str
    name: str = ""
    family: str = ""
    kind: str = "chat"
    price: dict[str, str | int] | None = None
    context_window: int | None = None
    max_output: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    released: str = ""
    deprecated: bool = False
    origin: str = ""


class _Provider(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    models: list[_Row]


_PROVIDER: Final = msgspec.json.Decoder(_Provider)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    date: str
    sources: list[Source]
    unit: str
    # One provider at a time is unpacked: all rows at once are four times the result.
    providers: list[msgspec.Raw]


@cache
def embedded_listing() -> Listing:
    """Load the embedded listing once a process.

    Cost:    some tens of milliseconds and some megabytes, printed by its test.
    Errors:  ListingFileError, which a test keeps from ever being shipped.
    """
    return read_listing(files("pricing.book").joinpath(FILE).read_bytes())


class ListingFileError(ValueError):
    """Report a listing that must not be used: a bad price, a model twice."""


def sources() -> list[Source]:
    """Return where the embedded facts come from."""
    raw = files("pricing.book").joinpath(FILE).read_bytes()
    return msgspec.json.decode(raw, type=_File).sources


def read_listing(raw: bytes) -> Listing:
    """Read a listing's file.

    Errors:  ListingFileError for bad JSON, an unknown column, a price that is no plain
             decimal of at most nine places, and a model that is listed twice.
    """
    try:
        data = msgspec.json.decode(raw, type=_File)
        reader = _Reader()
        found = [reader.provider(_PROVIDER.decode(each)) for each in data.providers]
    except (msgspec.DecodeError, ValueError, TypeError) as exc:
        raise ListingFileError(str(exc)) from exc
    providers = {each.id: each for each in found}
    if len(providers) != len(found):
        raise ListingFileError("a provider is listed twice")
    return Listing(SOURCE, "", data.date, providers)


class _Reader:
    """Turn rows of texts into models; what is equal is held once."""

    def __init__(self) -> None:
        self._amounts: dict[str, int] = {}
        self._prices: dict[PriceSpec, PriceSpec] = {}
        self._words: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._texts: dict[str, str] = {}

    def provider(self, given: _Provider) -> ListedProvider:
        models = {row.id: self._model(row) for row in given.models}
        if len(models) != len(given.models):
            raise ListingFileError("a model is listed twice")
        return ListedProvider(id=given.id, models=models)

    def _model(self, row: _Row) -> ListedModel:
        return ListedModel(
            _once(self._texts, row.id),
            _once(self._texts, row.name),
            _once(self._texts, row.family),
            _once(self._texts, row.kind),
            self._price(row.price) if row.price else None,
            row.context_window,
            row.max_output,
            _once(self._words, row.inputs),
            _once(self._words, row.outputs),
            _once(self._words, row.capabilities),
            _once(self._words, row.lacks),
            _once(self._texts, row.released),
            row.deprecated,
            _once(self._texts, row.origin),
        )

    def _price(self, columns: dict[str, str | int]) -> PriceSpec:
        amounts = self._amounts
        found: dict[str, int] = {}
        for name, value in columns.items():
            if isinstance(value, int):
                found[name] = value
                continue
            amount = amounts.get(value)
            if amount is None:
                amount = amounts[value] = _nano(value)
            found[name] = amount
        return _once(self._prices, PriceSpec(**found))


def _once(seen: dict[_Shared, _Shared], value: _Shared) -> _Shared:
    return seen.setdefault(value, value)


def _nano(text: str) -> int:
    """Read the file's own spelling of a price fast, and any other one exactly."""
    whole, _, fraction = text.partition(".")
    if text.isascii() and whole.isdigit() and len(fraction) <= _PLACES:
        if not fraction:
            return int(whole) * NANO_PER_USD
        if fraction.isdigit():
            return int(whole) * NANO_PER_USD + int(fraction.ljust(_PLACES, "0"))
    return per_million_nano_from_usd(text, exact=True)
