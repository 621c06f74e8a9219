"""Start, apply, stop and undo recalculations; one of them works at a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q, QuerySet

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.ids import uuid7
from poolsite.models import Job
from usage.models import RecalculationRun
from usage.services import UsageError

_CLOCK: Final = SystemClock()
State = RecalculationRun.State
COUNT: Final = "usage.recalculation.count"
APPLY: Final = "usage.recalculation.apply"
UNDO: Final = "usage.recalculation.undo"
MOST_PROVIDERS: Final = 200
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""What is beyond them cannot be shown in every time zone."""
_LONGEST: Final = 200
_OVER: Final = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)
_STOPPED: Final = {
    State.COUNTING: State.DROPPED,
    State.APPLYING: State.STOPPED,
    State.UNDOING: State.HALF_UNDONE,
}
_STANDING: Final = (State.STOPPED, State.APPLIED, State.HALF_UNDONE)


@dataclass(frozen=True)
class Choice:
    """What is to be recalculated, and why.

    Shapes:  no ``providers`` and a blank ``model_glob`` mean all; ``with_reported``
             takes in what a provider stated the cost of itself.
    """

    since: datetime
    until: datetime
    providers: tuple[str, ...] = ()
    model_glob: str = ""
    only_unpriced: bool = False
    with_reported: bool = False
    reason: str = ""


@one_change
def start(actor: Actor, choice: Choice, *, clock: Clock = _CLOCK) -> RecalculationRun:
    """Begin to count what a recalculation would change; nothing is written yet.

    Errors:  UsageError naming the field, or while another one works.
    """
    now = clock.now()
    until = min(choice.until, now)
    _check(choice, until)
    _require_idle(now)
    run = RecalculationRun.objects.create(
        **{**asdict(choice), "providers": list(choice.providers), "until": until},
        key=uuid7(clock),
        created_by=actor.user,
        created_at=now,
        changed_at=now,
    )
    _send(actor, run, COUNT, "Count a recalculation", clock)
    audit.record(actor, "recalculation.count", run, after=_shown(run))
    return run


@one_change
def apply(
    actor: Actor, run: RecalculationRun, *, clock: Clock = _CLOCK
) -> RecalculationRun:
    """Write what was counted, or go on where it was stopped.

    Errors:  UsageError when it is not ready, when costs of the range were changed
             since it was counted, or while another one works.
    """
    run = _locked(run)
    _require_idle(clock.now())
    run.refresh_from_db()
    if run.state not in (State.READY, State.STOPPED):
        raise UsageError(f"This recalculation is {run.get_state_display()}.")
    if run.state == State.READY:
        _require_fresh(run)
    _begin(actor, run, State.APPLYING, APPLY, "Apply a recalculation", clock)
    audit.record(actor, "recalculation.apply", run, after=_totals(run))
    return run


@one_change
def undo(
    actor: Actor, run: RecalculationRun, *, clock: Clock = _CLOCK
) -> RecalculationRun:
    """Take back what a run wrote; history keeps both.

    Errors:  UsageError when there is nothing to take back, when a later run builds on
             it, or while another one works.
    """
    run = _locked(run)
    _require_idle(clock.now())
    run.refresh_from_db()
    if run.state not in _STANDING:
        raise UsageError(f"This recalculation is {run.get_state_display()}.")
    later = _overlapping(run).filter(state__in=_STANDING, applied_at__gt=_begun(run))
    other = later.order_by("-applied_at").first()
    if other is not None:
        raise UsageError(f"Number {other.pk} builds on this one: undo it first.")
    _begin(actor, run, State.UNDOING, UNDO, "Undo a recalculation", clock)
    audit.record(actor, "recalculation.undo", run, after=_totals(run))
    return run


@one_change
def cancel(
    actor: Actor, run: RecalculationRun, *, clock: Clock = _CLOCK
) -> RecalculationRun:
    """Ask a run to stop; what it wrote so far stays until it is undone.

    Errors:  UsageError when nothing works on it.
    """
    run = _locked(run)
    if not run.is_busy:
        raise UsageError("Nothing works on this recalculation.")
    if run.job is not None:
        jobs.cancel(run.job, clock=clock)
    settle(clock.now())
    audit.record(actor, "recalculation.cancel", run)
    run.refresh_from_db()
    return run


