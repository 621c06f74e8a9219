"""The usage screen: what was used and spent, by whatever one likes to know."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from poolsite.money import usd_from_nano
from poolsite.ui.render import render
from usage import unpriced
from usage.breakdown import SERIES, Breakdown, Line, breakdown
from usage.spend_chart import SpendChart, draw

_DAY_HOURS: Final = 24
_TEXT_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class Range(NamedTuple):
    """A choice of how far back the figures reach."""

    name: str
    label: str
    words: str
    hours: int


RANGES: Final = {
    each.name: each
    for each in (
        Range("24h", "24 h", "the last 24 hours", 24),
        Range("7d", "7 d", "the last 7 days", 168),
        Range("30d", "30 d", "the last 30 days", 720),
        Range("90d", "90 d", "the last 90 days", 2160),
    )
}
GROUPS: Final = {
    "provider": "Provider",
    "model": "Model",
    "key": "Client key",
    "agent": "Agent",
    "user": "End user",
    "session": "Session",
    "status": "Status",
}


@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    """Show totals, the course of the spending and one line a value; ten queries."""
    chosen = RANGES.get(request.GET.get("range", ""), RANGES["7d"])
    by = request.GET.get("by", "")
    by = by if by in GROUPS else "provider"
    found = breakdown(by, chosen.hours)
    if request.GET.get("format") == "csv":
        return _export(found, f"usage-{by}-{chosen.name}.csv")
    own_zone = timezone.get_current_timezone_name()
    context = {
        "chosen": chosen,
        "ranges": RANGES.values(),
        "by": by,
        "by_name": GROUPS[by],
        "groups": GROUPS.items(),
        "total": found.total,
        "lines": found.lines,
        "has_more": found.has_more,
        "dearest": max((line.cost_nano_usd for line in found.lines), default=0),
        "as_of": timezone.now(),
        "unpriced": unpriced.last_day(),
        "chart": _chart(found, chosen),
        "zone": "UTC" if found.course.step_hours >= _DAY_HOURS else own_zone,
    }
    return render(request, "usage/page.html", context, piece="usage/_figures.html")


def _chart(found: Breakdown, chosen: Range) -> SpendChart:
    """Draw the spending over time: the dearest seven, the others as one."""
    course = found.course
    series = [
        (line.name or str(line.ref), course.by_ref[line.ref])
        for line in found.lines[:SERIES]
        if line.ref in course.by_ref
    ]
    if len(found.lines) > SERIES:
        shown = [sum(step) for step in zip(*(c for _, c in series), strict=True)]
        rest = [max(0, a - b) for a, b in zip(found.whole, shown, strict=False)]
        series.append(("Others", rest))
    labels = [_label(start, course.step_hours) for start in course.starts]
    return draw(series, labels, chosen.words, height=240)


def _label(start: datetime, step_hours: float) -> str:
    """Name a step: a time of day in one's own zone, or a UTC day."""
    if step_hours >= _DAY_HOURS:
        return f"{start.day} {start:%b}"
    return f"{start.astimezone(timezone.get_current_timezone()):%H:%M}"


def _export(found: Breakdown, name: str) -> HttpResponse:
    """Write the lines as CSV; cells a spreadsheet would run are quoted by a tick."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    csv.writer(answer).writerows(_cells(found))
    return answer


def _cells(found: Breakdown) -> Iterator[list[str]]:
    names = (
        *("requests", "attempts", "errors", "unpriced", "input_tokens"),
        *("cache_read_tokens", "output_tokens"),
    )
    yield ["name", *names, "cost_usd"]
    for line in found.lines:
        yield [_safe(line.name), *(str(getattr(line, n)) for n in names), _usd(line)]


def _usd(line: Line) -> str:
    return f"{usd_from_nano(line.cost_nano_usd):.9f}"


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_TEXT_STARTS) else text
