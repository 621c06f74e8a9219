"""Sum what the ledger holds of one provider, by day and model, as it stands now.

Everything that was sent to the vendor counts, the product's own calls too: the vendor
bills them like any other. Corrections of costs are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, Q, QuerySet, Sum, Value, When

from poolsite.ids import first_at
from usage import dimensions
from usage.models import Attempt, CostAdjustment, Dimension
from usage.selectors import strings

_CHUNK: Final = 400
_EARLY: Final = timedelta(hours=1)
_LATE: Final = timedelta(days=1)
_SUMS: Final = {
    "cost": "cost_nano_usd",
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
_USED: Final = (
    Q(cost_nano_usd__isnull=False)
    | Q(input_tokens__isnull=False)
    | Q(output_tokens__isnull=False)
    | Q(cache_read_tokens__isnull=False)
    | Q(units__isnull=False)
)
Step = Callable[[int, int], None]


@dataclass
class Known:
    """What the ledger holds of one day and model.

    Units:   nano-USD, tokens; ``requests`` are upstream calls that used anything.
             ``cost`` is of those that have a price: ``unpriced`` have none.
    """

    cost: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    requests: int = 0
    unpriced: int = 0
    estimated: int = 0
    versions: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def add(self, other: Known) -> None:
        """Add what is known of another model of the same day."""
        for name in (*_NUMBERS, "requests", "unpriced", "estimated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.versions |= other.versions
        self.names |= other.names


_NUMBERS: Final = (
    "cost", "input", "cache_read", "cache_write", "output", "reasoning",
)  # fmt: skip
Ledger = dict[tuple[date, str], Known]


def sums(
    provider: str,
    first: date,
    last: date,
    zone: str = "UTC",
    *,
    step: Step = lambda done, total: None,
) -> Ledger:
    """Sum a provider's attempts from one day to another, both inclusive.

    Shapes:  by day and the model's name as it was sent; days are those of the zone.
    Cost:    one query a day over the ids of that day, about 1 us an attempt; where
             costs were corrected, one more and one for each 400 corrected attempts.
    """
    dims = Dimension.objects.filter(kind=dimensions.PROVIDER, value=provider)
    provider_dim = dims.values_list("pk", flat=True).first()
    if provider_dim is None:
        return {}
    by_dim: dict[tuple[date, int], Known] = {}
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    for number, day in enumerate(days, start=1):
        rows = _of_day(provider_dim, *_span(day, zone))
        for model_dim, known in _grouped(rows):
            by_dim[day, model_dim] = known
        step(number, len(days))
    begin, end = _span(first, zone)[0], _span(last, zone)[1]
    _correct(by_dim, provider_dim, begin, end, ZoneInfo(zone))
    names = strings(model_dim for _, model_dim in by_dim)
    found: Ledger = {}
    for (day, model_dim), known in by_dim.items():
        name = names.get(model_dim, "?")
        known.names = {name}
        found[day, name] = known
    return found


def _span(day: date, zone: str) -> tuple[datetime, datetime]:
    where = ZoneInfo(zone)
    begin = datetime.combine(day, time(), where)
    end = datetime.combine(day + timedelta(days=1), time(), where)
    return begin.astimezone(UTC), end.astimezone(UTC)


def _of_day(provider_dim: int, begin: datetime, end: datetime) -> QuerySet[Attempt]:
    """Choose a day's attempts; their ids are times, which is an index on SQLite."""
    return Attempt.objects.filter(
        provider_dim=provider_dim,
        at__gte=begin,
        at__lt=end,
        id__gte=first_at(begin - _EARLY),
        id__lt=first_at(end + _LATE),
    )


def _grouped(rows: QuerySet[Attempt]) -> Iterator[tuple[int, Known]]:
    aggregates: dict[str, Any] = {
        f"sum_{name}": Sum(column) for name, column in _SUMS.items()
    }
    lines = rows.order_by().values("model_dim", "price_version_id")
    found: dict[int, Known] = {}
    summed: Iterable[Any] = lines.annotate(
        used=Count(Value(1), filter=_USED),
        unpriced=Count(Value(1), filter=_USED & Q(cost_nano_usd=None)),
        guessed=Count(Value(1), filter=Q(estimated=True)),
        **aggregates,
    )
    for line in summed:
        if not line["used"]:
            continue  # refused or failed before anything was used
        known = found.setdefault(line["model_dim"], Known())
        for name in _NUMBERS:
            value = line[f"sum_{name}"] or 0
            setattr(known, name, getattr(known, name) + value)
        known.cache_write += line["sum_cache_write_1h"] or 0
        known.requests += line["used"]
        known.unpriced += line["unpriced"]
        known.estimated += line["guessed"]
        if line["price_version_id"] is not None:
            known.versions.add(line["price_version_id"])
    yield from found.items()


def _correct(
    by_dim: dict[tuple[date, int], Known],
    provider_dim: int,
    begin: datetime,
    end: datetime,
    zone: ZoneInfo,
) -> None:
    """Add the corrections of costs; an attempt they priced is unpriced no more."""
    sign = Case(When(is_undo=True, then=Value(-1)), default=Value(1))
    rows = (
        CostAdjustment.objects.filter(at__gte=begin, at__lt=end)
        .values("attempt_id")
        .annotate(delta=Sum("delta_nano_usd"), standing=Sum(sign))
        .order_by("attempt_id")
    )
    changed = rows.filter(~Q(delta=0) | Q(standing__gt=0)).iterator(chunk_size=_CHUNK)
    for chunk in _chunks(changed):
        made = {row["attempt_id"]: row for row in chunk}
        attempts = Attempt.objects.filter(
            id__in=list(made), provider_dim=provider_dim, at__gte=begin, at__lt=end
        )
        for pk, at, model_dim, cost, was_used in attempts.annotate(
            was_used=Case(When(_USED, then=Value(1)), default=Value(0))
        ).values_list("id", "at", "model_dim", "cost_nano_usd", "was_used"):
            known = by_dim.get((at.astimezone(zone).date(), model_dim))
            if known is None:
                continue
            known.cost += made[pk]["delta"]
            if cost is None and was_used and made[pk]["standing"] > 0:
                known.unpriced -= 1


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
