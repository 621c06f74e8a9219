"""How long rows of each table are kept."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import ConfigDict

from providers.api.auth import actor_of, require_owner
from usage.retention import selectors, services

router = Router(tags=["retention"])


class RetentionSet(Schema):
    """Days to keep a table's rows; null = the default again."""

    model_config = ConfigDict(extra="forbid")

    days: int | None


@router.get("/retention")
def list_retention(request: HttpRequest) -> list[dict[str, Any]]:
    """List the rule of every table."""
    return selectors.table()


@router.put("/retention/{table}", response={204: None})
def set_retention(request: HttpRequest, table: str, data: RetentionSet) -> Status[None]:
    """Set how long a table's rows are kept; owners only."""
    require_owner(request)
    services.set_days(actor_of(request), table, data.days)
    return Status(204, None)
