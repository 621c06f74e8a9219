"""Read recalculations for screens, commands and the admin API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from usage.corrections import Correction
from usage.models import CostAdjustment, RecalculationRun
from usage.recalculation.services import State, state_left

LIMIT: Final = 50
_HEAVY: Final = ("prices",)


def runs() -> QuerySet[RecalculationRun]:
    """Return runs with their people and jobs, without the prices they keep."""
    rows = RecalculationRun.objects.select_related("job", "created_by")
    return rows.defer(*_HEAVY)


class Adjustment(NamedTuple):
    """A later correction of one attempt, and the run that made it."""

    row: CostAdjustment
    run: RecalculationRun | None


def adjustments_of(request_id: UUID) -> dict[UUID, list[Adjustment]]:
    """Return a request's corrections by attempt, oldest first.

    Cost:  one query, two where there are any.
    """
    rows = list(CostAdjustment.objects.filter(request_id=request_id).order_by("pk"))
    keys = {row.run for row in rows}
    made_by = {run.key: run for run in runs().filter(key__in=keys)} if keys else {}
    found: dict[UUID, list[Adjustment]] = {}
    for row in rows:
        found.setdefault(row.attempt_id, []).append(
            Adjustment(row, made_by.get(row.run))
        )
    return found


def adjusted_cost(settled: int | None, made: Iterable[Adjustment]) -> int | None:
    """Return what an attempt costs now; None when no price was ever known."""
    found = Correction()
    for row, _ in made:
        found.add(row.delta_nano_usd, row.price_version_id, is_undo=row.is_undo)
    return found.cost(settled)


def latest(count: int = LIMIT) -> list[dict[str, Any]]:
    """Return the newest runs in short; one query."""
    return [summary(run) for run in runs().order_by("-pk")[:count]]


def summary(run: RecalculationRun) -> dict[str, Any]:
    """Return what a line of a list says.

    Units:  nano-USD; ``done`` and ``total`` count requests looked at, ``left`` the
            corrections that stay because retention removed them or their requests.
    """
    found = run.found or {}
    job = run.job
    return {
        "id": run.pk,
        "state": state_left(run),
        "label": State(state_left(run)).label,
        "since": run.since,
        "until": run.until,
        "providers": run.providers,
        "models": run.model_glob,
        "only_unpriced": run.only_unpriced,
        "with_reported": run.with_reported,
        "reason": run.reason,
        "by": run.created_by.email if run.created_by else "",
        "created_at": run.created_at,
        "changed": found.get("changed"),
        "delta_nano_usd": found.get("delta_nano_usd"),
        "applied": run.applied,
        "applied_nano_usd": run.applied_nano_usd,
        "undone": run.undone,
        "undone_nano_usd": run.undone_nano_usd,
        "left": run.applied - run.undone if run.state == State.UNDONE else 0,
        "done": job.done if job else None,
        "total": job.total if job else None,
        "message": job.message if job else "",
    }


def facts(run: RecalculationRun) -> dict[str, Any]:
    """Return everything about one run, the figures of its count included."""
    return {
        **summary(run),
        "title": f"Recalculation {run.pk}",
        "found": run.found,
        "can": list(can(run)),
    }


def can(run: RecalculationRun) -> tuple[str, ...]:
    """Return what may be done with a run now."""
    state = state_left(run)
    if state == State.READY:
        return ("apply",)
    if state == State.STOPPED:
        return ("apply", "undo")
    if state in (State.APPLIED, State.HALF_UNDONE):
        return ("undo",)
    return ("cancel",) if run.is_busy and state == run.state else ()
