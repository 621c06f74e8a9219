"""Aliases: names clients may ask for, each with its targets in order."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, render, saved
from poolsite.views import actor_of
from providers import selectors
from providers.models import Alias
from providers.selectors_routing import PoolNames
from providers.services import models
from providers.services.errors import ServiceError
from providers.services.models import Target
from providers.views.rule_forms import AliasForm

_FORM = require_http_methods(["GET", "POST"])
_HERE: Final = "providers:alias-list"


@require_GET
def alias_list(request: HttpRequest) -> HttpResponse:
    """List aliases; a target nobody serves any more is marked."""
    names, listed = PoolNames(), selectors.live_aliases()
    names.expect(row.model_id for each in listed for row in each.targets.all())
    rows = [
        {
            "alias": alias,
            "targets": [
                (_text(target), names.serves(target.model_id, target.provider_slug))
                for target in map(_target, alias.targets.all())
            ],
        }
        for alias in listed
    ]
    return render(request, "providers/routing/aliases.html", {"rows": rows})


@_FORM
@access.require_role(access.OPERATOR)
def alias_add(request: HttpRequest) -> HttpResponse:
    """Give a name its targets."""
    form = AliasForm(request.POST or None)
    if form.is_valid():
        name = form.cleaned_data["name"]
        if _set(request, form, name, is_new=True):
            return saved(request, _HERE, f"{name} leads somewhere now.")
    return render(request, "providers/routing/alias.html", {"form": form})


@_FORM
@access.require_role(access.OPERATOR)
def alias_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change where an alias leads."""
    alias = _find(pk)
    was = {
        "targets": [_text(each) for each in models.targets_of(alias)],
        "description": alias.description,
    }
    form = AliasForm(request.POST or None, is_new=False, initial=was)
    if form.is_valid() and _set(request, form, alias.name):
        return saved(request, _HERE, "Saved. Workers have it in two seconds.")
    context = {"form": form, "alias": alias}
    return render(request, "providers/routing/alias.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def alias_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an alias away."""
    alias = _find(pk)
    question = Confirmation(
        title=f"Delete the alias {alias.name}?",
        verb="Delete alias",
        back=reverse(_HERE),
        consequences=("Requests for it are answered 404 from then on.",),
    )
    if request.method == "GET":
        return confirm(request, question)
    models.remove_alias(actor_of(request), alias)
    return saved(request, _HERE, f"{alias.name} was deleted.")


def _set(
    request: HttpRequest, form: AliasForm, name: str, *, is_new: bool = False
) -> bool:
    """Store the alias, or say at a field why not."""
    data = form.cleaned_data
    try:
        kept = {_text(each): each for each in _kept(name)}
        targets = [kept.get(text, text) for text in data["targets"]]
        models.set_alias(
            actor_of(request),
            name,
            targets,
            description=data["description"],
            is_new=is_new,
        )
    except ServiceError as exc:
        form.put_error(exc.field, exc.message)
        return False
    return True


def _kept(name: str) -> list[Target]:
    """Return the targets it has: one nobody serves any more may stay."""
    alias = Alias.objects.filter(name=name, deleted_at=None).first()
    return [] if alias is None else models.targets_of(alias)


def _find(pk: int) -> Alias:
    found: Alias = access.find(Alias, "alias", pk=pk, deleted_at=None)
    return found


def _target(row: object) -> Target:
    return Target(row.model_id, row.provider_slug)  # type: ignore[attr-defined] # an AliasTarget


def _text(target: Target) -> str:
    return str(target)
