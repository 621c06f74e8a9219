"""What a client key used, and which models a form would let one use."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from poolsite.ui import access
from poolsite.ui.render import render
from providers.models import ProviderModel
from providers.routing.access import permits
from providers.views.client_key_forms import ClientKeyForm
from usage import key_usage
from usage.models import ClientKey

_MOST_LOOKED_AT: Final = 10_000
_MOST_SHOWN: Final = 12


@require_GET
def key_use(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the models, sessions and errors of one key."""
    key = access.find(ClientKey, "client key", pk=pk)
    context = {
        "key": key,
        "models": key_usage.models_of(key),
        "lately": key_usage.lately(key),
        "limits": key_usage.limits_now(key),
    }
    return render(request, "providers/keys/use.html", context)


@require_GET
def key_limits(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what remains of a key's limits; a piece of its page."""
    key = access.find(ClientKey, "client key", pk=pk)
    context = {"key": key, "limits": key_usage.limits_now(key)}
    return render(request, "providers/keys/_now.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def key_preview(request: HttpRequest) -> HttpResponse:
    """Say which models the rules in the form would allow; nothing is stored."""
    form = ClientKeyForm(request.POST)
    form.is_valid()  # an unfinished form previews what of it is good
    return render(request, "providers/keys/_matches.html", matches(form))


def matches(form: ClientKeyForm) -> dict[str, Any]:
    """Count the models a form's rules match; one query."""
    access_to, names, provider_access, providers = form.rule()
    rows = (
        ProviderModel.objects.filter(
            enabled=True,
            deleted_at=None,
            gone_at=None,
            provider__enabled=True,
            provider__deleted_at=None,
        )
        .order_by("model_id")
        .values_list("provider__slug", "model_id")
    )
    total: set[str] = set()
    found: dict[str, None] = {}
    for slug, model_id in rows[:_MOST_LOOKED_AT]:
        total.add(model_id)
        if permits(provider_access, providers, slug) and permits(
            access_to, names, model_id, f"{slug}/{model_id}"
        ):
            found[model_id] = None
    shown = list(found)[:_MOST_SHOWN]
    return {
        "total": len(total),
        "matching": len(found),
        "shown": shown,
        "hidden": len(found) - len(shown),
    }
