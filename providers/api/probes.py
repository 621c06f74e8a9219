"""Probes of models: what they would cost, rounds of them, their results."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import Field

from providers.api.auth import actor_of
from providers.api.schemas import Strict
from providers.models import ProbeRun
from providers.services.errors import ServiceError
from providers.services.probing import choice, reading, runs

router = Router(tags=["probes"])
_Slug = Annotated[str, Field(max_length=64)]
_Row = Annotated[int, Field(ge=1, le=2**63 - 1)]


class ProbeChoice(Strict):
    """Which models; everything given must hold, nothing given is every model."""

    providers: list[_Slug] = Field([], max_length=500)
    match: str = Field("", max_length=200)
    models: list[_Row] = Field([], max_length=900)
    capability: str = Field("", max_length=40)
    only_enabled: bool = True

    def choice(self) -> choice.Choice:
        """Return what the services take."""
        return choice.Choice(
            providers=self.providers,
            match=self.match,
            models=self.models,
            capability=self.capability,
            only_enabled=self.only_enabled,
        )


class ProbeStart(ProbeChoice):
    """A new round."""

    concurrency: int = Field(runs.CONCURRENCY, ge=1, le=runs.MOST_CONCURRENCY)
    timeout_s: int = Field(runs.TIMEOUT_S, ge=1, le=runs.LONGEST_TIMEOUT_S)
    disable_missing: bool = True


@router.get("/probes")
def list_probes(request: HttpRequest) -> list[dict[str, Any]]:
    """List the newest rounds."""
    return [reading.brief(run) for run in reading.recent_runs()]


@router.post("/probes/estimate")
def estimate_probes(request: HttpRequest, data: ProbeChoice) -> dict[str, Any]:
    """Say who would be asked and what that costs; asks nobody."""
    found = choice.estimate(choice.chosen(data.choice()))
    return {
        "models": len(found.asked),
        "skipped": len(found.skipped),
        "cost_nano_usd": found.cost_nano_usd if found.has_price else None,
        "unpriced": found.unpriced,
    }


@router.post("/probes", response={201: dict[str, Any]})
def start_probes(request: HttpRequest, data: ProbeStart) -> Status[dict[str, Any]]:
    """Start a round; the work is a job."""
    found = choice.chosen(data.choice())
    if not found:
        raise ServiceError("No model fits.", field="match")
    run = runs.start_probe(
        actor_of(request),
        [model.pk for model in found],
        concurrency=data.concurrency,
        timeout_s=data.timeout_s,
        disable_missing=data.disable_missing,
    )
    return Status(201, reading.run_facts(run))


@router.get("/probes/{int:run_id}")
def get_probes(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Return a round with all its results."""
    run = _run(run_id)
    return {**reading.run_facts(run), "results": reading.result_table(run)}


@router.post("/probes/{int:run_id}/cancel")
def cancel_probes(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Stop a round; what was found stays."""
    run = _run(run_id)
    runs.cancel_probe(actor_of(request), run)
    return reading.run_facts(_run(run_id))


@router.post("/probes/{int:run_id}/resume")
def resume_probes(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Go on with what was not asked yet."""
    run = _run(run_id)
    runs.resume_probe(actor_of(request), run)
    return reading.run_facts(_run(run_id))


def _run(run_id: int) -> ProbeRun:
    return get_object_or_404(ProbeRun.objects.select_related("job"), pk=run_id)
