"""What a person may do with background work: look how it stands, stop it."""

from __future__ import annotations

from typing import Any

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.models import Job


@one_change
def stop_job(actor: Actor, job: Job) -> bool:
    """Ask a job to stop; what it has done stays. Return whether there was one to stop."""
    if not jobs.cancel(job):
        return False
    audit.record(actor, "job.cancel", job)
    return True


def job_facts(job: Job) -> dict[str, Any]:
    """Say in plain values how a job stands."""
    return {
        "id": job.pk,
        "task": job.task,
        "label": job.label,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "message": job.message,
        "result": job.result,
        "stopping": job.cancel_requested,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }
