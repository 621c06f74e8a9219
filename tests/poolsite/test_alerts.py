"""Prove that an alert is raised many times and listed once."""

from __future__ import annotations

import pytest

from poolsite import alerts
from poolsite.clock import ManualClock
from poolsite.models import Alert

pytestmark = pytest.mark.django_db


def test_second_raise_counts_and_refreshes_the_first() -> None:
    clock = ManualClock()
    assert alerts.raise_alert("k", "x", title="One", clock=clock)
    clock.advance(60)
    assert not alerts.raise_alert("k", "x", title="Two", severity="error", clock=clock)
    alert = Alert.objects.get()
    assert (alert.count, alert.title, alert.severity) == (2, "Two", "error")
    assert alert.last_at == clock.now()
    assert (alert.last_at - alert.first_at).total_seconds() == 60


def test_resolved_alert_is_news_again() -> None:
    assert not alerts.resolve("k", "x")
    assert alerts.raise_alert("k", "x", title="One")
    assert alerts.resolve("k", "x")
    assert not alerts.resolve("k", "x")
    assert alerts.raise_alert("k", "x", title="One")
    assert Alert.objects.count() == 2


def test_open_alerts_come_worst_first_then_newest() -> None:
    clock = ManualClock()
    for key, severity in (
        ("a", "info"),
        ("b", "error"),
        ("c", "warning"),
        ("d", "error"),
    ):
        clock.advance(1)
        alerts.raise_alert("k", key, title=key, severity=severity, clock=clock)
    alerts.raise_alert("k", "gone", title="gone", severity="error", clock=clock)
    alerts.resolve("k", "gone", clock=clock)
    assert [alert.key for alert in alerts.open_alerts()] == ["d", "b", "c", "a"]


def test_long_texts_are_cut_to_their_columns() -> None:
    alerts.raise_alert("k", "x", title="t" * 999, detail="d" * 999, link="l" * 999)
    alert = Alert.objects.get()
    assert (len(alert.title), len(alert.detail), len(alert.link)) == (200, 500, 200)
