"""Budgets of agents and sessions through the proxy, and what answers say of money."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from poolsite.clock import ManualClock
from pricing.cost import PriceSpec
from providers.snapshot.types import AliasRecord, BudgetRecord, TargetRecord
from tests.providers.proxy.pool import Answered, Pool, chat
from tests.upstream.server import FaultUpstream

USD = 10**9
CALL = 50_000_000
FLAT = PriceSpec(input=0, output=0, per_request=CALL * 10**6)
FREE = PriceSpec(input=0, output=0)


def rule(pool: Pool, amount: int, **changes: Any) -> None:
    """Add a budget of agents or sessions, by default one for every session."""
    number = len(pool.budgets) + 1
    values: dict[str, Any] = {"scope": "session", "window": "total", **changes}
    pool.budgets[number] = BudgetRecord(id=number, amount_nano_usd=amount, **values)
    pool.changed()


async def call(pool: Pool, session: str = "", **fields: Any) -> Answered:
    headers = {"authorization": f"Bearer {pool.key}"}
    if session:
        headers["x-pool-session"] = session
    return await pool.call(chat(max_tokens=10, **fields), headers=headers)


async def served(pool: Pool, session: str, most: int = 20) -> int:
    """Call until the session is refused; return how often it was served."""
    for count in range(most):
        if (await call(pool, session)).status != 200:
            return count
    return most


@pytest.fixture
async def flat(upstream: FaultUpstream) -> Any:
    """A pool whose calls cost 0.05 USD each, whatever they say."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=FLAT)
        yield pool


async def test_each_session_has_a_count_of_its_own(flat: Pool) -> None:
    rule(flat, 2 * CALL)
    assert await served(flat, "bot:chat:1") == 2
    assert await served(flat, "bot:chat:2") == 2
    refused = await call(flat, "bot:chat:1")
    assert refused.status == 429
    assert refused.error["code"] == "insufficient_quota"
    assert "budget of this session" in refused.error["message"]
    assert refused.header("x-pool-budget-scope") == "session"
    assert (await call(flat)).status == 200, "a call without a session has none"


async def test_sessions_of_one_name_under_two_keys_are_two(flat: Pool) -> None:
    rule(flat, CALL)
    assert await served(flat, "same") == 1
    flat.key = flat.add_key()
    assert await served(flat, "same") == 1


async def test_an_agent_counts_over_all_its_sessions_and_keys(flat: Pool) -> None:
    rule(flat, 3 * CALL, scope="agent")
    assert (await call(flat, "bot:chat:1")).status == 200
    assert (await call(flat, "bot:chat:2")).status == 200
    flat.key = flat.add_key()
    assert (await call(flat, "bot:mail:1")).status == 200
    refused = await call(flat, "bot:mail:2")
    assert "budget of this agent" in refused.error["message"]
    assert (await call(flat, "other:mail:2")).status == 200


async def test_an_override_replaces_the_default_whole(flat: Pool) -> None:
    """Seeds 13: agent override, else the last provider's limit, else the default."""
    rule(flat, 2 * CALL, warn_nano_usd=CALL)
    rule(flat, 4 * CALL, applies_to="agent", scope_value="bot")
    assert await served(flat, "bot:chat:1") == 4
    answer = await call(flat, "bot:chat:9")
    assert answer.header("x-pool-budget-warning") is None, "not the default's amount"
    assert await served(flat, "other:chat:1") == 2


async def test_an_override_without_amounts_is_no_limit(flat: Pool) -> None:
    rule(flat, CALL)
    rule(flat, 0, applies_to="agent", scope_value="bot")
    assert await served(flat, "bot:chat:1", most=5) == 5
    assert flat.attempts[-1].budget_deltas == ()


async def test_the_last_provider_of_a_session_sets_its_limit(flat: Pool) -> None:
    rule(flat, 5 * CALL)
    rule(flat, 2 * CALL, applies_to="provider", scope_value="p1")
    # The first call finds nobody who served before, so the default counts it.
    assert await served(flat, "bot:chat:1") == 1 + 2
    rule(flat, 9 * CALL, applies_to="one", scope_value="bot:chat:1")
    assert (await call(flat, "bot:chat:1")).status == 200


async def test_a_rule_for_one_key_leaves_others_alone(flat: Pool) -> None:
    rule(flat, CALL, client_key_id=1)
    assert await served(flat, "s") == 1
    flat.key = flat.add_key()
    assert await served(flat, "s", most=3) == 3


