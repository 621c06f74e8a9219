"""Recalculation of what was billed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import AwareDatetime, ConfigDict, Field

from providers.api.auth import actor_of
from usage.models import RecalculationRun
from usage.recalculation import selectors, services

router = Router(tags=["recalculation"])


class RecalculationStart(Schema):
    """What to price again; blank means all. Times need a zone."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    providers: list[str] = Field(
        default_factory=list, max_length=services.MOST_PROVIDERS
    )
    models: str = Field("", max_length=200)
    only_unpriced: bool = False
    with_reported: bool = False
    reason: str = Field("", max_length=200)


@router.get("/recalculations")
def list_recalculations(request: HttpRequest) -> list[dict[str, Any]]:
    """List the newest recalculations."""
    return selectors.latest()


@router.post("/recalculations", response={201: dict[str, Any]})
def count_recalculation(
    request: HttpRequest, data: RecalculationStart
) -> Status[dict[str, Any]]:
    """Count what a recalculation would change; nothing is written."""
    values = data.model_dump()
    values["providers"] = tuple(values["providers"])
    values["model_glob"] = values.pop("models")
    choice = services.Choice(**values)
    run = services.start(actor_of(request), choice)
    return Status(201, selectors.facts(run))


@router.get("/recalculations/{int:run_id}")
def get_recalculation(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Return one recalculation with its figures and how far it is."""
    return selectors.facts(_run(run_id))


@router.post("/recalculations/{int:run_id}/apply")
def apply_recalculation(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Write the corrections that were counted, or go on writing them."""
    return selectors.facts(services.apply(actor_of(request), _run(run_id)))


@router.post("/recalculations/{int:run_id}/cancel")
def cancel_recalculation(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Ask a recalculation to stop where it is."""
    return selectors.facts(services.cancel(actor_of(request), _run(run_id)))


@router.post("/recalculations/{int:run_id}/undo")
def undo_recalculation(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Take the corrections of a recalculation back."""
    return selectors.facts(services.undo(actor_of(request), _run(run_id)))


def _run(run_id: int) -> RecalculationRun:
    return get_object_or_404(selectors.runs(), pk=run_id)
