"""Add rollups up: by value, by step of a chart, and their histograms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time
from typing import Any, Final

from django.db.models import Case, F, IntegerField, QuerySet, Sum, Value, When
from django.db.models.functions import TruncDate

from usage import rollups
from usage.dashboards.question import Source
from usage.models import Rollup15, RollupDay

PROMPT: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)


@dataclass
class Line:
    """The sums of one value of a group.

    Shapes:  ``amount`` is the figure the dashboard is about, ``before`` the same value
             in the time before.
    Units:   tokens, nano-USD, milliseconds; shares, means and percentiles None without
             a call.
    """

    ref: int = 0
    name: str = ""
    requests: int = 0
    attempts: int = 0
    errors: int = 0
    unpriced: int = 0
    estimated: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    latency_ms_sum: int = 0
    ttft_ms_sum: int = 0
    ttft_count: int = 0
    histogram: dict[str, int] = field(default_factory=dict)
    before: Line | None = None
    amount: int = 0
    amount_before: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything the models read."""
        return sum(getattr(self, name) for name in PROMPT)

    @property
    def cache_share(self) -> float | None:
        """How much of the input came from a cache."""
        prompt = self.prompt_tokens
        return self.cache_read_tokens / prompt if prompt else None

    @property
    def calls(self) -> int:
        """What the times and errors are counted over."""
        return self.requests or self.attempts

    @property
    def error_share(self) -> float | None:
        """Errors among calls."""
        return self.errors / self.calls if self.calls else None

    @property
    def mean_cost_nano_usd(self) -> int | None:
        """What one priced request cost on average."""
        priced = self.requests - self.unpriced
        return self.cost_nano_usd // priced if priced > 0 else None

    @property
    def latency_ms(self) -> int | None:
        """The mean time of a call."""
        return self.latency_ms_sum // self.calls if self.calls else None

    @property
    def ttft_ms(self) -> int | None:
        """The mean time to the first token."""
        return self.ttft_ms_sum // self.ttft_count if self.ttft_count else None

    @property
    def least_ms(self) -> int | None:
        """No call was much faster: the bound of the first bucket in use."""
        used = [int(bound) for bound, count in self.histogram.items() if count > 0]
        return min(used, default=None)

    @property
    def most_ms(self) -> int | None:
        """No call was slower: the bound of the last bucket in use."""
        used = [int(bound) for bound, count in self.histogram.items() if count > 0]
        return max(used, default=None)

    @property
    def p50_ms(self) -> int | None:
        """Half of the calls were faster."""
        return rollups.percentile(self.histogram, 0.5)

    @property
    def p95_ms(self) -> int | None:
        """One call in twenty was slower."""
        return rollups.percentile(self.histogram, 0.95)

    @property
    def has_price(self) -> bool:
        """Say whether the cost is known for anything at all."""
        return bool(self.cost_nano_usd) or not self.unpriced

    def add(self, values: Iterable[int]) -> None:
        """Add sums in the order of COLUMNS."""
        for name, value in zip(COLUMNS, values, strict=True):
            setattr(self, name, getattr(self, name) + (value or 0))

    def value(self, metric: str) -> int:
        """Return the figure a metric names; times by their number of calls."""
        if metric == "latency":
            return self.p95_ms or 0
        return sum(getattr(self, name) for name in METRIC_COLUMNS[metric])


COLUMNS: Final = tuple(
    each.name
    for each in fields(Line)
    if each.name
    not in ("ref", "name", "histogram", "before", "amount", "amount_before")
)
Lines = Iterator[Line]
Histogram = dict[str, int]
"""Counts by the upper bound of their milliseconds."""

METRIC_COLUMNS: Final = {
    "cost": ("cost_nano_usd",),
    "requests": ("requests",),
    "errors": ("errors",),
    "tokens_in": PROMPT,
    "tokens_out": ("output_tokens",),
    "tokens_cache": ("cache_read_tokens",),
    "latency": ("requests",),
}


def by_value(
    *sources: Source, refs: Iterable[int] | None = None
) -> list[dict[int, Line]]:
    """Return the sums of each value, of several sources at once; one query.

    Shapes:  one dictionary a source, in their order.
    """
    found: list[dict[int, Line]] = [{} for _ in sources]
    queries = []
    for place, source in enumerate(sources):
        for rows in source.rows(refs=refs):
            summed = rows.values("value").annotate(
                place=Value(place, output_field=IntegerField()),
                **{f"all_{name}": Sum(name) for name in COLUMNS},
            )
            queries.append(
                summed.order_by().values_list(
                    "place", "value", *(f"all_{name}" for name in COLUMNS)
                )
            )
    for place, value, *sums in _united(queries):
        line = found[place].setdefault(value, Line(ref=value))
        line.add(sums)
    return found


