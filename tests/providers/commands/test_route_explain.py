"""Ask where a request would go from the command line."""

from __future__ import annotations

import json
from typing import Any

from providers.models import Fact, Provider
from tests import factories
from tests.factories import make_provider
from tests.providers.commands.conftest import Pool

SECRET = "sk-canary-0123456789-abcd"


def test_route_explain_shows_candidates_in_their_turn(pool: Pool) -> None:
    factories.make_provider("low", models=["m"], keys=["sk-low-000001"], priority=10)
    factories.make_provider("high", models=["m"], keys=["sk-high-00001"], priority=90)
    factories.make_provider("keyless", models=["m"])
    found = pool.ok("route", "explain", "m", "--json").json
    turns = [(each["provider"], each["place"]) for each in found["candidates"]]
    assert turns == [("high", 1), ("low", 2)]
    ran = pool.ok("route", "explain", "m", "--needs", "vision, tools")
    assert "vision, tools" in ran.out


def test_route_explain_obeys_the_key_and_cooldowns(pool: Pool, acme: Provider) -> None:
    pool.ok("key", "create", "ci", "--models", "claude-*")
    ran = pool("route", "explain", "gpt-5-mini", "--key", "ci", "--json")
    assert ran.status == 1
    assert "may not use" in ran.err
    [verdict] = ran.json["candidates"]
    assert verdict["reason"] == "key_may_not_use_model"


def test_route_explain_of_an_unknown_name_says_what_is_near(
    pool: Pool, acme: Provider
) -> None:
    assert "gpt-5-mini" in pool.refused("route", "explain", "gpt-5-mimi")


def test_facts_of_cooldowns_are_seen_by_route_explain(
    pool: Pool, acme: Provider
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from poolsite.clock import SystemClock
    from providers.routing.health import Health
    from providers.services.explain import explain

    [verdict] = explain("gpt-5-mini").candidates
    assert verdict.verdict == "next"
    clock = SystemClock()
    health = Health(clock)
    route = _route(acme)
    for fact in health.report(route, "quota", retry_after_s=3600):
        Fact.objects.create(
            kind=fact.kind,
            key=fact.key,
            payload=json.loads(json.dumps(fact.payload)),
            at=timezone.now(),
            expires_at=timezone.now() + timedelta(hours=1),
        )
    [verdict] = explain("gpt-5-mini").candidates
    assert verdict.verdict == "next"  # the only key of the only provider
    make_provider("other", models=["gpt-5-mini"])
    verdict = explain("gpt-5-mini").candidates[0]
    assert verdict.verdict == "skipped"
    assert verdict.reason == "cooling:quota"


def _route(provider: Provider) -> Any:
    from providers.routing.order import Turns
    from providers.services.routing_lab import prepared
    from providers.snapshot.view import ClientKeys, Snapshot

    snapshot = Snapshot(ClientKeys(), *prepared(), Turns())
    return snapshot.resolve("gpt-5-mini").candidates[0]


def test_route_explain_tries_another_strategy_mode_and_outage(pool: Pool) -> None:
    factories.make_provider("low", models=["m"], keys=["sk-low-000001"], priority=10)
    factories.make_provider("high", models=["m"], keys=["sk-high-00001"], priority=90)
    base = ("route", "explain", "m", "--json")
    found = pool.ok(*base, "--strategy", "round_robin").json
    assert (found["strategy"], found["mode"]) == ("round_robin", "auto")
    assert {each["tier"] for each in found["candidates"]} == {1}
    found = pool.ok(*base, "--down", "high").json
    turns = {each["provider"]: each["place"] for each in found["candidates"]}
    assert turns == {"low": 1, "high": 2}
    reasons = {each["provider"]: each["verdict"] for each in found["candidates"]}
    assert reasons == {"low": "next", "high": "last_resort"}
    ran = pool(*base, "--mode", "local")
    assert ran.status == 1
    assert {each["reason"] for each in ran.json["candidates"]} == {"not_in_mode"}
    assert "locally" in ran.err


def test_route_explain_of_no_known_need_is_refused(pool: Pool, acme: Provider) -> None:
    said = pool.refused("route", "explain", "gpt-5-mini", "--needs", "wings")
    assert "wings" in said
    assert "vision" in said


def test_a_model_known_to_lack_a_need_is_passed_over(pool: Pool) -> None:
    able = factories.make_provider("able", models=["m"], keys=["sk-a-000001"])
    blind = factories.make_provider(
        "blind", models=["m"], keys=["sk-b-000001"], priority=90
    )
    blind.models.update(evidence={"vision": False})
    base = ("route", "explain", "m", "--json")
    first = pool.ok(*base).json["candidates"][0]
    assert (first["provider"], first["place"]) == (blind.slug, 1)
    found = pool.ok(*base, "--needs", "vision").json["candidates"]
    told = {each["provider"]: (each["place"], each["reason"]) for each in found}
    assert told == {able.slug: (1, ""), blind.slug: (None, "lacks:vision")}
