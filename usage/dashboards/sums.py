"""Add rollups up: by value, by step of a chart, and their histograms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time
from operator import add, attrgetter
from typing import Any, Final

import msgspec
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    Case,
    F,
    FloatField,
    IntegerField,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, TruncDate

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
            setattr(self, name, getattr(self, name) + int(value or 0))

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

Part = tuple[int, QuerySet[Any]]
"""Rows of a rollup, and the number of the source they belong to."""

_HISTOGRAM: Final = msgspec.json.Decoder(Histogram)

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
    *sources: Source, refs: Iterable[int] | QuerySet[Any] | None = None
) -> list[dict[int, Line]]:
    """Return the sums of each value, of several sources at once; one query.

    Shapes:  one dictionary a source, in their order; ``refs`` may be a query of them.
    """
    found: list[dict[int, Line]] = [{} for _ in sources]
    parts = [
        (place, rows)
        for place, source in enumerate(sources)
        for rows in source.rows(refs=refs)
    ]
    for place, value, *sums in _summed(parts, ("value",), COLUMNS):
        line = found[place].setdefault(value, Line(ref=value))
        line.add(sums)
    return found


def sorted_lines(source: Source, start: int = 0, end: int | None = None) -> Lines:
    """Yield lines of a daily source, the dearest first; one query.

    Sessions and end users may be a million: the database sorts and cuts them, of a page
    by the two figures that decide and nothing else.
    """
    order = ("-all_cost_nano_usd", "-all_requests", "value")
    rows = source.rows()[0].values("value").order_by()
    if end is not None:
        # As floats, exact to nine million dollars a line and twice as quick to add.
        deciding = {
            f"all_{name}": Sum(Cast(name, FloatField()))
            for name in ("cost_nano_usd", "requests")
        }
        picked = rows.annotate(**deciding).order_by(*order).values("value")[start:end]
        lines = list(by_value(source, refs=picked)[0].values())
        key = attrgetter("cost_nano_usd", "requests")
        yield from sorted(lines, key=lambda line: (*(-n for n in key(line)), line.ref))
        return
    sums = {f"all_{name}": Sum(name) for name in COLUMNS}
    ordered = rows.annotate(**sums).order_by(*order).values_list("value", *sums)
    for value, *found in ordered.iterator(chunk_size=500):
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
    places: dict[Any, int] = {}
    parts = [(0, rows) for rows in _by_steps(source, starts, refs)]
    for _, value, step, *sums in _summed(parts, ("value", "step"), columns):
        steps = found.get(value)
        if steps is None:
            steps = found[value] = [[0] * len(columns) for _ in starts]
        at = places.get(step)
        if at is None:
            at = places[step] = _place(step, starts)
        steps[at] = list(map(add, steps[at], map(int, sums)))
    return found


def histograms(*wanted: tuple[Source, Iterable[int]]) -> list[dict[int, Histogram]]:
    """Return how long the calls of some values took; one query of their rows.

    Shapes:  one dictionary a source and its values, in their order; ranges of more than
             two days are told in whole UTC days.
    """
    found: list[dict[int, Histogram]] = [{} for _ in wanted]
    parts = []
    for place, (source, refs) in enumerate(wanted):
        by_days = source.is_daily or source.period.has_day_steps
        if by_days:
            source = replace(source, period=source.period.in_days())
        rows_of = source.rows(refs=refs, in_quarters=not by_days)
        parts += [(place, rows) for rows in rows_of]
    for place, value, text in _read(parts, ("value", "latency_hist")):
        into = found[place].setdefault(value, {})
        for bound, count in _HISTOGRAM.decode(text).items():
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


def _place(step: int | str | date, starts: Sequence[datetime]) -> int:
    """Return the column of a step: a number already, or a day as the driver gives it."""
    if isinstance(step, int):
        return step
    day = date.fromisoformat(step) if isinstance(step, str) else step
    end = datetime.combine(day, time.max, UTC)
    return max(0, bisect_right(starts, end) - 1)


def _summed(
    parts: Sequence[Part], by: tuple[str, ...], columns: Sequence[str]
) -> Iterable[Any]:
    """Add columns up by others, each part for itself; one query.

    Cost:  aggregates of the ORM would take longer to write than to answer.
    """
    sums = ", ".join(f"SUM({name})" for name in columns)
    keys = ", ".join(by)
    return _read(parts, (*by, *columns), f"{keys}, {sums}", f" GROUP BY {keys}")


def _read(
    parts: Sequence[Part], names: tuple[str, ...], chosen: str = "*", tail: str = ""
) -> Iterable[Any]:
    """Read columns of parts, each row with its part's number before them; one query."""
    texts: list[str] = []
    values: list[Any] = []
    for place, rows in parts:
        query = rows.order_by().values_list(*names).query
        try:
            sql, params = query.sql_with_params()
        except EmptyResultSet:
            continue  # a filter that finds nobody
        # Numbers and column names of ours; what came from people travels as values.
        texts.append(f"SELECT {place}, {chosen} FROM ({sql}) AS part{tail}")  # noqa: S608
        values += params
    if not texts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(texts), values)
        found: list[Any] = cursor.fetchall()
    return found


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
