"""The first-run wizard: account, provider, key, test; each step its own address."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite import people, setup
from poolsite.accounts import OWNER
from poolsite.actor import Actor
from poolsite.models import User
from poolsite.ui import access
from poolsite.ui.render import refused, render, saved, stop_polling
from providers.catalogue import spec
from providers.discovery.check import CheckResult
from providers.models import Provider
from providers.services import own_call
from providers.views import client_keys, providers, snippets
from providers.views.client_key_forms import ClientKeyForm
from providers.views.forms import AccountForm
from providers.views.provider_form import ProviderForm
from usage import services as usage_services
from usage.log import first_request
from usage.models import ClientKey

STEPS = ("Account", "Provider", "Key", "Test")
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
_FORM = require_http_methods(["GET", "POST"])


@never_cache
@login_not_required
@_FORM
def account(request: HttpRequest) -> HttpResponse:
    """Create the first owner; only with the one-time token."""
    if not setup.is_first_run():
        raise Http404("The pool is set up already. Sign in instead.")
    token = request.POST.get("token") or request.GET.get("token", "")
    if not setup.token_is_valid(token):
        context = _step("Account", has_token=bool(token))
        return render(request, "providers/setup/locked.html", context, status=403)
    form = AccountForm(request.POST or None)
    if form.is_valid():
        user = _create_owner(request, form, token)
        if user is not None:
            login(request, user, backend=_BACKEND)
            return redirect("providers:setup-provider")
    context = _step("Account", form=form, token=token)
    return render(request, "providers/setup/account.html", context)


@_FORM
@access.require_role(OWNER)
def provider(request: HttpRequest) -> HttpResponse:
    """Choose a provider, give its key, try it."""
    chosen = request.POST.get("catalogue") or request.GET.get("catalogue", "")
    if not chosen:
        return render(request, "providers/setup/provider.html", _provider_tiles())
    entry = spec.entries().get(chosen)
    form = ProviderForm(request.POST or None, entry=entry, is_owner=True)
    result: CheckResult | None = None
    if form.is_valid():
        made, result = providers.onboard_from(request, form)
        if made is not None:
            return saved(request, "providers:setup-key")
    context = _step(
        "Provider", form=form, entry=entry, chosen=chosen, **providers.shown(result)
    )
    return render(
        request,
        "providers/setup/provider_form.html",
        context,
        piece="providers/providers/_check.html",
        status=providers.code(request, context),
    )


@never_cache
@_FORM
@access.require_role(OWNER)
def key(request: HttpRequest) -> HttpResponse:
    """Create the first client key and show it, once."""
    form = ClientKeyForm(request.POST or None, initial={"name": "my-laptop"})
    if form.is_valid():
        try:
            created, text = client_keys.create(request, form)
        except usage_services.UsageError as exc:
            made = client_keys.just_made(request, form)
            if made is not None:
                note = client_keys.SHOWN_ONCE.format(made.name)
                return refused(request, "providers:setup-test", note)
            client_keys.put_error(form, exc)
        else:
            model = snippets.a_model()
            context = _step(
                "Test",
                key=created,
                secret=text,
                model=model,
                snippets=snippets.for_clients(model or "your-model", text),
            )
            response = render(request, "providers/setup/test.html", context)
            response["Cache-Control"] = "no-store, private"
            return response
    return render(request, "providers/setup/key.html", _step("Key", form=form))


@require_GET
@access.require_role(OWNER)
def test(request: HttpRequest) -> HttpResponse:
    """Wait for the first request, after the key was shown."""
    created = ClientKey.objects.filter(revoked_at=None).order_by("-id").first()
    if created is None:
        return redirect("providers:setup-key")
    model = snippets.a_model()
    context = _step(
        "Test",
        key=created,
        model=model,
        snippets=snippets.for_clients(model or "your-model"),
    )
    return render(request, "providers/setup/test.html", context)


@require_GET
@access.require_role(OWNER)
def test_status(request: HttpRequest) -> HttpResponse:
    """Say whether the first request came; the browser asks every 2 s until it did."""
    found = first_request()
    context = {"found": found}
    response = render(request, "providers/setup/_status.html", context)
    return stop_polling(response) if found is not None else response


@require_POST
@access.require_role(OWNER)
def test_send(request: HttpRequest) -> HttpResponse:
    """Send the first request from here, as the newest client key."""
    created = ClientKey.objects.filter(revoked_at=None).order_by("-id").first()
    model = snippets.a_model()
    if created is None or not model:
        return redirect("providers:setup-test")
    answer = own_call.ask(created, model, "Say hello in five words.")
    context = _step(
        "Test",
        key=created,
        model=model,
        answer=answer,
        snippets=snippets.for_clients(model),
    )
    return render(request, "providers/setup/test.html", context)


# Private helpers


def _step(name: str, **context: Any) -> dict[str, Any]:
    number = STEPS.index(name)
    steps = [{"name": each, "state": _state(i, number)} for i, each in enumerate(STEPS)]
    return {"steps": steps, "step": name, **context}


def _state(index: int, current: int) -> str:
    if index == current:
        return "current"
    return "done" if index < current else "next"


def _create_owner(request: HttpRequest, form: AccountForm, token: str) -> User | None:
    actor = Actor(
        label=form.cleaned_data["email"],
        source="console",
        ip=request.META.get("REMOTE_ADDR", "") or "",
    )
    try:
        with transaction.atomic():
            if not setup.use_token(token):
                form.add_error(None, "This token was used already. Print a new one.")
                return None
            return people.create_user(actor, role=OWNER, **form.cleaned_data)
    except people.PeopleError as exc:
        form.add_error(None, str(exc))
        return None


def _provider_tiles() -> dict[str, Any]:
    entries = spec.entries().values()
    found = [
        entry for entry in entries if any(os.environ.get(n) for n in entry.environment)
    ]
    return _step(
        "Provider",
        featured=spec.featured(),
        others=sorted(entries, key=lambda entry: entry.name.lower()),
        in_environment=found,
        existing=Provider.objects.filter(deleted_at=None).count(),
    )
