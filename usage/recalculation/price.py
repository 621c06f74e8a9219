"""Decide what one attempt costs at the prices of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from pricing.cost import PriceSpec, cost_nano_usd
from pricing.tokens import EMPTY
from usage.corrections import Correction
from usage.recalculation.choose import Row, usage_of

Pair = tuple[int, int]
"""Numbers of a provider and a model."""


class Price(NamedTuple):
    """The price in force for one pair; None without one."""

    spec: PriceSpec | None
    version_id: int | None


class Verdict(Enum):
    """What a run makes of an attempt."""

    OUT = "out"  # not chosen
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REPORTED = "reported"  # the provider stated the cost, which decides
    UNPRICEABLE = "unpriceable"  # had no cost, gets none
    KEPT = "kept"  # has a cost, and no price to compute another


class Look(NamedTuple):
    """What an attempt costs before and after.

    Units:  nano-USD; None = unknown.
    """

    verdict: Verdict
    before: int | None = None
    after: int | None = None
    version_id: int | None = None

    @property
    def delta(self) -> int:
        """How much is added to the cost."""
        return (self.after or 0) - (self.before or 0)


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


_OUT = Look(Verdict.OUT)


def look(row: Row, correction: Correction | None, rules: Rules) -> Look:
    """Price one attempt as the ledger would have priced it at today's price.

    A guess of what was used is billed like any other use: it was capped by what was
    set aside at the old price, which says nothing about the new one. What was priced
    by this version already stays as it is.

    Cost:  about 2 us.
    """
    price = rules.prices.get((row["provider_dim"], row["model_dim"]))
    settled: int | None = row["cost_nano_usd"]
    stands = correction is not None and bool(correction.standing)
    before = settled if correction is None else correction.cost(settled)
    if price is None or (rules.only_unpriced and before is not None):
        return _OUT
    is_reported = (
        rules.reported_dim is not None
        and row["price_source_dim"] == rules.reported_dim
        and not stands
    )
    if is_reported and not rules.with_reported:
        return Look(Verdict.REPORTED, before, before)
    version_id = (
        correction.standing[-1]
        if correction is not None and stands
        else row["price_version_id"]
    )
    is_same = version_id is not None and version_id == price.version_id
    if is_same and before is not None and not is_reported:
        return Look(Verdict.UNCHANGED, before, before)
    return _priced(row, before, price)


def _priced(row: Row, before: int | None, price: Price) -> Look:
    usage = usage_of(row)
    if usage == EMPTY:
        return Look(Verdict.UNCHANGED, before, before)
    after = cost_nano_usd(usage, price.spec, service_tier=row["flags"] or None)
    if after is None:
        verdict = Verdict.UNPRICEABLE if before is None else Verdict.KEPT
        return Look(verdict, before, before)
    if after == before:
        return Look(Verdict.UNCHANGED, before, before)
    return Look(Verdict.CHANGED, before, after, price.version_id)
