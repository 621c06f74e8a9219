"""Cooldowns open, grow, close and never take the last route away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.clock import ManualClock
from providers.routing.health import COOLDOWN_FACT, PROBING, Health
from providers.routing.types import Route
from tests.providers.snapshot.records import model, provider

HOUR = 3600.0
KINDS = (
    "ok", "auth", "quota", "rate_limit", "unavailable", "server_error", "timeout",
    "connect", "model", "unreadable", "a-later-word",
)  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    return Health(clock)


def _route(number: int = 1, model_number: int = 1, owner: int | None = None) -> Route:
    own = provider(number)
    serving = own if owner is None else provider(owner)
    return Route(serving, model(model_number, serving.id), own.credentials[0])


def _left(health: Health, route: Route) -> float:
    cooling = health.cooling(route)
    if cooling is None:
        return 0.0
    return -1.0 if cooling.left_s is None else cooling.left_s


def _waits(
    health: Health, clock: ManualClock, kind: str, times: int, hint: float | None = None
) -> list[float]:
    """Fail again each time the cooldown is over; return how long each one was."""
    route = _route()
    waits = []
    for _ in range(times):
        health.report(route, kind, retry_after_s=hint)
        left = _left(health, route)
        waits.append(left)
        clock.advance(max(left, 0) + 0.001)
    return waits


def test_rate_limits_double_from_half_a_minute(
    health: Health, clock: ManualClock
) -> None:
    waits = _waits(health, clock, "rate_limit", 6)
    assert waits == pytest.approx([30, 60, 120, 240, 300, 300])


def test_hints_are_obeyed_and_capped_at_a_day(health: Health) -> None:
    health.report(_route(), "rate_limit", retry_after_s=77)
    assert _left(health, _route()) == pytest.approx(77)
    health.report(_route(2), "rate_limit", retry_after_s=1e9)
    assert _left(health, _route(2)) == pytest.approx(24 * HOUR)
    health.report(_route(3), "rate_limit", retry_after_s=0.0)
    assert _left(health, _route(3)) == pytest.approx(1)


def test_many_calls_told_to_wait_at_once_are_one_failure(
    health: Health, clock: ManualClock
) -> None:
    for _ in range(50):
        health.report(_route(), "rate_limit", retry_after_s=2.0)
    clock.advance(3.0)
    health.report(_route(), "rate_limit")
    assert _left(health, _route()) == pytest.approx(60)


def test_an_empty_account_rests_for_hours(health: Health, clock: ManualClock) -> None:
    waits = _waits(health, clock, "quota", 4)
    assert waits == pytest.approx([5 * HOUR, 10 * HOUR, 20 * HOUR, 24 * HOUR])


def test_short_outages_count_to_five(health: Health, clock: ManualClock) -> None:
    waits = _waits(health, clock, "unavailable", 9)
    assert waits == pytest.approx([0, 0, 0, 0, 5, 10, 20, 30, 30])


@pytest.mark.parametrize("kind", ["server_error", "timeout", "connect"])
def test_other_failures_count_to_three(
    health: Health, clock: ManualClock, kind: str
) -> None:
    waits = _waits(health, clock, kind, 7)
    assert waits == pytest.approx([0, 0, 30, 60, 120, 240, 300])


def test_a_missing_model_rests_longer_and_longer(
    health: Health, clock: ManualClock
) -> None:
    waits = _waits(health, clock, "model", 5)
    assert waits == pytest.approx([60, 300, 1500, 3600, 3600])


def test_counts_are_forgotten_after_five_quiet_minutes(
    health: Health, clock: ManualClock
) -> None:
    for _ in range(2):
        health.report(_route(), "server_error")
    clock.advance(301)
    health.report(_route(), "server_error")
    assert health.cooling(_route()) is None


def test_a_success_in_between_starts_the_count_anew(health: Health) -> None:
    for _ in range(20):
        health.report(_route(), "server_error")
        health.report(_route(), "server_error")
        health.report(_route(), "ok")
    assert health.cooling(_route()) is None


@pytest.mark.parametrize("kind", ["auth", "unreadable"])
def test_a_refused_secret_needs_a_person_and_is_tried_hourly(
    health: Health, clock: ManualClock, kind: str
) -> None:
    route = _route()
    health.report(route, kind)
    cooling = health.cooling(route)
    assert cooling is not None
    assert cooling.left_s is None
    clock.advance(HOUR + 1)
    assert health.cooling(route) is None
    health.begin(route)
    assert health.cooling(route) is not None  # one probe, not a crowd
    health.report(route, "ok")
    assert health.cooling(route) is None


def test_a_secret_is_condemned_for_all_its_models_a_rate_limit_for_one(
    health: Health,
) -> None:
    health.report(_route(1, 1), "rate_limit")
    assert health.cooling(_route(1, 2)) is None
    health.report(_route(1, 1), "auth")
    assert health.cooling(_route(1, 2)) is not None


def test_one_bad_credential_is_parked_although_its_neighbours_work(
    health: Health,
) -> None:
    good, bad = _route(1, 1, owner=9), _route(2, 1, owner=9)
    for _ in range(3):
        health.report(bad, "server_error")
        health.report(good, "ok")
    assert health.cooling(bad) is not None
    assert health.cooling(good) is None


def test_a_host_that_refuses_connections_is_down_for_all(health: Health) -> None:
    for _ in range(3):
        health.report(_route(1, 1, owner=9), "connect")
    assert health.cooling(_route(2, 7, owner=9)) is not None
    assert health.cooling(_route(3, 7, owner=8)) is None


def test_a_missing_model_says_nothing_about_the_others(health: Health) -> None:
    health.report(_route(1, 1), "model")
    assert health.cooling(_route(2, 1, owner=1)) is not None
    assert health.cooling(_route(1, 2)) is None


def test_calls_that_began_before_do_not_close_a_rate_limit(
    health: Health, clock: ManualClock
) -> None:
    route = _route()
    health.report(route, "rate_limit", retry_after_s=60)
    health.report(route, "ok")
    assert _left(health, route) == pytest.approx(60)
    clock.advance(61)
    health.begin(route)
    facts = health.report(route, "ok")
    assert health.cooling(route) is None
    assert facts[0].payload["until_s"] is None


def test_calls_that_fail_late_do_not_make_it_worse(health: Health) -> None:
    for _ in range(3):
        health.report(_route(), "server_error")
    for _ in range(50):
        assert health.report(_route(), "server_error") == ()
    assert _left(health, _route()) == pytest.approx(30)


def test_one_probe_goes_first_when_the_time_is_over(
    health: Health, clock: ManualClock
) -> None:
    route = _route()
    for _ in range(3):
        health.report(route, "server_error")
    clock.advance(31)
    assert health.cooling(route) is None
    health.begin(route)
    assert 0 < _left(health, route) <= 10
    health.report(route, "server_error")
    assert _left(health, route) == pytest.approx(60)
    clock.advance(61)
    health.begin(route)
    clock.advance(11)  # a probe nobody reports back from does not block for ever
    assert health.cooling(route) is None


def test_a_rate_limit_that_is_over_does_not_count_as_one_while_it_is_probed(
    health: Health, clock: ManualClock
) -> None:
    route = _route()
    health.report(route, "rate_limit")
    assert _reason(health, route) == "rate_limit"
    clock.advance(31)
    health.begin(route)
    assert _reason(health, route) == PROBING
    health.report(route, "rate_limit")
    assert _reason(health, route) == "rate_limit"


def _reason(health: Health, route: Any) -> str | None:
    cooling = health.cooling(route)
    return None if cooling is None else cooling.reason


def test_the_least_bad_is_tried_when_all_are_cooling(
    health: Health, clock: ManualClock
) -> None:
    refused, empty, limited, sooner = (_route(number) for number in (1, 2, 3, 4))
    health.report(refused, "auth")
    health.report(empty, "quota")
    health.report(limited, "rate_limit", retry_after_s=90)
    health.report(sooner, "rate_limit", retry_after_s=60)
    routes = [refused, empty, limited, sooner]
    assert health.least_bad(routes) is sooner
    assert health.least_bad(routes[:3]) is limited
    assert health.least_bad(routes[:2]) is empty
    assert health.least_bad(routes[:1]) is refused
    assert health.least_bad([]) is None
    assert health.least_bad([refused, _route(5)]) == _route(5)


def test_a_restart_takes_cooldowns_over(health: Health, clock: ManualClock) -> None:
    route = _route()
    (fact,) = health.report(route, "quota")
    assert fact.kind == COOLDOWN_FACT
    clock.advance(HOUR)
    later = Health(clock)
    assert later.load([(fact.key, fact.payload)]) == 1
    assert _left(later, route) == pytest.approx(4 * HOUR)
    clock.advance(4 * HOUR + 1)
    later.report(route, "quota")
    assert _left(later, route) == pytest.approx(10 * HOUR)


def test_a_wrong_clock_parks_nobody_for_years(clock: ManualClock) -> None:
    health = Health(clock)
    (fact,) = Health(clock).report(_route(), "quota")
    clock.set_wall(clock.now() - timedelta(days=900))
    assert health.load([(fact.key, fact.payload)]) == 1
    assert _left(health, _route()) <= 24 * HOUR


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"until_s": None, "reason": "auth"},
        {"until_s": "x", "reason": "auth"},
        {"until_s": float("nan"), "reason": "auth"},
        {"until_s": 9e99, "reason": "auth", "count": []},
    ],
)
def test_damaged_facts_are_passed_over(health: Health, payload: dict[str, Any]) -> None:
    assert health.load([("credential:1:api_key:1", payload)]) == 0


def test_an_operator_can_clear_a_cooldown(health: Health) -> None:
    health.report(_route(), "quota")
    (subject,) = health.states()
    assert health.clear(subject)
    assert health.cooling(_route()) is None
    assert not health.clear(subject)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from(KINDS),
            st.none() | st.floats(-10, 1e12),
            st.floats(0, 4000),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_happens_somebody_can_be_asked_and_nobody_waits_for_ever(
    events: list[tuple[int, str, float | None, float, bool]],
) -> None:
    clock = ManualClock()
    health = Health(clock)
    routes = [_route(number) for number in (1, 2, 3)]
    for number, kind, hint, pause, begins in events:
        if begins:
            health.begin(routes[number - 1])
        for fact in health.report(routes[number - 1], kind, retry_after_s=hint):
            until = fact.payload["until_s"]
            assert until is None or until <= clock.time_ns() / 1e9 + 24 * HOUR + 1
        assert health.least_bad(routes) in routes
        clock.advance(pause)
    clock.advance(24 * HOUR + 1)
    assert all(health.cooling(route) is None for route in routes)


def test_a_revived_key_is_not_held_back_for_what_it_did_before() -> None:
    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    health = Health(clock)
    route = _route()
    health.report(route, "auth")
    clock.advance(10)

    def revived(seconds_ago: float) -> Route:
        at_s = clock.time_ns() / 1e9 - seconds_ago
        credential = msgspec.structs.replace(route.credential, revived_at_s=at_s)
        return Route(route.provider, route.model, credential)

    assert health.cooling(revived(20)) is not None
    assert health.cooling(revived(5)) is None
    assert health.cooling(route) is None
