"""The ground's background work."""

from __future__ import annotations

from celery import shared_task

from poolsite import jobs


@shared_task(name="poolsite.sweep")
def sweep() -> None:
    """Send again what is late."""
    jobs.sweep()
