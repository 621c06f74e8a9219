"""The overview: what the pool did lately and what needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from poolsite.models import Alert
from poolsite.money import format_usd
from poolsite.ui import numbers
from poolsite.ui.render import render, unchanged, wants_piece
from providers import selectors
from providers.models import Provider
from providers.services import account_status
from providers.views import status
from usage import budget_alerts, log, recent, rollups
from usage.log_names import Names, names_for
from usage.models import ClientKey, Request
from usage.spend_chart import draw

_SERIES = 7
_DAY_HOURS = 24
_LISTED = 8
_TRAFFIC = 20
_WORDS = {
    "origin_changed": ("Address changed: enter the keys again.", "Enter the keys"),
    "invalid_key": ("No usable key is left.", "Add a key"),
    "degraded": ("The last test failed.", "Look"),
}


class Range(NamedTuple):
    """A choice of how far back the figures reach."""

    name: str
    label: str
    words: str
    hours: int
    steps: int


RANGES = {
    "1h": Range("1h", "1 h", "the last hour", 1, 4),
    "24h": Range("24h", "24 h", "the last 24 hours", 24, 24),
    "7d": Range("7d", "7 d", "the last 7 days", 168, 28),
}


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Show figures, what needs attention, and the newest requests.

    Cost: twelve queries, session and person included; four for a poll without news.
    """
    chosen = RANGES.get(request.GET.get("range", ""), RANGES["24h"])
    if wants_piece(request) and (same := unchanged(request, _version(log.newest_id()))):
        return same
    providers = selectors.providers_with_counts()
    traffic = log.latest(_TRAFFIC)
    spend = recent.spend(rollups.PROVIDER, chosen.hours)
    busiest = recent.top("model", "key")
    names = names_for(
        traffic,
        also=[*spend.by_ref, *(ref for ref, _ in busiest["model"])],
        also_keys=[ref for ref, _ in busiest["key"]],
    )
    now = recent.last_hours(chosen.hours, steps=chosen.steps)
    states = [(row, selectors.provider_state(row)) for row in providers]
    context: dict[str, Any] = {
        "chosen": chosen,
        "ranges": RANGES.values(),
        "version": _version(traffic[0].id if traffic else None),
        "now": now,
        "slow_url": _slow_url(now.current, chosen),
        "enabled": sum(state != "disabled" for _, state in states),
        "healthy": sum(state in status.USABLE for _, state in states),
        "attention": _attention(states, now.current),
        **_spend_chart(spend, names, chosen),
        "models": [(names.of(ref), use) for ref, use in busiest["model"]],
        "keys": [(ref, names.key(ref), use) for ref, use in busiest["key"]],
        "traffic": log.in_words(traffic, names, with_tries=False),
        "checklist": _checklist(bool(providers), traffic),
    }
    with status.known(providers):
        return render(
            request,
            "providers/overview/page.html",
            context,
            piece="providers/overview/_live.html",
        )


def _version(newest: object) -> str:
    """Name what the page shows; the minute lets figures age without requests."""
    return f"{newest or 0}-{timezone.now():%H%M}"


def _slow_url(now: recent.Span, chosen: Range) -> str:
    """Return the log narrowed to the slowest of the range, blank without any.

    The bound shown lies above the true one; the next lower one misses none of them.
    """
    if now.p95_ms is None:
        return ""
    above = max((ms for ms in rollups.BOUNDS_MS if ms < now.p95_ms), default=0)
    asked = urlencode({"latency": f">{above}ms", "since": chosen.name})
    return f"{reverse('providers:request-list')}?{asked}"


# What needs a person


class Task(NamedTuple):
    """One line of the list: what is wrong, and the page that mends it.

    Shapes:  ``state`` is a pill, blank for an alert, which has a ``tone`` instead.
    """

    title: str
    text: str
    state: str
    link: str
    verb: str = "Look"
    tone: str = ""


