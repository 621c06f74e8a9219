"""Client keys: the list, the one form, the key's page, rotate and revoke."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, render, saved, show_once
from poolsite.views import actor_of
from providers import selectors
from providers.views import snippets
from providers.views.forms import ClientKeyForm, RotateForm
from usage import log, recent, services
from usage import selectors as usage_selectors
from usage.models import Budget, ClientKey

_FORM = require_http_methods(["GET", "POST"])

# Pages


@require_GET
def key_list(request: HttpRequest) -> HttpResponse:
    """List client keys with budgets and the last day's use."""
    shown = request.GET.get("show", "live")
    keys = ClientKey.objects.select_related("owner").order_by("name")
    keys = keys.filter(revoked_at=None) if shown == "live" else keys
    listed = list(keys[:500])
    budgets = _budgets(listed)
    usage = recent.last_day("key")
    rows = [
        {
            "key": key,
            "state": _state(key, budgets.get(key.pk)),
            "budget": budgets.get(key.pk),
            "usage": usage.get(key.name),
        }
        for key in listed
    ]
    context = {"rows": rows, "shown": shown}
    return render(
        request, "providers/keys/page.html", context, piece="providers/keys/_table.html"
    )


@_FORM
@access.require_role(access.OPERATOR)
def key_add(request: HttpRequest) -> HttpResponse:
    """Create a key and show its text, once."""
    form = ClientKeyForm(request.POST or None)
    if form.is_valid():
        try:
            key, text = _create(request, form)
        except services.UsageError as exc:
            _put_error(form, exc)
        else:
            return _show(request, key, text)
    return render(request, "providers/keys/form.html", {"form": form})


@require_GET
def key_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one key: what it may do, what it used, its last requests."""
    key = access.find(ClientKey.objects.select_related("owner"), "client key", pk=pk)
    budget = _budgets([key]).get(key.pk)
    rows = log.requests(log.Filters(key=key.name)).order_by("-at", "-id")[:20]
    context = {
        "key": key,
        "state": _state(key, budget),
        "budget": budget,
        "usage": recent.last_day("key").get(key.name),
        "requests": log.in_words(list(rows)),
        "snippets": snippets.for_clients(_model(key)),
        "grace_is_on": bool(key.grace_until and key.grace_until > timezone.now()),
    }
    return render(request, "providers/keys/detail.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def key_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what a key may do."""
    key = access.find(ClientKey, "live client key", pk=pk, revoked_at=None)
    form = ClientKeyForm(request.POST or None, key=key)
    if form.is_valid():
        try:
            _update(request, key, form)
        except services.UsageError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _url(key), "Saved.")
    return render(request, "providers/keys/form.html", {"form": form, "key": key})


# Actions


@_FORM
@access.require_role(access.OPERATOR)
def key_rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a key a new text and show it, once."""
    key = access.find(ClientKey, "live client key", pk=pk, revoked_at=None)
    form = RotateForm(request.POST or None)
    if form.is_valid():
        grace = form.cleaned_data["grace"]
        text = services.rotate_key(actor_of(request), key, grace=grace)
        return _show(request, key, text)
    return render(request, "providers/keys/rotate.html", {"form": form, "key": key})


@_FORM
@access.require_role(access.OPERATOR)
def key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a key for good."""
    key = access.find(ClientKey, "live client key", pk=pk, revoked_at=None)
    question = Confirmation(
        title=f"Revoke {key.name}?",
        verb="Revoke key",
        back=_url(key),
        consequences=(
            "Requests with it are refused within two seconds.",
            "This cannot be undone; its usage stays.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    services.revoke_key(actor_of(request), key)
    return saved(request, "providers:key-list", f"{key.name} was revoked.")


# Private helpers


def _url(key: ClientKey) -> str:
    return reverse("providers:key-detail", args=[key.pk])


@transaction.atomic
def _create(request: HttpRequest, form: ClientKeyForm) -> tuple[ClientKey, str]:
    values = form.values()
    actor = actor_of(request)
    key, text = services.create_key(actor, values.pop("name"), **values)
    terms = form.terms()
    if terms is not None:
        services.set_key_budget(actor, key, terms)
    return key, text


@transaction.atomic
def _update(request: HttpRequest, key: ClientKey, form: ClientKeyForm) -> None:
    actor = actor_of(request)
    services.update_key(actor, key, **form.values())
    services.set_key_budget(actor, key, form.terms())


def _show(request: HttpRequest, key: ClientKey, text: str) -> HttpResponse:
    context = {
        "key": key,
        "secret": text,
        "snippets": snippets.for_clients(_model(key), text),
    }
    return show_once(request, "providers/keys/created.html", context)


def _model(key: ClientKey) -> str:
    """Name a model this key may use, for the snippets."""
    plain = [name for name in key.models_allowed if not set(name) & set("*?[")]
    if key.model_access == ClientKey.Access.ONLY and plain:
        return str(plain[0])
    return next((model.model_id for model in selectors.live_models()), "your-model")


def _budgets(keys: list[ClientKey]) -> dict[int, dict[str, Any]]:
    rows = usage_selectors.spending(
        Budget.objects.filter(client_key__in=keys, scope=Budget.Scope.KEY)
    )
    return {row["client_key_id"]: row for row in rows}


def _state(key: ClientKey, budget: dict[str, Any] | None) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "expired"
    if budget is not None and budget["hard"]:
        left = budget["amount_nano_usd"] - budget["spent_nano_usd"]
        if left <= 0:
            return "over_budget"
        if left * 5 < budget["amount_nano_usd"]:
            return "near_budget"
    return "active"


def _put_error(form: ClientKeyForm, exc: services.UsageError) -> None:
    field = "budget_usd" if exc.field == "budget" else exc.field
    form.add_error(field if field in form.fields else None, exc.message)
