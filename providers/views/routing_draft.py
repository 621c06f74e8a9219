"""The draft of the routing: what it changes, its replay, publishing; the history."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from providers import selectors_routing as selectors
from providers.models import RoutingRevision
from providers.selectors_routing import PoolNames, Standing
from providers.services import routing, routing_replay
from providers.services import routing_checks as checks
from providers.services.errors import ServiceError
from providers.services.routing_words import differences
from providers.views.rule_forms import PublishForm

_FORM = require_http_methods(["GET", "POST"])
_HERE: Final = "providers:routing"
_DRAFT: Final = "providers:routing-draft"
_HISTORY: Final = "providers:routing-history"
_PAGE_SIZE: Final = 50

# Pages


@require_GET
def draft(request: HttpRequest) -> HttpResponse:
    """Show what the draft changes."""
    standing = selectors.standing()
    return _draft(request, standing, PublishForm(initial={"tag": standing.tag}))


@require_GET
def replay(request: HttpRequest) -> HttpResponse:
    """Say how many of the last requests the draft would send elsewhere."""
    standing = selectors.standing()
    found = None
    if standing.draft is not None:
        found = routing_replay.replay(standing.in_force, standing.edited)
    return render(
        request,
        "providers/routing/replay.html",
        {"found": found},
        piece="providers/routing/_replay.html",
    )


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """List what was published, newest first."""
    text = request.GET.get("before", "")
    before = int(text) if text.isdecimal() and len(text) < 10 else None
    rows = selectors.history(before, _PAGE_SIZE + 1)
    context = {
        "rows": rows[:_PAGE_SIZE],
        "number": selectors.standing().number,
        "older": rows[_PAGE_SIZE - 1].number if len(rows) > _PAGE_SIZE else None,
        "is_first": before is None,
    }
    return render(request, "providers/routing/history.html", context)


@require_GET
def revision(request: HttpRequest, number: int) -> HttpResponse:
    """Show what a published routing changed, and what going back would."""
    row = _published(number)
    standing = selectors.standing()
    older = selectors.history(number, 1)
    before = selectors.record_of(older[0] if older else None)
    record = selectors.record_of(row)
    context = {
        "row": row,
        "title": f"Routing {number}",
        "changed": differences(before, record),
        "is_in_force": number == standing.number,
        "back": differences(standing.in_force, record),
    }
    return render(request, "providers/routing/revision.html", context)


# Actions


@require_POST
@access.require_role(access.OPERATOR)
def publish(request: HttpRequest) -> HttpResponse:
    """Put the draft in force, if it is still the one that was looked at."""
    form = PublishForm(request.POST)
    if form.is_valid():
        try:
            row = routing.publish(
                actor_of(request),
                note=form.cleaned_data["note"],
                # Without one nobody looked at anything.
                tag=form.cleaned_data["tag"] or "-",
            )
        except routing.StaleError as exc:
            return refused(request, _DRAFT, exc.message)
        except ServiceError as exc:
            form.add_error("note" if exc.field == "note" else None, exc.message)
        else:
            text = f"Routing {row.number} is in force; workers have it in two seconds."
            return saved(request, _HERE, text)
    return _draft(request, selectors.standing(), form)


@_FORM
@access.require_role(access.OPERATOR)
def discard(request: HttpRequest) -> HttpResponse:
    """Throw the draft away."""
    standing = selectors.standing()
    lines = differences(standing.in_force, standing.edited)
    question = Confirmation(
        title="Discard the draft?",
        verb="Discard draft",
        back=reverse(_DRAFT),
        text="What is in force stays in force.",
        consequences=(f"{len(lines)} changes are lost.",),
    )
    if request.method == "GET":
        hidden = format_html(
            '<input type="hidden" name="tag" value="{}">', standing.tag
        )
        return confirm(request, question, {"fields": hidden})
    try:
        routing.discard(actor_of(request), tag=request.POST.get("tag", ""))
    except ServiceError as exc:
        return refused(request, _DRAFT, exc.message)
    return saved(request, _HERE, "The draft was discarded.")


@_FORM
@access.require_role(access.OPERATOR)
def revert(request: HttpRequest, number: int) -> HttpResponse:
    """Put an older routing in force again."""
    row = _published(number) if number else None
    lines = differences(selectors.standing().in_force, selectors.record_of(row))
    what = f"routing {number}" if number else "the defaults"
    question = Confirmation(
        title=f"Go back to {what}?",
        verb="Put in force",
        back=reverse(_HISTORY),
        text="It is published again under a new number, at once.",
        consequences=tuple(
            " ".join(filter(None, (line.what, line.kind, line.after)))
            for line in lines[:10]
        ),
        danger=False,
    )
    if request.method == "GET":
        return confirm(request, question)
    try:
        new = routing.revert(actor_of(request), number)
    except ServiceError as exc:
        return refused(request, _HISTORY, exc.message)
    return saved(request, _HISTORY, f"Routing {new.number} is in force: {what} again.")


# Private helpers


def _draft(request: HttpRequest, standing: Standing, form: PublishForm) -> HttpResponse:
    lines = differences(standing.in_force, standing.edited)
    problem = ""
    try:
        checks.check(standing.edited)
    except ServiceError as exc:
        problem = exc.message
    context = {
        "standing": standing,
        "lines": lines if standing.draft else [],
        "flags": checks.flags(standing.edited, PoolNames()) if standing.draft else [],
        "problem": problem,
        "form": form,
    }
    return render(request, "providers/routing/draft.html", context)


def _published(number: int) -> RoutingRevision:
    rows = RoutingRevision.objects.filter(is_draft=False).select_related("author")
    try:
        return rows.get(number=number)
    except RoutingRevision.DoesNotExist as exc:
        raise Http404("There is no such routing.") from exc
