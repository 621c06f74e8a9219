"""What is felt of a route: means, counts and quotas, and nothing where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from providers.routing import pulse as pulses
from providers.routing.pulse import Pulse
from providers.routing.sticky import Sessions
from providers.routing.types import Route, mark_of
from tests.providers.snapshot.records import model, provider


def _route(number: int = 1) -> Route:
    owner = provider(number)
    return Route(owner, model(number, number), owner.credentials[0])


def test_latency_ema_first_sample_as_is_and_failure_doubles() -> None:
    pulse, route = Pulse(), _route()
    assert pulse.latency(route) is None
    pulse.failed(route)
    assert pulse.latency(route) is None
    pulse.served(route, 2.0)
    assert pulse.latency(route) == 2.0
    pulse.served(route, 1.0)
    assert pulse.latency(route) == pytest.approx(0.3 * 1.0 + 0.7 * 2.0)
    pulse.failed(route)
    assert pulse.latency(route) == pytest.approx(3.4)
    for _ in range(100):
        pulse.failed(route)
    assert pulse.latency(route) == 3600.0


def test_calls_under_way_never_fall_below_none() -> None:
    pulse, route = Pulse(), _route()
    pulse.end(route)
    pulse.begin(route)
    pulse.begin(route)
    pulse.end(route)
    assert pulse.busy(route) == 1
    pulse.end(route)
    pulse.end(route)
    assert pulse.busy(route) == 0


def test_a_quota_is_known_until_its_reset() -> None:
    pulse, route = Pulse(), _route()
    pulse.quota(route, None, until=10.0)
    assert len(pulse) == 0
    pulse.quota(route, 1.5, until=10.0)
    assert pulse.remaining(route, 9.0) == 1.0
    assert pulse.remaining(route, 10.0) is None
    assert pulse.remaining(_route(2), 0.0) is None


def test_memory_is_bounded_and_keeps_who_is_busy(monkeypatch: Any) -> None:
    monkeypatch.setattr(pulses, "_MOST_ROUTES", 10)
    pulse = Pulse()
    pulse.begin(_route(1))
    for number in range(2, 100):
        pulse.served(_route(number), 1.0)
    assert len(pulse) <= 10
    assert pulse.busy(_route(1)) == 1


def test_a_session_is_kept_for_its_time_and_for_its_key() -> None:
    sessions, mark = Sessions(), mark_of(_route())
    sessions.note((1, "s"), mark, 100.0)
    assert sessions.last((1, "s"), 159.0, 60.0) == mark
    assert sessions.last((1, "s"), 160.0, 60.0) is None
    assert sessions.last((2, "s"), 100.0, 60.0) is None
    assert sessions.last((1, "s"), 100.0, 0.0) is None


def test_the_sessions_served_longest_ago_are_forgotten(monkeypatch: Any) -> None:
    monkeypatch.setattr("providers.routing.sticky._MOST_SESSIONS", 3)
    sessions, mark = Sessions(), mark_of(_route())
    for number in range(3):
        sessions.note((1, str(number)), mark, 0.0)
    sessions.note((1, "0"), mark, 1.0)
    sessions.note((1, "3"), mark, 1.0)
    assert len(sessions) == 3
    assert sessions.last((1, "1"), 1.0, 60.0) is None
    assert sessions.last((1, "0"), 1.0, 60.0) == mark
