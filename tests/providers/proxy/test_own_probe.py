"""A probe of ours reaches one model at one provider, and hears what is really said."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from poolsite.crypto import make_internal_token
from providers.snapshot.types import AliasRecord, TargetRecord
from tests.providers.proxy.pool import ROOT, Answered, Pool
from tests.upstream.server import FaultUpstream

CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}


async def probe(pool: Pool, row: int, model: str = "gpt-test") -> Answered:
    token = make_internal_token(
        ROOT, key_id="", purpose="probe", clock=pool.clock, model_row=row
    )
    headers = {"authorization": f"Bearer {token.reveal()}"}
    return await pool.call({**CHAT, "model": model}, headers=headers)


async def test_probe_goes_to_its_own_provider_not_the_preferred_one(
    upstream: FaultUpstream,
) -> None:
    async with Pool(upstream.base_url, upstream.base_url) as pool:
        answer = await probe(pool, 2)
        assert answer.status == 200
        assert answer.header("x-pool-provider") == "p2"
        assert pool.request.head.purpose == "probe"
        assert pool.request.head.client_key_id is None


async def test_probe_is_not_led_away_by_an_alias_of_that_name(
    upstream: FaultUpstream,
) -> None:
    async with Pool(upstream.base_url, upstream.base_url) as pool:
        target = TargetRecord(model_id="gpt-test", provider_slug="p1")
        pool.aliases["gpt-test"] = AliasRecord(name="gpt-test", targets=(target,))
        pool.changed()
        assert (await probe(pool, 2)).header("x-pool-provider") == "p2"


async def test_probe_never_falls_back_to_another_provider(
    upstream: FaultUpstream,
) -> None:
    async with Pool(upstream.base_url) as pool:
        pool.add_provider(upstream.base_url, secrets=("sk-bad-503",))
        answer = await probe(pool, 2)
        assert answer.status == 503
        assert {attempt.target.provider_slug for attempt in pool.intents} == {"p2"}


@pytest.mark.parametrize("gone", ["model", "provider", "not allowed"])
async def test_what_the_pool_does_not_serve_is_no_404(
    upstream: FaultUpstream, gone: str
) -> None:
    async with Pool(upstream.base_url, upstream.base_url) as pool:
        if gone == "model":
            del pool.models[2]
        elif gone == "provider":
            del pool.providers[2]
        else:
            pool.providers[2] = replace(pool.providers[2], model_access="none")
        pool.changed()
        answer = await probe(pool, 2)
        assert (answer.status, answer.error["code"]) == (503, "model_not_served")
        assert answer.header("x-pool-attempts") == "0"
        assert upstream.served == []


@pytest.mark.parametrize(
    ("secret", "status"),
    [
        ("sk-bad-401", 401),
        ("sk-bad-429", 429),
        ("sk-bad-404", 404),
        ("sk-bad-500", 500),
    ],
)
async def test_probe_hears_the_status_and_words_of_the_upstream(
    upstream: FaultUpstream, secret: str, status: int
) -> None:
    async with Pool(upstream.base_url) as pool:
        pool.add_provider(upstream.base_url, secrets=(secret,))
        answer = await probe(pool, 2)
        assert answer.status == status
        assert f"answers {status}" in answer.error["message"]
        assert int(answer.header("x-pool-attempts") or 0) >= 1


async def test_probe_of_another_dialect_hears_its_upstream_too(
    upstream: FaultUpstream,
) -> None:
    changes: dict[str, Any] = {"format": "anthropic", "secrets": ("sk-bad-404",)}
    async with Pool(upstream.base_url) as pool:
        pool.add_provider(upstream.base_url, **changes)
        answer = await probe(pool, 2)
        assert answer.status == 404
        assert "answers 404" in answer.error["message"]


async def test_a_client_is_told_no_more_than_before(upstream: FaultUpstream) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, secrets=("sk-bad-401",))
        answer = await pool.call({**CHAT, "model": "gpt-test"})
        assert answer.status == 503
        assert "answers 401" not in answer.body.decode()
