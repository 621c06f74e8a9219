"""Decide what one attempt costs at the prices of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pricing.cost import PriceSpec
from usage.corrections import Correction
from usage.recalculation import choose
from usage.recalculation.choose import Row
from usage.recalculation.tariff import Tariff

Pair = tuple[int, int]
"""Numbers of a provider and a model."""

OUT: Final = "out"  # not chosen
UNCHANGED: Final = "unchanged"
CHANGED: Final = "changed"
REPORTED: Final = "reported"  # the provider stated the cost, which decides
UNPRICEABLE: Final = "unpriceable"  # had no cost, gets none
KEPT: Final = "kept"  # has a cost, and no price to compute another
VERDICTS: Final = (UNCHANGED, CHANGED, REPORTED, UNPRICEABLE, KEPT)

Look = tuple[str, int | None, int | None, int | None]
"""A verdict, the cost before and after in nano-USD (None = unknown), the version."""


class Price(NamedTuple):
    """The price in force for one pair; None without one."""

    spec: PriceSpec | None
    version_id: int | None


@dataclass
class Rules:
    """What is chosen, and the prices to apply.

    Shapes:  a pair that is not in ``prices`` is not chosen; ``reported_dim`` is the
             number of the price source that stands for a provider's own statement.
    """

    prices: dict[Pair, Price] = field(default_factory=dict)
    only_unpriced: bool = False
    with_reported: bool = False
    reported_dim: int | None = None
    _tariffs: dict[tuple[int, int, str], Tariff] = field(default_factory=dict)

    def cost(self, row: Row, spec: PriceSpec) -> int | None:
        """Price what an attempt used."""
        key = row[choose.PROVIDER], row[choose.MODEL], row[choose.FLAGS]
        tariff = self._tariffs.get(key)
        if tariff is None:
            tariff = self._tariffs[key] = Tariff(spec, row[choose.FLAGS])
        return tariff.cost(row[choose.USED :])


_OUT: Final = (OUT, None, None, None)
_NOTHING: Final = (*[None] * (len(choose.TRIED) - choose.USED - 1), "")


def look(row: Row, correction: Correction | None, rules: Rules) -> Look:
    """Price one attempt as the ledger would have priced it at today's price.

    A guess of what was used is billed like any other use: it was capped by what was
    set aside at the old price, which says nothing about the new one. What was priced
    by this version already stays as it is.

    Cost:  about 1 us.
    """
    price = rules.prices.get((row[choose.PROVIDER], row[choose.MODEL]))
    before: int | None = row[choose.SETTLED]
    version_id, stands = row[choose.VERSION], False
    if correction is not None:
        before = correction.cost(before)
        if correction.standing:
            version_id, stands = correction.standing[-1], True
    if price is None or (rules.only_unpriced and before is not None):
        return _OUT
    is_reported = (
        rules.reported_dim is not None
        and row[choose.SOURCE] == rules.reported_dim
        and not stands
    )
    if is_reported and not rules.with_reported:
        return REPORTED, before, before, None
    is_same = version_id is not None and version_id == price.version_id
    if is_same and before is not None and not is_reported:
        return UNCHANGED, before, before, None
    return _priced(row, before, price, rules)


def _priced(row: Row, before: int | None, price: Price, rules: Rules) -> Look:
    if row[choose.USED :] == _NOTHING:
        return UNCHANGED, before, before, None
    after = None if price.spec is None else rules.cost(row, price.spec)
    if after is None:
        return UNPRICEABLE if before is None else KEPT, before, before, None
    if after == before:
        return UNCHANGED, before, before, None
    return CHANGED, before, after, price.version_id
