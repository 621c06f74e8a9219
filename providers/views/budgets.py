"""Budgets of every scope: the tree, the form, more for a while, away with it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, render, saved
from poolsite.views import actor_of
from providers.views.budget_forms import BudgetForm, IncreaseForm, plain_usd
from usage import services
from usage.budgets import selectors
from usage.budgets import services as budget_services
from usage.models import Budget

_FORM = require_http_methods(["GET", "POST"])
_FIELDS = {
    "budget": "budget_usd",
    "warn": "warn_usd",
    "extra": "extra_usd",
    "scope": "whose",
    "applies_to": "whose",
}
_HERE = "providers:budget-list"

# Pages


@require_GET
def budget_list(request: HttpRequest) -> HttpResponse:
    """Show who may spend how much, widest first."""
    context = {"tree": selectors.tree()}
    return render(
        request,
        "providers/budgets/page.html",
        context,
        piece="providers/budgets/_tree.html",
    )


@_FORM
@access.require_role(access.OPERATOR)
def budget_add(request: HttpRequest) -> HttpResponse:
    """Set a budget for the pool, a team, a key, agents or sessions."""
    wanted = {
        name: request.GET[name][:200]
        for name in ("whose", "key", "value")
        if name in request.GET
    }
    form = BudgetForm(request.POST or None, initial=wanted)
    if form.is_valid():
        terms = form.terms()
        try:
            if terms is not None:
                budget_services.add_budget(actor_of(request), form.whom(), terms)
        except services.UsageError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _HERE, "The budget is set.")
    return render(request, "providers/budgets/form.html", {"form": form})


@_FORM
@access.require_role(access.OPERATOR)
def budget_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change how much a budget allows."""
    budget = _find(pk)
    form = BudgetForm(request.POST or None, budget=budget)
    if form.is_valid():
        terms = form.terms()
        try:
            if terms is not None:
                budget_services.change_budget(actor_of(request), budget, terms)
        except services.UsageError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _HERE, "Saved.")
    context = {"form": form, "budget": budget, "name": name_of(budget)}
    return render(request, "providers/budgets/form.html", context)


# Actions


@_FORM
@access.require_role(access.OPERATOR)
def budget_increase(request: HttpRequest, pk: int) -> HttpResponse:
    """Allow more until a moment."""
    budget = _find(pk)
    form = IncreaseForm(request.POST or None, initial=_increase(budget))
    if form.is_valid():
        try:
            budget_services.increase_budget(
                actor_of(request), budget, form.nano(), form.cleaned_data["until"]
            )
        except services.UsageError as exc:
            _put_error(form, exc)
        else:
            return saved(request, _HERE, "Saved.")
    context = {"form": form, "budget": budget, "name": name_of(budget)}
    return render(request, "providers/budgets/increase.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def budget_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a budget away."""
    budget = _find(pk)
    question = Confirmation(
        title=f"Remove the budget of {name_of(budget)}?",
        verb="Remove budget",
        back=reverse(_HERE),
        consequences=(
            "Nothing it held back is refused any more.",
            "What was spent stays in the ledger.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    services.remove_budget(actor_of(request), budget)
    return saved(request, _HERE, "The budget was removed.")


# Private helpers


def name_of(budget: Budget) -> str:
    """Name whom a budget is for."""
    if budget.scope == Budget.Scope.POOL:
        return "the whole pool"
    if budget.scope == Budget.Scope.TEAM and budget.team is not None:
        return f"team {budget.team.name}"
    if budget.scope == Budget.Scope.KEY and budget.client_key is not None:
        return f"key {budget.client_key.name}"
    words = selectors.words(budget)
    return words[0].lower() + words[1:]


def _find(pk: int) -> Budget:
    found: Budget = access.find(
        Budget.objects.select_related("client_key", "team"), "budget", pk=pk
    )
    return found


def _increase(budget: Budget) -> dict[str, Any]:
    until = budget.extra_until
    if until is None or until <= timezone.now():
        return {}
    return {"extra_usd": plain_usd(budget.extra_nano_usd), "until": until}


def _put_error(form: Any, exc: services.UsageError) -> None:
    field = _FIELDS.get(exc.field, exc.field)
    form.add_error(field if field in form.fields else None, exc.message)
