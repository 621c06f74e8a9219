"""The request log: the list and one request with its attempt trail."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from poolsite.money import usd_from_nano
from poolsite.ui import keyset
from poolsite.ui.render import render, unchanged, wants_piece
from pricing.cost import CostLine
from providers.views.words import DECISIONS, SOURCES
from usage import log
from usage.log import AttemptRow, RequestDetail
from usage.models import Request

NAMES = ("status", "outcome", "key", "model", "provider")
_TERM = re.compile(r"^(\w+):(.+)$")
_STATUSES = ("2xx", "4xx", "5xx")
_COUNTERS = {
    "input_tokens": "Input",
    "cache_read_tokens": "Input from cache",
    "cache_write_tokens": "Written to cache, 5 min",
    "cache_write_1h_tokens": "Written to cache, 1 h",
    "output_tokens": "Output",
    "reasoning_tokens": "Reasoning",
    "audio_in_tokens": "Audio in",
    "audio_out_tokens": "Audio out",
    "image_in_tokens": "Image in",
    "image_out_tokens": "Image out",
    "requests": "Requests",
}
_RATES = {
    "input_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "audio_in_tokens": "audio_in",
    "audio_out_tokens": "audio_out",
    "image_in_tokens": "image_in",
    "image_out_tokens": "image_out",
}


@require_GET
def request_list(request: HttpRequest) -> HttpResponse:
    """List requests, newest first, narrowed by what the address says."""
    typed = request.GET.get("q", "").strip()
    if typed:
        return _search(request, typed)
    wanted = {name: request.GET.get(name, "").strip()[:200] for name in NAMES}
    is_live = request.GET.get("live") == "1" and not request.GET.get("cursor")
    version = log.newest_id() if is_live else None
    if wants_piece(request) and is_live and (same := unchanged(request, version)):
        return same
    filters = log.Filters(**wanted)
    page = keyset.paginate(log.requests(filters), request.GET.get("cursor", ""))
    context = {
        "page": replace(page, rows=log.in_words(list(page.rows))),
        "filters": filters,
        "chips": _chips(request.GET, wanted),
        "statuses": _status_links(request.GET, wanted["status"]),
        "outcomes": [outcome.name.lower() for outcome in Request.Outcome],
        "is_live": is_live,
        "version": version or 0,
        "live_url": _live_url(request.GET, on=not is_live),
        "poll_url": _live_url(request.GET, on=True),
    }
    return render(
        request,
        "providers/requests/page.html",
        context,
        piece="providers/requests/_rows.html",
    )


@require_GET
def request_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one request: the attempts, the decisions, the cost line by line."""
    found = log.detail(pk)
    if found is None:
        raise Http404(
            "There is no such request. It may not have been written yet, or retention "
            "removed it."
        )
    context = {
        "found": found,
        "request_row": found.request,
        "attempts": [Step(row, _scale(found)) for row in found.attempts],
        "exact_cost": _exact(found.request.cost_nano_usd),
    }
    return render(request, "providers/requests/detail.html", context)


# What the templates show


class Bill(NamedTuple):
    """One line of a cost, in words."""

    name: str
    line: CostLine
    note: str

    @property
    def exact(self) -> str:
        """The share to the nano-dollar."""
        return _exact(self.line.cost_nano_usd)


class Step(NamedTuple):
    """One attempt in the waterfall.

    Units:  positions are per cent of the request's whole time.
    """

    row: AttemptRow
    scale_ms: int

    @property
    def start(self) -> str:
        """Where its bar begins."""
        return self._place(self.row.row.start_offset_ms)

    @property
    def wait(self) -> str:
        """How long it waited for the first token; all of it when none came."""
        whole = self.row.row.latency_ms or 0
        first = self.row.row.ttft_ms
        return self._place(max(whole if first is None else min(first, whole), 0))

    @property
    def stream_start(self) -> str:
        """Where its answer begins."""
        return self._place(self.row.row.start_offset_ms + (self.row.row.ttft_ms or 0))

    @property
    def stream(self) -> str:
        """How long its answer took; zero when no token came."""
        first, whole = self.row.row.ttft_ms, self.row.row.latency_ms
        return self._place(0 if first is None or whole is None else whole - first)

    @property
    def decision(self) -> str:
        """What the pool did next, as a sentence."""
        return DECISIONS.get(self.row.decision, self.row.decision)

    @property
    def source(self) -> str:
        """Where its price came from."""
        return SOURCES.get(self.row.price_source, self.row.price_source)

    @property
    def exact(self) -> str:
        """Its cost to the nano-dollar."""
        return _exact(self.row.row.cost_nano_usd)

    @property
    def bill(self) -> list[Bill]:
        """Its cost, line by line."""
        return [
            Bill(
                _COUNTERS.get(line.kind, line.kind.partition(":")[2].capitalize()),
                line,
                _fallback(line),
            )
            for line in self.row.lines
        ]

    def _place(self, milliseconds: int) -> str:
        return f"{100 * max(milliseconds, 0) / max(self.scale_ms, 1):.2f}%"


def _fallback(line: CostLine) -> str:
    """Say which price stood in for one the vendor does not list."""
    plain = _RATES.get(line.kind, "")
    if not plain or line.column == plain:
        return ""
    return f"at the {line.column.replace('_', ' ')} rate"


def _scale(found: RequestDetail) -> int:
    ends = [a.row.start_offset_ms + (a.row.latency_ms or 0) for a in found.attempts]
    return max([found.request.latency_ms or 0, *ends])


def _exact(nano: int | None) -> str:
    return "" if nano is None else f"{usd_from_nano(nano):.9f} USD"


# The filter


def _search(request: HttpRequest, typed: str) -> HttpResponse:
    """Turn what was typed into the address: an id, ``name:value`` words, or a model."""
    try:
        found = UUID(typed)
    except ValueError:
        pass
    else:
        return redirect("providers:request-detail", found)
    query = request.GET.copy()
    for name in ("q", "cursor"):
        query.pop(name, None)
    for word in typed.split():
        match = _TERM.match(word)
        if match and match[1] in NAMES:
            query[match[1]] = match[2]
        else:
            query["model"] = word
    return redirect(f"{request.path}?{query.urlencode()}")


def _without(query: QueryDict, name: str) -> QueryDict:
    changed = query.copy()
    for each in (name, "cursor", "v", "q"):
        changed.pop(each, None)
    return changed


def _chips(query: QueryDict, wanted: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return (name, value, address without it) of each filter that is on."""
    return [
        (name, value, f"?{_without(query, name).urlencode()}")
        for name, value in wanted.items()
        if value
    ]


def _status_links(query: QueryDict, chosen: str) -> list[tuple[str, str, bool]]:
    links = [("All", f"?{_without(query, 'status').urlencode()}", not chosen)]
    for status in _STATUSES:
        changed = _without(query, "status")
        changed["status"] = status
        links.append((status, f"?{changed.urlencode()}", chosen == status))
    return links


def _live_url(query: QueryDict, *, on: bool) -> str:
    changed: Any = _without(query, "live")
    if on:
        changed["live"] = "1"
    return f"?{changed.urlencode()}"
