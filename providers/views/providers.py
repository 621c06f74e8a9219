"""Providers: the list, adding one, its page, its switch and its test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite import audit
from poolsite.ui import access
from poolsite.ui.pills import pill
from poolsite.ui.render import Confirmation, confirm, render, saved, wants_piece
from poolsite.views import actor_of
from providers import selectors
from providers.catalogue import spec
from providers.discovery.check import CheckResult, Stage
from providers.models import Provider
from providers.selectors_cooldowns import reason_in_words
from providers.services import onboard, providers, trials
from providers.services.errors import ServiceError
from providers.views import status
from providers.views.catalogue import grid
from providers.views.provider_form import ProviderForm
from providers.views.words import SOURCES
from usage import recent
from usage.recent import Use

_FORM = require_http_methods(["GET", "POST"])
_MODELS_SHOWN = 50


@dataclass(frozen=True)
class Row:
    """A provider in the list."""

    provider: Provider
    state: str
    use: Use
    rests: str = ""

    @property
    def is_found_by(self) -> str:
        """The text a search looks into."""
        each = self.provider
        return f"{each.slug} {each.name} {each.base_url}".lower()


# Pages


@require_GET
def provider_list(request: HttpRequest) -> HttpResponse:
    """List providers with what they did in the last day."""
    providers = selectors.providers_with_counts()
    used = recent.last_day("provider") if providers else {}
    why = selectors.reasons_to_rest() if providers else {}
    every = [
        Row(
            each,
            selectors.provider_state(each),
            used.get(each.slug, Use()),
            reason_in_words(why[each.pk]) if each.pk in why else "",
        )
        for each in providers
    ]
    text = request.GET.get("q", "").strip().lower()
    wanted = request.GET.get("state", "")
    rows = [
        row for row in every if text in row.is_found_by and wanted in ("", row.state)
    ]
    counts: dict[str, int] = {}
    for row in every:
        counts[row.state] = counts.get(row.state, 0) + 1
    context = {
        "rows": rows,
        "q": text,
        "state": wanted,
        "counts": [(name, pill(name).word, n) for name, n in sorted(counts.items())],
        "total": len(every),
        "featured": [] if every else spec.featured(),
    }
    with status.known(providers):
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
        return grid(request)
    entry = spec.entries().get(chosen)
    is_owner = access.has_role(request, access.OWNER)
    form = ProviderForm(
        request.POST or None,
        entry=entry,
        is_owner=is_owner,
        initial=_custom_initial(chosen, request.GET.get("name", "")),
    )
    result: CheckResult | None = None
    if form.is_valid():
        provider, result = onboard_from(request, form)
        if provider is not None:
            return saved(request, _url(provider), f"{provider.name} was added.")
    context = {"form": form, "entry": entry, "chosen": chosen, **shown(result)}
    return render(
        request,
        "providers/providers/add.html",
        context,
        piece="providers/providers/_check.html",
        status=code(request, context),
    )


@require_GET
def provider_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one provider with its keys and models."""
    return detail(request, slug)


@_FORM
@access.require_role(access.OPERATOR)
def provider_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a provider's values."""
    provider = live(slug)
    form = ProviderForm(request.POST or None, provider=provider)
    if form.is_valid():
        try:
            providers.update_provider(actor_of(request), provider, **form.values())
        except ServiceError as exc:
            put_error(form, exc)
        else:
            words = f"Saved. {selectors.moved_notice(provider)}".rstrip()
            return saved(request, _url(provider), words)
    context = {"form": form, "provider": provider}
    return render(request, "providers/providers/edit.html", context)


# Actions


@require_POST
@access.require_role(access.OPERATOR)
def provider_test(request: HttpRequest, slug: str) -> HttpResponse:
    """Try the provider now and show each step."""
    result = trials.try_stored(
        actor_of(request),
        live(slug),
        with_call="with_call" in request.POST,
        may_move="may_move" in request.POST,
    )
    return detail(request, slug, result=result)


