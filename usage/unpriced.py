"""Read which traffic of the last day has no known cost: rollups, never raw rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Max, OuterRef, Subquery, Sum

from poolsite.clock import SystemClock
from usage import rollups
from usage.models import Dimension, Rollup15, RollupCube

_DAY: Final = timedelta(hours=24)
_NAMED: Final = 3
_MOST: Final = 200
_CLOCK: Final = SystemClock()


@dataclass(frozen=True)
class UnpricedModel:
    """A model that answered without a known cost in the last day.

    Shapes:  ``calls`` are upstream calls; ``last_at`` is the end of the quarter of an
             hour of the newest; ``providers`` are ids, empty where nobody asked.
    """

    model: str
    calls: int
    last_at: datetime
    providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unpriced:
    """What banner and alert say: how many calls, of which models, most first."""

    models: tuple[UnpricedModel, ...] = ()

    @property
    def calls(self) -> int:
        """Return how many calls there were in all."""
        return sum(each.calls for each in self.models)

    @property
    def names(self) -> str:
        """Name the first models, and say how many more there are."""
        named = ", ".join(each.model for each in self.models[:_NAMED])
        more = len(self.models) - _NAMED
        return f"{named} and {more} more" if more > 0 else named

    def __bool__(self) -> bool:
        return bool(self.models)


def last_day(*, now: datetime | None = None, with_providers: bool = False) -> Unpriced:
    """Return the models that answered unpriced in the last 24 hours, busiest first.

    Cost:  one query over a day of quarters of an hour; where there are any, one more
           for the providers, which are those of today and yesterday.
    """
    end = (now or _CLOCK.now()).astimezone(UTC)
    rows = list(
        Rollup15.objects.filter(
            kind=rollups.MODEL_SERVED, bucket__gt=end - _DAY, unpriced__gt=0
        )
        .values("ref", name=_name_of("ref"))
        .annotate(calls=Sum("unpriced"), last=Max("bucket"))
        .order_by("-calls", "ref")[:_MOST]
    )
    served: dict[int, list[str]] = {}
    if rows and with_providers:
        served = _providers([row["ref"] for row in rows], end)
    return Unpriced(
        tuple(
            UnpricedModel(
                row["name"] or str(row["ref"]),
                row["calls"],
                row["last"] + rollups.QUARTER,
                tuple(sorted(served.get(row["ref"], ()))),
            )
            for row in rows
        )
    )


def _providers(models: list[int], end: datetime) -> dict[int, list[str]]:
    """Return by model the providers that answered it unpriced; one query."""
    rows = RollupCube.objects.filter(
        bucket__gte=(end - _DAY).date(), model_dim__in=models, unpriced__gt=0
    )
    pairs = rows.values_list("model_dim", _name_of("provider_dim")).distinct()
    found: dict[int, list[str]] = {}
    for model, provider in pairs.order_by("model_dim"):
        found.setdefault(model, []).append(provider or "")
    return found


def _name_of(column: str) -> Subquery:
    """Look up what a column's number stands for."""
    named = Dimension.objects.filter(pk=OuterRef(column))
    return Subquery(named.values("value")[:1])
