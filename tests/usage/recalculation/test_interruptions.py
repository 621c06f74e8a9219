"""A recalculation that is stopped, killed or raced writes nothing twice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from poolsite import job_handle, jobs
from poolsite.actor import SYSTEM
from poolsite.job_handle import JobHandle
from poolsite.models import Job
from providers.services.recalculation import prices_now
from tests.usage.recalculation import traffic
from usage import bulk, cost_deltas, rebuild
from usage.models import Attempt, CostAdjustment, RecalculationRun, Request
from usage.recalculation import choose, post, services, work
from usage.services import UsageError

pytestmark = pytest.mark.django_db(transaction=True)
FULL = post.FULL


class Killed(BaseException):
    """Stands for a process that ended here."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small ledger take many slices, transactions and batches."""
    monkeypatch.setattr(choose, "SLICE", 7)
    monkeypatch.setattr(post, "FULL", 5)
    monkeypatch.setattr(post, "BATCH", 11)


def rebuilt() -> dict[str, Any]:
    for day in (date(2026, 1, 31), date(2026, 2, 1)):
        rebuild.rebuild_day(day)
    return traffic.rollups()


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """End the work inside the given transaction, before it commits."""
    plain, seen = post.Writer._move, [0]

    def move(self: Any, *values: Any) -> None:
        plain(self, *values)
        seen[0] += 1
        if seen[0] == step:
            raise Killed

    monkeypatch.setattr(post.Writer, "_move", move)


def killed(run: RecalculationRun, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    assert run.job is not None
    steps = {services.APPLY: work.apply, services.UNDO: work.undo}
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            jobs.run(run.job.pk, steps[run.job.task])
    # What the sweep does with a worker that is gone.
    Job.objects.filter(pk=run.job.pk).update(state=Job.State.INTERRUPTED)


@pytest.mark.parametrize("step", [1, 4, 6, 7, 13])
def test_killed_apply_goes_on_without_doubling(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    run = traffic.start()
    services.apply(SYSTEM, run)
    run.refresh_from_db()
    killed(run, monkeypatch, step)

    run = traffic.done(run)

    assert run.state == "applied"
    assert run.applied == run.figures["changed"] == CostAdjustment.objects.count()
    assert run.applied_nano_usd == run.figures["delta_nano_usd"]
    assert traffic.rollups() == rebuilt()


@pytest.mark.parametrize("step", [1, 5, 8])
def test_killed_undo_goes_on_without_doubling(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    before, costs = traffic.rollups(), traffic.shown_costs()
    run = traffic.apply(traffic.start())
    services.undo(SYSTEM, run)
    run.refresh_from_db()
    killed(run, monkeypatch, step)

    run = traffic.done(run)

    assert (run.state, run.undone) == ("undone", run.applied)
    assert traffic.rollups() == before
    assert traffic.shown_costs() == costs


def stop_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Let somebody ask for a stop after so many transactions."""
    plain, seen = post.Writer.write, [0]

    def write(self: Any, **values: Any) -> None:
        plain(self, **values)
        seen[0] += 1
        if seen[0] == writes:
            services.cancel(SYSTEM, self._run)

    monkeypatch.setattr(post.Writer, "write", write)
    monkeypatch.setattr(job_handle, "LOOK_S", 0)


def test_stopped_apply_keeps_totals_true_and_can_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    run = traffic.start()
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        run = traffic.apply(run)
    assert run.state == "stopped"
    assert 0 < run.applied < run.figures["changed"]
    assert run.job is not None
    assert run.job.state == Job.State.CANCELLED
    assert traffic.rollups() == rebuilt()

    run = traffic.apply(run)
    assert (run.state, run.applied) == ("applied", run.figures["changed"])
    assert traffic.rollups() == rebuilt()


def test_stopped_apply_can_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    before, costs = traffic.rollups(), traffic.shown_costs()
    run = traffic.start()
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        run = traffic.apply(run)
    run = traffic.undo(run)
    assert (run.state, run.undone) == ("undone", run.applied)
    assert traffic.rollups() == before
    assert traffic.shown_costs() == costs


@pytest.mark.parametrize("dropped", [12, 40])
def test_undo_ends_though_old_rows_were_dropped(dropped: int) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    run = traffic.apply(traffic.start())
    gone = list(Request.objects.order_by("at").values_list("id", flat=True)[:dropped])
    Attempt.objects.filter(request_id__in=gone).delete()
    Request.objects.filter(id__in=gone).delete()

    run = traffic.undo(run)

    left = CostAdjustment.objects.exclude(request_id__in=gone)
    assert run.state == "undone"
    assert sum(left.values_list("delta_nano_usd", flat=True)) == 0
    assert run.undone == left.filter(is_undo=True).count()


def test_stopped_count_is_dropped_and_wrote_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traffic.make_traffic(20)
    traffic.set_prices()
    run = services.start(SYSTEM, traffic.ALL)
    monkeypatch.setattr(job_handle, "LOOK_S", 0)

    def count(handle: JobHandle, run_id: int) -> object:
        services.cancel(SYSTEM, run)
        return work.count(handle, run_id, prices_now())

    assert run.job is not None
    jobs.run(run.job.pk, count)
    run.refresh_from_db()
    assert (run.state, run.is_busy, run.found) == ("dropped", False, None)


def test_second_run_waits_for_the_first() -> None:
    traffic.make_traffic(5)
    run = services.start(SYSTEM, traffic.ALL)
    with pytest.raises(UsageError, match=f"Number {run.pk} is being counted"):
        services.start(SYSTEM, traffic.ALL)
    services.cancel(SYSTEM, run)
    assert services.start(SYSTEM, traffic.ALL).pk != run.pk


def test_figures_that_another_run_made_old_are_refused() -> None:
    traffic.make_traffic(20)
    traffic.set_prices()
    first, second = traffic.start(), traffic.start()
    traffic.apply(first)
    with pytest.raises(UsageError, match="count again"):
        services.apply(SYSTEM, second)


def test_run_whose_job_failed_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic.make_traffic(20)
    traffic.set_prices()
    run = traffic.start()
    services.apply(SYSTEM, run)
    run.refresh_from_db()
    assert run.job is not None
    with monkeypatch.context() as patch:
        patch.setattr(post.Writer, "recover", _fail)
        jobs.run(run.job.pk, work.apply)
    assert Job.objects.get(pk=run.job.pk).state == Job.State.FAILED
    assert services.state_left(RecalculationRun.objects.get(pk=run.pk)) == "stopped"
    assert traffic.apply(run).state == "applied"


def _fail(_: Any) -> None:
    raise LookupError


def test_every_transaction_is_below_500_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    written: list[int] = []
    insert, run_writes = bulk.insert, cost_deltas.run

    def count_insert(table: str, columns: Any, rows: Any, tail: str = "") -> None:
        written.append(len(rows))
        insert(table, columns, rows, tail)

    def count_writes(writes: Any) -> None:
        written.append(len(writes))
        run_writes(writes)

    monkeypatch.setattr(bulk, "insert", count_insert)
    monkeypatch.setattr(cost_deltas, "run", count_writes)
    traffic.undo(traffic.apply(traffic.start()))
    # A transaction is due at FULL rows; the attempts of one request may come on top.
    assert len(written) > 20
    assert max(written) <= post.FULL + 3
    assert FULL + 64 < 500