def state_left(run: RecalculationRun) -> str:
    """Return the state, also of a run whose job ended without saying so."""
    if run.is_busy and (run.job is None or run.job.state in _OVER):
        return _STOPPED[State(run.state)]
    return run.state


def settle(now: datetime) -> None:
    """Free runs whose job ended without saying so: cancelled early, or failed."""
    ended = RecalculationRun.objects.filter(is_busy=True).filter(
        Q(job=None) | Q(job__state__in=_OVER)
    )
    for run in ended:
        RecalculationRun.objects.filter(pk=run.pk, is_busy=True).update(
            state=_STOPPED[State(run.state)], is_busy=False, changed_at=now
        )


def _check(choice: Choice, until: datetime) -> None:
    if choice.since < EARLIEST:
        raise UsageError("Nothing is as old as this.", field="since")
    if choice.since >= until:
        raise UsageError("The range ends before it begins.", field="until")
    if len(choice.providers) > MOST_PROVIDERS:
        raise UsageError("Too many providers at once.", field="providers")
    if len(choice.model_glob) > _LONGEST:
        raise UsageError("The pattern is too long.", field="model_glob")
    if len(choice.reason) > _LONGEST:
        raise UsageError("The reason is too long.", field="reason")


def _require_idle(now: datetime) -> None:
    settle(now)
    busy = RecalculationRun.objects.filter(is_busy=True).first()
    if busy is not None:
        raise UsageError(
            f"Number {busy.pk} is {busy.get_state_display()}: one works at a time."
        )


def _require_fresh(run: RecalculationRun) -> None:
    """Refuse figures that another run has made old."""
    others = _overlapping(run)
    half = others.filter(state__in=(State.STOPPED, State.HALF_UNDONE)).first()
    if half is not None:
        raise UsageError(
            f"Number {half.pk} is {half.get_state_display()}: finish or undo it first."
        )
    done = others.filter(
        state__in=(State.APPLIED, State.UNDONE), changed_at__gt=run.counted_at
    )
    if done.exists():
        raise UsageError("Costs of this range were changed since: count again.")


def _overlapping(run: RecalculationRun) -> QuerySet[RecalculationRun]:
    others = RecalculationRun.objects.exclude(pk=run.pk)
    return others.filter(since__lt=run.until, until__gt=run.since)


def _begun(run: RecalculationRun) -> datetime:
    """Return when a run's corrections began to count."""
    return run.applied_at or run.changed_at


def _begin(
    actor: Actor,
    run: RecalculationRun,
    state: str,
    task: str,
    label: str,
    clock: Clock,
) -> None:
    now = clock.now()
    run.state, run.is_busy, run.changed_at = state, True, now
    if task == APPLY:
        # From here on its corrections may count: a later run builds on them.
        run.applied_at = run.applied_at or now
    run.save(update_fields=["state", "is_busy", "changed_at", "applied_at"])
    _send(actor, run, task, label, clock)


def _send(
    actor: Actor, run: RecalculationRun, task: str, label: str, clock: Clock
) -> None:
    run.job = jobs.start(task, label=label, user=actor.user, clock=clock, run_id=run.pk)
    run.save(update_fields=["job"])


def _locked(run: RecalculationRun) -> RecalculationRun:
    rows = RecalculationRun.objects.select_for_update(of=("self",))
    return rows.select_related("job").get(pk=run.pk)


def _shown(run: RecalculationRun) -> dict[str, object]:
    names = (
        *("since", "until", "providers", "model_glob"),
        *("only_unpriced", "with_reported", "reason"),
    )
    return {name: getattr(run, name) for name in names}


def _totals(run: RecalculationRun) -> dict[str, object]:
    found = run.found or {}
    names = ("changed", "before_nano_usd", "after_nano_usd", "delta_nano_usd")
    return {
        **{name: found.get(name) for name in names},
        "applied": run.applied,
        "applied_nano_usd": run.applied_nano_usd,
    }
