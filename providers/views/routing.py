"""How the pool routes: the settings and rules of the draft, beside the simulator."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from providers import selectors_routing as selectors
from providers.selectors_routing import PoolNames, Standing
from providers.services import routing, routing_rules
from providers.services import routing_checks as checks
from providers.services.errors import ServiceError
from providers.services.routing_words import differences, rule_in_words, rule_name
from providers.snapshot.types import RuleRecord
from providers.views import routing_simulator
from providers.views.rule_forms import DefaultModelForm, RoutingForm, RuleForm

_FORM = require_http_methods(["GET", "POST"])
_HERE: Final = "providers:routing"
_LONGEST_TAG: Final = 40
_KEPT_SETTINGS: Final = (
    "What you entered is below; saving it now replaces what they set."
)
_KEPT_RULE: Final = (
    "What you entered is below, to be copied; open the rule again to save it."
)
_SAVED: Final = "Saved in the draft. It holds once it is published."

# Pages


@require_GET
def routing_page(request: HttpRequest) -> HttpResponse:
    """Show the settings, the rules and the simulator."""
    return _page(request, selectors.standing())


@_FORM
@access.require_role(access.OPERATOR)
def settings_edit(request: HttpRequest) -> HttpResponse:
    """Change the settings in the draft."""
    standing = selectors.standing()
    form = RoutingForm(request.POST or None, record=standing.edited)
    if form.is_valid():
        try:
            routing.change_settings(
                actor_of(request), form.values(), tag=request.POST.get("tag", "")
            )
        except routing.StaleError as exc:
            form.add_error(None, f"{exc.message} {_KEPT_SETTINGS}")
            return _page(request, standing, form, tag=standing.tag)
        except ServiceError as exc:
            form.put_error(exc.field, exc.message)
        else:
            return saved(request, _HERE, _SAVED)
    return _page(request, standing, form)


@_FORM
@access.require_role(access.OPERATOR)
def rule_add(request: HttpRequest) -> HttpResponse:
    """Add a rule at the end of the draft."""
    return _rule_form(request, selectors.standing(), None)


@_FORM
@access.require_role(access.OPERATOR)
def rule_edit(request: HttpRequest, place: int) -> HttpResponse:
    """Change a rule of the draft."""
    standing = selectors.standing()
    _rule(standing, place)
    return _rule_form(request, standing, place)


@_FORM
@access.require_role(access.OPERATOR)
def default_model(request: HttpRequest) -> HttpResponse:
    """Say what a request asks for that names no model."""
    names = PoolNames()
    was = selectors.defaults()
    form = DefaultModelForm(
        request.POST or None, initial=was, providers=names.providers
    )
    if form.is_valid():
        name = form.cleaned_data["default_model"]
        try:
            routing.set_default_model(actor_of(request), name)
            routing.set_default_provider(
                actor_of(request), form.cleaned_data["default_provider"]
            )
        except ServiceError as exc:
            form.add_error(exc.field or None, exc.message)
        else:
            names.expect([name])
            known = not name or names.serves(name)
            text = "Saved." if known else f"Saved, but nobody offers {name} now."
            return saved(request, _HERE, text)
    context = {"form": form, "names": routing_simulator.some_names(names)}
    return render(request, "providers/routing/default_model.html", context)


# Actions


@require_POST
@access.require_role(access.OPERATOR)
def rule_switch(request: HttpRequest, place: int, switch: str) -> HttpResponse:
    """Enable or disable a rule, or move it a place up or down."""
    actor, tag = actor_of(request), request.POST.get("tag", "")
    try:
        if switch in ("enable", "disable"):
            routing_rules.switch_rule(actor, place, enabled=switch == "enable", tag=tag)
        elif switch in ("up", "down"):
            to = place - 1 if switch == "up" else place + 1
            routing_rules.move_rule(actor, place, to, tag=tag)
        else:
            raise Http404("There is no such page.")
    except ServiceError as exc:
        return refused(request, _HERE, exc.message)
    return _rules_piece(request)


@require_POST
@access.require_role(access.OPERATOR)
def rule_move(request: HttpRequest) -> HttpResponse:
    """Move a rule to the place it was dragged to."""
    try:
        place, to = int(request.POST["place"]), int(request.POST["to"])
    except (KeyError, ValueError) as exc:
        raise Http404("There is no such rule.") from exc
    try:
        routing_rules.move_rule(
            actor_of(request), place, to, tag=request.POST.get("tag", "")
        )
    except ServiceError as exc:
        return refused(request, _HERE, exc.message)
    return _rules_piece(request)


@_FORM
@access.require_role(access.OPERATOR)
def rule_remove(request: HttpRequest, place: int) -> HttpResponse:
    """Take a rule out of the draft."""
    standing = selectors.standing()
    rule = _rule(standing, place)
    question = Confirmation(
        title=f"Delete rule {place}?",
        verb="Delete rule",
        back=reverse(_HERE),
        text=rule_in_words(rule),
        consequences=("It is in force until the draft is published.",),
    )
    if request.method == "GET":
        tag = request.GET.get("tag", standing.tag)
        return confirm(request, question, {"fields": _hidden_tag(tag)})
    try:
        routing_rules.remove_rule(
            actor_of(request), place, tag=request.POST.get("tag", "")
        )
    except ServiceError as exc:
        return refused(request, _HERE, exc.message)
    return saved(request, _HERE, "The rule is out of the draft.")


# Private helpers


def _page(
    request: HttpRequest,
    standing: Standing,
    form: RoutingForm | None = None,
    *,
    tag: str = "",
) -> HttpResponse:
    names = PoolNames()
    context = {
        **_rules_context(standing, names),
        "form": form or RoutingForm(record=standing.edited),
        "tag": tag or _seen(request, standing),
        **selectors.defaults(),
        "simulator": routing_simulator.context(request, standing, names),
    }
    return render(request, "providers/routing/page.html", context)


def _rules_piece(request: HttpRequest) -> HttpResponse:
    standing = selectors.standing()
    context = {**_rules_context(standing, PoolNames()), "tag": standing.tag}
    if not request.headers.get("HX-Request"):
        return saved(request, f"{reverse(_HERE)}#rules")
    return render(
        request,
        "providers/routing/_rules.html",
        context,
        piece="providers/routing/_rules.html",
        oob=["providers/routing/_draft.html", "providers/routing/_tag.html"],
    )


def _rules_context(standing: Standing, names: PoolNames) -> dict[str, Any]:
    record = standing.edited
    flags = checks.flags(record, names)
    lines = differences(standing.in_force, record) if standing.draft else []
    return {
        "standing": standing,
        "change_count": len(lines),
        "rules": [
            {
                "place": place,
                "rule": rule,
                "name": rule_name(rule),
                "text": rule_in_words(rule),
                "reasons": [each.reason for each in flags if each.place == place],
                "is_first": place == 1,
                "is_last": place == len(record.rules),
            }
            for place, rule in enumerate(record.rules, start=1)
        ],
    }


def _rule_form(
    request: HttpRequest, standing: Standing, place: int | None
) -> HttpResponse:
    names = PoolNames()
    rule = None if place is None else _rule(standing, place)
    form = RuleForm(request.POST or None, providers=list(names.providers), rule=rule)
    if form.is_valid():
        actor, tag = actor_of(request), request.POST.get("tag", "")
        try:
            made = routing_rules.rule_of(form.values())
            if place is None:
                routing_rules.add_rule(actor, made)
            else:
                routing_rules.set_rule(actor, place, made, tag=tag)
        except routing.StaleError as exc:
            # It stays stale: at this place may now be another rule.
            form.add_error(None, f"{exc.message} {_KEPT_RULE}")
        except ServiceError as exc:
            form.put_error(exc.field, exc.message)
        else:
            return saved(request, f"{reverse(_HERE)}#rules", _SAVED)
    context = {
        "form": form,
        "place": place,
        "tag": _seen(request, standing),
        "names": routing_simulator.some_names(names),
    }
    return render(request, "providers/routing/rule.html", context)


def _rule(standing: Standing, place: int) -> RuleRecord:
    try:
        return routing_rules.rule_at(standing.edited, place)
    except ServiceError as exc:
        raise Http404(f"{exc.message} It may have been deleted.") from exc


def _seen(request: HttpRequest, standing: Standing) -> str:
    """Return the state a form was filled in from, also when it comes back refused."""
    return request.POST.get("tag", "")[:_LONGEST_TAG] or standing.tag


def _hidden_tag(tag: str) -> Any:
    return format_html('<input type="hidden" name="tag" value="{}">', tag)
