"""Draw what was spent over time, by the overview and the usage screen alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.safestring import SafeString, mark_safe

from poolsite.money import format_usd
from poolsite.ui.charts import Part, columns, series_tone

Series = tuple[str, list[int]]
"""A name and its nano-USD, step by step."""


@dataclass
class SpendChart:
    """A chart with its legend and its figures as a table; blank without spending.

    Shapes:  a line of ``table`` is a step's label and one amount a part.
    """

    svg: SafeString = field(default_factory=lambda: mark_safe(""))
    parts: list[Part] = field(default_factory=list)
    table: list[tuple[str, list[str]]] = field(default_factory=list)
    total_nano_usd: int = 0


def draw(
    series: list[Series],
    labels: list[str],
    words: str,
    *,
    height: int = 280,
    show: Callable[[int], str] = format_usd,
) -> SpendChart:
    """Stack the series, one column a label; series without spending are left out.

    Shapes:  ``words`` names the range, as in "the last 24 hours"; with ``show`` the
             series are something else than money, and ``words`` say what.
    """
    series = [(name, costs) for name, costs in series if sum(costs)]
    if not series:
        return SpendChart()
    parts = [
        Part(name, sum(costs), series_tone(place), show(sum(costs)))
        for place, (name, costs) in enumerate(series)
    ]
    total = sum(sum(costs) for _, costs in series)
    what = f"Spend in {words}" if show is format_usd else words
    sentence = f"{what}: {show(total)}, most of it {parts[0].label}"
    return SpendChart(
        svg=_columns(series, labels, sentence, height, show),
        parts=parts,
        table=[
            (label, [show(costs[step]) for _, costs in series])
            for step, label in enumerate(labels)
            if any(costs[step] for _, costs in series)
        ],
        total_nano_usd=total,
    )


def _columns(
    series: list[Series],
    labels: list[str],
    sentence: str,
    height: int,
    show: Callable[[int], str],
) -> SafeString:
    stacks = [
        [
            Part(
                name,
                costs[step],
                series_tone(place),
                f"{label}: {show(costs[step])}",
            )
            for place, (name, costs) in enumerate(series)
        ]
        for step, label in enumerate(labels)
    ]
    largest = max(sum(part.value for part in stack) for stack in stacks)
    ticks = _ticks(largest, show)
    return columns(stacks, labels, sentence, ticks=ticks, height=height)


def _ticks(largest: float, show: Callable[[int], str]) -> list[tuple[float, str]]:
    """Choose two or three round amounts below the highest column, whole ones."""
    power = 10 ** (len(str(int(largest))) - 1)
    step = next(
        power * part for part in (0.25, 0.5, 1, 2.5, 5) if largest / (power * part) < 4
    )
    count = int(largest / step)
    amounts = sorted({int(step * n) for n in range(1, count + 1)} - {0})
    return [(amount, show(amount)) for amount in amounts]
