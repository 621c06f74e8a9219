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
from poolsite.delivery import channels, digest, outbox, sending, services
from poolsite.delivery.rows import AlertDelivery
from poolsite.destinations import Vetter
from poolsite.models import Alert, AuditEvent, Job, Setting
from tests.vendors.server import Reply, Vendor

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


def test_news_told_by_many_workers_at_once_is_sent_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "vetter", lambda: Vetter(["127.0.0.0/8"]))
    events = ["alert.opened", "provider.created"]
    with Vendor() as vendor:
        vendor.on("POST", "/", Reply(b"", status=204, delay_s=0.05))
        terms = services.Terms(name="h", url=vendor.root + "/", events=events)
        services.create_channel(CLI, "webhook", terms)
        for number in range(5):
            alerts.raise_alert("k", str(number), title="t", severity="error")
        at_once(6, lambda _: sending.run() and None)
    assert len(vendor.asked) == 1
    assert len(vendor.last.json()["data"]["events"]) == 5
    assert AlertDelivery.objects.get().attempts == 1


def test_line_counted_by_many_at_once_loses_nothing() -> None:
    terms = services.Terms(name="m", addresses=["a@b.co"], events=["request.failover"])
    services.create_channel(CLI, "mail", terms)

    def work(number: int) -> None:
        for _ in range(20):
            outbox.emit("request.failover", {"from": "a"}, fold="a>b")
            if number == 0:
                digest.gather(now_too=True)
                AlertDelivery.objects.update(state="delivered")

    at_once(6, work)
    digest.gather(now_too=True)
    bodies = AlertDelivery.objects.values_list("body", flat=True)
    told = [line["count"] for body in bodies for line in body["data"]["events"]]
    assert sum(told) == 120


def test_job_delivered_to_many_workers_runs_once() -> None:
    job = Job.objects.create(task="x", label="x", created_at=jobs._CLOCK.now())
    runs: list[int] = []
    at_once(6, lambda n: jobs.run(job.pk, lambda _: runs.append(n)) and None)
    assert len(runs) == 1
