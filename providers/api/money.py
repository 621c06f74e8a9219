"""Usage: sums, reports, sessions, saved views, exports, rollups made anew."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import AwareDatetime, ConfigDict, Field

from poolsite.accounts import VIEWER, role_of
from providers.api.auth import actor_of, require_owner, user_of
from usage import rebuild_services, saved_selectors, saved_services, selectors
from usage.dashboards import facts, question, sessions
from usage.saved import Export, SavedView

router = Router(tags=["money"])


@router.get("/usage")
def usage(
    request: HttpRequest,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    by: Literal[
        "provider", "model", "key", "team", "user", "session", "agent", "status"
    ]
    | None = None,
) -> dict[str, Any]:
    """Sum requests, tokens and cost."""
    return selectors.usage_summary(since=since, until=until, by=by)


@router.get("/usage/report")
def usage_report(request: HttpRequest, zone: str = "UTC") -> dict[str, Any]:
    """Return what the usage screen shows for the same address.

    Takes range or from and to, by, metric, compare and every filter, as the screen's
    address does; zone says whose days are meant.
    """
    found = facts.report(_asked(request, zone))
    if found is None:
        raise HttpError(422, "No rollup keeps this combination of filters and group.")
    return found


@router.get("/usage/sessions")
def list_sessions(request: HttpRequest, zone: str = "UTC") -> list[dict[str, Any]]:
    """List the dearest sessions of a range."""
    rows, _ = sessions.dearest(_asked(request, zone).period, 0)
    return [facts.session(row) for row in rows]


@router.get("/usage/now")
def usage_now(request: HttpRequest) -> dict[str, Any]:
    """Return how things are: the last quarter of an hour or two."""
    return facts.now(sessions.now_facts(timezone.now()))


class Rebuild(Schema):
    """UTC days, both inclusive."""

    model_config = ConfigDict(extra="forbid")

    first: date
    last: date


@router.post("/usage/rebuild", response={202: dict[str, Any]})
def rebuild_rollups(request: HttpRequest, data: Rebuild) -> Status[dict[str, Any]]:
    """Make the rollups of some days anew; owners only."""
    require_owner(request)
    job = rebuild_services.start(actor_of(request), data.first, data.last)
    return Status(202, {"job": job.pk, "state": job.state})


# Saved views


class ViewIn(Schema):
    """A name and the part of an address behind the question mark."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80)
    query: str = Field("", max_length=2000)


class ViewName(Schema):
    """Another name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80)


@router.get("/usage/views")
def list_views(request: HttpRequest) -> list[dict[str, Any]]:
    """List one's own saved views."""
    rows = saved_selectors.views_of(user_of(request))
    return [saved_selectors.view_facts(row) for row in rows]


@router.post("/usage/views", response={201: dict[str, Any]})
def save_view(request: HttpRequest, data: ViewIn) -> Status[dict[str, Any]]:
    """Save a view; the same name again replaces it."""
    view = saved_services.save_view(actor_of(request), data.name, data.query)
    return Status(201, saved_selectors.view_facts(view))


@router.patch("/usage/views/{int:view_id}")
def rename_view(request: HttpRequest, view_id: int, data: ViewName) -> dict[str, Any]:
    """Rename one's own view."""
    view = _view(request, view_id)
    view = saved_services.rename_view(actor_of(request), view, data.name)
    return saved_selectors.view_facts(view)


@router.delete("/usage/views/{int:view_id}", response={204: None})
def delete_view(request: HttpRequest, view_id: int) -> Status[None]:
    """Delete one's own view."""
    saved_services.delete_view(actor_of(request), _view(request, view_id))
    return Status(204, None)


# Exports


class ExportIn(Schema):
    """What to write, and the address that decides the rows."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field("usage", max_length=16)
    query: str = Field("", max_length=2000)


@router.get("/usage/exports")
def list_exports(request: HttpRequest) -> list[dict[str, Any]]:
    """List files; owners see everybody's."""
    rows = saved_selectors.exports_of(user_of(request))[:100]
    return [saved_selectors.export_facts(row) for row in rows]


@router.post("/usage/exports", response={202: dict[str, Any]})
def start_export(request: HttpRequest, data: ExportIn) -> Status[dict[str, Any]]:
    """Have a file written in the background."""
    row = saved_services.start_export(actor_of(request), data.kind, data.query)
    return Status(202, saved_selectors.export_facts(row))


@router.get("/usage/exports/{int:export_id}")
def get_export(request: HttpRequest, export_id: int) -> dict[str, Any]:
    """Say how far a file is."""
    return saved_selectors.export_facts(_export(request, export_id))


@router.get("/usage/exports/{int:export_id}/file")
def download_export(request: HttpRequest, export_id: int) -> HttpResponseBase:
    """Hand out a file that is ready."""
    if role_of(user_of(request)) == VIEWER:
        raise HttpError(403, "A viewer may not download exports.")
    row = _export(request, export_id)
    path = saved_services.path_of(row)
    if not row.is_ready or row.expires_at <= timezone.now() or not path.exists():
        raise HttpError(404, "There is no such file.")
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{row.kind}.csv")


@router.delete("/usage/exports/{int:export_id}", response={204: None})
def delete_export(request: HttpRequest, export_id: int) -> Status[None]:
    """Delete a file."""
    saved_services.delete_export(actor_of(request), _export(request, export_id))
    return Status(204, None)


def _asked(request: HttpRequest, zone: str) -> question.Question:
    try:
        here = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise HttpError(422, "zone is not a time zone.") from exc
    values = {name: text for name, text in request.GET.items() if isinstance(text, str)}
    return question.asked(values, now=timezone.now(), zone=here)


def _view(request: HttpRequest, view_id: int) -> SavedView:
    return get_object_or_404(saved_selectors.views_of(user_of(request)), pk=view_id)


def _export(request: HttpRequest, export_id: int) -> Export:
    return get_object_or_404(saved_selectors.exports_of(user_of(request)), pk=export_id)
