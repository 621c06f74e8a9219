"""The request log: the list, its live tail and its file."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET

from poolsite.clock import SystemClock
from poolsite.ui.render import render, unchanged, wants_piece
from providers.views import request_file, request_filters
from providers.views.request_filters import FilterBar
from usage import log, log_find
from usage.log_find import Found
from usage.log_names import names_for

_CLOCK = SystemClock()
_LIVE_ROWS: Final = 200
_ID_LENGTH: Final = 36
_LAST_ID: Final = UUID(int=2**128 - 1)
_PIECE: Final = "providers/requests/_rows.html"


@require_GET
def request_list(request: HttpRequest) -> HttpResponseBase:
    """List requests, newest first, narrowed by what the address says."""
    bar = request_filters.read(request)
    if bar.typed and not bar.problems:
        return _to_address(request, bar)
    if request.GET.get("format") == "csv":
        return request_file.answer(bar.search, now=_CLOCK.now())
    live = request.GET.get("live", "")
    if request.GET.get("cursor") or live not in ("1", "held"):
        live = ""
    if live == "held":
        return _held(request, bar)
    version = log.newest_id() if live else None
    if wants_piece(request) and live and (same := unchanged(request, version)):
        return same
    found = _live(request, bar) if live else _found(request, bar)
    return _page(request, bar, found, live=live, version=version)


def _found(request: HttpRequest, bar: FilterBar) -> Found:
    return log_find.find(
        bar.search,
        request.GET.get("cursor", ""),
        now=_CLOCK.now(),
        zone=timezone.get_current_timezone(),
    )


def _page(
    request: HttpRequest,
    bar: FilterBar,
    found: Found,
    *,
    live: str = "",
    version: Any = None,
) -> HttpResponse:
    context = {
        "bar": bar,
        "page": found,
        "rows": log.in_words(found.rows, names_for(found.rows, known_keys=found.keys)),
        "live": live,
        "urls": _urls(request, bar, found, live, version),
    }
    return render(request, "providers/requests/page.html", context, piece=_PIECE)


def _to_address(request: HttpRequest, bar: FilterBar) -> HttpResponse:
    """Turn what was typed into the address; an id leads to its request."""
    if len(bar.search.terms) == 1:
        [only] = bar.search.terms
        if only.name == "id" and len(only.value) == _ID_LENGTH:
            return redirect("providers:request-detail", only.value)
    return redirect(f"{request.path}{_url(request, bar)}")


# The live tail


def _live(request: HttpRequest, bar: FilterBar) -> Found:
    """Find the newest rows, back to where the tail began, as many as are kept."""
    start = request.GET.get("from", "")
    place = log_find.read_cursor(start)[1] if start else None
    found = log_find.find(
        bar.search,
        now=_CLOCK.now(),
        zone=timezone.get_current_timezone(),
        size=_LIVE_ROWS if place else log_find.PAGE_SIZE,
    )
    if place is not None:
        found.rows = [row for row in found.rows if (row.at, row.id) >= place]
    return found


def _held(request: HttpRequest, bar: FilterBar) -> HttpResponse:
    """Show the tail as it was when it was held, and count what came in since."""
    top = request.GET.get("top", "")
    if not top:
        return redirect(f"{request.path}{_url(request, bar, live='1')}")
    _, (at, _row_id) = log_find.read_cursor(top)
    if request.GET.get("news") and wants_piece(request):
        return _news(request, bar, top)
    found = log_find.find(
        bar.search,
        log_find.write_cursor("o", (at, _LAST_ID)),
        now=_CLOCK.now(),
        zone=timezone.get_current_timezone(),
    )
    return _page(request, bar, found, live="held")


def _news(request: HttpRequest, bar: FilterBar, top: str) -> HttpResponse:
    count = log_find.arrived(bar.search, top, now=_CLOCK.now())
    context = {
        "news": count,
        "is_most": count >= log_find.MOST_NEWS,
        "urls": {
            "live": _url(request, bar, live="1"),
            "news": _url(request, bar, live="held", top=top, news="1"),
        },
    }
    return render(request, "providers/requests/_news.html", context)


# Addresses


def _urls(
    request: HttpRequest, bar: FilterBar, found: Found, live: str, version: Any
) -> dict[str, str]:
    rows = found.rows
    top = request.GET.get("top", "") if live == "held" else ""
    if not top and rows:
        top = log_find.write_cursor("n", (rows[0].at, rows[0].id))
    start = request.GET.get("from", "")
    # A short log is shown whole: what began earlier and ends now belongs there too.
    if not start and len(rows) >= log_find.PAGE_SIZE:
        start = log_find.write_cursor("n", (rows[-1].at, rows[-1].id))
    urls = {
        "off": _url(request, bar),
        "live": _url(request, bar, live="1"),
        "csv": _url(request, bar, format="csv"),
    }
    if found.is_cut and found.older:
        urls["further"] = _url(request, bar, cursor=found.older)
    if live == "1":
        urls["poll"] = _url(
            request, bar, live="1", **({"from": start} if start else {}), v=version or 0
        )
    if live and top:
        urls["hold"] = _url(request, bar, live="held", top=top)
        urls["news"] = _url(request, bar, live="held", top=top, news="1")
    return urls


def _url(request: HttpRequest, bar: FilterBar, **more: Any) -> str:
    rest = request_filters.others(request.GET)
    for name in ("live", "format"):
        rest.pop(name, None)
    for name, value in more.items():
        rest[name] = str(value)
    return request_filters.address(bar.search.terms, rest)