def _attention(states: Sequence[tuple[Provider, str]], now: recent.Span) -> list[Task]:
    """List what a person should look at, the worst first."""
    found = [_of_alert(alert) for alert in _open_alerts()]
    for provider, state in states:
        if state in _WORDS:
            text, verb = _WORDS[state]
            link = reverse("providers:provider-detail", args=[provider.slug])
            found.append(
                Task(provider.name, provider.last_error or text, state, link, verb)
            )
        elif account_status.is_low(provider.account_left, provider.account_unit):  # type: ignore[attr-defined] # annotated
            found.append(_of_account(provider))
    found += [_of_budget(window) for window in recent.near_budgets()]
    if now.unpriced:
        text = f"{now.unpriced:,} requests went to a model without a known price."
        found.append(
            Task("Cost unknown", text, "unpriced", reverse("providers:request-list"))
        )
    return found[:_LISTED]


def _open_alerts() -> Sequence[Alert]:
    # Budgets are listed from their sums, which are never a minute old.
    rows = Alert.objects.filter(resolved_at=None).exclude(kind=budget_alerts.KIND)
    rows = rows.order_by("-last_at")
    return list(rows[:_LISTED])


def _of_account(provider: Provider) -> Task:
    left = numbers.left(provider.account_left, provider.account_unit)  # type: ignore[attr-defined] # annotated
    return Task(
        provider.name,
        f"{left} left on the account.",
        "",
        reverse("providers:account-status", args=[provider.slug]),
        tone="warn",
    )


def _of_alert(alert: Alert) -> Task:
    tone = "warn" if alert.severity == "warning" else alert.severity
    return Task(alert.title, alert.detail, "", alert.link, tone=tone)


def _of_budget(window: Any) -> Task:
    budget = window.budget
    spent, amount = window.spent_nano_usd, budget.amount_nano_usd
    is_over = spent >= amount
    text = f"{format_usd(spent)} of {format_usd(amount)} spent."
    state = "over_budget" if is_over else "near_budget"
    if budget.client_key is None:
        return Task(f"Budget of the {budget.scope}", text, state, "")
    link = reverse("providers:key-edit", args=[budget.client_key_id])
    return Task(budget.client_key.name, text, state, link, "Raise")


# The chart


def _spend_chart(spend: recent.Spend, names: Names, chosen: Range) -> dict[str, Any]:
    """Draw spend by provider: the seven dearest, the others as one."""
    ordered = sorted(spend.by_ref, key=lambda ref: -spend.total(ref))
    shown, rest = ordered[:_SERIES], ordered[_SERIES:]
    series = [(names.of(ref) or str(ref), spend.by_ref[ref]) for ref in shown]
    if rest:
        costs = [spend.by_ref[ref] for ref in rest]
        added = [sum(step) for step in zip(*costs, strict=True)]
        series.append((f"{len(rest)} others", added))
    zone = timezone.get_current_timezone()
    by_day = spend.step_hours >= _DAY_HOURS
    labels = [
        f"{start:%a %d}" if by_day else f"{start.astimezone(zone):%H:%M}"
        for start in spend.starts
    ]
    return {
        "chart": draw(series, labels, chosen.words),
        "zone": "UTC" if by_day else str(zone),
    }


# The first steps


def _checklist(has_provider: bool, traffic: Sequence[Request]) -> list[dict[str, Any]]:
    """Say what is left to do; empty for good once everything was done."""
    answered = any(row.outcome == Request.Outcome.OK for row in traffic) or (
        bool(traffic) and Request.objects.filter(outcome=Request.Outcome.OK).exists()
    )
    if has_provider and answered:
        return []
    has_key = ClientKey.objects.filter(revoked_at=None).exists()
    steps: list[dict[str, Any]] = [
        {
            "text": "Add a provider",
            "why": "Where requests go: an account at any vendor, or a local server.",
            "url": reverse("providers:provider-add"),
            "done": has_provider,
        },
        {
            "text": "Create a client key",
            "why": "What your programs present instead of a vendor's key.",
            "url": reverse("providers:key-add"),
            "done": has_key,
        },
        {
            "text": "Send a request",
            "why": "Copy a snippet, run it, and watch it arrive.",
            "url": reverse("providers:setup-test"),
            "done": answered,
        },
    ]
    next(step for step in steps if not step["done"])["is_next"] = True
    return steps
