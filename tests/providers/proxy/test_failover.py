from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from pricing.cost import PriceSpec
from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.pool import CHAT, STREAM, Pool, chat
from tests.rig.ports import closed_port
from tests.upstream.server import FaultUpstream

BAD = "sk-bad-{}"


@pytest.fixture
async def second() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(seed=2) as running:
        yield running


@pytest.fixture
async def pair(upstream: FaultUpstream, second: FaultUpstream) -> AsyncIterator[Pool]:
    """Two providers; the first is asked first."""
    async with Pool(upstream.base_url, second.base_url) as made:
        yield made


def fault(upstream: FaultUpstream, spec: str, model: str = "gpt-test") -> None:
    upstream.control.orders[model] = spec


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_refused_key_leads_to_the_next_provider(
    pair: Pool, upstream: FaultUpstream, body: dict[str, object]
) -> None:
    fault(upstream, "401")
    answer = await pair.call(body)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert answer.header("x-pool-attempts") == "2"
    assert pair.decisions == ["next_provider", "served"]
    assert [a.error_class for a in pair.attempts] == ["auth", ""]
    assert pair.attempts[0].cost_nano == 0
    assert [fact.kind for fact in pair.facts] == ["cooldown"]
    assert [intent.attempt_no for intent in pair.intents] == [1, 2]
    assert pair.intents[0].head is not None
    assert pair.intents[1].head is None


async def test_the_next_credential_of_a_provider_is_asked(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        secrets = (BAD.format("429"), "sk-good-key-0001")
        pool.add_provider(upstream.base_url, secrets=secrets)
        answers = [await pool.call() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert "next_credential" in pool.decisions
    assert upstream.control.by_key[secrets[0]] == 1


async def test_a_server_error_is_retried_once_on_the_same_candidate(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "first-1+500")
    answer = await pool.call()
    assert answer.status == 200
    assert pool.decisions == ["retry_same", "served"]


async def test_retries_stay_within_their_budget(
    pair: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "500")
    pair.health.report = lambda *_, **__: ()  # type: ignore[method-assign]
    for _ in range(30):
        answer = await pair.call()
        assert answer.status == 200
    # 30 calls, 2 to begin with, and 10 % of the calls.
    assert 30 + 2 <= upstream.control.by_model["gpt-test"] <= 30 + 2 + 4


async def test_a_refused_connection_leads_to_the_next_provider(
    second: FaultUpstream,
) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    async with Pool(dead, second.base_url) as pool:
        answer = await pool.call()
        assert answer.status == 200
        assert pool.attempts[0].outcome == "connect_error"
        assert pool.attempts[0].cost_nano == 0
        assert pool.attempts[-1].target.provider_slug == "p2"


async def test_other_keys_of_a_dead_host_are_passed_over(
    second: FaultUpstream,
) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    async with Pool() as pool:
        pool.add_provider(dead, secrets=("sk-one-0001", "sk-two-0002"), priority=90)
        pool.add_provider(second.base_url)
        answer = await pool.call()
        assert answer.status == 200
        slugs = [attempt.target.provider_slug for attempt in pool.attempts]
        assert slugs == ["p1", "p1", "p2"]
        assert pool.decisions[0] == "retry_same"


@pytest.mark.parametrize(
    ("spec", "status"),
    [("400-param-temperature", 400), ("413", 413), ("422", 422), ("400-context", 400)],
)
async def test_an_error_about_the_request_is_passed_on_verbatim(
    pair: Pool, upstream: FaultUpstream, second: FaultUpstream, spec: str, status: int
) -> None:
    fault(upstream, spec)
    answer = await pair.call()
    assert answer.status == status
    assert pair.decisions == ["fail_fast"]
    assert pair.request.request is not None
    assert pair.request.request.outcome == "refused"
    assert not second.served
    assert answer.header("x-should-retry") == "false"
    assert "request_id" not in answer.error
    assert not pair.facts


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ("401", 503, "provider_credentials"),
        ("403", 503, "provider_credentials"),
        ("402", 429, "insufficient_quota"),
        ("429", 429, "rate_limit_exceeded"),
        ("500", 502, "upstream_error"),
        ("503", 503, "server_is_overloaded"),
        ("529", 503, "server_is_overloaded"),
        ("error-200-json", 503, "server_is_overloaded"),
        ("html-200", 502, "upstream_error"),
        ("cut-rst-headers", 502, "upstream_error"),
    ],
)
async def test_what_concerns_the_pool_becomes_an_error_of_the_pool(
    pool: Pool, upstream: FaultUpstream, spec: str, status: int, code: str
) -> None:
    fault(upstream, spec)
    answer = await pool.call()
    assert (answer.status, answer.error["code"]) == (status, code), answer.body
    assert answer.error["request_id"] == pool.request.head.request_id
    assert "p1:" in answer.error["message"]
    assert "sk-" not in answer.body.decode()


