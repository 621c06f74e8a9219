"""What one process learns another one knows; a person's word and fresh news win."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from poolsite.clock import ManualClock
from providers.routing.accounts import account_of
from providers.routing.cooldowns import CooldownSettings, settings_of
from providers.routing.health import PROBING, Health
from providers.routing.remembered import RECOVERY_FACT
from providers.routing.subjects import SCOPES, parse
from providers.routing.types import Route
from tests.providers.routing.test_diagnosis import routes
from usage.journal.records import Fact

HOUR = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def here(clock: ManualClock) -> Health:
    return Health(clock)


@pytest.fixture
def there(clock: ManualClock) -> Health:
    return Health(clock)


def reason(health: Health, route: Route) -> str:
    cooling = health.cooling(route)
    return "" if cooling is None else cooling.reason


def sent(facts: Sequence[Fact]) -> list[Fact]:
    """Return facts as they arrive: through JSON."""
    return msgspec.json.decode(msgspec.json.encode(facts), type=list[Fact])


def recovery(clock: ManualClock, subject: str = "*") -> Fact:
    return Fact(kind=RECOVERY_FACT, key=subject, at_ns=clock.time_ns())


# Every scope survives


def _egress(health: Health) -> Sequence[Fact]:
    facts: Sequence[Fact] = ()
    for number in (1, 2, 3):
        facts = health.report(routes(number, keys=1)[0], "connect")
    return facts


def _provider(health: Health) -> Sequence[Fact]:
    for route in routes()[:3]:
        health.report(route, "rate_limit")
    return health.report(routes(model_number=2)[0], "rate_limit")


def _account(health: Health) -> Sequence[Fact]:
    found = routes(keys=5)
    for route in found[:3]:
        health.belongs(route, "org-a")
    health.report(found[4], "ok")
    facts: Sequence[Fact] = ()
    for route in found[:3]:
        facts = health.report(route, "quota")
    return facts


MAKERS: dict[str, Callable[[Health], Sequence[Fact]]] = {
    "provider": _provider,
    "model": lambda health: health.report(routes()[0], "model"),
    "credential": lambda health: health.report(routes()[0], "auth"),
    "limit": lambda health: health.report(routes()[0], "rate_limit"),
    "egress": _egress,
    "account": _account,
}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_cooldown_of_each_scope_survives_a_restart(
    here: Health, there: Health, scope: str
) -> None:
    facts = MAKERS[scope](here)
    opened = [fact for fact in facts if fact.payload["until_s"] is not None]
    assert [fact.key.partition(":")[0] for fact in opened] == [scope]
    assert there.merge(sent(facts)) == 1
    assert there.states().keys() == {opened[0].key}
    assert there.states()[opened[0].key].left_s == pytest.approx(
        here.states()[opened[0].key].left_s, abs=1e-3
    )
    assert there.events() == here.events()


@pytest.mark.parametrize("scope", SCOPES)
def test_every_subject_can_be_read_back(here: Health, scope: str) -> None:
    for fact in MAKERS[scope](here):
        parts = parse(fact.key)
        assert parts is not None
        if fact.payload["until_s"] is not None:
            assert parts.scope == scope


@pytest.mark.parametrize(
    "subject",
    ["", "x", "provider:", "provider:x", "limit:1:2", "credential:1:a:b:c", "model:"],
)
def test_what_is_no_subject_is_none(subject: str) -> None:
    assert parse(subject) is None


# The latest word holds


def test_an_end_elsewhere_ends_it_here(
    here: Health, there: Health, clock: ManualClock
) -> None:
    route = routes()[0]
    opened = here.report(route, "rate_limit", retry_after_s=60)
    there.merge(sent(opened))
    clock.advance(61)
    there.begin(route)
    ended = there.report(route, "ok")
    here.merge(sent(ended))
    assert reason(here, route) == ""
    # Old news that comes late, as from the file, does not bring it back.
    here.merge(sent(opened))
    assert not here.states()


def test_own_news_that_come_back_change_nothing(here: Health) -> None:
    route = routes()[0]
    facts = here.report(route, "rate_limit", retry_after_s=60)
    assert here.merge(sent(facts)) == 0
    assert here.merge(sent(here.told())) == 0


def test_everything_told_is_what_others_need(here: Health, there: Health) -> None:
    here.report(routes()[0], "quota")
    here.report(routes()[1], "rate_limit", retry_after_s=90)
    assert there.merge(sent(here.told())) == 2
    assert there.states().keys() == here.states().keys()


def test_a_person_clears_one_or_all_and_what_fails_later_counts(
    here: Health, clock: ManualClock
) -> None:
    first, second = routes()[:2]
    here.report(first, "auth")
    here.report(second, "quota")
    clock.advance(1)
    here.merge([recovery(clock, "credential:1:api_key:11")])
    assert [reason(here, each) for each in (first, second)] == ["", "quota"]
    clock.advance(1)
    told = recovery(clock)
    here.merge([told])
    assert [reason(here, each) for each in (first, second)] == ["", ""]
    clock.advance(1)
    here.report(first, "auth")
    here.merge([told])
    assert reason(here, first) == "auth"


def test_what_a_person_cleared_is_passed_on_once(
    here: Health, there: Health, clock: ManualClock
) -> None:
    """Whoever starts later and reads old news must not bring it back."""
    here.leases.is_on = True
    opened = here.report(routes()[0], "quota")
    clock.advance(1)
    here.take_news()
    for _ in range(3):
        here.merge([recovery(clock)], passes_on=True)
    (told,) = here.take_news()
    assert told.kind == RECOVERY_FACT
    assert sent(here.told()) == [told]
    there.merge(sent([told, *opened]))
    assert not there.states()


def test_rows_say_when_so_a_key_revived_before_may_fail_after(
    here: Health, clock: ManualClock
) -> None:
    route = routes()[0]
    assert route.credential is not None
    revived_at_s = clock.time_ns() / 1e9
    revived = msgspec.structs.replace(
        route,
        credential=msgspec.structs.replace(route.credential, revived_at_s=revived_at_s),
    )
    clock.advance(5)
    (fact,) = here.report(route, "auth")
    there = Health(clock)
    assert there.load([(fact.key, fact.payload)]) == 1
    assert reason(there, revived) == "auth"


def test_counts_that_were_not_enough_yet_are_cleared_too(
    here: Health, clock: ManualClock
) -> None:
    for _ in range(2):
        here.report(routes()[0], "server_error")
    clock.advance(1)
    here.merge([recovery(clock)])
    clock.advance(1)
    here.report(routes()[0], "server_error")
    assert not here.states()


def test_counts_and_words_of_failures_travel(here: Health) -> None:
    route = routes()[0]
    for kind in ("timeout", "timeout", "server_error"):
        facts = here.report(route, kind, reason="502 Bad Gateway" * 30)
    (fact,) = facts
    assert fact.payload["counts"] == {"timeout": 2, "server_error": 1}
    assert len(fact.payload["error"]) == 200
    assert fact.payload["since_s"] > 0
    (told,) = here.take_failures()
    assert told.key == "model:101"
    assert told.payload["counts"] == {"timeout": 2, "server_error": 1}
    assert here.take_failures() == []


# One probe for all


def test_only_who_holds_the_lease_probes(here: Health, clock: ManualClock) -> None:
    route, name = routes()[0], "limit:1:api_key:11:101"
    here.leases.is_on = True
    here.report(route, "rate_limit", retry_after_s=60)
    clock.advance(61)
    assert reason(here, route) == PROBING
    assert here.leases.asked() == [name]
    here.lease(name, taken_for_s=9.0)
    assert reason(here, route) == PROBING
    clock.advance(9.1)
    assert reason(here, route) == PROBING
    here.lease(name)
    assert reason(here, route) == ""
    here.begin(route)
    assert reason(here, route) == PROBING
    here.report(route, "ok")
    assert reason(here, route) == ""
    assert len(here.take_news()) == 2


def test_nobody_to_ask_for_a_lease_means_probing_alone(
    here: Health, clock: ManualClock
) -> None:
    route = routes()[0]
    here.leases.is_on = True
    here.report(route, "rate_limit", retry_after_s=60)
    clock.advance(61)
    assert reason(here, route) == PROBING
    clock.advance(1.1)
    assert reason(here, route) == ""


# Fresher signals


def test_room_told_by_a_later_answer_ends_a_limit(
    here: Health, clock: ManualClock
) -> None:
    """The quota is back long before the hint said so."""
    route = routes()[0]
    here.report(route, "rate_limit", retry_after_s=137 * HOUR)
    here.hear(route, left=0.9)  # an answer begun before says nothing
    assert reason(here, route) == "rate_limit"
    clock.advance(30)
    here.hear(route, left=0.9)
    assert reason(here, route) == ""
    assert [fact.payload["until_s"] for fact in here.take_untold()] == [None]


def test_an_earlier_reset_shortens_and_a_later_one_changes_nothing(
    here: Health, clock: ManualClock
) -> None:
    route = routes()[0]
    here.report(route, "quota", retry_after_s=HOUR)
    clock.advance(10)
    here.hear(route, left=0.0, reset_s=2 * HOUR)
    here.hear(route, left=0.0, reset_s=60)
    cooling = here.cooling(route)
    assert cooling is not None
    assert cooling.left_s == pytest.approx(60)


def test_a_sign_in_has_one_allowance_for_all_its_models(
    here: Health, clock: ManualClock
) -> None:
    def of_kind(kind: str, model_number: int) -> Route:
        route = routes(model_number=model_number)[0]
        assert route.credential is not None
        credential = msgspec.structs.replace(route.credential, kind=kind)
        return msgspec.structs.replace(route, credential=credential)

    for kind in ("account", "api_key"):
        here.report(of_kind(kind, 1), "rate_limit", retry_after_s=5 * HOUR)
    clock.advance(30)
    for kind in ("account", "api_key"):
        here.hear(of_kind(kind, 2), left=1.0)
    assert reason(here, of_kind("account", 1)) == ""
    assert reason(here, of_kind("api_key", 1)) == "rate_limit"


def test_what_is_no_limit_is_not_ended_by_room(
    here: Health, clock: ManualClock
) -> None:
    route = routes()[0]
    here.report(route, "auth")
    clock.advance(30)
    here.hear(route, left=1.0)
    assert reason(here, route) == "auth"


def test_a_success_of_the_same_key_ends_its_want_of_quota(
    here: Health, clock: ManualClock
) -> None:
    """Tried for want of anybody else, it works: that is news enough."""
    one, other = routes()[0], routes(model_number=2)[0]
    here.report(one, "quota")
    here.begin(other)
    here.report(other, "ok")
    assert reason(here, one) == ""


# Settings


def test_numbers_follow_the_settings_in_force(here: Health) -> None:
    here.configure({"rate_first_s": 7.0, "no_such": 1.0, "failure_after": 1.0})
    here.report(routes()[0], "rate_limit")
    cooling = here.cooling(routes()[0])
    assert cooling is not None
    assert cooling.left_s == pytest.approx(7)
    here.report(routes()[1], "server_error")
    assert reason(here, routes()[1]) == "server_error"
    here.configure({})
    here.report(routes()[2], "server_error")
    assert reason(here, routes()[2]) == ""


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_numbers_that_make_no_sense_change_nothing(value: float) -> None:
    assert settings_of({"rate_first_s": value}) == CooldownSettings()


def test_the_only_provider_is_never_withheld(here: Health) -> None:
    route = routes(keys=1)[0]
    for kind in ("connect", "connect", "connect", "quota", "model"):
        here.report(route, kind)
    here.configure({}, providers=2)
    assert reason(here, route) != ""
    here.configure({}, providers=1)
    assert reason(here, route) == ""
    first, second = routes()[:2]
    here.report(first, "quota")
    assert [reason(here, each) for each in (first, second)] == ["quota", ""]


# Accounts


@pytest.mark.parametrize(
    ("headers", "account"),
    [
        ({"openai-organization": "org-x1"}, "org-x1"),
        ({"anthropic-organization-id": "a-b"}, "a-b"),
        ({"openai-organization": "x" * 81}, ""),
        ({"openai-organization": "\x1b[31m"}, ""),
        ({"openai-organization": "ü"}, ""),
        ({}, ""),
    ],
)
def test_an_answer_names_its_account(headers: dict[str, str], account: str) -> None:
    assert account_of(headers) == account
