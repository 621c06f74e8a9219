"""The ledger's background work."""

from __future__ import annotations

from typing import Any

from poolsite.clock import SystemClock
from poolsite.job_handle import JobHandle
from poolsite.jobs import job_task, periodic_task
from usage import partitions, rebuild_services, saved_services
from usage.recalculation import services, work
from usage.reconciliation import services as statements
from usage.reconciliation import work as comparison
from usage.retention import sweep


@periodic_task("usage.partitions", interval_s=3600)
def make_partitions() -> None:
    """Keep partitions of the ledger ahead of the clock."""
    partitions.ensure(SystemClock().now())


@job_task(services.APPLY, longest_s=work.LONGEST_S)
def apply_recalculation(handle: JobHandle, run_id: int) -> dict[str, Any]:
    """Write the corrections of a recalculation."""
    return work.apply(handle, run_id)


@job_task(services.UNDO, longest_s=work.LONGEST_S)
def undo_recalculation(handle: JobHandle, run_id: int) -> dict[str, Any]:
    """Take the corrections of a recalculation back."""
    return work.undo(handle, run_id)


@job_task(saved_services.EXPORT, longest_s=saved_services.LONGEST_S)
def write_export(handle: JobHandle, export_id: int) -> dict[str, Any]:
    """Write a file somebody asked for."""
    return saved_services.write_export(handle, export_id)


@periodic_task("usage.exports", interval_s=3600)
def remove_exports() -> None:
    """Remove files that are older than a week."""
    saved_services.remove_expired(SystemClock().now())


@job_task(statements.COMPARE, longest_s=comparison.LONGEST_S)
def compare_statement(handle: JobHandle, statement_id: int) -> dict[str, Any]:
    """Compare a vendor's statement with the ledger."""
    return comparison.work(handle, statement_id)


@job_task(rebuild_services.REBUILD, longest_s=rebuild_services.LONGEST_S)
def rebuild_rollups(handle: JobHandle, first: str, last: str) -> dict[str, Any]:
    """Make rollups anew from the ledger's rows."""
    return rebuild_services.work(handle, first, last)


@periodic_task("usage.retention", interval_s=3600)
def remove_old_rows() -> None:
    """Remove what every table keeps no longer."""
    sweep.run()
