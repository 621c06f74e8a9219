"""Verify a stored provider: what it speaks, what would change, and apply it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from poolsite.ui import access
from poolsite.ui.render import refused, render, saved
from poolsite.views import actor_of
from providers.services import verification
from providers.services.errors import ServiceError
from providers.views.providers import live

_FORM = require_http_methods(["GET", "POST"])


@_FORM
@access.require_role(access.OPERATOR)
def provider_verify(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the last verification, or make one."""
    provider = live(slug)
    if request.method == "POST":
        model = request.POST.get("model", "").strip()[:200]
        try:
            verification.verify_provider(provider, model=model)
        except ServiceError as exc:
            messages.error(request, exc.message)
        return saved(request, _url(slug))
    found = verification.last_verification(provider)
    context = {
        "provider": provider,
        "found": found,
        "changes": [] if found is None else verification.preview(provider, found),
    }
    return render(request, "providers/catalogue/verify.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def provider_verify_apply(request: HttpRequest, slug: str) -> HttpResponse:
    """Apply what the last verification found."""
    try:
        changes = verification.apply_verification(actor_of(request), live(slug))
    except ServiceError as exc:
        return refused(request, _url(slug), exc.message)
    words = f"{len(changes)} changed." if changes else "Nothing had to change."
    return saved(request, reverse("providers:provider-detail", args=[slug]), words)


def _url(slug: str) -> str:
    return reverse("providers:provider-verify", args=[slug])
