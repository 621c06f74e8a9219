"""Draw what an answer holds: over time, tokens by class, how long calls took."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from poolsite.money import format_usd
from poolsite.ui import numbers
from poolsite.ui.charts import Part, columns
from usage.dashboards.answer import SERIES, TOKENS, Answer
from usage.dashboards.question import METRICS
from usage.spend_chart import Series, SpendChart, draw

_TOKEN_NAMES: Final = (
    "Input",
    "From cache",
    "Cache written, 5 min",
    "Cache written, 1 h",
    "Output",
)
_BARS_MS: Final = (
    *(100, 250, 500, 1_000, 2_000, 4_000, 8_000),
    *(15_000, 30_000, 60_000, 120_000, 3_600_000),
)


def over_time(found: Answer) -> SpendChart:
    """Stack the first lines of the group, the others as one."""
    metric = found.question.metric
    if metric == "latency":
        return SpendChart()
    series: list[Series] = [
        (numbers.middle(line.name, 40), found.course[line.ref])
        for line in found.lines[:SERIES]
        if line.ref in found.course and line.ref
    ]
    whole = found.course.get(0, [])
    shown = [sum(step) for step in zip(*(c for _, c in series), strict=True)]
    rest = [a - b for a, b in zip(whole, shown or [0] * len(whole), strict=True)]
    if sum(rest) > 0:
        series.append(("Others" if series else "All", [max(0, each) for each in rest]))
    show = format_usd if metric == "cost" else _count
    words = found.period.words
    if metric != "cost":
        words = f"{METRICS[metric]} in {words}"
    return draw(series, labels(found), words, height=240, show=show)


def tokens(found: Answer) -> SpendChart:
    """Stack the tokens by class."""
    series: list[Series] = [
        (name, [row[place] for row in found.whole])
        for place, name in enumerate(_TOKEN_NAMES[: len(TOKENS)])
    ]
    words = f"Tokens in {found.period.words}"
    return draw(series, labels(found), words, height=180, show=_count)


def times(found: Answer) -> SpendChart:
    """Count the calls by how long they took."""
    counts = [0] * len(_BARS_MS)
    for bound, count in found.total.histogram.items():
        counts[_bar(int(bound))] += count
    if not sum(counts):
        return SpendChart()
    names = [f"≤ {numbers.duration_ms(bound)}" for bound in _BARS_MS]
    names[-1] = f"> {numbers.duration_ms(_BARS_MS[-2])}"
    stacks = [
        [Part(name, count, "1", f"{count:,} calls")]
        for name, count in zip(names, counts, strict=True)
    ]
    total = sum(counts)
    sentence = f"How long {total:,} calls took in {found.period.words}"
    return SpendChart(
        svg=columns(stacks, names, sentence, height=160),
        table=[
            (name, [f"{count:,}"])
            for name, count in zip(names, counts, strict=True)
            if count
        ],
    )


def labels(found: Answer) -> list[str]:
    """Name the columns: times and days of the viewer, or UTC days."""
    period = found.period
    is_utc = bool(found.source and found.source.is_daily) or not period.has_local_steps
    zone = UTC if is_utc else period.zone
    name: Callable[[datetime], str] = _day if period.has_day_steps else _time
    return [name(start.astimezone(zone)) for start in found.starts]


def zone_of(found: Answer) -> str:
    """Say whose days or hours the columns are."""
    is_daily = bool(found.source and found.source.is_daily)
    if is_daily or not found.period.has_local_steps:
        return "UTC days"
    return str(found.period.zone)


def _bar(bound: int) -> int:
    return next(
        (place for place, limit in enumerate(_BARS_MS) if bound <= limit),
        len(_BARS_MS) - 1,
    )


def _day(start: datetime) -> str:
    return f"{start.day} {start:%b}"


def _time(start: datetime) -> str:
    return f"{start:%H:%M}"


def _count(number: int) -> str:
    return numbers.short_count(number)