@require_POST
@access.require_role(access.OPERATOR)
def provider_enable(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a provider on."""
    provider = live(slug)
    providers.set_enabled(actor_of(request), provider, enabled=True)
    return saved(request, _url(provider), f"{provider.name} is on.")


@require_POST
@access.require_role(access.OPERATOR)
def provider_disable(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a provider off."""
    provider = live(slug)
    providers.set_enabled(actor_of(request), provider, enabled=False)
    return saved(request, _url(provider), f"{provider.name} is off.")


@_FORM
@access.require_role(access.OPERATOR)
def provider_remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Remove a provider after its id was typed."""
    provider = live(slug)
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


# Shared with the wizard and with the provider's parts


def live(slug: str) -> Provider:
    """Return the provider with this id, or answer 404."""
    return access.find(Provider, "provider", slug=slug, deleted_at=None)


def onboard_from(
    request: HttpRequest, form: ProviderForm
) -> tuple[Provider | None, CheckResult | None]:
    """Try what a valid form says and store it, unless only a test was asked for.

    Shapes:  the provider is None when nothing was stored: the test failed, was all
             that was wanted, or the form now carries an error.
    """
    try:
        new = form.new_provider()
    except ServiceError as exc:
        put_error(form, exc)
        return None, None
    new.with_call = "with_call" in request.POST
    as_disabled = "save_disabled" in request.POST
    result = onboard.try_new(new)
    notes = [Stage("keys", True, words) for words in form.repeats]
    result.stages = [*notes, *result.stages]
    is_test = "test_only" in request.POST or new.with_call
    is_good = result.ok or result.is_untestable
    if is_test or not (is_good or as_disabled):
        return None, result
    try:
        enabled = not as_disabled
        return onboard.save_new(actor_of(request), new, result, enabled=enabled), result
    except ServiceError as exc:
        put_error(form, exc)
    return None, None


def shown(result: CheckResult | None) -> dict[str, Any]:
    """Return what a page needs to show a test's result."""
    is_good = result is None or result.ok or result.is_untestable
    return {"result": result, "failed": not is_good}


def code(request: HttpRequest, context: dict[str, Any]) -> int | None:
    """Return 422 for a page whose test failed; for a piece that is an answer."""
    return 422 if context["failed"] and not wants_piece(request) else None


def put_error(form: Any, exc: ServiceError) -> None:
    """Say a service's refusal at its field, or above the form."""
    form.add_error(exc.field if exc.field in form.fields else None, exc.message)


def detail(
    request: HttpRequest, slug: str, *, result: CheckResult | None = None
) -> HttpResponse:
    """Answer the page of one provider; eleven queries."""
    every = selectors.providers_with_counts()
    provider = next((each for each in every if each.slug == slug), None)
    if provider is None:
        raise Http404("There is no such provider. It may have been deleted.")
    text = request.GET.get("q", "").strip()
    names = selectors.model_names(provider)
    matching = [row for row in names if text.lower() in row.model_id.lower()]
    shows_all = "all" in request.GET
    shown = matching if shows_all else matching[:_MODELS_SHOWN]
    models = selectors.models_with_prices(provider, shown)
    for row in models:
        row["source_words"] = SOURCES.get(row["source"], row["source"])
    context: dict[str, Any] = {
        "provider": provider,
        "state": selectors.provider_state(provider),
        "keys": selectors.keys_with_accounts(provider),
        "models": models,
        "model_count": len(names),
        "matching": len(matching),
        "hidden": 0 if shows_all else max(0, len(matching) - _MODELS_SHOWN),
        "q": text,
        "use": recent.last_day("provider").get(slug, Use()),
        "events": audit.history_of(provider, limit=8),
        "result": result,
        "entry": spec.entries().get(provider.catalogue_id),
    }
    with status.known(every):
        return render(
            request,
            "providers/providers/detail.html",
            context,
            piece="providers/providers/_models.html",
        )


# Private helpers


def _custom_initial(chosen: str, name: str) -> dict[str, Any]:
    """Return what a provider that is not in the catalogue starts from."""
    name = name.strip()[:120]
    is_anthropic = chosen == "custom-anthropic"
    return {
        "name": name,
        "slug": slugify(name)[:64],
        "api_format": "anthropic" if is_anthropic else "openai",
        "location": "cloud",
        "priority": 50,
    }


def _url(provider: Provider) -> str:
    return reverse("providers:provider-detail", args=[provider.slug])
