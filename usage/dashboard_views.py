"""Beside the usage screen: sessions, saved views, exports, what a bill may differ by."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from poolsite.models import User
from poolsite.ui import access, keyset
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from usage import log, rebuild_services, saved_selectors, saved_services
from usage.dashboard_forms import RebuildForm, ViewForm
from usage.dashboards import difference, sessions
from usage.saved import Export, SavedView
from usage.services import UsageError
from usage.views import asked_by, bar, page_number

_FORM = require_http_methods(["GET", "POST"])


# Sessions


@require_GET
def session_list(request: HttpRequest) -> HttpResponse:
    """List sessions of a range, the dearest first; seven queries."""
    asked = asked_by(request)
    page = page_number(request)
    rows, has_more = sessions.dearest(asked.period, page)
    context = {
        **bar(asked),
        "rows": rows,
        "newer": asked.address(page=str(page - 1)) if page else "",
        "older": asked.address(page=str(page + 1)) if has_more else "",
        "tab": "sessions",
        "period": asked.period.in_days(),
    }
    return render(request, "usage/sessions/page.html", context)


@require_GET
def session_detail(request: HttpRequest) -> HttpResponse:
    """Show one session: its sums and its requests in time; ten queries."""
    name = request.GET.get("id", "")[:255].replace("\x00", "")
    ref = sessions.number_of(name)
    if ref is None:
        raise Http404("There is no such session. Retention may have removed it.")
    page = keyset.paginate(sessions.requests_of(ref), request.GET.get("cursor", ""))
    line = sessions.line_of(ref)
    context = {
        "page": page,
        "rows": log.in_words(list(page.rows)),
        "session": sessions.described([line])[0],
        "line": line,
    }
    return render(request, "usage/sessions/detail.html", context)


@require_GET
def now(request: HttpRequest) -> HttpResponse:
    """Show how things are at this moment; three queries."""
    context = {**sessions.now_facts(timezone.now()), "as_of": timezone.now()}
    return render(request, "usage/now.html", context, piece="usage/_now.html")


@require_GET
def bill_difference(request: HttpRequest) -> HttpResponse:
    """Say why the shown spend is not what a vendor bills; six queries."""
    asked = asked_by(request)
    context = {**bar(asked), "found": difference.explain(asked.period), "tab": "usage"}
    return render(request, "usage/difference/page.html", context)


@_FORM
@access.require_role(access.OWNER)
def rollup_rebuild(request: HttpRequest) -> HttpResponse:
    """Have the rollups of some days made anew from the ledger."""
    form = RebuildForm(request.POST or None)
    if form.is_valid():
        try:
            rebuild_services.start(actor_of(request), **form.cleaned_data)
        except UsageError as exc:
            form.add_error(exc.field or None, str(exc))
        else:
            to = reverse("usage:usage")
            return saved(request, to, "The rollups are being rebuilt.")
    return render(request, "usage/rebuild/form.html", {"form": form})


# Saved views


@require_GET
def view_list(request: HttpRequest) -> HttpResponse:
    """List the views one saved; four queries."""
    rows = saved_selectors.views_of(_user(request))
    return render(request, "usage/views/page.html", {"rows": rows, "tab": "views"})


@require_GET
def view_open(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to what a view keeps; its link works for everybody who is signed in."""
    view = access.find(SavedView, "saved view", pk=pk)
    return redirect(f"{reverse('usage:usage')}?{view.query}")


@_FORM
@access.open_to_viewers
def view_save(request: HttpRequest) -> HttpResponse:
    """Name the address one came from."""
    form = ViewForm(request.POST or None)
    query = request.POST.get("query") or request.GET.urlencode()
    if form.is_valid():
        try:
            view = saved_services.save_view(
                actor_of(request), form.cleaned_data["name"], query
            )
        except UsageError as exc:
            form.add_error(exc.field or None, str(exc))
        else:
            to = f"{reverse('usage:usage')}?{view.query}"
            return saved(request, to, "The view is saved.")
    context = {"form": form, "query": query, "title": "Save view"}
    return render(request, "usage/views/form.html", context)


@_FORM
@access.open_to_viewers
def view_rename(request: HttpRequest, pk: int) -> HttpResponse:
    """Give one's own view another name."""
    view = _own_view(request, pk)
    form = ViewForm(request.POST or None, initial={"name": view.name})
    if form.is_valid():
        try:
            saved_services.rename_view(
                actor_of(request), view, form.cleaned_data["name"]
            )
        except UsageError as exc:
            form.add_error(exc.field or None, str(exc))
        else:
            return saved(request, reverse("usage:view-list"), "The view is renamed.")
    context = {"form": form, "title": "Rename view"}
    return render(request, "usage/views/form.html", context)


@_FORM
@access.open_to_viewers
def view_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one's own view, after asking."""
    view = _own_view(request, pk)
    back = reverse("usage:view-list")
    if request.method == "GET":
        question = Confirmation(
            title=f"Delete the view {view.name}?",
            verb="Delete view",
            back=back,
            consequences=("Its link stops working.",),
        )
        return confirm(request, question)
    saved_services.delete_view(actor_of(request), view)
    return saved(request, back, "The view is deleted.")


# Exports


@require_GET
def export_list(request: HttpRequest) -> HttpResponse:
    """List the files one had written; four queries."""
    page = keyset.paginate(
        saved_selectors.exports_of(_user(request)),
        request.GET.get("cursor", ""),
        key=("asked_at", "id"),
    )
    rows = [(row, saved_selectors.state_of(row)) for row in page.rows]
    context = {"page": page, "rows": rows, "tab": "exports"}
    return render(request, "usage/exports/page.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def export_start(request: HttpRequest) -> HttpResponse:
    """Have a file written in the background."""
    to = reverse("usage:export-list")
    try:
        saved_services.start_export(
            actor_of(request),
            request.POST.get("kind", "usage"),
            request.POST.get("query", ""),
        )
    except UsageError as exc:
        return refused(request, to, str(exc))
    return saved(request, to, "The file is being written.")


@require_GET
@access.require_role(access.OPERATOR)
def export_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Hand out a file to who asked for it, or to an owner."""
    row = _own_export(request, pk)
    path = saved_services.path_of(row)
    if not row.is_ready or row.expires_at <= timezone.now() or not path.exists():
        raise Http404("There is no such file. It may have expired.")
    answer = FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=f"{row.kind}-{row.asked_at:%Y%m%d-%H%M}.csv",
        content_type="text/csv; charset=utf-8",
    )
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@access.require_role(access.OPERATOR)
def export_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a file."""
    saved_services.delete_export(actor_of(request), _own_export(request, pk))
    return saved(request, reverse("usage:export-list"), "The file is deleted.")


def _user(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return user


def _own_view(request: HttpRequest, pk: int) -> SavedView:
    rows = saved_selectors.views_of(_user(request))
    return access.find(rows, "saved view", pk=pk)


def _own_export(request: HttpRequest, pk: int) -> Export:
    rows = saved_selectors.exports_of(_user(request))
    return access.find(rows, "file", pk=pk)
