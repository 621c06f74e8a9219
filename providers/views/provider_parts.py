"""A provider's API keys and models: add, switch, remove."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from providers.models import ApiKey, Provider, ProviderModel
from providers.services import credentials, models
from providers.services.errors import ServiceError
from providers.views.forms import ApiKeyForm, ModelsForm
from providers.views.providers import live, put_error

_FORM = require_http_methods(["GET", "POST"])

# API keys


@_FORM
@access.require_role(access.OPERATOR)
def key_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add API keys, many at once; lines that are refused do not stop the others."""
    provider = live(slug)
    form = ApiKeyForm(request.POST or None)
    if form.is_valid():
        text = "\n".join(form.cleaned_data["secrets"])
        added, problems = credentials.add_keys(actor_of(request), provider, text)
        word = "key was" if len(added) == 1 else "keys were"
        if added and problems:
            messages.success(request, f"{len(added)} {word} added.")
        for problem in problems:
            form.add_error("secrets", problem)
        if not problems:
            return saved(request, _url(provider), f"{len(added)} {word} added.")
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/keys_add.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def key_switch(request: HttpRequest, slug: str, pk: int, switch: str) -> HttpResponse:
    """Enable, disable or remove one API key."""
    provider = live(slug)
    key = access.find(
        ApiKey.objects.select_related("provider"),
        "API key",
        pk=pk,
        provider=provider,
        deleted_at=None,
    )
    actor = actor_of(request)
    if switch == "remove":
        question = Confirmation(
            title=f"Delete {key.label or key.mask}?",
            verb="Delete key",
            back=_url(provider),
            text="The key is deleted from the pool, not at the provider.",
        )
        if request.method == "GET":
            return confirm(request, question)
        credentials.remove_key(actor, key)
        return saved(request, _url(provider), f"{key} was deleted.")
    if request.method != "POST" or switch not in ("enable", "disable"):
        raise Http404("There is no such page.")
    try:
        credentials.set_key_enabled(actor, key, enabled=switch == "enable")
    except ServiceError as exc:
        return refused(request, _url(provider), exc.message)
    return saved(request, _url(provider), f"{key} is {switch}d.")


# Models


@_FORM
@access.require_role(access.OPERATOR)
def model_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add models by id."""
    provider = live(slug)
    form = ModelsForm(request.POST or None)
    if form.is_valid():
        try:
            added = models.add_models(
                actor_of(request), provider, form.cleaned_data["models"]
            )
        except ServiceError as exc:
            put_error(form, exc)
        else:
            word = "model was" if len(added) == 1 else "models were"
            return saved(request, _url(provider), f"{len(added)} {word} added.")
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/models_add.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def model_switch(request: HttpRequest, slug: str, pk: int, switch: str) -> HttpResponse:
    """Enable, disable or remove one model."""
    provider = live(slug)
    model = access.find(
        ProviderModel, "model", pk=pk, provider=provider, deleted_at=None
    )
    actor = actor_of(request)
    if switch == "remove":
        models.remove_model(actor, model)
        return saved(request, _url(provider), f"{model.model_id} was removed.")
    if switch not in ("enable", "disable"):
        raise Http404("There is no such page.")
    models.set_model_enabled(actor, model, enabled=switch == "enable")
    return saved(request, _url(provider), f"{model.model_id} is {switch}d.")


def _url(provider: Provider) -> str:
    return reverse("providers:provider-detail", args=[provider.slug])
