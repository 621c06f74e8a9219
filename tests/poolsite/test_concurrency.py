"""Prove on PostgreSQL that writers at the same moment do not undo each other.

SQLite begins every writing transaction IMMEDIATE, so there is nothing to prove there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from poolsite import alerts, audit, jobs, version
from poolsite.actor import CLI
from poolsite.models import Alert, AuditEvent, Job, Setting

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs DATABASE_URL of PostgreSQL"
    ),
]


def at_once(threads: int, work: Callable[[int], None]) -> None:
    """Run the work in as many threads, all starting together; pass on any error."""
    barrier = threading.Barrier(threads)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(10)
            work(number)
        except BaseException as exc:  # noqa: BLE001 - handed to the test
            errors.append(exc)
        finally:
            connection.close()

    running = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert errors == []


def test_audit_chain_does_not_fork() -> None:
    def work(number: int) -> None:
        for _ in range(20):
            with transaction.atomic():
                Setting.objects.count()
                audit.record(CLI, "a.b", after={"n": number})

    at_once(6, work)
    assert AuditEvent.objects.count() == 120
    assert audit.verify_chain() is None


def test_a_version_seen_means_every_lower_one_is_seen() -> None:
    rows = [Setting.objects.create(key=str(number)) for number in range(6)]
    made: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with transaction.atomic():
                raised = version.bump(rows[number])
                made.append(raised)

    at_once(6, work)
    assert sorted(made) == list(range(1, 121))
    assert version.current() == 120


def test_alert_raised_by_many_at_once_is_one() -> None:
    at_once(6, lambda _: alerts.raise_alert("k", "x", title="t") and None)
    assert Alert.objects.get().count == 6


def test_job_delivered_to_many_workers_runs_once() -> None:
    job = Job.objects.create(task="x", label="x", created_at=jobs._CLOCK.now())
    runs: list[int] = []
    at_once(6, lambda n: jobs.run(job.pk, lambda _: runs.append(n)) and None)
    assert len(runs) == 1
