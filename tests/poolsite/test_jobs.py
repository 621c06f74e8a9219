"""Prove that work is run once, survives lost messages and dead workers, and stops."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from kombu.exceptions import OperationalError

from poolsite import jobs
from poolsite.celery import app
from poolsite.clock import ManualClock
from poolsite.job_handle import HEARTBEAT_S, JobHandle
from poolsite.models import Alert, DueTask, Job

pytestmark = pytest.mark.django_db(transaction=True)
Sent = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What went to the broker; the broker itself is not started."""
    messages: Sent = []

    def keep(name: str, kwargs: dict[str, Any], **_: object) -> None:
        messages.append((name, kwargs))

    monkeypatch.setattr(app, "send_task", keep)
    return messages


@pytest.fixture(autouse=True)
def no_periodic_tasks() -> Iterator[None]:
    before = dict(jobs._periodic)
    jobs._periodic.clear()
    yield
    jobs._periodic.clear()
    jobs._periodic.update(before)


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def test_job_is_sent_after_the_commit_and_not_before(sent: Sent) -> None:
    with transaction.atomic():
        job = jobs.start("x.work", provider_id=3)
        assert sent == []
    assert sent == [("x.work", {"job_id": job.pk})]
    assert job.args == {"provider_id": 3}


def test_job_of_a_rolled_back_change_is_never_sent(sent: Sent) -> None:
    def fail() -> None:
        with transaction.atomic():
            jobs.start("x.work")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert sent == []
    assert not Job.objects.exists()


