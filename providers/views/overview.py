"""The overview: what the pool did in the last day and what needs a person."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from poolsite.models import Alert
from poolsite.ui.charts import Part
from poolsite.ui.render import render
from providers import selectors
from usage import log, recent
from usage.models import ClientKey


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Show figures, what needs attention, and the newest requests."""
    providers = selectors.providers_with_counts()
    states = [(each, selectors.provider_state(each)) for each in providers]
    today = recent.last_hours(24)
    by_provider = recent.last_day("provider")
    spend = sorted(by_provider.items(), key=lambda item: -item[1]["cost_nano_usd"])
    context: dict[str, Any] = {
        "today": today,
        "providers": len(providers),
        "healthy": sum(state in ("healthy", "untested") for _, state in states),
        "attention": _attention(states),
        "spend": _parts(spend),
        "top_models": _top("model"),
        "top_keys": _top("key"),
        "traffic": log.latest(20),
        "checklist": _checklist(bool(providers)),
    }
    return render(request, "providers/overview/page.html", context)


@require_GET
def traffic(request: HttpRequest) -> HttpResponse:
    """Refresh the newest requests."""
    context = {"traffic": log.latest(20)}
    return render(
        request,
        "providers/overview/traffic_page.html",
        context,
        piece="providers/overview/_traffic.html",
    )


def _attention(states: list[tuple[Any, str]]) -> list[dict[str, str]]:
    """List what a person should look at, alerts first."""
    found = [
        {
            "title": alert.title,
            "text": alert.detail,
            "link": alert.link,
            "state": alert.severity,
        }
        for alert in Alert.objects.filter(resolved_at=None).order_by("-last_at")[:8]
    ]
    found += [
        {
            "title": provider.name,
            "text": provider.last_error or "No usable key.",
            "link": f"/providers/{provider.slug}/",
            "state": state,
        }
        for provider, state in states
        if state in ("degraded", "invalid_key")
    ]
    return found


def _parts(spend: list[tuple[str, dict[str, int]]]) -> list[Part]:
    return [
        Part(name, row["cost_nano_usd"], str(index % 7 + 1))
        for index, (name, row) in enumerate(spend[:7])
        if row["cost_nano_usd"]
    ]


def _top(by: str) -> list[dict[str, Any]]:
    rows = recent.last_day(by)
    ordered = sorted(rows.items(), key=lambda item: -item[1]["requests"])[:5]
    return [{"name": name, **row} for name, row in ordered]


def _checklist(has_provider: bool) -> list[dict[str, Any]]:
    """Say what is left to do; empty for good once everything was done."""
    has_key = ClientKey.objects.filter(revoked_at=None).exists()
    has_request = log.first_request() is not None
    if has_provider and has_key and has_request:
        return []
    return [
        {"text": "Add a provider", "url": "/providers/add/", "done": has_provider},
        {"text": "Create a client key", "url": "/keys/add/", "done": has_key},
        {"text": "Send a request", "url": "/setup/test/", "done": has_request},
    ]
