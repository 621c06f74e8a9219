"""Make the rollups of a stretch of days anew, as a job an owner starts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import connection, transaction

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.job_handle import JobHandle
from poolsite.models import Job
from usage import rebuild
from usage.models import Request, Rollup15, RollupCube, RollupDay
from usage.services import UsageError

REBUILD: Final = "usage.rebuild"
LONGEST_S: Final = 3_600
_MOST_DAYS: Final = 400
_WAITING: Final = (Job.State.NEW, Job.State.RUNNING, Job.State.INTERRUPTED)
_CLOCK: Final = SystemClock()


@one_change
def start(actor: Actor, first: date, last: date, *, clock: Clock = _CLOCK) -> Job:
    """Have the rollups of some UTC days made anew, both ends included.

    Errors:  UsageError for a range that is empty, too long or ahead of the clock, or
             while another one or a recalculation of these days works.
    """
    if first > last or last > clock.now().date():
        raise UsageError("Choose days of the past, the first one first.", field="first")
    if (last - first).days >= _MOST_DAYS:
        raise UsageError(f"At most {_MOST_DAYS} days at once.", field="last")
    if Job.objects.filter(task=REBUILD, state__in=_WAITING).exists():
        raise UsageError("Rollups are being rebuilt already.")
    rebuild.require_rolled(first, last)
    job = jobs.start(
        REBUILD,
        label=f"Rebuild rollups of {first} to {last}",
        user=actor.user,
        clock=clock,
        first=str(first),
        last=str(last),
    )
    days = {"first": str(first), "last": str(last)}
    audit.record(actor, "usage_rollups.rebuild", job, after=days)
    return job


def work(handle: JobHandle, first: str, last: str) -> dict[str, Any]:
    """Rebuild day by day, each in one transaction; interrupted, go on with the next.

    Cost:  about 40 us an attempt of the day, during which nothing is shipped: what
           comes in meanwhile waits in the journal.
    """
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    total = (end - begin).days + 1
    attempts = 0
    for number in range(handle.done, total):
        day = begin + timedelta(days=number)
        handle.step(number, total, f"Rebuilding {day}")
        attempts += _rebuild(day)
    handle.step(total, total, "Rebuilt")
    return {"days": total, "attempts": attempts}


@transaction.atomic
def _rebuild(day: date) -> int:
    """Rebuild one day while no shipper adds to it.

    A shipper that has written rows waits at the rollups, and adds to the new ones. A day
    whose requests retention removed keeps its sums: they are all that is left of it.
    """
    begin = datetime.combine(day, time(), UTC)
    rows = Request.objects.filter(at__gte=begin, at__lt=begin + timedelta(days=1))
    if not rows.exists():
        return 0
    if connection.vendor == "postgresql":
        names = (model._meta.db_table for model in (Rollup15, RollupDay, RollupCube))
        with connection.cursor() as cursor:
            tables = ", ".join(names)
            cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
    return rebuild.rebuild_day(day)
