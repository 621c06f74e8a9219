"""Chains of failures drawn at random: who can serve does, and the books agree."""

from __future__ import annotations

import random
from typing import Any

import pytest

from providers.snapshot.types import RoutingRecord, RuleRecord
from tests.providers.proxy.pool import CHAT, STREAM, Pool
from tests.upstream.server import FaultUpstream
from usage.journal.records import AttemptIntent, Settle

FAULTS = (
    "401",
    "402",
    "403",
    "404",
    "429",
    "429-quota",
    "429-retry-after-60",
    "500",
    "502",
    "503",
    "529",
    "empty-stream+cut-fin-headers",
    "error-200-sse+error-200-json",
    "cut-rst-headers",
    "html-200",
)
LAST_WORDS = {"served", "exhausted", "fail_fast"}


def build(pool: Pool, upstream: FaultUpstream, draw: random.Random) -> bool:
    """Make a pool with up to seven candidates; tell whether one of them is healthy."""
    is_healthy = draw.random() < 0.8
    specs = [draw.choice(FAULTS) for _ in range(draw.randint(0, 5))]
    secrets = [f"sk-bad-{spec}+len-{n}" for n, spec in enumerate(specs, 1)]
    if is_healthy or not secrets:
        secrets.insert(draw.randint(0, len(secrets)), "sk-good")
        is_healthy = True
    while secrets:
        # Three of one provider that fail alike would rightly be read as its own fault.
        most = min(2, len(secrets))
        taken = tuple(secrets.pop(0) for _ in range(draw.randint(1, most)))
        limit = draw.choice([None, None, 1])
        pool.add_provider(
            upstream.base_url,
            secrets=taken,
            priority=draw.randint(1, 3),
            concurrency=limit,
        )
    if draw.random() < 0.3:
        rule = RuleRecord("error", "switch_provider", provider="p9", model="x")
        pool.set(routing=RoutingRecord(rules=(rule,)))
    return is_healthy


@pytest.mark.parametrize("seed", range(30))
async def test_who_can_serve_serves(upstream: FaultUpstream, seed: int) -> None:
    draw = random.Random(seed)
    async with Pool() as pool:
        is_healthy = build(pool, upstream, draw)
        # Seven candidates, two of them repeated at most twice.
        pool.pulse.is_wanted = True
        pool.set(max_attempts=20)
        body: dict[str, Any] = draw.choice([CHAT, STREAM])
        answer = await pool.call(body)
        if is_healthy:
            assert answer.status == 200, (pool.decisions, answer.body)
        else:
            assert (answer.status or 0) >= 400
            assert "sk-" not in answer.body.decode()
        assert pool.decisions[-1] == ("served" if is_healthy else "exhausted")
        books_agree(pool)
        assert not pool.pipeline.in_flight


def books_agree(pool: Pool) -> None:
    """Each attempt is announced once and settled once, and only the last one ends."""
    announced = [
        r.attempt_id for r in pool.journal.records if isinstance(r, AttemptIntent)
    ]
    settled = [
        r.attempt.attempt_id
        for r in pool.journal.records
        if isinstance(r, Settle) and r.attempt is not None
    ]
    assert sorted(announced) == sorted(settled)
    assert not LAST_WORDS & set(pool.decisions[:-1])
    closed = pool.request.request
    assert closed is not None
    assert closed.attempts == len(announced)
    busy = [beat.busy for beat in pool.pipeline._parts.pulse._beats.values()]
    assert not any(busy)
