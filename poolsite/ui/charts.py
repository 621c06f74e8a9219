"""Draw small charts on the server as SVG.

Geometry lives in attributes and colour in classes, because the content security
policy allows no inline style. Every chart carries its sentence as an accessible name.
A missing value (None) is a gap: unknown is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

_PAD: Final = 2
_SERIES: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One named share: ``tone`` is a series number 1-8 or ok, warn, error, muted."""

    label: str
    value: float
    tone: str = "1"
    shown: str = ""

    @property
    def fill(self) -> str:
        """Return the class that colours it."""
        return f"f{self.tone}" if self.tone.isdigit() else f"f-{self.tone}"


def series_tone(index: int) -> str:
    """Return the colour of the n-th series; from the eighth on all are "other"."""
    return str(min(index + 1, _SERIES))


def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    width: int = 96,
    height: int = 24,
    tone: str = "",
) -> SafeString:
    """Draw a line over equal steps, scaled from zero to the largest value."""
    lines, areas, dots = _spark_paths(values, width, height)
    body: list[SafeString] = []
    if areas:
        body.append(format_html('<path class="area" d="{}"/>', areas))
    if lines:
        body.append(format_html('<path class="line" d="{}"/>', lines))
    body += [
        format_html('<circle class="dot" cx="{}" cy="{}" r="1.5"/>', *d) for d in dots
    ]
    return format_html(
        '<svg class="spark{}" viewBox="0 0 {} {}" width="{}" height="{}" '
        'preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        f" spark-{tone}" if tone else "",
        width,
        height,
        width,
        height,
        label,
        label,
        mark_safe("".join(body)),  # noqa: S308 # made of escaped pieces above
    )


def _spark_paths(
    values: Sequence[float | None], width: int, height: int
) -> tuple[str, str, list[tuple[str, str]]]:
    known = [value for value in values if value is not None]
    top = max(known, default=0) or 1
    step = (width - 2 * _PAD) / max(1, len(values) - 1)
    floor = height - _PAD
    lines, areas, dots = [], [], []
    for run in _runs(values):
        points = [
            (_PAD + step * index, floor - (floor - _PAD) * max(0.0, value) / top)
            for index, value in run
        ]
        if len(points) == 1:
            dots.append((_round(points[0][0]), _round(points[0][1])))
            continue
        path = "L".join(f"{_round(x)} {_round(y)}" for x, y in points)
        lines.append(f"M{path}")
        first, last = _round(points[0][0]), _round(points[-1][0])
        areas.append(f"M{first} {floor}L{path}L{last} {floor}Z")
    return "".join(lines), "".join(areas), dots


def _runs(values: Sequence[float | None]) -> Iterable[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for index, value in enumerate(values):
        if value is None:
            if run:
                yield run
            run = []
        else:
            run.append((index, value))
    if run:
        yield run


def _round(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def stacked_bar(parts: Sequence[Part], label: str, *, height: int = 8) -> SafeString:
    """Draw shares of a whole side by side, as wide as the place allows."""
    total = sum(max(0.0, part.value) for part in parts)
    pieces, at = [], 0.0
    for part in parts:
        share = 100 * max(0.0, part.value) / total if total else 0.0
        if share:
            pieces.append(
                (part.fill, _round(at), _round(share), part.label, part.shown)
            )
        at += share
    return format_html(
        '<svg class="chart" width="100%" height="{}" role="img" aria-label="{}">'
        '<rect class="bar-track" width="100%" height="{}" rx="2"/>{}</svg>',
        height,
        label,
        height,
        format_html_join(
            "",
            '<rect class="{}" x="{}%" width="{}%" height="'
            + str(height)
            + '"><title>{} {}</title></rect>',
            pieces,
        ),
    )


def bar(
    value: float, largest: float, *, tone: str = "1", height: int = 6
) -> SafeString:
    """Draw one horizontal bar of a bar table, relative to the largest row.

    It carries no name of its own: the cell beside it says the number.
    """
    share = 100 * max(0.0, value) / largest if largest > 0 else 0.0
    return format_html(
        '<svg class="chart" width="100%" height="{}" aria-hidden="true">'
        '<rect class="bar-track" width="100%" height="{}" rx="2"/>'
        '<rect class="{}" width="{}%" height="{}" rx="2"/></svg>',
        height,
        height,
        Part("", 0, tone).fill,
        _round(min(100.0, share)),
        height,
    )


def columns(
    stacks: Sequence[Sequence[Part]],
    names: Sequence[str],
    label: str,
    *,
    ticks: Sequence[tuple[float, str]] = (),
    height: int = 180,
) -> SafeString:
    """Draw stacked columns, one a time bucket, with grid lines at ``ticks``.

    Shapes: ``stacks`` and ``names`` have one entry a column; a tick is (value, text),
        in the unit of the parts. Widths are percentages, so text keeps its size.
    """
    largest = max(
        [sum(part.value for part in stack) for stack in stacks]
        + [value for value, _ in ticks],
        default=0,
    )
    plot = height - 22
    return format_html(
        '<svg class="chart" width="100%" height="{}" role="img" aria-label="{}">{}{}{}</svg>',
        height,
        label,
        _grid(ticks, largest, plot),
        _stacks(stacks, largest, plot),
        _names(names, height),
    )


def _grid(ticks: Sequence[tuple[float, str]], largest: float, plot: int) -> SafeString:
    if not largest:
        return mark_safe("")
    lines = [
        (_round(plot - (plot - 14) * value / largest), text) for value, text in ticks
    ]
    return format_html_join(
        "",
        '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>'
        '<text x="0" y="{0}" dy="-4">{1}</text>',
        lines,
    )


def _stacks(stacks: Sequence[Sequence[Part]], largest: float, plot: int) -> SafeString:
    left, room = 7.0, 93.0
    slot = room / max(1, len(stacks))
    pieces = []
    for index, stack in enumerate(stacks):
        base = float(plot)
        place = (
            f'x="{_fine(left + slot * (index + 0.15))}%" width="{_fine(slot * 0.7)}%"'
        )
        for part in stack:
            size = (plot - 14) * max(0.0, part.value) / largest if largest else 0.0
            base -= size
            if size:
                # Hundreds of them: format_html would take most of a page's time.
                pieces.append(
                    f'<rect class="{part.fill}" {place} y="{_fine(base)}"'
                    f' height="{_fine(size)}"><title>{_text(part.label)}'
                    f" {_text(part.shown)}</title></rect>"
                )
    return mark_safe("".join(pieces))  # noqa: S308 - numbers and escaped text


def _text(text: str) -> str:
    return text if hasattr(text, "__html__") else escape(text)


def _fine(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _names(names: Sequence[str], height: int) -> SafeString:
    slot = 93.0 / max(1, len(names))
    every = max(1, -(-len(names) // 8))
    shown = [
        (_fine(7 + slot * (index + 0.5)), height - 4, name)
        for index, name in enumerate(names)
        if index % every == 0
    ]
    return format_html_join(
        "", '<text x="{}%" y="{}" text-anchor="middle">{}</text>', shown
    )
