"""Reconciliation: statements, the upload, and what differs from the ledger."""

from __future__ import annotations

import csv
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from poolsite.ui import access, keyset
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from usage.models import StatementComparison, VendorStatement
from usage.reconciliation import selectors, services
from usage.reconciliation.compare import PRICE, UNPRICED
from usage.reconciliation.shapes import detect
from usage.reconciliation.table import LARGEST, open_table
from usage.reconciliation_forms import StatementForm
from usage.services import UsageError

_FORM = require_http_methods(["GET", "POST"])


@require_GET
def statement_list(request: HttpRequest) -> HttpResponse:
    """List statements, newest first; four queries."""
    rows = selectors.statements()
    page = keyset.paginate(rows, request.GET.get("cursor", ""), key=("id",))
    context = {"page": page, "rows": [selectors.summary(row) for row in page.rows]}
    return render(request, "usage/reconciliation/page.html", context)


@_FORM
@access.require_role(access.OPERATOR)
def statement_new(request: HttpRequest) -> HttpResponse:
    """Take a statement in; a file nobody knows is asked for its columns."""
    header = _unknown_header(request)
    if header and not any(name.startswith("column_") for name in request.POST):
        names = ("provider", "threshold", "floor", "rate")
        initial = {name: request.POST[name] for name in names if name in request.POST}
        form = StatementForm(header=header, initial=initial)
        context = {"form": form, "is_unknown": True}
        return render(request, "usage/reconciliation/form.html", context, status=422)
    form = StatementForm(
        request.POST or None, request.FILES or None, header=header or ()
    )
    if form.is_valid():
        try:
            row = services.take_in(actor_of(request), form.upload())
        except UsageError as exc:
            form.refuse(exc)
        else:
            return saved(request, _url(row), "Comparing it with the ledger.")
    context = {"form": form, "is_unknown": bool(header)}
    return render(request, "usage/reconciliation/form.html", context)


@require_GET
def statement_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one statement: both totals, and what is named; four queries."""
    row = _find(pk)
    lines = [
        {**selectors.line(each), "recalculate": _price_again(row, each)}
        for each in selectors.named(row)
    ]
    context = {
        "row": row,
        "facts": selectors.summary(row),
        "found": row.found or {},
        "lines": lines,
        "rest": max(0, (row.found or {}).get("named", 0) - len(lines)),
    }
    return render(
        request,
        "usage/reconciliation/detail.html",
        context,
        piece="usage/reconciliation/_statement.html",
    )


@require_GET
def statement_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """Give every compared line as CSV."""
    row = _find(pk)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="reconciliation-{pk}.csv"'
    answer["Cache-Control"] = "no-store"
    csv.writer(answer).writerows(selectors.cells(row))
    return answer


@require_POST
@access.require_role(access.OPERATOR)
def statement_compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Compare again, with what the ledger holds now."""
    row = _find(pk)
    try:
        services.compare(actor_of(request), row)
    except UsageError as exc:
        return refused(request, _url(row), str(exc))
    return saved(request, _url(row), "Comparing it with the ledger.")


@_FORM
@access.require_role(access.OPERATOR)
def statement_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a statement and what was found."""
    row = _find(pk)
    question = Confirmation(
        title=f"Delete statement {row.pk}?",
        verb="Delete",
        back=_url(row),
        consequences=("Its sums and its comparison go. The ledger stays as it is.",),
    )
    if request.method == "GET":
        return confirm(request, question)
    try:
        services.remove(actor_of(request), row)
    except UsageError as exc:
        return refused(request, _url(row), str(exc))
    return saved(request, reverse("usage:statement-list"), "Statement deleted.")


def _unknown_header(request: HttpRequest) -> tuple[str, ...]:
    """Return the columns of an uploaded file that is no known export."""
    file = request.FILES.get("file")
    if file is None or not file.size or file.size > LARGEST:
        return ()
    try:
        header = open_table(file.read()).header
    except UsageError:
        return ()  # the form says what is wrong with it
    finally:
        file.seek(0)
    return () if detect(header) else header


def _price_again(row: VendorStatement, line: StatementComparison) -> str:
    """Return where a model's day is priced again, if that is what differs."""
    if line.cause not in (PRICE, UNPRICED) or len(line.ledger_models) != 1:
        return ""
    asked = {
        "since": line.day.isoformat(),
        "until": line.day.isoformat(),
        "providers": row.provider,
        "model_glob": line.ledger_models[0],
    }
    return f"{reverse('usage:recalculation-new')}?{urlencode(asked)}"


def _find(pk: int) -> VendorStatement:
    return access.find(selectors.statements(), "statement", pk=pk)


def _url(row: VendorStatement) -> str:
    return reverse("usage:statement-detail", args=[row.pk])
