"""Read which traffic of the last day has no known cost: rollups, never raw rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Max, Sum

from poolsite.clock import SystemClock
from usage import rollups
from usage.models import Rollup15, RollupCube
from usage.selectors import strings

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

    Cost:  one query over a day of quarters of an hour; where there are any one more,
           and one for the providers, which are those of today and yesterday.
    """
    end = (now or _CLOCK.now()).astimezone(UTC)
    rows = list(
        Rollup15.objects.filter(
            kind=rollups.MODEL_SERVED, bucket__gt=end - _DAY, unpriced__gt=0
        )
        .values("ref")
        .annotate(calls=Sum("unpriced"), last=Max("bucket"))
        .order_by("-calls", "ref")[:_MOST]
    )
    if not rows:
        return Unpriced()
    refs = [row["ref"] for row in rows]
    served = _providers(refs, end) if with_providers else {}
    names = strings([*refs, *(ref for each in served.values() for ref in each)])
    return Unpriced(
        tuple(
            UnpricedModel(
                names.get(row["ref"], str(row["ref"])),
                row["calls"],
                row["last"] + rollups.QUARTER,
                tuple(sorted(names.get(ref, "") for ref in served.get(row["ref"], ()))),
            )
            for row in rows
        )
    )


def _providers(models: list[int], end: datetime) -> dict[int, list[int]]:
    """Return by model the providers that answered it unpriced; one query."""
    rows = RollupCube.objects.filter(
        bucket__gte=(end - _DAY).date(), model_dim__in=models, unpriced__gt=0
    )
    found: dict[int, list[int]] = {}
    for model, provider in rows.values_list("model_dim", "provider_dim").distinct():
        found.setdefault(model, []).append(provider)
    return found
