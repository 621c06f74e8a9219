"""Compare a statement with the ledger, as a job; done again, it says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from django.db import transaction

from poolsite import jobs
from poolsite.clock import SystemClock
from poolsite.job_handle import JobHandle
from usage.models import StatementComparison, StatementLine, VendorStatement
from usage.reconciliation import ledger
from usage.reconciliation.compare import Billed, Limits, Line, compare, totals
from usage.reconciliation.ledger import Known
from usage.reconciliation.services import CHUNK, COMPARE, State

LONGEST_S: Final = 1_800
_CLOCK: Final = SystemClock()
_DETAIL: Final = 300
_MODEL: Final = 255


def work(handle: JobHandle, statement_id: int) -> dict[str, Any]:
    """Compare, and replace what was found before.

    Cost:  that of ``ledger.sums``; writes in parts of 400 rows.
    """
    statement = VendorStatement.objects.filter(pk=statement_id).first()
    if statement is None or statement.state != State.COMPARING:
        return {}
    known = ledger.sums(
        statement.provider,
        statement.first_day,
        statement.last_day,
        statement.time_zone,
        step=lambda done, total: handle.step(done, total, "Reading the ledger"),
    )
    limits = Limits(statement.threshold_bp, statement.floor_nano_usd)
    outcome = compare(billed_of(statement), known, limits)
    found = totals(outcome.lines)
    _replace(statement, outcome.lines)
    with transaction.atomic():
        VendorStatement.objects.filter(pk=statement.pk).update(
            state=State.COMPARED, found=found, compared_at=_CLOCK.now()
        )
    return found


def work_here(statement: VendorStatement) -> bool:
    """Do a statement's waiting job in this process; for commands and tests."""
    if statement.job is None or statement.job.task != COMPARE:
        return False
    return jobs.run(statement.job.pk, work)


def billed_of(statement: VendorStatement) -> dict[tuple[date, str], Billed]:
    """Return what a statement says, by day and model; one query."""
    rows = StatementLine.objects.filter(statement=statement)
    return {
        (row.day, row.model): Billed(
            cost=row.cost_nano_usd,
            input=row.input_tokens,
            cache_read=row.cache_read_tokens,
            cache_write=row.cache_write_tokens,
            output=row.output_tokens,
            requests=row.requests,
            repeats=row.repeats,
            repeated=row.repeated_nano_usd,
            repeated_tokens=row.repeated_tokens,
        )
        for row in rows
    }


def _replace(statement: VendorStatement, lines: Sequence[Line]) -> None:
    """Write the lines in the place of the old ones, part by part."""
    old = StatementComparison.objects.filter(statement=statement)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        old.filter(pk__in=ids).delete()
    for start in range(0, len(lines), CHUNK):
        rows = [_row(statement, line) for line in lines[start : start + CHUNK]]
        with transaction.atomic():
            StatementComparison.objects.bulk_create(rows)


def _row(statement: VendorStatement, line: Line) -> StatementComparison:
    known = line.known
    return StatementComparison(
        statement=statement,
        day=line.day,
        model=line.model[:_MODEL],
        ledger_models=sorted(known.names)[:20] if known else [],
        is_named=line.is_named,
        cause=line.cause,
        detail=line.detail[:_DETAIL],
        weight_nano_usd=abs(line.gap),
        billed=asdict(line.billed) if line.billed else None,
        known=_as_json(known) if known else None,
    )


def _as_json(known: Known) -> dict[str, Any]:
    return {
        **asdict(known),
        "versions": sorted(known.versions)[:20],
        "names": sorted(known.names)[:20],
    }