def test_broker_away_costs_a_delay_only(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("away")

    keep = app.send_task
    monkeypatch.setattr(app, "send_task", refuse)
    job = jobs.start("x.work", clock=clock)
    monkeypatch.setattr(app, "send_task", keep)
    assert jobs.sweep(clock=clock) == 0
    clock.advance(31)
    assert jobs.sweep(clock=clock) == 1
    assert sent == [("x.work", {"job_id": job.pk})]
    assert jobs.sweep(clock=clock) == 0


def test_job_runs_once_however_often_it_is_delivered(sent: Sent) -> None:
    job = jobs.start("x.work", n=2)
    runs: list[int] = []

    def work(handle: JobHandle, n: int) -> dict[str, int]:
        runs.append(n)
        assert not jobs.run(handle.id, work)
        handle.step(5, total=5)
        return {"seen": n}

    assert jobs.run(job.pk, work)
    assert not jobs.run(job.pk, work)
    job.refresh_from_db()
    assert runs == [2]
    assert (job.state, job.result, job.done, job.total) == ("done", {"seen": 2}, 5, 5)


def test_failure_is_named_without_its_text_and_alerted(
    sent: Sent, caplog: pytest.LogCaptureFixture
) -> None:
    job = jobs.start("x.work", label="Import")

    def work(_: JobHandle) -> None:
        raise LookupError("sk-canary-8877")

    jobs.run(job.pk, work)
    job.refresh_from_db()
    assert (job.state, job.message) == ("failed", "LookupError")
    alert = Alert.objects.get()
    assert alert.title == "Background work failed: Import"
    assert "canary" not in alert.detail
    again = jobs.start("x.work")
    jobs.run(again.pk, lambda _: None)
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_waiting_job_is_cancelled_at_once(sent: Sent) -> None:
    job = jobs.start("x.work")
    assert jobs.cancel(job)
    assert state_of(job) == "cancelled"
    assert not jobs.run(job.pk, lambda _: pytest.fail("ran"))
    assert not jobs.cancel(job)


def test_running_job_stops_at_its_next_step(sent: Sent, clock: ManualClock) -> None:
    job = jobs.start("x.work", clock=clock)

    def work(handle: JobHandle) -> None:
        handle.step(1, message="one")
        assert jobs.cancel(job)
        handle.step(2)
        clock.advance(HEARTBEAT_S)
        handle.step(3)
        pytest.fail("went on")

    jobs.run(job.pk, work, clock=clock)
    assert state_of(job) == "cancelled"


def test_steps_write_at_most_every_five_seconds(
    sent: Sent, clock: ManualClock, django_assert_num_queries: Any
) -> None:
    job = jobs.start("x.work", clock=clock)

    def work(handle: JobHandle) -> None:
        with django_assert_num_queries(1):
            for number in range(60):
                handle.step(number)
                clock.advance(0.1)

    assert jobs.run(job.pk, work, clock=clock)


def test_job_out_of_time_is_taken_up_again(sent: Sent, clock: ManualClock) -> None:
    job = jobs.start("x.work", clock=clock)

    def slow(_: JobHandle) -> None:
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        jobs.run(job.pk, slow, clock=clock)
    assert state_of(job) == "interrupted"
    sent.clear()
    clock.advance(31)
    assert jobs.sweep(clock=clock) == 1
    assert jobs.run(sent[0][1]["job_id"], lambda _: None, clock=clock)
    assert state_of(job) == "done"


def test_job_of_a_dead_worker_is_taken_up_and_its_late_end_ignored(
    sent: Sent, clock: ManualClock
) -> None:
    job = jobs.start("x.work", clock=clock)

    def dying(_: JobHandle) -> str:
        clock.advance(jobs.DEAD_S + 1)
        assert jobs.sweep(clock=clock) == 1
        assert jobs.run(job.pk, lambda _: "second", clock=clock)
        return "first"

    jobs.run(job.pk, dying, clock=clock)
    job.refresh_from_db()
    assert (job.state, job.result, job.attempts) == ("done", "second", 2)


def test_dead_job_that_was_cancelled_is_not_started_again(
    sent: Sent, clock: ManualClock
) -> None:
    job = jobs.start("x.work", clock=clock)
    assert jobs._claim(job.pk, clock) is not None
    assert jobs.cancel(job)
    sent.clear()
    clock.advance(jobs.DEAD_S + 1)
    assert jobs.sweep(clock=clock) == 0
    assert state_of(job) == "cancelled"


def test_job_that_keeps_killing_its_worker_is_parked(
    sent: Sent, clock: ManualClock
) -> None:
    job = jobs.start("x.work", clock=clock)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs._claim(job.pk, clock) is not None
        clock.advance(jobs.DEAD_S + 1)
        jobs.sweep(clock=clock)
    assert state_of(job) == "failed"
    assert Alert.objects.get().kind == "job_failed"
    sent.clear()
    clock.advance(1_000)
    assert jobs.sweep(clock=clock) == 0


def test_periodic_task_comes_round_and_runs_once_each_time(
    sent: Sent, clock: ManualClock
) -> None:
    runs: list[int] = []
    jobs.schedule("x.tick", interval_s=60)
    assert jobs.sweep(clock=clock) == 1
    assert jobs.sweep(clock=clock) == 0
    for _ in range(3):
        jobs.run_due("x.tick", lambda: runs.append(1), clock=clock)
    assert runs == [1]
    clock.advance(59)
    assert jobs.sweep(clock=clock) == 0
    clock.advance(1)
    assert jobs.sweep(clock=clock) == 1
    assert jobs.run_due("x.tick", lambda: runs.append(1), clock=clock)
    assert runs == [1, 1]


def test_lost_message_of_a_periodic_task_is_sent_again(
    sent: Sent, clock: ManualClock
) -> None:
    jobs.schedule("x.tick", interval_s=60)
    assert jobs.sweep(clock=clock) == 1
    clock.advance(jobs.LATE_S)
    assert jobs.sweep(clock=clock) == 1


def test_periodic_task_of_a_dead_worker_runs_again_elsewhere(
    sent: Sent, clock: ManualClock
) -> None:
    jobs.schedule("x.tick", interval_s=60)
    jobs.sweep(clock=clock)
    runs: list[str] = []

    def dying() -> None:
        assert not jobs.run_due("x.tick", lambda: runs.append("early"), clock=clock)
        clock.advance(jobs.DEAD_S)
        assert jobs.sweep(clock=clock) == 1
        assert jobs.run_due("x.tick", lambda: runs.append("second"), clock=clock)

    jobs.run_due("x.tick", dying, clock=clock)
    row = DueTask.objects.get()
    assert runs == ["second"]
    assert (row.due_at - clock.now()).total_seconds() == 60


def test_failing_periodic_task_is_alerted_and_comes_round(
    sent: Sent, clock: ManualClock
) -> None:
    jobs.schedule("x.tick", interval_s=60)
    jobs.sweep(clock=clock)

    def fail() -> None:
        raise LookupError("sk-canary")

    assert jobs.run_due("x.tick", fail, clock=clock)
    row = DueTask.objects.get()
    assert row.last_error == "LookupError"
    assert Alert.objects.get(resolved_at=None).key == "x.tick"
    clock.advance(60)
    assert jobs.sweep(clock=clock) == 1
    assert jobs.run_due("x.tick", lambda: None, clock=clock)
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_changed_interval_reaches_the_row(sent: Sent, clock: ManualClock) -> None:
    jobs.schedule("x.tick", interval_s=60)
    jobs.sweep(clock=clock)
    jobs.schedule("x.tick", interval_s=120)
    jobs.sweep(clock=clock)
    assert DueTask.objects.get().interval_s == 120


def test_task_can_be_made_due_now(sent: Sent, clock: ManualClock) -> None:
    jobs.schedule("x.tick", interval_s=600)
    jobs.sweep(clock=clock)
    jobs.run_due("x.tick", lambda: None, clock=clock)
    assert jobs.sweep(clock=clock) == 0
    assert jobs.make_due("x.tick", clock=clock)
    assert jobs.sweep(clock=clock) == 1
    assert not jobs.make_due("x.unknown", clock=clock)


def test_interval_finer_than_the_sweep_is_refused() -> None:
    with pytest.raises(ValueError, match="30 s"):
        jobs.periodic_task("x.fast", interval_s=5)


def test_job_task_is_a_celery_task_around_the_claim(sent: Sent) -> None:
    seen: list[object] = []

    @jobs.job_task("x.named")
    def work(handle: JobHandle, provider_id: int) -> None:
        seen.append((handle.id, provider_id))

    job = jobs.start("x.named", provider_id=7)
    work(job.pk)
    work(job.pk)
    assert seen == [(job.pk, 7)]


def test_periodic_task_is_a_celery_task_that_asks_its_row(sent: Sent) -> None:
    seen: list[int] = []

    @jobs.periodic_task("x.round", interval_s=60)
    def work() -> None:
        seen.append(1)

    work()
    jobs.sweep()
    work()
    work()
    assert seen == [1]
    assert work.name == "x.round"


def test_the_grounds_own_tasks_are_known_to_the_worker() -> None:
    import_module("poolsite.tasks")
    names = {"poolsite.sweep", "poolsite.survey_secrets", "poolsite.verify_audit"}
    assert names <= set(app.tasks)


def test_check_stops_within_half_a_second_and_writes_nothing(
    clock: ManualClock, sent: Sent
) -> None:
    job = jobs.start("x.work", clock=clock)
    waited: list[float] = []

    def work(handle: JobHandle) -> None:
        handle.check()
        jobs.cancel(job, clock=clock)
        for passed in range(10):
            waited.append(passed / 10)
            handle.check()
            clock.advance(0.1)

    assert jobs.run(job.pk, work, clock=clock)
    assert state_of(job) == "cancelled"
    assert waited[-1] <= 0.6
