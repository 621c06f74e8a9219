"""What is left alone and why, and how every provider and model is."""

from __future__ import annotations

from typing import Final

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from providers import selectors_cooldowns as cooling
from providers import selectors_health as health
from providers.services import cooldowns as services
from providers.services.errors import ServiceError

_LIST: Final = "providers:cooldown-list"


@require_GET
def cooldown_list(request: HttpRequest) -> HttpResponse:
    """List what is cooling, of one reason where one is asked for."""
    now = timezone.now()
    wanted = request.GET.get("reason", "")[:40].replace("\x00", "")
    counts = cooling.reasons_now(now=now)
    rows = cooling.cooldowns(now=now, reason=wanted)
    context = {
        "rows": [(row, row.left_s(now)) for row in rows],
        "counts": [
            (reason, cooling.reason_in_words(reason), number)
            for reason, number in counts.items()
        ],
        "total": sum(counts.values()),
        "most": cooling.MOST_SHOWN,
        "reason": wanted,
    }
    return render(
        request,
        "providers/cooldowns/page.html",
        context,
        piece="providers/cooldowns/_table.html",
    )


@require_POST
@access.require_role(access.OPERATOR)
def cooldown_clear(request: HttpRequest) -> HttpResponse:
    """Let one subject be tried again at once."""
    try:
        services.clear(actor_of(request), request.POST.get("subject", "")[:250])
    except ServiceError as exc:
        return refused(request, reverse(_LIST), exc.message)
    return saved(request, _LIST, "Cleared; it is tried again within two seconds.")


@require_http_methods(["GET", "POST"])
@access.require_role(access.OPERATOR)
def cooldown_clear_all(request: HttpRequest) -> HttpResponse:
    """Let everything be tried again at once."""
    question = Confirmation(
        title="Clear every cooldown?",
        verb="Clear all",
        back=reverse(_LIST),
        consequences=(
            "Everything that rests is tried again within two seconds, by real requests.",
            "What still fails rests again, beginning with the shortest time.",
        ),
        danger=False,
    )
    if request.method == "GET":
        return confirm(request, question)
    count = services.clear_all(actor_of(request))
    noun = "cooldown was" if count == 1 else "cooldowns were"
    return saved(request, _LIST, f"{count:,} {noun} cleared.")


@require_GET
def health_list(request: HttpRequest) -> HttpResponse:
    """Show how providers are, and models: those in trouble, or all of them."""
    shows_all = request.GET.get("models") == "all"
    signs = health.Signs.read(timezone.now())
    providers = health.provider_health(signs)
    number = _number(request, "page")
    page = health.model_health(signs, number=number, only_bad=not shows_all)
    worst = Paginator(providers, health.PAGE_ROWS)
    context = {
        # The worst come first, so that a thousand of them need no page of their own.
        "providers": worst.get_page(_number(request, "providers")),
        "states": [
            (state, sum(line.state == state for line in providers))
            for state in health.STATES
        ],
        "page": page,
        "shows_all": shows_all,
        "models": "all" if shows_all else "trouble",
    }
    return render(request, "providers/cooldowns/health.html", context)


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
