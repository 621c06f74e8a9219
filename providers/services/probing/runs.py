"""Start, stop and take up again a round of probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Count

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import Job
from providers.models import ProbeResult, ProbeRun, ProviderModel
from providers.services.errors import ServiceError
from providers.services.probing.choice import MOST_MODELS
from providers.services.probing.rules import why_skipped

TASK: Final = "providers.probe"
CONCURRENCY: Final = 5
MOST_CONCURRENCY: Final = 20
TIMEOUT_S: Final = 10
LONGEST_TIMEOUT_S: Final = 60
_CLOCK = SystemClock()
_UNFINISHED: Final = (Job.State.NEW, Job.State.RUNNING, Job.State.INTERRUPTED)
_NO_SUCH: Final = "None of these models is in the pool any more."


@one_change
def start_probe(
    actor: Actor,
    models: Sequence[int],
    *,
    concurrency: int = CONCURRENCY,
    timeout_s: int = TIMEOUT_S,
    disable_missing: bool = True,
    clock: Clock = _CLOCK,
) -> ProbeRun:
    """Start a round over these models; the work itself is a job.

    Shapes:  ``models`` are row ids. What cannot be asked is skipped with its reason.
    Units:   ``timeout_s`` seconds for each model.
    Errors:  ServiceError naming the field; nobody is asked then.
    """
    _check(models, concurrency, timeout_s)
    rows = _live(models)
    if not rows:
        raise ServiceError(_NO_SUCH, field="models")
    run = ProbeRun.objects.create(
        concurrency=concurrency,
        timeout_s=timeout_s,
        disable_missing=disable_missing,
        created_at=clock.now(),
    )
    results = [_waiting(run, model, clock) for model in rows]
    ProbeResult.objects.bulk_create(results, batch_size=200)
    waiting = sum(each.state == ProbeResult.State.WAITING for each in results)
    _send(actor, run, len(results), clock)
    audit.record(
        actor,
        "probe.start",
        run,
        after={
            "models": waiting,
            "skipped": len(results) - waiting,
            "concurrency": concurrency,
            "timeout_s": timeout_s,
            "disable_missing": disable_missing,
        },
        clock=clock,
    )
    return run


@one_change
def cancel_probe(actor: Actor, run: ProbeRun, *, clock: Clock = _CLOCK) -> bool:
    """Stop a round; what was found stays. Return whether there was something to stop."""
    run.refresh_from_db()
    if run.job is None or not jobs.cancel(run.job, clock=clock):
        return False
    audit.record(actor, "probe.cancel", run, clock=clock)
    return True


@one_change
def resume_probe(actor: Actor, run: ProbeRun, *, clock: Clock = _CLOCK) -> None:
    """Go on with a round that was stopped or failed; only what waits is asked.

    Errors:  ServiceError when it still runs, or nothing is left to ask.
    """
    run.refresh_from_db()
    if run.job is not None and run.job.state in _UNFINISHED:
        raise ServiceError("These probes are still running.")
    if not run.results.filter(state=ProbeResult.State.WAITING).exists():
        raise ServiceError("Every model of this round was asked.")
    _send(actor, run, run.results.count(), clock)
    audit.record(actor, "probe.resume", run, clock=clock)


def counts(run: ProbeRun) -> dict[str, int]:
    """Count a round's results by state; one query."""
    found = dict(
        run.results.order_by()
        .values_list("state")
        .annotate(number=Count("pk"))
        .values_list("state", "number")
    )
    return {state: found.get(state, 0) for state in ProbeResult.State.values}


def _send(actor: Actor, run: ProbeRun, total: int, clock: Clock) -> None:
    job = jobs.start(
        TASK,
        label=f"Probe {total} model{'' if total == 1 else 's'}",
        user=actor.user,
        clock=clock,
        run_id=run.pk,
    )
    job.total = total
    job.save(update_fields=["total"])
    run.job = job
    run.save(update_fields=["job"])


def _check(models: Sequence[int], concurrency: int, timeout_s: int) -> None:
    if not 1 <= concurrency <= MOST_CONCURRENCY:
        raise ServiceError(
            f"From 1 to {MOST_CONCURRENCY} models at a time.", field="concurrency"
        )
    if not 1 <= timeout_s <= LONGEST_TIMEOUT_S:
        raise ServiceError(f"From 1 to {LONGEST_TIMEOUT_S} seconds.", field="timeout_s")
    if not 0 < len(set(models)) <= MOST_MODELS:
        raise ServiceError(f"Choose 1 to {MOST_MODELS} models.", field="models")


def _live(ids: Sequence[int]) -> list[ProviderModel]:
    """Return the rows that still exist, in the order of their providers and ids."""
    wanted = sorted(set(ids))
    rows: list[ProviderModel] = []
    for start in range(0, len(wanted), 500):
        part = ProviderModel.objects.filter(
            pk__in=wanted[start : start + 500],
            deleted_at=None,
            provider__deleted_at=None,
        )
        rows += part.select_related("provider")
    rows.sort(key=lambda model: (model.provider.slug, model.model_id))
    return rows


def _waiting(run: ProbeRun, model: ProviderModel, clock: Clock) -> ProbeResult:
    reason = why_skipped(model)
    if not reason:
        return ProbeResult(run=run, model=model)
    return ProbeResult(
        run=run,
        model=model,
        state=ProbeResult.State.SKIPPED,
        error=reason,
        at=clock.now(),
    )
