"""The roof's background work: three-line shells over the services that do it."""

from __future__ import annotations

from poolsite import jobs
from poolsite.actor import SYSTEM
from poolsite.job_handle import JobHandle
from providers.services import (
    account_status,
    attention,
    list_rounds,
    recalculation,
    unpriced,
)
from providers.services.probing import runner, runs
from usage import budget_alerts


@jobs.periodic_task("providers.refresh_account_status", interval_s=1800)
def refresh_account_status() -> None:
    """Ask vendors every half hour what is left of the accounts."""
    account_status.refresh_all()


@jobs.job_task(runs.TASK, longest_s=runner.LONGEST_S)
def probe(handle: JobHandle, run_id: int) -> dict[str, int]:
    """Ask the models of one round for a token each."""
    return runner.run_probes(handle, run_id)


@jobs.job_task("usage.recalculation.count", longest_s=3_600)
def count_recalculation(handle: JobHandle, run_id: int) -> object:
    """Count what a recalculation would change."""
    return recalculation.count(handle, run_id)


@jobs.periodic_task("providers.watch_unpriced", interval_s=60)
def watch_unpriced() -> None:
    """Raise an alert while models without a price are used, and end it."""
    unpriced.watch()


@jobs.periodic_task("providers.watch_states", interval_s=30)
def watch_states() -> None:
    """Note and tell what changed its state, and alert on credentials out of order."""
    attention.watch()


@jobs.periodic_task("usage.watch_budgets", interval_s=60)
def watch_budgets() -> None:
    """Raise the alerts of budgets that reached a step, end those that are over."""
    budget_alerts.watch()


@jobs.periodic_task("providers.refresh_model_lists", interval_s=60)
def refresh_model_lists() -> None:
    """Ask the providers whose list is due, one after another."""
    list_rounds.refresh_due(SYSTEM)
