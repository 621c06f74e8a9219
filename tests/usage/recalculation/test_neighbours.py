"""What else works on the ledger while a recalculation does: shipping, rebuild, retention."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from poolsite import jobs
from poolsite.actor import SYSTEM
from poolsite.models import Job
from providers.models import Provider
from tests.factories import call, ship, try_at
from tests.usage.recalculation import traffic
from usage import rebuild, rebuild_services
from usage.models import (
    Attempt,
    ClientKey,
    CostAdjustment,
    RecalculationRun,
    Request,
    RollupDay,
)
from usage.recalculation import choose, post, services, work
from usage.services import UsageError

pytestmark = pytest.mark.django_db(transaction=True)
DAYS = (date(2026, 1, 31), date(2026, 2, 1))


class Killed(BaseException):
    """Stands for a process that ended here."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small ledger take many slices, transactions and batches."""
    monkeypatch.setattr(choose, "SLICE", 7)
    monkeypatch.setattr(post, "FULL", 5)
    monkeypatch.setattr(post, "BATCH", 11)


def rebuilt() -> dict[str, Any]:
    for day in DAYS:
        rebuild.rebuild_day(day)
    return traffic.rollups()


def begun() -> RecalculationRun:
    traffic.make_traffic(40)
    traffic.set_prices()
    run = traffic.start()
    services.apply(SYSTEM, run)
    run.refresh_from_db()
    return run


def at_each_write(monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
    """Let something happen behind every transaction with corrections."""
    plain, seen = post.Writer.write, [0]

    def write(self: Any, **values: Any) -> None:
        plain(self, **values)
        seen[0] += 1
        step(seen[0])

    monkeypatch.setattr(post.Writer, "write", write)


def test_traffic_shipped_meanwhile_before_and_behind_the_place_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = begun()
    provider, key = Provider.objects.get(slug="acme"), ClientKey.objects.earliest("pk")

    def arrive(number: int) -> None:
        for minutes in (2, 25):  # behind the place, and still before it
            at = traffic.START + timedelta(minutes=minutes, seconds=number)
            tried = try_at(provider, "large", price=traffic.OLD)
            ship(call(key, tried, at=at, session="late"))

    with monkeypatch.context() as patch:
        at_each_write(patch, arrive)
        run = traffic.done(run)

    assert run.state == "applied"
    assert run.applied == CostAdjustment.objects.count()
    whole = RollupDay.objects.filter(kind="purpose")
    assert sum(row.cost_nano_usd for row in whole) == traffic.whole_cost()
    assert traffic.rollups() == rebuilt()
    traffic.undo(run)
    assert traffic.rollups() == rebuilt()


def test_rebuild_is_refused_while_a_run_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun()
    refused = []

    def try_rebuild(_: int) -> None:
        with pytest.raises(UsageError, match=f"Recalculation {run.pk} changes"):
            rebuild.rebuild_day(DAYS[0])
        with pytest.raises(UsageError, match="is not through"):
            rebuild_services.start(SYSTEM, *DAYS)
        refused.append(True)

    with monkeypatch.context() as patch:
        at_each_write(patch, try_rebuild)
        traffic.done(run)
    assert refused
    assert traffic.rollups() == rebuilt()


def test_rebuild_is_refused_while_corrections_of_a_dead_worker_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = begun()

    def die(number: int) -> None:
        if number == 2:
            raise Killed

    assert run.job is not None
    with monkeypatch.context() as patch:
        at_each_write(patch, die)
        with pytest.raises(Killed):
            jobs.run(run.job.pk, work.apply)
    # Somebody gave the job up: the run counts as stopped, what it wrote waits.
    Job.objects.filter(pk=run.job.pk).update(state=Job.State.FAILED)
    with pytest.raises(UsageError, match="is not through"):
        rebuild.rebuild_day(DAYS[0])
    rebuild.rebuild_day(DAYS[0] - timedelta(days=9))  # days it has nothing to do with

    run.refresh_from_db()
    run = traffic.apply(run)
    assert (run.state, run.applied) == ("applied", run.figures["changed"])
    assert traffic.rollups() == rebuilt()


@pytest.mark.parametrize("gone", [(Request, Attempt), (Attempt,), (Request,)])
def test_undo_leaves_what_retention_removed_and_says_so(gone: tuple[Any, ...]) -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    before = traffic.rollups()
    run = traffic.apply(traffic.start())
    applied, midnight = traffic.rollups(), traffic.START + timedelta(minutes=20)
    for model in gone:
        model._default_manager.filter(at__lt=midnight).delete()

    run = traffic.undo(run)

    assert run.state == "undone"
    assert 0 < run.undone < run.applied
    undone = CostAdjustment.objects.filter(is_undo=True)
    assert undone.count() == run.undone
    assert not undone.filter(at__lt=midnight).exists()
    # The day that is gone keeps what was added to it; the other is as it was.
    for name, old in (("RollupCube", applied), ("RollupDay", applied)):
        got = traffic.rollups()[name]
        assert [row for row in got if row["bucket"] == DAYS[0]] == [
            row for row in old[name] if row["bucket"] == DAYS[0]
        ]
        assert [row for row in got if row["bucket"] == DAYS[1]] == [
            row for row in before[name] if row["bucket"] == DAYS[1]
        ]


def test_run_over_nothing_but_removed_requests_is_undone_without_a_change() -> None:
    traffic.make_traffic(12)
    traffic.set_prices()
    run = traffic.apply(traffic.start())
    rollups = traffic.rollups()
    for model in (Request, Attempt):
        model._default_manager.all().delete()
    run = traffic.undo(run)
    assert (run.state, run.undone) == ("undone", 0)
    assert traffic.rollups() == rollups
