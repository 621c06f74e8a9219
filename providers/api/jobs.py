"""Background work: how it stands, and a way to stop it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router

from poolsite.job_control import job_facts, stop_job
from poolsite.models import Job
from providers.api.auth import actor_of

router = Router(tags=["jobs"])
_MOST = 50


@router.get("/jobs")
def list_jobs(request: HttpRequest) -> list[dict[str, Any]]:
    """List the newest jobs."""
    return [job_facts(job) for job in Job.objects.order_by("-pk")[:_MOST]]


@router.get("/jobs/{int:job_id}")
def get_job(request: HttpRequest, job_id: int) -> dict[str, Any]:
    """Return one job."""
    return job_facts(get_object_or_404(Job, pk=job_id))


@router.post("/jobs/{int:job_id}/cancel")
def cancel_job(request: HttpRequest, job_id: int) -> dict[str, Any]:
    """Stop a job; what it has done stays."""
    stop_job(actor_of(request), get_object_or_404(Job, pk=job_id))
    return job_facts(Job.objects.get(pk=job_id))
