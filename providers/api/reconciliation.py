"""Statements of vendors against the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import ConfigDict, Field

from poolsite.money import nano_from_usd
from providers.api.auth import actor_of
from usage.models import VendorStatement
from usage.reconciliation import selectors, services, shapes
from usage.reconciliation.compare import Limits
from usage.reconciliation.read import Reading
from usage.reconciliation.shapes import Columns
from usage.reconciliation.table import FILE, LARGEST
from usage.services import UsageError

router = Router(tags=["reconciliation"])


class StatementTakeIn(Schema):
    """Whose statement it is and how to read it.

    The ``column_`` fields name the columns of a file that is no known export.
    """

    model_config = ConfigDict(extra="forbid")

    provider: str = Field(max_length=64)
    threshold_percent: Decimal = Field(Decimal(1), ge=0, le=100, decimal_places=2)
    floor_usd: Decimal = Field(Decimal("0.01"), ge=0, le=10**6)
    usd_per_unit: Decimal | None = Field(None, gt=0, lt=10_000)
    time_zone: str = Field("UTC", max_length=64)
    date_order: str = Field("", pattern="^(dmy|mdy)?$")
    column_day: str = Field("", max_length=200)
    column_model: str = Field("", max_length=200)
    column_cost: str = Field("", max_length=200)
    column_currency: str = Field("", max_length=200)
    column_input: str = Field("", max_length=200)
    column_cache_read: str = Field("", max_length=200)
    column_cache_write: str = Field("", max_length=200)
    column_output: str = Field("", max_length=200)
    column_requests: str = Field("", max_length=200)
    input_has_cached: bool = False


@router.get("/statements")
def list_statements(request: HttpRequest) -> list[dict[str, Any]]:
    """List the newest statements."""
    return selectors.latest()


@router.post("/statements", response={201: dict[str, Any]})
def take_in_statement(
    request: HttpRequest,
    data: Form[StatementTakeIn],
    file: File[UploadedFile],
) -> Status[dict[str, Any]]:
    """Take a statement in and begin to compare it; multipart, CSV to 20 MB."""
    if (file.size or 0) > LARGEST:
        raise UsageError("A file is at most 20 MB.", field=FILE)
    upload = services.Upload(
        provider=data.provider,
        data=file.read(),
        file_name=file.name or "",
        how=Reading(
            columns=_columns(data),
            time_zone=data.time_zone,
            usd_per_unit=data.usd_per_unit,
            date_order=data.date_order,
        ),
        limits=Limits(
            basis=int(data.threshold_percent * 100), floor=nano_from_usd(data.floor_usd)
        ),
    )
    row = services.take_in(actor_of(request), upload)
    return Status(201, selectors.facts(_statement(row.pk)))


@router.get("/statements/{int:statement_id}")
def get_statement(request: HttpRequest, statement_id: int) -> dict[str, Any]:
    """Return one statement with what differs."""
    return selectors.facts(_statement(statement_id))


@router.post("/statements/{int:statement_id}/compare")
def compare_statement(request: HttpRequest, statement_id: int) -> dict[str, Any]:
    """Compare again, with what the ledger holds now."""
    services.compare(actor_of(request), _statement(statement_id))
    return selectors.facts(_statement(statement_id))


@router.delete("/statements/{int:statement_id}", response={204: None})
def delete_statement(request: HttpRequest, statement_id: int) -> Status[None]:
    """Remove a statement; the ledger stays as it is."""
    services.remove(actor_of(request), _statement(statement_id))
    return Status(204, None)


def _columns(data: StatementTakeIn) -> Columns | None:
    values = data.model_dump()
    named = {part: values[f"column_{part}"] for part in shapes.PARTS}
    return shapes.chosen(named, has_cached=data.input_has_cached)


def _statement(statement_id: int) -> VendorStatement:
    return get_object_or_404(selectors.statements(), pk=statement_id)
