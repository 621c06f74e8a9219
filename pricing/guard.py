"""Ask again where a price looks like a slip of the unit.

Nobody means a price a hundred times what its source says, but per token, per thousand
and per million are easily taken for each other. The guard only compares; whoever calls
it decides what to compare with and whether the answer was "yes, this is the price".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from poolsite.money import format_price
from pricing.cost import PriceSpec
from pricing.units import LABELS, PIECES, TOKENS

FACTOR: Final = 100
"""From here on a price is asked about again."""

_DEAREST_TOKENS: Final = 10_000 * 10**9
_CHEAPEST_TOKENS: Final = 10**5
_MILLION: Final = range(300_000, 3_000_001)
_THOUSAND: Final = range(300, 5_001)
_HUNDRED: Final = range(100, 300)


class Reference(NamedTuple):
    """A price to compare with, and who says it ("the price book")."""

    price: PriceSpec
    words: str


class Slip(NamedTuple):
    """A column that looks wrong.

    Units:   nano-USD per million; ``old`` None where nothing says a price and the new
             one is beyond what any model costs.
    """

    column: str
    new: int
    old: int | None
    source: str
    times: int
    hint: str

    @property
    def words(self) -> str:
        """Name the column, both prices and the likely slip."""
        return f"{LABELS[self.column]}: {self.said}"

    @property
    def said(self) -> str:
        """Name both prices and the likely slip in one or two sentences."""
        new = self._amount(self.new)
        if self.old is None:
            return f"{new} is beyond what any model costs. {self.hint}".strip()
        side = "times" if self.new > self.old else "times less than"
        old = self._amount(self.old)
        told = f"{new} is {self.times:,} {side} the {old} {self.source} says."
        return f"{told} {self.hint}".strip()

    def _amount(self, nano: int) -> str:
        if self.column in PIECES:
            # A column holds what a million pieces cost.
            whole, rest = divmod(nano, 10**15)
            digits = f"{rest:015d}".rstrip("0").ljust(2, "0")
            return f"${whole:,}.{digits} {PIECES[self.column].lower()}"
        return f"{format_price(nano)} per million tokens"


def slips(spec: PriceSpec, references: Sequence[Reference]) -> list[Slip]:
    """Return the columns that are a hundred times off everything they are held to.

    Shapes:  a price of zero is free on purpose and is not asked about; where several
             references state a column, the nearest one counts.
    """
    found = []
    for column in (*TOKENS, *PIECES):
        new = getattr(spec, column)
        if not new:
            continue
        nearest = _nearest(column, new, references)
        if nearest is not None:
            old, source = nearest
            times = max(new, old) // min(new, old)
            if times >= FACTOR:
                hint = _hint(times, is_more=new > old, column=column)
                found.append(Slip(column, new, old, source, times, hint))
        elif column in TOKENS and not _CHEAPEST_TOKENS <= new <= _DEAREST_TOKENS:
            hint = "Is the unit right?"
            found.append(Slip(column, new, None, "", 0, hint))
    return found


def _nearest(
    column: str, new: int, references: Sequence[Reference]
) -> tuple[int, str] | None:
    """Return the stated price that is nearest by factor, and who states it."""
    stated = [
        (old, each.words) for each in references if (old := getattr(each.price, column))
    ]
    if not stated:
        return None
    return min(stated, key=lambda pair: max(new, pair[0]) / min(new, pair[0]))


def _hint(times: int, *, is_more: bool, column: str) -> str:
    """Name the slip a factor usually comes from."""
    if times in _HUNDRED:
        return "It looks like a slip between cents and dollars."
    if column in PIECES:
        return ""
    if times in _MILLION:
        meant, read = ("million tokens", "token")
    elif times in _THOUSAND:
        meant, read = ("million tokens", "thousand")
    else:
        return ""
    if not is_more:
        meant, read = read, meant
    return f"It looks like a price per {meant} entered as a price per {read}."