async def test_an_amount_that_warns_never_refuses(flat: Pool) -> None:
    rule(flat, 0, warn_nano_usd=2 * CALL)
    answers = [await call(flat, "s") for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    refs = flat.attempts[-1].budget_deltas
    assert refs[0][0] == 1
    assert refs[0][2] == CALL
    await asyncio.sleep(0.11)  # calls within a tenth of a second are told the same
    told = (await call(flat, "s")).header("x-pool-budget-warning") or ""
    assert told == "session;used=0.250000000;limit=0.100000000"


async def test_money_of_sessions_agents_and_keys_is_taken_together(flat: Pool) -> None:
    """All or nothing: what the session refuses, neither key nor agent is charged."""
    flat.budgets[1] = BudgetRecord(1, "key", 10 * CALL, "day")
    flat.set_key(budget_ids=(1,), rpm=60)
    rule(flat, 3 * CALL, scope="agent", window="month")
    rule(flat, CALL)
    assert await served(flat, "bot:a:1") == 1
    first = flat.intents[0].budgets
    assert [budget for budget, _ in first] == [1, 2, 3]
    assert all(len(window) <= 32 for _, window in first)
    assert {budget for budget, _, _ in flat.attempts[0].budget_deltas} == {1, 2, 3}
    answer = await call(flat, "bot:a:2")
    limits = answer.header("x-pool-limits") or ""
    assert "requests;limit=60;remaining=58" in limits
    assert f"of=key;limit={10 * CALL};remaining={8 * CALL}" in limits
    assert f"of=agent;limit={3 * CALL};remaining={CALL}" in limits
    assert answer.header("x-pool-budget-scope") == "session"
    assert answer.header("x-pool-budget-remaining-usd") == "0.000000000"


async def test_session_windows_end_like_any_other(upstream: FaultUpstream) -> None:
    clock = ManualClock()
    async with Pool(clock=clock) as pool:
        pool.add_provider(upstream.base_url, price=FLAT)
        rule(pool, CALL, window="day", time_zone="Asia/Kathmandu")
        assert await served(pool, "s") == 1
        refused = await call(pool, "s")
        assert int(refused.header("x-pool-limit-reset") or 0) % 86_400 == 65_700
        clock.advance(24 * 3600)
        assert await served(pool, "s") == 1


async def test_the_session_of_a_body_has_a_budget_too(flat: Pool) -> None:
    rule(flat, CALL)
    assert (await call(flat, prompt_cache_key="k")).status == 200
    assert (await call(flat, prompt_cache_key="k")).status == 429


async def test_a_pool_without_such_budgets_asks_nothing_more(flat: Pool) -> None:
    assert (await call(flat, "bot:chat:1")).status == 200
    scopes = flat.pipeline._scopes
    assert not scopes._persons
    assert not scopes._last


async def test_t47_free_targets_serve_an_exhausted_key(upstream: FaultUpstream) -> None:
    """Paid first, free second: the free one serves, and nobody pays for a call."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=FLAT, models=("paid",))
        pool.add_provider(upstream.base_url, price=FREE, models=("free",))
        pool.aliases["both"] = AliasRecord(
            "both", (TargetRecord("paid"), TargetRecord("free"))
        )
        pool.aliases["turned"] = AliasRecord(
            "turned", (TargetRecord("free"), TargetRecord("paid"))
        )
        pool.budgets[1] = BudgetRecord(1, "key", 0, "day")
        pool.set_key(budget_ids=(1,))
        for model in ("both", "turned", "free"):
            answer = await call(pool, model=model)
            assert (answer.status, answer.header("x-pool-model")) == (200, "free")
        first = pool.settles[0].request
        assert first is not None
        assert "over_budget" in first.skipped[0]
        upstream.control.orders["free"] = "500"
        assert (await call(pool, model="turned")).status != 200
        refused = await call(pool, model="paid")
        assert refused.status == 429
        paid = [each for each in pool.intents if each.target.upstream_model == "paid"]
        assert len(paid) == 0, "paid calls on an exhausted key"


async def test_a_cheaper_target_serves_what_is_left(upstream: FaultUpstream) -> None:
    dear = PriceSpec(input=0, output=0, per_request=10 * CALL * 10**6)
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=dear, priority=90)
        pool.add_provider(upstream.base_url, price=FLAT, priority=10)
        pool.budgets[1] = BudgetRecord(1, "key", CALL, "day")
        pool.set_key(budget_ids=(1,))
        answer = await call(pool)
        assert (answer.status, answer.header("x-pool-provider")) == (200, "p2")
        assert (await call(pool)).status == 429


async def test_an_increase_counts_until_it_ends(upstream: FaultUpstream) -> None:
    clock = ManualClock()
    async with Pool(clock=clock) as pool:
        pool.add_provider(upstream.base_url, price=FLAT)
        until = clock.time_ns() / 1e9 + 3600
        pool.budgets[1] = BudgetRecord(
            1, "team", CALL, "total", extra_nano_usd=CALL, extra_until_s=until
        )
        pool.set_key(budget_ids=(1,))
        assert await served(pool, "") == 2
        pool.budgets[1] = BudgetRecord(
            1, "team", CALL, "total", extra_nano_usd=9 * CALL, extra_until_s=until
        )
        pool.changed()
        assert (await call(pool)).status == 200
        clock.advance(3600)
        refused = await call(pool)
        assert refused.status == 429
        assert "the team of this API key" in refused.error["message"]
