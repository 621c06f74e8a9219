"""Read saved views and exports."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from poolsite.accounts import OWNER, role_of
from poolsite.models import User
from usage.saved import Export, SavedView


def views_of(user: User) -> QuerySet[SavedView]:
    """Return the views one person saved, by name."""
    return SavedView.objects.filter(user=user).order_by("name", "pk")


def exports_of(user: User) -> QuerySet[Export]:
    """Return the files a person may see: their own, and for owners everybody's."""
    mine = Q() if role_of(user) == OWNER else Q(user=user)
    rows = Export.objects.filter(mine).select_related("job", "user")
    return rows.order_by("-asked_at", "-pk")


def view_facts(view: SavedView) -> dict[str, Any]:
    """Return what the API tells of a saved view."""
    return {
        "id": view.pk,
        "name": view.name,
        "query": view.query,
        "created_at": view.created_at.isoformat(),
    }


def export_facts(row: Export) -> dict[str, Any]:
    """Return what the API tells of an export."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "query": row.query,
        "state": state_of(row),
        "rows": row.rows,
        "size_bytes": row.size_bytes,
        "asked_at": row.asked_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
    }


def state_of(row: Export) -> str:
    """Say in one word how far a file is."""
    if row.is_ready:
        return "ready"
    return row.job.state if row.job is not None else "lost"
