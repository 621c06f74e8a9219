"""Client keys: the list, the one form, the key's page, rotate and revoke."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from poolsite import audit
from poolsite.ui import access, keyset
from poolsite.ui.render import (
    Confirmation,
    confirm,
    refused,
    render,
    saved,
    show_once,
)
from poolsite.views import actor_of
from providers.views import snippets
from providers.views.client_key_forms import ClientKeyForm, RotateForm
from providers.views.client_key_use import matches
from usage import log, recent, services
from usage import selectors as usage_selectors
from usage.budgets import selectors as budget_selectors
from usage.log_names import names_for
from usage.models import Budget, ClientKey

_FORM = require_http_methods(["GET", "POST"])
_LATEST = 20
_MADE = "made_key"
SHOWN_ONCE = "{} exists: its text was shown once. Rotate it to get a new one."

# Pages


@dataclass(frozen=True)
class Row:
    """A client key in the list."""

    key: ClientKey
    state: str
    budget: dict[str, Any] | None
    month: recent.Month
    used_at: datetime | None


SHOWN = {"live": "In use", "ended": "Revoked and expired", "all": "All"}


@require_GET
def key_list(request: HttpRequest) -> HttpResponse:
    """List client keys with budgets and the last month's use; nine queries."""
    shown = request.GET.get("show", "")
    shown = shown if shown in SHOWN else "live"
    text = request.GET.get("q", "").strip()
    page = keyset.paginate(
        _narrowed(shown, text).select_related("owner", "team"),
        request.GET.get("cursor", ""),
        key=("id",),
    )
    keys: list[ClientKey] = list(page.rows)
    budgets, months = _budgets(keys), recent.last_month("key", _ids(keys))
    used = log.last_used(_ids(keys))
    rows = [
        Row(
            key,
            _state(key, budgets.get(key.pk)),
            budgets.get(key.pk),
            months.get(key.pk, recent.Month()),
            used.get(key.pk),
        )
        for key in keys
    ]
    context = {
        "page": replace(page, rows=rows),
        "shown": shown,
        "choices": SHOWN.items(),
        "q": text,
        "is_new": not (rows or text) and shown == "live" and not page.has_other,
    }
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
            key, text = create(request, form)
        except services.UsageError as exc:
            made = just_made(request, form)
            if made is not None:
                return refused(request, _url(made), SHOWN_ONCE.format(made.name))
            put_error(form, exc)
        else:
            return _show(request, key, text)
    return _form_page(request, form)


@require_GET
def key_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one key: what it may do, what it used, its last requests."""
    keys = ClientKey.objects.select_related("owner", "team")
    key = access.find(keys, "client key", pk=pk)
    budgets = budget_selectors.of_key(key)
    own = [row for row in budgets if row["scope"] == Budget.Scope.KEY]
    budget = min(own, key=_left, default=None)
    latest = log.latest(_LATEST, key=key)
    names = names_for(latest, known_keys={key.pk: key.name})
    context = {
        "key": key,
        "state": _state(key, budget),
        "budget": budget,
        "budgets": budgets,
        "month": recent.last_month("key", [key.pk]).get(key.pk, recent.Month()),
        "requests": log.in_words(latest, names, with_tries=False),
        "snippets": snippets.for_clients(_model(key)),
        "grace_is_on": bool(key.grace_until and key.grace_until > timezone.now()),
        "events": audit.history_of(key, limit=8),
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
            put_error(form, exc)
        else:
            _warn_when_spent(request, key)
            return saved(request, _url(key), "Saved.")
    return _form_page(request, form, key)


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
def create(request: HttpRequest, form: ClientKeyForm) -> tuple[ClientKey, str]:
    """Create the key a valid form describes, with its budget.

    The maker owns it, unless the form names somebody else.

    Errors:  UsageError naming the field; then nothing is stored.
    """
    values = form.values()
    actor = actor_of(request)
    name = values.pop("name")
    values["owner"] = values["owner"] or actor.user
    key, text = services.create_key(actor, name, **values)
    terms = form.terms()
    if terms is not None:
        services.set_key_budget(actor, key, terms)
    request.session[_MADE] = [key.pk, key.name]
    return key, text


@transaction.atomic
def _update(request: HttpRequest, key: ClientKey, form: ClientKeyForm) -> None:
    actor = actor_of(request)
    services.update_key(actor, key, **form.values())
    services.set_key_budget(actor, key, form.terms())


def _form_page(
    request: HttpRequest, form: ClientKeyForm, key: ClientKey | None = None
) -> HttpResponse:
    context = {"form": form, "key": key, **matches(form)}
    return render(request, "providers/keys/form.html", context)


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
    return snippets.a_model() or "your-model"


def _ids(keys: list[ClientKey]) -> list[int]:
    return [key.pk for key in keys]


def _narrowed(shown: str, text: str) -> QuerySet[ClientKey]:
    keys = ClientKey.objects.all()
    over = Q(expires_at__lte=timezone.now())
    if shown == "live":
        keys = keys.filter(revoked_at=None).exclude(over)
    elif shown == "ended":
        keys = keys.filter(Q(revoked_at__isnull=False) | over)
    if text:
        public = text.removeprefix("pp_").partition("…")[0]
        keys = keys.filter(
            Q(name__icontains=text)
            | Q(public_id__startswith=public)
            | Q(team__name__icontains=text)
        )
    return keys


def _warn_when_spent(request: HttpRequest, key: ClientKey) -> None:
    budget = _budgets([key]).get(key.pk)
    if budget and budget["hard"] and _left(budget) <= 0:
        messages.warning(
            request,
            "This budget is below what the key has spent already: it is refused "
            "until the reset.",
        )


def _left(budget: dict[str, Any]) -> int:
    left: int = budget["limit_nano_usd"] - budget["spent_nano_usd"]
    return left


def _budgets(keys: list[ClientKey]) -> dict[int, dict[str, Any]]:
    rows = usage_selectors.spending(
        Budget.objects.filter(client_key__in=keys, scope=Budget.Scope.KEY)
    )
    # Of several, the one with the least left says how things are.
    return {row["client_key_id"]: row for row in sorted(rows, key=_left, reverse=True)}


def _state(key: ClientKey, budget: dict[str, Any] | None) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "expired"
    if budget is not None and budget["limit_nano_usd"]:
        if _left(budget) <= 0:
            return "over_budget" if budget["hard"] else "near_budget"
        if _left(budget) * 5 < budget["limit_nano_usd"]:
            return "near_budget"
    return "active"


def just_made(request: HttpRequest, form: ClientKeyForm) -> ClientKey | None:
    """Return the key this very form made a moment ago: the page was loaded again."""
    made = request.session.get(_MADE)
    if not made or made[1] != form.cleaned_data["name"]:
        return None
    return ClientKey.objects.filter(pk=made[0], revoked_at=None).first()


def put_error(form: ClientKeyForm, exc: services.UsageError) -> None:
    """Say a service's refusal at its field, or above the form."""
    field = {"budget": "budget_usd", "warn": "warn_usd"}.get(exc.field, exc.field)
    form.add_error(field if field in form.fields else None, exc.message)
