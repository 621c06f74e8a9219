"""The request log: the list and one request with its attempt trail."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from poolsite.ui import keyset
from poolsite.ui.render import render
from usage import log
from usage.models import Request


@require_GET
def request_list(request: HttpRequest) -> HttpResponse:
    """List requests, newest first, narrowed by what the address says."""
    names = ("status", "outcome", "key", "model", "provider")
    wanted = {name: request.GET.get(name, "").strip()[:200] for name in names}
    filters = log.Filters(**wanted)
    page = keyset.paginate(log.requests(filters), request.GET.get("cursor", ""))
    context = {
        "page": replace(page, rows=log.in_words(list(page.rows))),
        "filters": filters,
        "outcomes": [outcome.name.lower() for outcome in Request.Outcome],
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
            "There is no such request. It may not have been shipped yet, or retention "
            "removed it."
        )
    longest = (
        max((a.row.latency_ms or 0) + a.row.start_offset_ms for a in found.attempts)
        if found.attempts
        else 0
    )
    context = {"found": found, "longest": longest}
    return render(request, "providers/requests/detail.html", context)
