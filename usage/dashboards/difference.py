"""Say why the shown spend is not what a vendor bills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import F, Sum

from usage import rollups
from usage.adjustments import RecalculationRun
from usage.dashboards import sums
from usage.dashboards.periods import Period
from usage.dashboards.question import Source
from usage.dashboards.sums import Line
from usage.selectors import names_of

_SIGN_IN: Final = "account:"
_MOST: Final = 20


@dataclass
class Difference:
    """The parts of the shown spend a bill knows differently.

    Units:   nano-USD.
    Shapes:  ``unpriced`` are models with calls nobody could price, most first;
             ``corrected_nano_usd`` what recalculations that touch the range changed.
    """

    total: Line
    unpriced: list[Line]
    subscription: Line
    runs: int
    corrected_nano_usd: int


def explain(period: Period) -> Difference:
    """Return what is shown, and what of it a bill may not say; five queries."""
    whole = Source(rollups.TOTAL, period)
    served = Source(rollups.MODEL_SERVED, period)
    paid = Source(rollups.CREDENTIAL, period)
    totals, models, credentials = sums.by_value(whole, served, paid)
    open_ones = sorted(
        (line for line in models.values() if line.unpriced),
        key=lambda line: (-line.unpriced, line.ref),
    )[:_MOST]
    names = names_of(rollups.MODEL_SERVED, [line.ref for line in open_ones])
    for line in open_ones:
        line.name = names.get(line.ref, str(line.ref))
    runs = RecalculationRun.objects.filter(
        since__lt=period.until, until__gt=period.since
    ).exclude(applied=F("undone"))
    found = runs.aggregate(
        applied_sum=Sum("applied_nano_usd"), undone_sum=Sum("undone_nano_usd")
    )
    delta = (found["applied_sum"] or 0) + (found["undone_sum"] or 0)
    return Difference(
        total=totals.get(0, Line()),
        unpriced=open_ones,
        subscription=_of_sign_ins(credentials),
        runs=runs.count(),
        corrected_nano_usd=delta,
    )


def _of_sign_ins(credentials: dict[int, Line]) -> Line:
    """Add up what went over signed-in accounts, which are paid by the month."""
    names = names_of(rollups.CREDENTIAL, credentials)
    found = Line()
    for ref, line in credentials.items():
        if names.get(ref, "").startswith(_SIGN_IN):
            found.add(getattr(line, name) for name in sums.COLUMNS)
    return found
