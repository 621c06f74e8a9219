"""A place, a try after a cooldown and a reservation are held by who uses them only."""

from __future__ import annotations

import asyncio

import pytest

from pricing.cost import PriceSpec
from providers.proxy.pipeline import Pipeline
from providers.snapshot.types import (
    AliasRecord,
    BudgetRecord,
    RoutingRecord,
    RuleRecord,
    TargetRecord,
)
from tests.providers.proxy.pool import CHAT, Pool, chat
from tests.providers.proxy.test_own_probe import probe
from tests.upstream.server import FaultUpstream
from usage.limits.contract import Ask, Scope, Ticket, Used

FOUR = tuple(f"sk-key-number-{number}-0001" for number in range(4))
FIRST = "sk-test-key-of-provider-1-0001"
PLACE = Scope(key="provider:1", concurrency=1)


class Books:
    """What became of the tickets of a pool, by the key of their narrowest scope."""

    def __init__(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settled: list[str] = []
        self.released: list[str] = []
        self.slow_s = 0.0
        settle, release = pool.limits.settle, pool.limits.release

        async def settling(ticket: Ticket, used: Used) -> bool:
            await asyncio.sleep(self.slow_s)
            self.settled.append(ticket.ask.scopes[0].key)
            return await settle(ticket, used)

        async def releasing(ticket: Ticket) -> bool:
            self.released.append(ticket.ask.scopes[0].key)
            return await release(ticket)

        monkeypatch.setattr(pool.limits, "settle", settling)
        monkeypatch.setattr(pool.limits, "release", releasing)


async def _rested(pool: Pool, upstream: FaultUpstream) -> None:
    """Let the first provider fail until it rests, and let that be over."""
    pool.health.configure({"failure_first_s": 0.02})
    upstream.control.orders[FIRST] = "500"
    for _ in range(3):
        await pool.call()
    assert not pool.health.is_calm
    await asyncio.sleep(0.03)
    upstream.control.orders.clear()


@pytest.mark.parametrize("spec", ["429-retry-after-600", "401", "402", "503"])
async def test_a_key_that_was_never_asked_is_asked_before_its_neighbours_fail_the_call(
    upstream: FaultUpstream, spec: str
) -> None:
    """Three alike are blamed on the provider; nobody but the fourth is left."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=FOUR)
        for secret in FOUR[:3]:
            upstream.control.orders[secret] = spec
        assert (await pool.call()).status == 200
        assert pool.intents[-1].target.credential_id == 13


async def test_every_key_that_was_never_asked_is_asked(upstream: FaultUpstream) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=(*FOUR, "sk-the-good-one"))
        for secret in FOUR:
            upstream.control.orders[secret] = "401"
        assert (await pool.call()).status == 200
        assert len(pool.intents) == 5


async def test_suspects_are_asked_after_whoever_rests_already(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool, FaultUpstream(seed=2) as second:
        pool.add_provider(second.base_url, priority=1)
        second.control.orders["gpt-test"] = "500"
        for _ in range(3):
            await pool.call()
        pool.add_provider(upstream.base_url, secrets=FOUR, priority=90)
        for secret in FOUR[:3]:
            upstream.control.orders[secret] = "401"
        assert (await pool.call()).header("x-pool-provider") == "p2"


async def test_an_older_suspicion_holds_for_a_call_of_another_model(
    upstream: FaultUpstream,
) -> None:
    """Who failed for one model is not asked again for having a second one."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=FOUR, models=("gpt-test", "mini"))
        targets = tuple(
            TargetRecord(model_id=name, provider_slug="p1")
            for name in ("mini", "gpt-test")
        )
        pool.aliases["both"] = AliasRecord(name="both", targets=targets)
        pool.changed()
        upstream.control.orders["gpt-test"] = "401"
        await pool.call()
        upstream.control.orders["mini"] = "404"
        asked = upstream.control.by_model["gpt-test"]
        assert (await pool.call(chat("both"))).status != 200
        assert upstream.control.by_model["gpt-test"] == asked


async def test_a_call_that_finds_everybody_suspected_sends_nothing(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=FOUR)
        upstream.control.orders["gpt-test"] = "401"
        assert (await pool.call()).status == 503
        asked = len(pool.intents)
        assert asked == 4
        assert (await pool.call()).status == 503
        assert len(pool.intents) == asked


async def test_no_rule_leads_a_probe_away_from_its_model(
    upstream: FaultUpstream,
) -> None:
    async with Pool(upstream.base_url) as pool:
        pool.add_provider(upstream.base_url, secrets=("sk-bad-500",))
        away = RuleRecord("error", "switch_provider", provider="p1")
        pool.set(routing=RoutingRecord(rules=(away,)))
        assert (await probe(pool, 2)).status == 500
        assert {each.target.provider_slug for each in pool.intents} == {"p2"}


async def test_a_rule_does_not_lead_back_to_a_dead_host(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider("http://127.0.0.1:9/v1", models=("gpt-test", "mini"))
        away = RuleRecord("error", "switch_model", model="mini")
        pool.set(routing=RoutingRecord(rules=(away,)))
        assert (await pool.call()).status == 502
        assert {each.target.upstream_model for each in pool.intents} == {"gpt-test"}
        found = pool.request.request
        assert found is not None
        assert found.skipped == ("p1/mini sk-…0001: host_is_down",)


async def test_who_was_set_aside_is_not_asked_on_a_host_found_dead(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        dead = "http://127.0.0.1:9/v1"
        pool.add_provider(dead, models=("gpt-test", "mini"))
        poor = pool.credential(10, "sk-poor", dead, funds_nano_usd=1)
        pool.set_provider(1, credentials=(poor,))
        rule = RuleRecord("low_funds", "switch_model", model="mini", below_nano_usd=9)
        pool.set(routing=RoutingRecord(rules=(rule,)))
        assert (await pool.call()).status == 502
        assert {each.target.upstream_model for each in pool.intents} == {"mini"}


async def test_who_waits_for_a_place_is_not_kept_out_by_its_own_try(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, concurrency=1)
        await _rested(pool, upstream)
        held = await pool.limits.acquire(Ask(ticket_id="x", scopes=(PLACE,), tokens=0))
        assert isinstance(held, Ticket)
        pool.set(routing=RoutingRecord(queue_wait_s=0.3))
        call = asyncio.create_task(pool.call())
        await asyncio.sleep(0.02)
        assert pool.pipeline.waiting == 1
        await pool.limits.release(held)
        assert (await call).status == 200


async def test_a_bad_request_does_not_use_up_the_try_after_a_cooldown(
    upstream: FaultUpstream,
) -> None:
    async with Pool(upstream.base_url, upstream.base_url) as pool:
        await _rested(pool, upstream)
        upstream.control.orders[FIRST] = "400"
        assert (await pool.call()).status == 400
        upstream.control.orders.clear()
        assert (await pool.call()).header("x-pool-provider") == "p1"


async def test_a_place_nobody_used_gives_its_rates_back(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second provider has room, and is more than the budget can pay."""
    dear = PriceSpec(input=10**15, output=10**15)
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=("sk-bad-500",))
        pool.add_provider(upstream.base_url, rpm=60, price=dear, priority=1)
        pool.budgets[1] = BudgetRecord(1, "session", 10**9, "total")
        pool.changed()
        books = Books(pool, monkeypatch)
        bearer = {"authorization": f"Bearer {pool.key}", "x-pool-session": "a:b:1"}
        answer = await pool.call(chat(max_tokens=10), headers=bearer)
        assert answer.status == 502
        assert books.released == ["provider:2"]
        assert "provider:2" not in books.settled


async def test_who_waits_as_a_vendor_asked_holds_no_place_meanwhile(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, models=("gpt-test", "mini"), concurrency=1)
        upstream.control.orders["gpt-test"] = "429-retry-after-1"
        pool.set(routing=RoutingRecord(queue_wait_s=0.0))
        waiting = asyncio.create_task(pool.call())
        while not pool.settles:  # noqa: ASYNC110 - the journal has no events
            await asyncio.sleep(0.005)
        assert (await pool.call(chat("mini"))).status == 200
        upstream.control.orders.clear()
        assert (await waiting).status == 200


async def test_a_client_that_hangs_up_last_leaves_no_ticket_open(
    upstream: FaultUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves while a shared store is told of the place: money is settled too."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, concurrency=1)
        pool.set_key(rpm=100)
        parts = pool.pipeline._parts
        shared = type(parts)(
            **{name: getattr(parts, name) for name in parts.__struct_fields__}
            | {"limits_are_shared": True}
        )
        pool.pipeline = Pipeline(shared)
        books = Books(pool, monkeypatch)
        books.slow_s = 0.15
        client, task = pool.start(CHAT)
        while not client.answer.is_complete:  # noqa: ASYNC110 - it has no events
            await asyncio.sleep(0.005)
        client.left.set()
        await asyncio.wait([task])
        await asyncio.sleep(0.2)
        assert sorted(books.settled) == ["key:1", "provider:1"]
