"""Read what is kept by hand: prices stated by makers, settlements, providers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from poolsite.money import per_million_nano_from_usd
from pricing.book.loader import BookModel, read_book
from pricing.cost import PriceSpec

FOLDER: Final = Path(__file__).parent / "overlay"
PRICES: Final = Path("pricing/book/prices.json")

_DATED: Final = re.compile(r"([-@](20\d{6}|20\d\d-\d\d-\d\d)|-latest|-0)$")


class Settlement(msgspec.Struct, forbid_unknown_fields=True):
    """Settle by hand what a model costs where the sources disagree.

    Shapes:  ``price`` are columns in decimal text USD per million tokens, none at all
             where what the sources say is not to be believed; ``reason``, ``source``
             and ``date`` say why, where it is stated and of when that is.
    """

    provider: str
    model: str
    price: dict[str, str]
    reason: str
    source: str
    date: str

    def spec(self) -> PriceSpec:
        """Return the price."""
        columns = {
            name: per_million_nano_from_usd(text, exact=True)
            for name, text in self.price.items()
        }
        return PriceSpec(**columns)


class Hand:
    """Hold what is kept by hand, found by provider and model."""

    def __init__(
        self,
        makers: dict[str, list[str]],
        rows: dict[str, BookModel],
        settled: list[Settlement],
    ) -> None:
        self._rows = rows
        self._settled = {(each.provider, each.model): each for each in settled}
        self._by_provider: dict[str, dict[str, BookModel]] = {}
        for row in rows.values():
            for prefix, providers in makers.items():
                if row.id.startswith(prefix):
                    for provider in providers:
                        self._by_provider.setdefault(provider, {})[row.id] = row
                    break

    def models(self, provider: str) -> dict[str, BookModel]:
        """Return the rows a maker's own provider serves, by id."""
        return self._by_provider.get(provider, {})

    def find(self, provider: str, model: str) -> BookModel | None:
        """Return the row of exactly this model, whatever its letters' case."""
        return self.models(provider).get(model.lower())

    def undated(self, provider: str, model: str) -> BookModel | None:
        """Return the row of the model without its date."""
        plain = _DATED.sub("", model.lower())
        return self.models(provider).get(plain) if plain != model.lower() else None

    def settlement(self, provider: str, model: str) -> Settlement | None:
        """Return what was decided of one model."""
        return self._settled.get((provider, model))

    def settlements(self) -> list[Settlement]:
        """Return all decisions."""
        return list(self._settled.values())


def undated_id(model: str) -> str:
    """Return an id without the date it ends in."""
    return _DATED.sub("", model.lower())


def read(root: Path) -> Hand:
    """Read everything kept by hand.

    Errors:  msgspec.ValidationError, BookError and AmountError for a bad line.
    """
    makers = msgspec.json.decode(
        (FOLDER / "makers.json").read_bytes(), type=dict[str, list[str]]
    )
    settled = msgspec.json.decode(
        (FOLDER / "settlements.json").read_bytes(), type=list[Settlement]
    )
    book = read_book((root / PRICES).read_bytes())
    return Hand(makers, book.models, settled)
