"""Providers: the list, adding one, its page with keys and models."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from providers import selectors
from providers.catalogue import spec
from providers.discovery.check import CheckResult, check_provider
from providers.models import ApiKey, Provider, ProviderModel
from providers.services import credentials, models, onboard, providers
from providers.services.errors import ServiceError
from providers.views.forms import ApiKeyForm, ModelsForm, ProviderForm
from usage import recent

_FORM = require_http_methods(["GET", "POST"])

# Pages


@require_GET
def provider_list(request: HttpRequest) -> HttpResponse:
    """List providers with what they did in the last day."""
    usage = recent.last_day("provider")
    rows = [
        {
            "provider": provider,
            "state": selectors.provider_state(provider),
            "usage": usage.get(provider.slug),
        }
        for provider in selectors.providers_with_counts()
    ]
    context = {"rows": rows, "featured": [] if rows else spec.featured()}
    return render(
        request,
        "providers/providers/page.html",
        context,
        piece="providers/providers/_table.html",
    )


@_FORM
@access.require_role(access.OPERATOR)
def provider_add(request: HttpRequest) -> HttpResponse:
    """Choose from the catalogue, then enter, try and save."""
    chosen = request.POST.get("catalogue") or request.GET.get("catalogue", "")
    if not chosen:
        return _catalogue(request)
    entry = spec.entries().get(chosen)
    form = ProviderForm(request.POST or None, entry=entry)
    result: CheckResult | None = None
    if form.is_valid():
        new = form.new_provider()
        as_disabled = "save_disabled" in request.POST
        result = onboard.try_new(new)
        if as_disabled or (result.ok and "test_only" not in request.POST):
            try:
                provider = onboard.save_new(
                    actor_of(request), new, result, enabled=not as_disabled
                )
            except ServiceError as exc:
                _put_error(form, exc)
            else:
                to = reverse("providers:provider-detail", args=[provider.slug])
                return saved(request, to, f"{provider.name} was added.")
    failed = result is not None and not result.ok
    context = {
        "form": form,
        "entry": entry,
        "chosen": chosen,
        "result": result,
        "failed": failed,
    }
    status = 422 if failed else None
    return render(request, "providers/providers/add.html", context, status=status)


@require_GET
def provider_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one provider with its keys and models."""
    return _detail(request, slug)


@_FORM
@access.require_role(access.OPERATOR)
def provider_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a provider's values."""
    provider = _provider(slug)
    form = ProviderForm(request.POST or None, provider=provider)
    if form.is_valid():
        try:
            providers.update_provider(actor_of(request), provider, **form.values())
        except ServiceError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _url(provider), "Saved.")
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/edit.html", context)


# Actions


@require_POST
@access.require_role(access.OPERATOR)
def provider_test(request: HttpRequest, slug: str) -> HttpResponse:
    """Try the provider now and show each step."""
    provider = _provider(slug)
    result = check_provider(provider)
    providers.record_test(provider, error=result.error)
    return _detail(request, slug, result=result)


