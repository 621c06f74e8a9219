"""Prove that a storm becomes one message with one line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from poolsite import alerts
from poolsite.celery import app
from poolsite.clock import ManualClock
from poolsite.delivery import digest, hurry, outbox, sending
from poolsite.delivery.rows import AlertChannel, AlertDelivery, AlertNews
from poolsite.models import Alert, DueTask
from tests.poolsite.delivery.conftest import PATH, make_hook
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db


def test_nothing_to_tell_sends_nothing(hook: AlertChannel, clock: ManualClock) -> None:
    clock.advance(3600)
    assert sending.run(clock=clock) == 0
    assert AlertDelivery.objects.count() == 0


def test_warnings_wait_for_company_and_come_as_one_message(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    alerts.raise_alert("k", "a", title="A", clock=clock)
    clock.advance(30)
    alerts.raise_alert("k", "b", title="B", clock=clock)
    assert sending.run(clock=clock) == 0
    clock.advance(30)
    assert sending.run(clock=clock) == 1
    [asked] = receiver.asked
    body = asked.json()
    assert (body["version"], body["event"]) == (1, "digest")
    assert [each["data"]["title"] for each in body["data"]["events"]] == ["A", "B"]
    assert body["data"]["open_alerts"] == 2
    assert AlertNews.objects.count() == 0


@pytest.mark.parametrize("times", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_storm_of_raises_is_one_alert_and_one_line_with_a_count(
    times: int, hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    for _ in range(times):
        alerts.raise_alert("k", "a", title="Storm", clock=clock)
    assert AlertNews.objects.count() == 1
    clock.advance(60)
    assert sending.run(clock=clock) == 1
    [line] = receiver.last.json()["data"]["events"]
    assert (line["event"], line["count"]) == ("alert.opened", times)
    assert Alert.objects.count() == 1


def test_many_different_alerts_are_one_bounded_message(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    for number in range(digest.LINES + 30):
        alerts.raise_alert("k", str(number), title=f"N{number}", clock=clock)
    clock.advance(60)
    assert sending.run(clock=clock) == 1
    data = receiver.last.json()["data"]
    assert len(data["events"]) == digest.LINES
    assert data["more"] == {"alert.opened": 30}


def test_error_goes_at_once_but_once_a_minute(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    alerts.raise_alert("k", "a", title="A", severity="error", clock=clock)
    assert sending.run(clock=clock) == 1
    alerts.raise_alert("k", "b", title="B", severity="error", clock=clock)
    clock.advance(digest.APART_S - 1)
    assert sending.run(clock=clock) == 0
    clock.advance(1)
    assert sending.run(clock=clock) == 1
    assert len(receiver.asked) == 2


def test_resolved_alert_is_said_once_and_news_of_one_alert_is_one_line(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    alerts.raise_alert("k", "a", title="A", clock=clock)
    alerts.raise_alert("k", "a", title="A", severity="error", clock=clock)
    assert sending.run(clock=clock) == 1
    [line] = receiver.last.json()["data"]["events"]
    assert (line["event"], line["data"]["severity"]) == ("alert.opened", "error")
    alerts.resolve("k", "a", clock=clock)
    alerts.resolve("k", "a", clock=clock)
    clock.advance(60)
    assert sending.run(clock=clock) == 1
    [line] = receiver.last.json()["data"]["events"]
    assert line["event"] == "alert.resolved"
    assert line["data"]["resolved_at"] is not None
    clock.advance(600)
    assert sending.run(clock=clock) == 0


def test_alert_that_becomes_worse_is_told_as_such(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    alerts.raise_alert("k", "a", title="A", clock=clock)
    clock.advance(60)
    sending.run(clock=clock)
    Alert.objects.update(acknowledged_at=clock.now(), acknowledged_by="o@x.co")
    alerts.raise_alert("k", "a", title="A", clock=clock)
    assert AlertNews.objects.count() == 0
    alerts.raise_alert("k", "a", title="A", severity="error", clock=clock)
    clock.advance(60)
    sending.run(clock=clock)
    [line] = receiver.last.json()["data"]["events"]
    assert (line["event"], line["data"]["acknowledged_at"]) == ("alert.escalated", None)


def test_channel_hears_only_what_it_chose(
    receiver: Vendor, clock: ManualClock, db: None
) -> None:
    grave = make_hook(
        receiver.root + PATH,
        clock=clock,
        events=["alert.opened"],
        least_severity="error",
    )
    alerts.raise_alert("k", "a", title="A", clock=clock)
    outbox.emit("provider.created", {"provider": "p"}, clock=clock)
    assert grave.news.count() == 0
    alerts.raise_alert("k", "b", title="B", severity="error", clock=clock)
    assert grave.news.count() == 1


def test_same_line_folds_and_counts_until_it_is_sent(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    for _ in range(3):
        data = {"from": "a", "to": "b"}
        outbox.emit("request.failover", data, fold="a>b", count=5, clock=clock)
    clock.advance(60)
    sending.run(clock=clock)
    [line] = receiver.last.json()["data"]["events"]
    assert (line["event"], line["count"]) == ("request.failover", 15)
    outbox.emit("request.failover", {}, fold="a>b", clock=clock)
    assert AlertNews.objects.get().count == 1


def test_news_gathers_behind_a_message_that_does_not_arrive(
    hook: AlertChannel,
    receiver: Vendor,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(digest, "MOST_WAITING", 5)
    receiver.on("POST", PATH, Reply(b"", status=500))
    outbox.emit("provider.created", {"provider": "p"}, clock=clock)
    clock.advance(60)
    assert sending.run(clock=clock) == 0
    for number in range(12):
        outbox.emit("provider.updated", {"provider": str(number)}, clock=clock)
        clock.advance(60)
        sending.run(clock=clock)
    assert AlertDelivery.objects.count() == 1
    assert hook.news.count() <= 6
    receiver.on("POST", PATH, Reply(b"", status=204))
    sending.run(now_too=True, clock=clock)
    sending.run(now_too=True, clock=clock)
    data = receiver.last.json()["data"]
    told = [
        each["data"]["provider"]
        for each in data["events"]
        if "provider" in each["data"]
    ]
    assert told[-1] == "11"
    assert len(told) + data["untold"] == 12


def test_error_wakes_the_worker_once_a_round(
    hook: AlertChannel,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda name, **_: sent.append(name))
    due = clock.now() + timedelta(seconds=30)
    DueTask.objects.create(task=hurry.TASK, interval_s=30, due_at=due)
    with django_capture_on_commit_callbacks(execute=True):
        alerts.raise_alert("k", "mild", title="A", clock=clock)
    assert sent == []
    for number in range(50):
        with django_capture_on_commit_callbacks(execute=True):
            key = str(number)
            alerts.raise_alert("k", key, title="B", severity="error", clock=clock)
    assert sent == [hurry.TASK]
    assert DueTask.objects.get().due_at == clock.now()


def test_broker_that_is_away_costs_a_delay_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(name: str, **_: Any) -> None:
        raise OSError

    monkeypatch.setattr(app, "send_task", away)
    hurry._send()
