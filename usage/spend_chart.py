"""Draw what was spent over time, by the overview and the usage screen alike."""

from __future__ import annotations

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
    series: list[Series], labels: list[str], words: str, *, height: int = 280
) -> SpendChart:
    """Stack the series, one column a label; series without spending are left out.

    Shapes:  ``words`` names the range, as in "the last 24 hours".
    """
    series = [(name, costs) for name, costs in series if sum(costs)]
    if not series:
        return SpendChart()
    parts = [
        Part(name, sum(costs), series_tone(place), format_usd(sum(costs)))
        for place, (name, costs) in enumerate(series)
    ]
    total = sum(sum(costs) for _, costs in series)
    sentence = f"Spend in {words}: {format_usd(total)}, most of it {parts[0].label}"
    return SpendChart(
        svg=_columns(series, labels, sentence, height),
        parts=parts,
        table=[
            (label, [format_usd(costs[step]) for _, costs in series])
            for step, label in enumerate(labels)
            if any(costs[step] for _, costs in series)
        ],
        total_nano_usd=total,
    )


def _columns(
    series: list[Series], labels: list[str], sentence: str, height: int
) -> SafeString:
    stacks = [
        [
            Part(
                name,
                costs[step],
                series_tone(place),
                f"{label}: {format_usd(costs[step])}",
            )
            for place, (name, costs) in enumerate(series)
        ]
        for step, label in enumerate(labels)
    ]
    largest = max(sum(part.value for part in stack) for stack in stacks)
    return columns(stacks, labels, sentence, ticks=_ticks(largest), height=height)


def _ticks(largest: float) -> list[tuple[float, str]]:
    """Choose two or three round amounts below the highest column."""
    power = 10 ** (len(str(int(largest))) - 1)
    step = next(
        power * part for part in (0.25, 0.5, 1, 2.5, 5) if largest / (power * part) < 4
    )
    count = int(largest / step)
    return [(step * n, format_usd(int(step * n))) for n in range(1, count + 1)]
