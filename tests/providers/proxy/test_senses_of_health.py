"""What a good answer says of quota and account reaches the cooldowns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from poolsite.clock import ManualClock
from providers.proxy.senses import Senses
from providers.routing.health import Health
from providers.routing.pulse import Pulse
from providers.routing.types import Route
from tests.providers.routing.test_diagnosis import routes

HOUR = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    return Health(clock)


@pytest.fixture
def senses(health: Health, clock: ManualClock) -> Senses:
    parts: Any = SimpleNamespace(health=health, pulse=Pulse(), clock=clock)
    return Senses(parts)


def test_nothing_is_felt_before_anybody_compares_it(
    health: Health, clock: ManualClock
) -> None:
    pulse = Pulse()
    parts: Any = SimpleNamespace(health=health, pulse=pulse, clock=clock)
    headers = {
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-limit-requests": "10",
    }
    route = sign_in(1)
    served(Senses(parts), route, headers)
    assert len(pulse) == 0
    pulse.is_wanted = True
    served(Senses(parts), route, headers)
    assert pulse.remaining(route, clock.monotonic()) == 0.3


def served(senses: Senses, route: Route, headers: dict[str, str]) -> None:
    """Let an attempt end well with these headers."""
    attempt: Any = SimpleNamespace(
        candidate=SimpleNamespace(route=route),
        tally=SimpleNamespace(first_event_at=None),
        started_at=0.0,
    )
    senses.served(attempt, headers)


def sign_in(model_number: int) -> Route:
    route = routes(model_number=model_number)[0]
    assert route.credential is not None
    credential = msgspec.structs.replace(route.credential, kind="account")
    return msgspec.structs.replace(route, credential=credential)


@pytest.mark.parametrize(
    "headers",
    [
        {"anthropic-ratelimit-unified-5h-status": "allowed"},
        {"x-codex-primary-used-percent": "3"},
        {"x-ratelimit-remaining-requests": "9", "x-ratelimit-limit-requests": "10"},
    ],
)
def test_headers_that_show_room_end_a_wait_of_days(
    senses: Senses, health: Health, clock: ManualClock, headers: dict[str, str]
) -> None:
    health.report(sign_in(1), "rate_limit", retry_after_s=137 * HOUR)
    clock.advance(60)
    assert health.cooling(sign_in(1)) is not None
    served(senses, sign_in(2), headers)
    assert health.cooling(sign_in(1)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"anthropic-ratelimit-unified-5h-status": "rejected"},
        {"x-codex-primary-used-percent": "100"},
    ],
)
def test_headers_that_show_none_end_nothing(
    senses: Senses, health: Health, clock: ManualClock, headers: dict[str, str]
) -> None:
    health.report(sign_in(1), "rate_limit", retry_after_s=HOUR)
    clock.advance(60)
    served(senses, sign_in(2), headers)
    assert health.cooling(sign_in(1)) is not None


def test_an_answer_tells_whose_key_it_was(senses: Senses, health: Health) -> None:
    found = routes(keys=5)
    for route in found[:3]:
        served(senses, route, {"openai-organization": "org-a"})
    served(senses, found[3], {"openai-organization": "org-b"})
    for route in found[:3]:
        health.report(route, "quota")
    assert list(health.states()) == ["account:1:org-a"]
