"""Prove that a replay blames the draft for what the draft does, and in time."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from poolsite.actor import CLI
from poolsite.clock import ManualClock
from providers.models import ProviderModel
from providers.proxy.explaining import WOULD_SERVE, Ask
from providers.services import providers, routing_lab, routing_requests
from providers.services.explain import explain
from providers.services.routing_replay import facts, replay
from providers.snapshot.types import RoutingRecord
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_models,
    make_provider,
    make_requests,
    ship,
    try_at,
)
from tests.providers.cooling import cool, key_subject
from usage import services

pytestmark = pytest.mark.django_db
NOW = RoutingRecord()


@pytest.fixture
def pool() -> dict[str, Any]:
    acme = make_provider("acme", models=["m", "own"], keys=["sk-a-1", "sk-a-2"])
    beta = make_provider("beta", models=["m"], keys=["sk-b-1"], weight=3)
    key, _ = make_client_key("ci")
    return {"acme": acme, "beta": beta, "key": key}


@pytest.mark.parametrize("strategy", ["priority", "weighted", "latency", "round_robin"])
def test_a_draft_that_is_the_same_sends_nothing_elsewhere(
    pool: dict[str, Any], strategy: str
) -> None:
    make_requests(pool["acme"], "m", 60, key=pool["key"])
    same = msgspec.structs.replace(NOW, strategy=strategy)
    found = replay(same, same)
    assert (found.count, found.elsewhere) == (60, [])


def test_what_goes_elsewhere_is_listed_newest_first(pool: dict[str, Any]) -> None:
    make_requests(pool["acme"], "m", 20, key=pool["key"])
    make_requests(pool["acme"], "own", 5, key=pool["key"])
    found = replay(
        msgspec.structs.replace(NOW, groups=("acme", "*")),
        msgspec.structs.replace(NOW, groups=("beta", "*")),
    )
    assert (found.count, len(found.elsewhere)) == (25, 20)
    assert {(each.now, each.then) for each in found.elsewhere} == {("acme/m", "beta/m")}
    moments = [each.ask.at for each in found.elsewhere]
    assert moments == sorted(moments, reverse=True)
    assert facts(found)["elsewhere"] == 20


def test_requests_that_would_be_refused_are_told_apart(pool: dict[str, Any]) -> None:
    make_requests(pool["acme"], "m", 3, key=pool["key"])
    local = msgspec.structs.replace(NOW, mode="local")
    lost, won = replay(NOW, local), replay(local, NOW)
    assert (lost.lost, lost.won, won.lost, won.won) == (3, 0, 0, 3)
    assert facts(lost)["changes"][0]["draft"] is None


def test_a_key_that_is_gone_is_left_out_and_counted(pool: dict[str, Any]) -> None:
    make_requests(pool["acme"], "m", 2, key=pool["key"])
    make_requests(pool["acme"], "m", 3)
    services.revoke_key(CLI, pool["key"])
    found = replay(NOW, msgspec.structs.replace(NOW, mode="local"))
    assert (found.count, found.unknown_keys) == (3, 2)


def test_only_what_clients_asked_is_replayed(pool: dict[str, Any]) -> None:
    ship(
        call(pool["key"], try_at(pool["acme"], "m")),
        call(pool["key"], try_at(pool["acme"], "own"), purpose="probe"),
        call(pool["key"], error_code="budget_exceeded", asked="gone"),
    )
    assert [ask.model for ask in routing_requests.last_asks(200)] in (
        ["m", "gone"],
        ["gone", "m"],
    )
    assert replay(NOW, NOW).count == 2
    assert replay(NOW, NOW, count=1).count == 1


def test_the_last_failure_is_of_a_client(pool: dict[str, Any]) -> None:
    assert routing_requests.last_failed() is None
    ago = datetime.now(UTC) - timedelta(minutes=3)
    ship(
        call(pool["key"], failed_at(pool["acme"], "m"), at=ago),
        call(pool["key"], failed_at(pool["acme"], "own"), purpose="probe"),
        call(pool["key"], try_at(pool["acme"], "own")),
    )
    found = routing_requests.last_failed()
    assert found is not None
    assert (found.model, found.key) == ("m", "ci")


def test_200_requests_are_replayed_in_under_2_seconds(pool: dict[str, Any]) -> None:
    """Every one for another model, each offered by seven providers."""
    names = [f"model-{number}" for number in range(200)]
    make_models(pool["acme"], *names)
    others = [make_provider(f"p{n}", keys=[f"sk-p-{n}"]) for n in range(6)]
    ProviderModel.objects.bulk_create(
        ProviderModel(provider=each, model_id=name, created_at=datetime.now(UTC))
        for each in others
        for name in names
    )
    price = try_at(pool["acme"], "model-0")
    ship(*(call(pool["key"], replace(price, model=name)) for name in names))
    routing_lab.prepared()
    began = time.process_time()
    found = replay(NOW, msgspec.structs.replace(NOW, strategy="cost", groups=("p*",)))
    took_s = time.process_time() - began
    assert found.count == 200
    assert took_s < 2, took_s


def test_the_pool_is_prepared_once_a_configuration(
    pool: dict[str, Any], django_assert_num_queries: Any
) -> None:
    clock = ManualClock()
    first = routing_lab.prepared(clock=clock)
    with django_assert_num_queries(1):
        assert routing_lab.prepared(clock=clock)[0] is first[0]
    make_models(pool["acme"], "new")
    second = routing_lab.prepared(clock=clock)
    assert second[0] is not first[0]
    assert len(second[0].models) == len(first[0].models) + 1
    clock.advance(31)
    assert routing_lab.prepared(clock=clock)[0] is not second[0]


def test_a_key_that_may_nothing_is_told_so(pool: dict[str, Any]) -> None:
    services.revoke_key(CLI, pool["key"])
    found = routing_lab.explain(NOW, Ask(model="m"), key=pool["key"])
    assert found.error
    assert not [each for each in found.candidates if each.place]


def test_the_only_key_of_the_only_provider_rests_for_nobody(
    pool: dict[str, Any],
) -> None:
    """As ``pool route explain`` says, and as workers do."""
    providers.remove_provider(CLI, pool["acme"])
    [row] = pool["beta"].api_keys.all()
    cool(key_subject(row), "quota")
    [told] = routing_lab.explain(NOW, Ask(model="m")).candidates
    assert told.verdict == WOULD_SERVE
    [said] = explain("m").candidates
    assert said == told
