"""Run work in the background so that a lost message loses nothing.

The broker delivers at most once when it is the file system, and sometimes twice when
it is Redis. So rows are the truth: a ``Job`` for work somebody started, a ``DueTask``
for what comes round. A message only says "look at your row"; the sweep says it again
when nothing happened, and a claim (an update that matches the old state) lets exactly
one worker begin.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import F, Q
from kombu.exceptions import OperationalError

from poolsite import alerts
from poolsite.clock import Clock, SystemClock
from poolsite.job_handle import JobCancelledError, JobHandle, JobInterruptedError
from poolsite.models import DueTask, Job, User

LATE_S: Final = 30
DEAD_S: Final = 120
MAX_ATTEMPTS: Final = 5
SHORTEST_INTERVAL_S: Final = 30
SWEEP_ROWS: Final = 200
_TO_END_S: Final = 10
_CLOCK: Final = SystemClock()
_WAITING: Final = (Job.State.NEW, Job.State.INTERRUPTED)
_log: Final = logging.getLogger(__name__)
_periodic: dict[str, int] = {}


Work = Callable[..., Any]


def start(
    task: str,
    *,
    label: str = "",
    user: User | None = None,
    clock: Clock = _CLOCK,
    **ids: int | str | bool | None,
) -> Job:
    """Make a job and send it when the transaction commits.

    Shapes: task is a name given to ``job_task``; ids are row ids and short names,
        never secrets or prompts: they are stored and shown.
    Fails:  open: with the broker away, the sweep sends it later.
    """
    job = Job.objects.create(
        task=task,
        label=(label or task)[:200],
        args=ids,
        created_by=user,
        created_at=clock.now(),
    )
    transaction.on_commit(lambda: _send(task, job_id=job.pk))
    return job


def cancel(job: Job, *, clock: Clock = _CLOCK) -> bool:
    """Ask a job to stop; return whether there was something to stop.

    A waiting job ends at once, a running one at its next step. The caller audits.
    """
    waiting = Job.objects.filter(pk=job.pk, state__in=_WAITING).update(
        state=Job.State.CANCELLED, cancel_requested=True, finished_at=clock.now()
    )
    if waiting:
        return True
    running = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING)
    return bool(running.update(cancel_requested=True))


def job_task(name: str, *, longest_s: int = 50) -> Callable[[Work], Any]:
    """Make a Celery task of a function ``work(handle, **ids)`` that runs as a job.

    What it returns must be JSON and is stored as the job's result.

    Units: after ``longest_s`` seconds the job is interrupted and goes on later from
        what it has done, so work that never ends cannot hold a worker for ever.
    """

    def decorate(work: Work) -> Any:
        @shared_task(
            name=name, soft_time_limit=longest_s, time_limit=longest_s + _TO_END_S
        )
        def task(job_id: int) -> None:
            run(job_id, work)

        return task

    return decorate


def periodic_task(name: str, *, interval_s: int) -> Callable[[Work], Any]:
    """Make a Celery task of a function without arguments that comes round.

    Errors: as ``schedule``.
    """
    schedule(name, interval_s=interval_s)

    def decorate(work: Work) -> Any:
        @shared_task(name=name)
        def task() -> None:
            run_due(name, work)

        return task

    return decorate


def schedule(name: str, *, interval_s: int) -> None:
    """Let a task come round; the sweep makes or corrects its row.

    Errors: ValueError for an interval below 30 s: the sweep is no finer; the keeper
        does what is.
    """
    if interval_s < SHORTEST_INTERVAL_S:
        raise ValueError(f"{name}: the shortest interval is {SHORTEST_INTERVAL_S} s.")
    _periodic[name] = interval_s


def run(job_id: int, work: Work, *, clock: Clock = _CLOCK) -> bool:
    """Run a job if this worker gets it; return whether it did.

    A worker that is told to stop, or runs out of time, leaves the job interrupted:
    the sweep starts it again, so work is written to be repeated.
    """
    job = _claim(job_id, clock)
    if job is None:
        return False
    handle = JobHandle(job, clock)
    try:
        result = work(handle, **job.args)
    except JobCancelledError:
        _end(job, handle, Job.State.CANCELLED)
    except JobInterruptedError as exc:
        _end(job, handle, Job.State.INTERRUPTED, message=exc.message[:200])
    except (SoftTimeLimitExceeded, KeyboardInterrupt, SystemExit):
        _end(job, handle, Job.State.INTERRUPTED)
        raise
    except Exception as exc:  # noqa: BLE001 - the door of background work
        _log.exception("job %s (%s) failed", job.pk, job.task)
        _end(job, handle, Job.State.FAILED, message=_short(exc))
        _alert_failed(job, _short(exc), clock)
    else:
        _end(job, handle, Job.State.DONE, result=result)
        alerts.resolve("job_failed", job.task, clock=clock)
    return True


def run_due(name: str, work: Callable[[], Any], *, clock: Clock = _CLOCK) -> bool:
    """Run a periodic task if it is due and no other worker has it.

    Fails:  open: an error is noted and alerted, and the task comes round again.
    """
    started = clock.now()
    claimed = DueTask.objects.filter(
        Q(claimed_at=None) | Q(claimed_at__lte=started - timedelta(seconds=DEAD_S)),
        task=name,
        due_at__lte=started,
    ).update(claimed_at=started)
    if not claimed:
        return False
    error = ""
    try:
        work()
    except Exception as exc:  # noqa: BLE001 - the door of background work
        _log.exception("periodic task %s failed", name)
        error = _short(exc)
        alerts.raise_alert(
            "task_failed",
            name,
            title=f"A periodic task failed: {name}",
            detail=error,
            clock=clock,
        )
    else:
        alerts.resolve("task_failed", name, clock=clock)
    # Only while the claim is still ours: a worker taken for dead must not move it.
    DueTask.objects.filter(task=name, claimed_at=started).update(
        claimed_at=None,
        sent_at=None,
        finished_at=clock.now(),
        due_at=_next_due(name, started),
        last_error=error,
    )
    return True


def sweep(*, clock: Clock = _CLOCK) -> int:
    """Send again what is late; return how many messages went out.

    Run every 30 s by one beat; a second one does no harm.
    """
    now = clock.now()
    return _sweep_due(now) + _sweep_jobs(now, clock)


def make_due(name: str, *, clock: Clock = _CLOCK) -> bool:
    """Let a periodic task run at the next sweep; return whether it exists."""
    return bool(DueTask.objects.filter(task=name).update(due_at=clock.now()))


def _claim(job_id: int, clock: Clock) -> Job | None:
    now = clock.now()
    claimed = Job.objects.filter(
        pk=job_id, state__in=_WAITING, cancel_requested=False
    ).update(
        state=Job.State.RUNNING,
        attempts=F("attempts") + 1,
        started_at=now,
        heartbeat_at=now,
        message="",
    )
    return Job.objects.get(pk=job_id) if claimed else None


def _end(
    job: Job,
    handle: JobHandle,
    state: Job.State,
    *,
    message: str = "",
    result: Any = None,
) -> None:
    """Close this attempt; a job another worker took over is left alone."""
    now = handle.clock.now()
    changes: dict[str, Any] = {
        "state": state,
        "heartbeat_at": now,
        "done": handle.done,
    }
    if state is not Job.State.INTERRUPTED:
        changes["finished_at"] = now
    if message:
        changes["message"] = message
    if state is Job.State.DONE:
        changes["result"] = result
    Job.objects.filter(
        pk=job.pk, state=Job.State.RUNNING, attempts=job.attempts
    ).update(**changes)


def _sweep_due(now: datetime) -> int:
    known = dict(DueTask.objects.values_list("task", "interval_s"))
    for name, interval_s in _periodic.items():
        if name not in known:
            DueTask.objects.get_or_create(
                task=name, defaults={"interval_s": interval_s, "due_at": now}
            )
        elif known[name] != interval_s:
            DueTask.objects.filter(task=name).update(interval_s=interval_s)
    late = DueTask.objects.filter(
        Q(sent_at=None) | Q(sent_at__lte=now - timedelta(seconds=LATE_S)),
        Q(claimed_at=None) | Q(claimed_at__lte=now - timedelta(seconds=DEAD_S)),
        due_at__lte=now,
    )
    sent = 0
    for row in late.order_by("due_at")[:SWEEP_ROWS]:
        if DueTask.objects.filter(pk=row.pk, sent_at=row.sent_at).update(sent_at=now):
            _send(row.task)
            sent += 1
    return sent


def _sweep_jobs(now: datetime, clock: Clock) -> int:
    dead = now - timedelta(seconds=DEAD_S)
    Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__lte=dead).update(
        state=Job.State.INTERRUPTED
    )
    Job.objects.filter(state=Job.State.INTERRUPTED, cancel_requested=True).update(
        state=Job.State.CANCELLED, finished_at=now
    )
    _give_up(now, clock)
    late = now - timedelta(seconds=LATE_S)
    waiting = Job.objects.filter(
        Q(heartbeat_at=None, created_at__lte=late) | Q(heartbeat_at__lte=late),
        state__in=_WAITING,
    )
    sent = 0
    for job in waiting.order_by("created_at")[:SWEEP_ROWS]:
        # The heartbeat of a waiting job is when it was last sent.
        Job.objects.filter(pk=job.pk, state=job.state).update(heartbeat_at=now)
        _send(job.task, job_id=job.pk)
        sent += 1
    return sent


def _give_up(now: datetime, clock: Clock) -> None:
    """Park what keeps killing its worker, so that it cannot do so for ever."""
    for job in Job.objects.filter(
        state=Job.State.INTERRUPTED, attempts__gte=MAX_ATTEMPTS
    )[:SWEEP_ROWS]:
        message = f"Stopped after {job.attempts} interrupted attempts."
        parked = Job.objects.filter(pk=job.pk, state=Job.State.INTERRUPTED).update(
            state=Job.State.FAILED, finished_at=now, message=message
        )
        if parked:
            _alert_failed(job, message, clock)


def _alert_failed(job: Job, detail: str, clock: Clock) -> None:
    alerts.raise_alert(
        "job_failed",
        job.task,
        title=f"Background work failed: {job.label}",
        detail=detail,
        clock=clock,
    )


def _next_due(name: str, started: datetime) -> datetime:
    interval_s = _periodic.get(name)
    if interval_s is None:
        interval_s = DueTask.objects.values_list("interval_s", flat=True).get(task=name)
    return started + timedelta(seconds=interval_s)


def _send(task: str, **arguments: int) -> None:
    """Send a message; a broker that is away costs a delay, not an error."""
    from poolsite.celery import app

    try:
        app.send_task(task, kwargs=arguments, expires=3_600, retry=False)
    except (OSError, OperationalError) as exc:
        _log.warning("could not send %s: %s; the sweep will", task, type(exc).__name__)


def _short(exc: Exception) -> str:
    """Name an error in a row: its class, never its text, which may hold a secret."""
    public = getattr(exc, "message", None)
    text = public if isinstance(public, str) else type(exc).__name__
    return text[:200]