def sorted_lines(source: Source, start: int = 0, end: int | None = None) -> Lines:
    """Yield lines of a daily source, the dearest first; one query.

    Sessions and end users may be a million: the database sorts and cuts them.
    """
    sums = {f"all_{name}": Sum(name) for name in COLUMNS}
    rows = source.rows()[0].values("value").annotate(**sums)
    ordered = rows.order_by("-all_cost_nano_usd", "-all_requests", "value")
    picked = ordered.values_list("value", *sums)[start:end]
    for value, *found in picked.iterator(chunk_size=500):
        line = Line(ref=value)
        line.add(found)
        yield line


def has_more_values(source: Source, limit: int) -> bool:
    """Say whether a daily source holds more values than this; one query."""
    rows = source.rows()[0].order_by().values("value").distinct()
    return rows[: limit + 1].count() > limit


def by_step(
    source: Source,
    starts: Sequence[datetime],
    columns: Sequence[str],
    *,
    refs: Iterable[int] | None = None,
) -> dict[int, list[list[int]]]:
    """Return what each value came to in each step; one query.

    Shapes:  ``{value: [sums of the first step, in the order of columns, ...]}``.
    """
    found: dict[int, list[list[int]]] = {}
    queries = []
    sums = {f"all_{name}": Sum(name) for name in columns}
    for rows in _by_steps(source, starts, refs):
        grouped = rows.values("value", "step").annotate(**sums)
        queries.append(grouped.order_by().values_list("value", "step", *sums))
    for value, step, *values in _united(queries):
        steps = found.setdefault(value, [[0] * len(columns) for _ in starts])
        at = steps[_place(step, starts)]
        for place, each in enumerate(values):
            at[place] += each or 0
    return found


def histograms(*wanted: tuple[Source, Iterable[int]]) -> list[dict[int, Histogram]]:
    """Return how long the calls of some values took; one query of their rows.

    Shapes:  one dictionary a source and its values, in their order; ranges of more than
             two days are told in whole UTC days.
    """
    found: list[dict[int, Histogram]] = [{} for _ in wanted]
    queries = []
    for place, (source, refs) in enumerate(wanted):
        by_days = source.is_daily or source.period.has_day_steps
        if by_days:
            source = replace(source, period=source.period.in_days())
        for rows in source.rows(refs=refs, in_quarters=not by_days):
            placed = rows.annotate(place=Value(place, output_field=IntegerField()))
            queries.append(
                placed.order_by().values_list("place", "value", "latency_hist")
            )
    for place, value, some in _united(queries):
        into = found[place].setdefault(value, {})
        for bound, count in some.items():
            into[bound] = into.get(bound, 0) + count
    return found


def _by_steps(
    source: Source, starts: Sequence[datetime], refs: Iterable[int] | None
) -> list[QuerySet[Any]]:
    """Name the step of each row: by quarters its number, by days its UTC day."""
    if not source.is_daily and source.period.has_local_steps:
        number = Case(
            *(
                When(bucket__lt=start, then=Value(place))
                for place, start in enumerate(starts[1:])
            ),
            default=Value(len(starts) - 1),
            output_field=IntegerField(),
        )
        rows = source.rows(refs=refs, in_quarters=True)
        return [each.annotate(step=number) for each in rows]
    return [
        each.annotate(
            step=TruncDate("bucket", tzinfo=UTC)
            if each.model is Rollup15
            else F("bucket")
        )
        for each in source.rows(refs=refs)
    ]


def _place(step: int | date, starts: Sequence[datetime]) -> int:
    if isinstance(step, int):
        return step
    end = datetime.combine(step, time.max, UTC)
    return max(0, bisect_right(starts, end) - 1)


def _united(queries: Sequence[QuerySet[Any]]) -> Iterable[Any]:
    first, *others = queries
    return first.union(*others, all=True) if others else first


def whole_of(kind: str, ref: int) -> Line:
    """Return one value's sums over all days; one query."""
    return _line(ref, RollupDay.objects.filter(kind=kind, ref=ref))


def since(kind: str, start: datetime) -> Line:
    """Return the sums and times of the quarters from a moment on; one query."""
    rows = Rollup15.objects.filter(kind=kind, bucket__gte=start)
    line = Line()
    for *values, histogram in rows.values_list(*COLUMNS, "latency_hist"):
        line.add(values)
        line.histogram = rollups.merged([line.histogram, histogram])
    return line


def _line(ref: int, rows: QuerySet[Any]) -> Line:
    line = Line(ref=ref)
    found = rows.aggregate(**{f"all_{name}": Sum(name) for name in COLUMNS})
    line.add(found[f"all_{name}"] for name in COLUMNS)
    return line
