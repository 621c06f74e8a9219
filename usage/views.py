"""The usage screen: what was used and spent, by whatever one likes to know."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from poolsite.ui.render import render
from usage import unpriced
from usage.dashboards import answer, charts, export, periods, question
from usage.dashboards.answer import Answer
from usage.dashboards.question import Question
from usage.dashboards.sums import Line

_MOST_PAGES: Final = 400
_LEAST_TO_ZOOM: Final = 2


@require_GET
def usage(request: HttpRequest) -> HttpResponseBase:
    """Show totals, the course, the distribution and one line a value; 12 queries."""
    asked = asked_by(request)
    if request.GET.get("format") == "csv":
        return _export(request, asked)
    page = page_number(request)
    found = answer.answer(asked, page=page)
    context = {
        **bar(asked),
        "found": found,
        "total": found.total,
        "lines": found.lines,
        "rows": _rows(found),
        "largest": max((line.amount for line in found.lines), default=0),
        "as_of": timezone.now(),
        "unpriced": unpriced.last_day() if found.total.unpriced else None,
        "chart": charts.over_time(found),
        "tokens": charts.tokens(found),
        "times": charts.times(found),
        "zoom": _zoom(found),
        "zone": charts.zone_of(found),
        "why_no_times": "Not kept for filtered lines" if found.is_cube else "No calls",
        "newer": asked.address(page=str(page - 1)) if page > 0 else "",
        "older": asked.address(page=str(page + 1)) if found.has_more else "",
        "is_first": page == 0,
        "page_link": request.build_absolute_uri(f"?{asked.address()}"),
        "tab": asked.by if asked.by in ("agent", "team") else "usage",
        "alone_url": asked.address(by=_alone(asked)),
        "alone_name": question.BY[_alone(asked)],
        "log_query": log_query(asked),
    }
    return render(request, "usage/page.html", context, piece="usage/_figures.html")


def asked_by(request: HttpRequest) -> Question:
    """Read the question of an address in the zone of who asks."""
    values = {name: text for name, text in request.GET.items() if isinstance(text, str)}
    zone = timezone.get_current_timezone()
    return question.asked(values, now=timezone.now(), zone=zone)


def bar(asked: Question) -> dict[str, Any]:
    """Return what the bar above the figures needs: every choice as an address."""
    zone = asked.period.zone
    local = [each.astimezone(zone) for each in (asked.period.since, asked.period.until)]
    away = {"range": None, "from": None, "to": None}
    return {
        "asked": asked,
        "by_name": question.BY[asked.by],
        "metric_name": question.METRICS[asked.metric],
        "ranges": [
            (each.label, asked.address(**{**away, "range": each.name}), each.name)
            for each in periods.CHOICES.values()
        ],
        "groups": [(n, label, asked.address(by=n)) for n, label in question.BY.items()],
        "metrics": [
            (n, label, asked.address(metric=n)) for n, label in question.METRICS.items()
        ],
        "compare_url": asked.address(compare=None if asked.is_compared else "1"),
        "chips": [
            (question.BY[name], value, asked.address(**{name: None}))
            for name, value in asked.filters.items()
        ],
        "kept": [
            (name, value)
            for name, value in asked.parameters().items()
            if value and name not in away
        ],
        "address": asked.address(),
        "csv_url": asked.address(format="csv"),
        "edges": [f"{each:%Y-%m-%dT%H:%M}" for each in local],
    }


def log_query(asked: Question) -> str:
    """Return the filters of the request log that show the same requests."""
    return Question(asked.period, filters=asked.filters).address(by=None)


def _rows(found: Answer) -> list[tuple[Line, str]]:
    """Pair each line with the address that is narrowed to it."""
    asked = found.question
    return [
        (line, asked.narrowed(line.name) if line.name else "") for line in found.lines
    ]


def _alone(asked: Question) -> str:
    """Return the group that can be told with the first filter on its own."""
    return next((name for name in asked.filters if name in question.BY), asked.by)


def _zoom(found: Answer) -> dict[str, str] | None:
    """Return what dragging over a chart needs: an address, and the edges of columns."""
    if len(found.starts) < _LEAST_TO_ZOOM:
        return None
    zone = found.period.zone
    edges = [*found.starts, found.period.until]
    away = {"range": None, "from": None, "to": None}
    return {
        "address": found.question.address(**away),
        "edges": " ".join(
            f"{each.astimezone(zone):%Y-%m-%dT%H:%M%z}" for each in edges
        ),
    }


def page_number(request: HttpRequest) -> int:
    """Read which page of lines is asked for, the first without."""
    text = request.GET.get("page", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 5
    return min(int(text), _MOST_PAGES) if is_number else 0


def _export(request: HttpRequest, asked: Question) -> HttpResponseBase:
    """Stream the lines as CSV; very many become a job with a file."""
    if export.is_long(asked):
        context = {"query": asked.address()}
        return render(request, "usage/exports/too_long.html", context)
    try:
        rows = export.usage_rows(asked)
        first = next(rows)
    except LookupError:
        return HttpResponse(
            "No rollup can answer this combination of filters and group.",
            status=422,
            content_type="text/plain; charset=utf-8",
        )
    stream = StreamingHttpResponse(
        export.written(first, rows), content_type="text/csv; charset=utf-8"
    )
    name = f"usage-{asked.by}-{asked.period.name or 'range'}.csv"
    stream["Content-Disposition"] = f'attachment; filename="{name}"'
    stream["Cache-Control"] = "no-store"
    return stream
