"""Load the embedded price book: public list prices, shipped with the product.

The book is what prices a model before anybody set a price and before any source on the
internet was asked. Its text is decimal; its numbers are whole nano-USD, made exactly.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from poolsite.money import per_million_nano_from_usd
from pricing.book.listing_file import embedded_listing
from pricing.cost import PriceSpec

__all__ = [
    "Book",
    "BookError",
    "BookModel",
    "embedded_book",
    "embedded_listing",
    "read_book",
]


class BookError(ValueError):
    """Report a book that must not be used: a price that is no price, a model twice."""


class BookModel(msgspec.Struct, frozen=True):
    """Hold one entry.

    Units:   ``context_window`` and ``max_output`` in tokens, None = not known.
    """

    id: str
    price: PriceSpec
    context_window: int | None = None
    max_output: int | None = None


class Book(msgspec.Struct, frozen=True):
    """Hold a price book: entries by id, where they come from, of when they are."""

    source: str
    date: str
    models: dict[str, BookModel]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """Name the columns of the data file; prices are decimal text."""

    id: str
    input: str
    output: str
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    long_threshold: int | None = None
    long_input: str | None = None
    long_output: str | None = None
    long_cache_read: str | None = None
    long_cache_write: str | None = None
    long_cache_write_1h: str | None = None
    context_window: int | None = None
    max_output: int | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    date: str
    unit: str
    notes: list[str]
    models: list[_Row]


@cache
def embedded_book() -> Book:
    """Load the embedded book once.

    Errors:  BookError, which a test keeps from ever being shipped.
    """
    return read_book(files("pricing.book").joinpath("prices.json").read_bytes())


def read_book(raw: bytes) -> Book:
    """Read a book's data file.

    Errors:  BookError for bad JSON, an unknown column, a price that is not a plain
             decimal of at most nine places, and a model that is listed twice.
    """
    try:
        data = msgspec.json.decode(raw, type=_File)
        models = [_model(row) for row in data.models]
    except (msgspec.DecodeError, ValueError) as exc:
        raise BookError(str(exc)) from exc
    by_id = {model.id: model for model in models}
    if len(by_id) != len(models):
        raise BookError("a model is listed twice")
    return Book(data.source, data.date, by_id)


def _model(row: _Row) -> BookModel:
    """Turn a row of texts into a row of numbers."""
    columns: dict[str, int] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name != "id" and isinstance(value, str):
            columns[name] = per_million_nano_from_usd(value, exact=True)
    if row.long_threshold is not None:
        columns["long_threshold"] = row.long_threshold
    return BookModel(row.id, PriceSpec(**columns), row.context_window, row.max_output)