async def test_a_rate_limited_pool_says_when_to_come_back(
    pool: Pool, upstream: FaultUpstream
) -> None:
    # Longer than a call waits by itself.
    fault(upstream, "429-retry-after-11")
    answer = await pool.call()
    assert answer.status == 429
    assert answer.header("retry-after") == "11"
    again = await pool.call()
    assert again.status == 429
    assert again.error["code"] == "rate_limit_exceeded"
    assert upstream.control.by_model["gpt-test"] == 1
    refused = [s for s in pool.settles if s.request and not s.request.attempts]
    assert len(refused) == 1


async def test_no_more_than_the_allowed_attempts_are_made(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        for n in range(1, 13):
            # One key each: several of one provider would tell that it is the provider.
            secret = BAD.format("429") + f"+len-{n}"
            pool.add_provider(upstream.base_url, secrets=(secret,))
        answer = await pool.call()
        assert answer.status == 429
        assert len(pool.attempts) == 8
        assert pool.attempts[-1].decision == "exhausted"
        assert "8 attempts" in answer.error["message"]


async def test_a_cooling_candidate_is_passed_over_and_named(
    pair: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "401")
    await pair.call()
    await pair.call()
    assert upstream.control.by_model["gpt-test"] == 1
    assert pair.attempts[-1].target.provider_slug == "p2"
    last = pair.settles[-1].request
    assert last is not None
    assert last.skipped == ("p1/gpt-test sk-…0001: cooling:auth",)


async def test_a_stream_fails_over_before_its_first_useful_event(
    pair: Pool, upstream: FaultUpstream
) -> None:
    for spec in ("error-200-sse", "empty-stream", "cut-rst-chunk-1", "error-mid-0"):
        fault(upstream, spec)
        answer = await pair.call(STREAM)
        assert answer.status == 200
        assert answer.events[-1] == "[DONE]"
        assert answer.header("x-pool-provider") == "p2", spec


async def test_a_silent_upstream_gives_way_to_the_next(
    pair: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "silence")
    pair.set(connect_deadline_s=0.15)
    answer = await pair.call(STREAM)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert pair.attempts[0].outcome == "timeout"


async def test_a_model_the_upstream_lacks_is_asked_elsewhere(
    pair: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "404")
    answer = await pair.call()
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"


async def test_an_unreadable_secret_is_passed_over_with_a_fact(
    pair: Pool, upstream: FaultUpstream
) -> None:
    record = pair.providers[1].credentials[0]
    other = pair.credential(99, "sk-other", "http://127.0.0.1:1/v1")
    broken = msgspec.structs.replace(record, token=other.token)
    pair.set_provider(1, credentials=(broken,))
    answer = await pair.call()
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert answer.header("x-pool-attempts") == "1"
    assert not upstream.served
    assert pair.facts[0].payload["reason"] == "unreadable"


async def test_a_fallback_reserves_at_its_own_price(
    upstream: FaultUpstream, second: FaultUpstream
) -> None:
    dear = PriceSpec(input=10**15, output=10**15)
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, priority=90)
        pool.add_provider(second.base_url, price=dear)
        pool.budgets[1] = BudgetRecord(1, "key", 10**9, "day")
        pool.set_key(budget_ids=(1,))
        fault(upstream, "401")
        answer = await pool.call(chat(max_tokens=10))
        assert answer.status == 503
        assert not second.served
        assert pool.attempts[0].decision == "exhausted"


async def test_a_refused_account_token_is_refreshed_once(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url)
        url = upstream.base_url
        old = pool.credential(
            5, BAD.format("401"), url, kind="account", token_version=1
        )
        new = pool.credential(5, "sk-fresh-1", url, kind="account", token_version=2)
        pool.set_provider(1, credentials=(old,))
        pool.tokens.newer = new
        answer = await pool.call()
        assert answer.status == 200
        assert pool.tokens.asked == [(5, 1)]
        assert pool.decisions == ["retry_same", "served"]


async def test_a_redirect_is_never_followed(
    pool: Pool, upstream: FaultUpstream
) -> None:
    fault(upstream, "redirect-self")
    answer = await pool.call()
    await asyncio.sleep(0)
    assert answer.status == 502
    assert upstream.control.canary_hits == 0


async def test_a_client_is_told_of_no_provider_its_key_may_not_use(
    pair: Pool, upstream: FaultUpstream, second: FaultUpstream
) -> None:
    """It rests, which is seen first, and the call ends before anybody looks again."""
    fault(upstream, "500")
    for _ in range(2):
        await pair.call()
    pair.set_key(provider_access="only", providers_allowed=("p2",))
    fault(upstream, "ok")
    fault(second, "401")
    pair.set(max_attempts=1)
    answer = await pair.call()
    assert answer.status == 503
    assert "p2: 401 auth" in answer.error["message"]
    assert "p1" not in answer.error["message"]
    closed = pair.settles[-1].request
    assert closed is not None
    assert closed.skipped == ("p1/gpt-test sk-…0001: cooling:server_error",)
