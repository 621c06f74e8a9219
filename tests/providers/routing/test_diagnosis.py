"""Many keys failing alike are one event, and what they share is blamed for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from poolsite.clock import ManualClock
from providers.routing.diagnosis import Cell, explain
from providers.routing.health import Health
from providers.routing.types import Route
from scripts.proofs import diagnosis as proof
from tests.providers.snapshot.records import model, provider

KEYS = 4
ALIKE = ("rate_limit", "quota", "unavailable", "server_error", "timeout", "auth")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    return Health(clock)


def routes(
    number: int = 1, model_number: int = 1, *, keys: int = KEYS, where: str = "cloud"
) -> list[Route]:
    """Return the ways to one model over each key of a provider."""
    own = provider(number, location=where)
    secrets = tuple(
        msgspec.structs.replace(own.credentials[0], id=number * 10 + key)
        for key in range(1, keys + 1)
    )
    record = msgspec.structs.replace(own, credentials=secrets)
    served = model(number * 100 + model_number, number)
    return [Route(record, served, each) for each in secrets]


def reasons(health: Health, found: Sequence[Route]) -> list[str]:
    cooling = [health.cooling(route) for route in found]
    return ["" if each is None else each.subject for each in cooling]


def test_two_hundred_events_are_named_right() -> None:
    for figure in proof.run(7, short=True):
        assert figure.ok or not figure.name.startswith("named right"), figure


@pytest.mark.parametrize("kind", ALIKE)
def test_keys_that_fail_alike_are_not_punished(health: Health, kind: str) -> None:
    found = routes()
    for route in found[:3]:
        health.report(route, kind)
    assert set(reasons(health, found)) == {"model:101"}
    # The keys themselves are free for other models of the provider.
    assert reasons(health, routes(model_number=2)) == [""] * KEYS


@pytest.mark.parametrize("kind", ALIKE)
def test_a_second_model_that_fails_alike_blames_the_provider(
    health: Health, kind: str
) -> None:
    for route in routes()[:3]:
        health.report(route, kind)
    health.report(routes(model_number=2)[0], kind)
    assert set(reasons(health, routes())) == {"provider:1"}
    assert set(reasons(health, routes(model_number=3))) == {"provider:1"}
    assert reasons(health, routes(2)) == [""] * KEYS
    assert list(health.events()) == ["provider:1"]


def test_an_event_is_short_and_ends_with_the_first_success(
    health: Health, clock: ManualClock
) -> None:
    found = routes()
    for route in found[:3]:
        health.report(route, "unavailable")
    assert health.cooling(found[3]) is not None
    clock.advance(5.001)
    assert health.cooling(found[3]) is None
    health.begin(found[3])
    assert health.cooling(found[0]) is not None
    facts = health.report(found[3], "ok")
    assert [fact.payload["until_s"] for fact in facts] == [None]
    assert reasons(health, found) == [""] * KEYS


def test_a_failed_probe_makes_an_event_longer_and_still_punishes_no_key(
    health: Health, clock: ManualClock
) -> None:
    found, waits = routes(), []
    for route in found[:3]:
        health.report(route, "rate_limit")
    for _ in range(6):
        cooling = health.cooling(found[0])
        assert cooling is not None
        assert cooling.left_s is not None
        waits.append(cooling.left_s)
        clock.advance(cooling.left_s + 0.001)
        health.begin(found[0])
        health.report(found[0], "rate_limit")
    assert waits == pytest.approx([5, 10, 20, 40, 60, 60])
    assert [*health.states()] == ["model:101"]


def test_late_failures_belong_to_the_event(health: Health) -> None:
    found = routes()
    for route in found[:3]:
        health.report(route, "rate_limit", retry_after_s=7)
    assert health.report(found[3], "rate_limit", retry_after_s=3_600) == ()
    assert [*health.states()] == ["model:101"]


def test_punishments_that_are_taken_back_leave_as_facts(health: Health) -> None:
    found = routes()
    for route in found[:2]:
        health.report(route, "auth")
    facts = health.report(found[2], "auth")
    ended = {fact.key for fact in facts if fact.payload["until_s"] is None}
    assert ended == {"credential:1:api_key:11", "credential:1:api_key:12"}
    (opened,) = [fact for fact in facts if fact.payload["until_s"] is not None]
    assert (opened.key, opened.payload["is_event"]) == ("model:101", True)


def test_keys_refused_again_after_their_event_are_bad_keys(
    health: Health, clock: ManualClock
) -> None:
    found = routes()
    for route in found:
        health.report(route, "auth")
    clock.advance(60)
    for route in found:
        assert health.cooling(route) is None
        health.begin(route)
        health.report(route, "auth")
    assert all(name.startswith("credential:") for name in reasons(health, found))


def test_a_neighbour_that_works_leaves_the_blame_with_the_keys(
    health: Health, clock: ManualClock
) -> None:
    found = routes(keys=6)
    for route in found[:2]:
        health.report(route, "rate_limit")
    clock.advance(0.1)
    for route in found[3:]:
        health.report(route, "ok")
    health.report(found[2], "rate_limit")
    assert not health.events()
    cooling = [name.startswith("limit:") for name in reasons(health, found)]
    assert cooling == [True, True, True, False, False, False]


def test_failures_far_apart_have_nothing_in_common(
    health: Health, clock: ManualClock
) -> None:
    for route in routes()[:3]:
        health.report(route, "rate_limit")
        clock.advance(11)
    assert not health.events()


def test_one_account_out_of_quota_rests_as_a_whole(health: Health) -> None:
    found = routes(keys=6)
    for route in found[:4]:
        health.belongs(route, "org-a")
    for route in found[4:]:
        health.belongs(route, "org-b")
    health.report(found[4], "ok")
    for route in found[:3]:
        health.report(route, "quota")
    assert reasons(health, found) == ["account:1:org-a"] * 4 + [""] * 2
    cooling = health.cooling(found[3])
    assert cooling is not None
    assert cooling.left_s == pytest.approx(5 * 3600)


def test_a_model_that_fails_while_others_work_is_blamed(health: Health) -> None:
    for route in routes(model_number=2):
        health.report(route, "ok")
    for route in routes()[:2]:
        health.report(route, "server_error")
    for route in routes(model_number=2):
        health.report(route, "ok")
    health.report(routes()[2], "server_error")
    assert set(reasons(health, routes())) == {"model:101"}
    assert reasons(health, routes(model_number=2)) == [""] * KEYS


def test_nobody_out_there_answers_so_it_is_our_way_out(health: Health) -> None:
    for number in (1, 2, 3):
        health.report(routes(number, keys=1)[0], "connect")
    assert reasons(health, routes(4)) == ["egress:-"] * KEYS
    assert reasons(health, routes(5, where="local")) == [""] * KEYS
    health.report(routes(4)[0], "ok")
    assert reasons(health, routes(1)) == [""] * KEYS


def test_one_provider_that_answers_clears_the_way_out_of_suspicion(
    health: Health, clock: ManualClock
) -> None:
    health.report(routes(1, keys=1)[0], "connect")
    health.report(routes(2, keys=1)[0], "connect")
    clock.advance(0.1)
    health.report(routes(4)[0], "rate_limit")  # an answer, if a bad one
    health.report(routes(3, keys=1)[0], "connect")
    assert "egress:-" not in health.events()


@pytest.mark.parametrize("kind", ["model", "unreadable"])
def test_what_is_never_shared_is_not_diagnosed(health: Health, kind: str) -> None:
    for route in routes():
        health.report(route, kind)
    assert not health.events()


def test_how_many_keys_make_an_event_is_a_setting(health: Health) -> None:
    health.configure({"diagnosis_keys": 2.0, "no_such_number": 1.0})
    for route in routes()[:2]:
        health.report(route, "rate_limit")
    assert list(health.events()) == ["model:101"]


def test_an_exception_weighs_as_much_as_a_key() -> None:
    cells = [
        Cell(f"k{n}", 1, group="throttle", fails=1, first_fail=1.0, last_fail=1.0)
        for n in range(5)
    ]
    works = [Cell(f"w{n}", 1, last_ok=2.0) for n in range(5)]

    def cause(fine: int) -> str | None:
        found = explain(
            [*cells, *works[:fine]], "throttle", provider_id=1, least=3, since=0.0
        )
        return None if found is None else found.cause

    assert [cause(0), cause(3), cause(5)] == ["model", "model", None]