@require_POST
@access.require_role(access.OPERATOR)
def provider_enable(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a provider on."""
    provider = _provider(slug)
    providers.set_enabled(actor_of(request), provider, enabled=True)
    return saved(request, _url(provider), f"{provider.name} is on.")


@require_POST
@access.require_role(access.OPERATOR)
def provider_disable(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a provider off."""
    provider = _provider(slug)
    providers.set_enabled(actor_of(request), provider, enabled=False)
    return saved(request, _url(provider), f"{provider.name} is off.")


@_FORM
@access.require_role(access.OPERATOR)
def provider_remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Remove a provider after its name was typed."""
    provider = _provider(slug)
    question = Confirmation(
        title=f"Delete {provider.name}?",
        verb="Delete provider",
        back=_url(provider),
        consequences=(
            "Its API keys are deleted and cannot be brought back.",
            "Requests for models only it serves will fail.",
            "Bills and past requests keep its name.",
        ),
        type_name=provider.slug,
    )
    if request.method == "GET":
        return confirm(request, question)
    if request.POST.get("confirm_name", "").strip() != provider.slug:
        context = {"name_error": "This is not the provider's id."}
        response = confirm(request, question, context)
        response.status_code = 422
        return response
    providers.remove_provider(actor_of(request), provider)
    return saved(request, "providers:provider-list", f"{provider.name} was deleted.")


@_FORM
@access.require_role(access.OPERATOR)
def key_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add API keys, many at once."""
    provider = _provider(slug)
    form = ApiKeyForm(request.POST or None)
    if form.is_valid():
        text = "\n".join(form.cleaned_data["secrets"])
        added, problems = credentials.add_keys(actor_of(request), provider, text)
        for problem in problems:
            form.add_error("secrets", problem)
        if not problems:
            word = "key was" if len(added) == 1 else "keys were"
            return saved(request, _url(provider), f"{len(added)} {word} added.")
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/keys_add.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def key_switch(request: HttpRequest, slug: str, pk: int, switch: str) -> HttpResponse:
    """Enable, disable or remove one API key."""
    provider = _provider(slug)
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
        return saved(request, _url(provider), f"{key.mask} was deleted.")
    if request.method != "POST" or switch not in ("enable", "disable"):
        raise Http404("There is no such page.")
    credentials.set_key_enabled(actor, key, enabled=switch == "enable")
    return saved(request, _url(provider), f"{key.mask} is {switch}d.")


@require_POST
@access.require_role(access.OPERATOR)
def model_sync(request: HttpRequest, slug: str) -> HttpResponse:
    """Add what the provider lists; nothing is removed."""
    provider = _provider(slug)
    result = check_provider(provider)
    if not result.ok:
        return refused(request, _url(provider), f"Nothing changed. {result.error}")
    added = models.add_models(
        actor_of(request),
        provider,
        result.models,
        source=ProviderModel.Source.DISCOVERED,
    )
    text = f"{len(result.models)} models listed, {len(added)} new."
    return saved(request, _url(provider), text)


@_FORM
@access.require_role(access.OPERATOR)
def model_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add models by id."""
    provider = _provider(slug)
    form = ModelsForm(request.POST or None)
    if form.is_valid():
        try:
            added = models.add_models(
                actor_of(request), provider, form.cleaned_data["models"]
            )
        except ServiceError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _url(provider), f"{len(added)} models added.")
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/models_add.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def model_switch(request: HttpRequest, slug: str, pk: int, switch: str) -> HttpResponse:
    """Enable, disable or remove one model."""
    provider = _provider(slug)
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


# Private helpers


def _provider(slug: str) -> Provider:
    return access.find(Provider, "provider", slug=slug, deleted_at=None)


def _url(provider: Provider) -> str:
    return reverse("providers:provider-detail", args=[provider.slug])


def _catalogue(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "")
    have = set(
        Provider.objects.filter(deleted_at=None).values_list("catalogue_id", flat=True)
    )
    context = {
        "q": query,
        "entries": spec.search(query),
        "featured": [] if query else spec.featured(),
        "have": have,
    }
    return render(
        request,
        "providers/providers/catalogue.html",
        context,
        piece="providers/providers/_tiles.html",
    )


def _detail(
    request: HttpRequest, slug: str, *, result: CheckResult | None = None
) -> HttpResponse:
    rows = {row.slug: row for row in selectors.providers_with_counts()}
    provider = rows.get(slug)
    if provider is None:
        raise Http404("There is no such provider. It may have been deleted.")
    context: dict[str, Any] = {
        "provider": provider,
        "state": selectors.provider_state(provider),
        "keys": provider.api_keys.filter(deleted_at=None).order_by("-priority", "id"),
        "models": selectors.models_with_prices(provider),
        "usage": recent.last_day("provider").get(slug),
        "result": result,
        "entry": spec.entries().get(provider.catalogue_id),
    }
    return render(request, "providers/providers/detail.html", context)


def _put_error(form: Any, exc: ServiceError) -> None:
    form.add_error(exc.field if exc.field in form.fields else None, exc.message)
