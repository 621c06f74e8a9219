"""Fallback rules in live calls: what they lead to, in which order, and who may go."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pricing.cost import PriceSpec
from providers.snapshot.types import BudgetRecord, RoutingRecord, RuleRecord
from tests.providers.proxy.pool import CHAT, STREAM, Pool, chat
from tests.upstream.server import FaultUpstream
from usage.journal.records import RequestSettle

SWITCH = RuleRecord("error", "switch_provider", name="away", provider="p2")
FREE = PriceSpec(input=0, output=0)
SESSION = {"x-pool-session": "coder:cli:1"}


@pytest.fixture
async def trio(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """Only the first provider serves what is asked; the others serve other names."""
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, models=("gpt-test", "mini"))
        pool.add_provider(upstream.base_url, models=("big", "gpt-test-2"))
        pool.add_provider(upstream.base_url, models=("local",), price=FREE)
        yield pool


def put(pool: Pool, *rules: RuleRecord, **changes: Any) -> None:
    pool.set(routing=RoutingRecord(rules=rules, **changes))


def switch(trigger: str, **changes: Any) -> RuleRecord:
    action = "switch_provider" if changes.get("provider") else "switch_model"
    return RuleRecord(trigger, action, **changes)


def closed(pool: Pool) -> RequestSettle:
    found = pool.request.request
    assert found is not None
    return found


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_an_error_switches_the_provider(
    trio: Pool, upstream: FaultUpstream, body: dict[str, Any]
) -> None:
    put(trio, switch("error", name="away", provider="p2", model="big"))
    upstream.control.orders["gpt-test"] = "500"
    answer = await trio.call(body)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert trio.decisions == ["retry_same", "switch_provider", "served"]
    assert closed(trio).notes == ("away: error leads to p2/big",)


async def test_a_rule_holds_while_its_first_choice_rests(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(trio, switch("rate_limit", name="away", provider="p2", model="big"))
    upstream.control.orders["gpt-test"] = "429-retry-after-60"
    assert (await trio.call()).header("x-pool-provider") == "p2"
    asked = len(upstream.control.seen)
    trio.journal.records.clear()
    answer = await trio.call()
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    # Nobody was asked in vain, and the trail says why it went there.
    assert len(upstream.control.seen) == asked + 1
    assert closed(trio).notes == ("away: rate_limit leads to p2/big",)


async def test_a_rule_of_another_sort_leads_nobody_from_who_rests(
    trio: Pool, upstream: FaultUpstream
) -> None:
    wait = RuleRecord("rate_limit", "wait_and_retry", max_retries=1)
    put(trio, wait, switch("error", provider="p2", model="big"))
    upstream.control.orders["gpt-test"] = "429-retry-after-60"
    assert (await trio.call()).status == 429
    trio.journal.records.clear()
    assert (await trio.call()).status == 429
    assert trio.request.attempt is None


async def test_an_error_switches_the_model_at_the_same_provider(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(trio, switch("error", model="mini"))
    upstream.control.orders["gpt-test"] = "402"
    answer = await trio.call()
    # Its only key is out of money, so no model of that provider helps.
    assert answer.status == 429
    trio.health.clear("credential:1:api_key:10")
    upstream.control.orders["gpt-test"] = "404"
    trio.journal.records.clear()
    answer = await trio.call()
    assert answer.status == 200
    assert answer.header("x-pool-model") == "mini"
    assert trio.decisions == ["switch_model", "served"]


async def test_later_rules_look_at_the_newest_error(
    trio: Pool, upstream: FaultUpstream
) -> None:
    """The first error was a 429; only the second, a 500, meets the last rule."""
    put(
        trio,
        switch("rate_limit", name="first", provider="p2", model="big"),
        switch("rate_limit", name="never", provider="p1", model="mini"),
        switch("error", name="last", provider="p3", model="local"),
    )
    upstream.control.orders["gpt-test"] = "429"
    upstream.control.orders["big"] = "501"
    answer = await trio.call()
    assert answer.header("x-pool-provider") == "p3"
    assert trio.decisions[0] == "switch_provider"
    assert trio.decisions[-1] == "served"
    assert closed(trio).notes == (
        "first: rate_limit leads to p2/big",
        "last: error leads to p3/local",
    )


async def test_when_every_rule_fails_the_call_does(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(trio, switch("error", provider="p2", model="big"), SWITCH)
    upstream.control.orders["gpt-test"] = "503"
    upstream.control.orders["big"] = "503"
    answer = await trio.call()
    assert answer.status == 503
    assert trio.decisions[-1] == "exhausted"


async def test_a_fault_of_the_request_meets_no_rule(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(trio, switch("error", provider="p2", model="big"))
    upstream.control.orders["gpt-test"] = "400-param-temperature"
    answer = await trio.call()
    assert answer.status == 400
    assert trio.decisions == ["fail_fast"]


async def test_a_rule_leads_a_request_too_long_to_a_larger_model(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(trio, switch("error", provider="p2", model="big"))
    upstream.control.orders["gpt-test"] = "400-context"
    answer = await trio.call()
    assert answer.header("x-pool-model") == "big"


async def test_a_rule_whose_provider_is_gone_is_passed_over(
    trio: Pool, upstream: FaultUpstream
) -> None:
    put(
        trio,
        switch("error", name="gone", provider="p9", model="big"),
        switch("error", name="there", provider="p2", model="big"),
    )
    upstream.control.orders["gpt-test"] = "500"
    answer = await trio.call()
    assert answer.header("x-pool-provider") == "p2"
    assert closed(trio).notes == (
        "gone: error leads to nobody",
        "there: error leads to p2/big",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"model_access": "only", "models_allowed": ("gpt-test",)},
        {"provider_access": "only", "providers_allowed": ("p1",)},
    ],
)
async def test_no_rule_leads_where_the_key_may_not_go(
    trio: Pool, upstream: FaultUpstream, changes: dict[str, Any]
) -> None:
    put(trio, switch("error", provider="p2", model="big"))
    trio.set_key(**changes)
    upstream.control.orders["gpt-test"] = "500"
    answer = await trio.call()
    assert answer.status == 502
    assert "big" not in upstream.control.by_model
    reasons = {skip.rpartition(": ")[2] for skip in closed(trio).skipped}
    assert reasons & {"key_may_not_use_model", "key_may_not_use_provider"}


async def test_waiting_repeats_the_same_candidate(
    trio: Pool, upstream: FaultUpstream
) -> None:
    waits = RuleRecord("rate_limit", "wait_and_retry", name="patience", max_retries=3)
    put(trio, waits, wait_cap_s=0.05)
    upstream.control.orders["gpt-test"] = "429+first-3"
    began = time.monotonic()
    answer = await trio.call()
    assert answer.status == 200
    assert trio.decisions == ["wait", "wait", "wait", "served"]
    assert time.monotonic() - began >= 0.1  # at once, then twice as long as allowed


async def test_waiting_ends_with_its_tries_or_another_error(
    trio: Pool, upstream: FaultUpstream
) -> None:
    waits = RuleRecord("rate_limit", "wait_and_retry", name="patience", max_retries=2)
    put(trio, waits, wait_cap_s=0.02)
    upstream.control.orders["gpt-test"] = "429"
    answer = await trio.call()
    assert answer.status == 429
    assert trio.decisions == ["wait", "wait", "exhausted"]
    assert closed(trio).notes[-1] == "patience: rate limit retries exhausted (2)"


async def test_low_funds_lead_elsewhere_before_the_call(
    trio: Pool, upstream: FaultUpstream
) -> None:
    poor = trio.credential(7, "sk-poor", upstream.base_url, funds_nano_usd=5)
    trio.set_provider(1, credentials=(poor,))
    put(
        trio,
        switch("low_funds", name="poor", provider="p2", model="big", below_nano_usd=10),
    )
    answer = await trio.call()
    assert answer.header("x-pool-provider") == "p2"
    assert trio.decisions == ["served"]
    assert closed(trio).notes == ("poor: low_funds leads to p2/big",)
    trio.set_provider(
        1, credentials=(msgspec.structs.replace(poor, funds_nano_usd=10),)
    )
    answer = await trio.call()
    assert answer.header("x-pool-provider") == "p1"


async def test_who_has_low_funds_serves_when_the_rules_target_fails(
    trio: Pool, upstream: FaultUpstream
) -> None:
    poor = trio.credential(7, "sk-poor", upstream.base_url, funds_nano_usd=5)
    trio.set_provider(1, credentials=(poor,))
    put(trio, switch("low_funds", provider="p2", model="big", below_nano_usd=10))
    upstream.control.orders["big"] = "401"
    answer = await trio.call()
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p1"
    assert trio.decisions == ["next_provider", "served"]


async def test_a_session_past_its_soft_limit_goes_to_the_cheaper_model(
    trio: Pool,
) -> None:
    trio.budgets[1] = BudgetRecord(
        1, "session", 10**12, "total", hard=True, warn_nano_usd=1
    )
    put(trio, switch("cost_limit", name="dear", provider="p3", model="local"))
    headers = {"authorization": f"Bearer {trio.key}", **SESSION}
    first = await trio.call(headers=headers)
    assert first.header("x-pool-provider") == "p1"
    second = await trio.call(headers=headers)
    assert second.header("x-pool-provider") == "p3"
    other = await trio.call(headers={**headers, "x-pool-session": "coder:cli:2"})
    assert other.header("x-pool-provider") == "p1"


async def test_a_session_at_its_hard_limit_may_only_go_where_nothing_is_paid(
    trio: Pool, upstream: FaultUpstream
) -> None:
    trio.budgets[1] = BudgetRecord(1, "session", 1000, "total", hard=True)
    headers = {"authorization": f"Bearer {trio.key}", **SESSION}
    put(trio, switch("cost_limit", provider="p3", model="local", limit="hard"))
    answer = await trio.call(chat(max_tokens=10), headers=headers)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p3"
    put(trio, switch("cost_limit", provider="p2", model="big", limit="hard"))
    answer = await trio.call(chat(max_tokens=10), headers=headers)
    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert not upstream.control.by_model["big"]


async def test_rules_that_are_off_or_for_others_do_nothing(
    trio: Pool, upstream: FaultUpstream
) -> None:
    off = switch("error", provider="p2", model="big", enabled=False)
    others = switch("error", provider="p2", model="big", keys=("somebody",))
    put(trio, off, others)
    upstream.control.orders["gpt-test"] = "500"
    answer = await trio.call()
    assert answer.status == 502
    assert closed(trio).notes == ()
