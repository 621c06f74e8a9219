"""Recalculation: the runs, the form, one run with its figures and what may be done."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from poolsite.money import format_usd
from poolsite.ui import access, keyset
from poolsite.ui.render import (
    Confirmation,
    confirm,
    is_confirmed,
    refused,
    render,
    saved,
)
from poolsite.views import actor_of
from usage.models import RecalculationRun
from usage.recalculation import selectors, services
from usage.recalculation_forms import RecalculationForm
from usage.services import UsageError

_FORM = require_http_methods(["GET", "POST"])
WORD = "recalculate"


@require_GET
def recalculation_list(request: HttpRequest) -> HttpResponse:
    """List recalculations, newest first; four queries."""
    page = keyset.paginate(selectors.runs(), request.GET.get("cursor", ""), key=("id",))
    context = {
        "page": page,
        "rows": [selectors.summary(run) for run in page.rows],
    }
    return render(request, "usage/recalculation/page.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def recalculation_new(request: HttpRequest) -> HttpResponse:
    """Choose a range and count; nothing is written yet."""
    form = RecalculationForm(request.POST or None, initial=_asked(request))
    if form.is_valid():
        try:
            run = services.start(actor_of(request), form.choice())
        except UsageError as exc:
            form.add_error(exc.field if exc.field in form.fields else None, str(exc))
        else:
            return saved(request, _url(run), "Counting what would change.")
    return render(request, "usage/recalculation/form.html", {"form": form})


@require_GET
def recalculation_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one run: its figures, how far it is, what may be done; four queries."""
    run = _find(pk)
    context = {
        "run": run,
        "facts": selectors.facts(run),
        "is_live": run.is_busy,
        "found": run.found or {},
    }
    return render(
        request,
        "usage/recalculation/detail.html",
        context,
        piece="usage/recalculation/_run.html",
    )


@_FORM
@access.require_role(access.OPERATOR)
def recalculation_apply(request: HttpRequest, pk: int) -> HttpResponse:
    """Write the corrections, after the word was typed."""
    run = _find(pk)
    found = run.found or {}
    delta = found.get("delta_nano_usd", 0)
    question = Confirmation(
        title=f"Apply recalculation {run.pk}?",
        verb="Apply",
        back=_url(run),
        consequences=(
            f"{found.get('changed', 0):,} attempts are corrected by "
            f"{format_usd(delta)} in all.",
            "What was settled stays as it is; the corrections can be undone.",
            "Budgets are not changed: they counted what was known then.",
        ),
        type_name=WORD,
    )
    if request.method == "GET":
        return confirm(request, question)
    if not is_confirmed(request, question):
        error = {"name_error": f"Type {WORD} to confirm."}
        answer = confirm(request, question, error)
        answer.status_code = 422
        return answer
    try:
        services.apply(actor_of(request), run)
    except UsageError as exc:
        return refused(request, _url(run), str(exc))
    return saved(request, _url(run), "The corrections are being written.")


@_FORM
@access.require_role(access.OPERATOR)
def recalculation_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the corrections of a run back."""
    run = _find(pk)
    question = Confirmation(
        title=f"Undo recalculation {run.pk}?",
        verb="Undo",
        back=_url(run),
        consequences=(
            f"{run.applied - run.undone:,} corrections are taken back.",
            "Both stay in the history.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    try:
        services.undo(actor_of(request), run)
    except UsageError as exc:
        return refused(request, _url(run), str(exc))
    return saved(request, _url(run), "The corrections are being taken back.")


@require_POST
@access.require_role(access.OPERATOR)
def recalculation_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a run to stop where it is."""
    run = _find(pk)
    try:
        services.cancel(actor_of(request), run)
    except UsageError as exc:
        return refused(request, _url(run), str(exc))
    return saved(request, _url(run), "It stops within two seconds.")


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return what a link to the form fills in."""
    names = ("since", "until", "model_glob", "providers")
    return {name: request.GET[name] for name in names if name in request.GET}


def _find(pk: int) -> RecalculationRun:
    return access.find(selectors.runs(), "recalculation", pk=pk)


def _url(run: RecalculationRun) -> str:
    return reverse("usage:recalculation-detail", args=[run.pk])
