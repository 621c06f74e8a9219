"""The ground's own background work: the sweep, and checks of secrets and audit."""

from __future__ import annotations

from celery import shared_task

from poolsite import audit, jobs, rotation
from poolsite.delivery import sending
from poolsite.delivery.hurry import TASK


@shared_task(name="poolsite.sweep")
def sweep() -> None:
    """Send again what is late; beat starts it every 30 s."""
    jobs.sweep()


@jobs.periodic_task("poolsite.survey_secrets", interval_s=3_600)
def survey_secrets() -> None:
    """Open every stored secret once an hour and mark what cannot be read."""
    rotation.survey()


@jobs.periodic_task("poolsite.verify_audit", interval_s=86_400)
def verify_audit() -> None:
    """Walk the audit chain once a day and alert when it does not fit."""
    audit.alert_on_broken_chain()


@jobs.periodic_task(TASK, interval_s=30)
def deliver_news() -> None:
    """Send channels what they have not been told, and try again what failed."""
    sending.run()
