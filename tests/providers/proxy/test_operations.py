"""What is no conversation is limited, billed and failed over like one."""

from __future__ import annotations

from typing import Any

import pytest

from pricing.cost import PriceSpec
from providers.formats import registry
from providers.proxy.heads import kept_type
from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.pool import Client, Pool
from tests.upstream.server import FaultUpstream

USD = 10**9
MILLION = 10**6
PATHS = {
    "embeddings": "/v1/embeddings",
    "images": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "completions": "/v1/completions",
    "moderations": "/v1/moderations",
    "rerank": "/v1/rerank",
}
BODIES: dict[str, dict[str, Any]] = {
    "embeddings": {"input": "one two three"},
    "images": {"prompt": "a harbour", "n": 2},
    "speech": {"input": "hello", "voice": "a"},
    "completions": {"prompt": "Once", "max_tokens": 8},
    "moderations": {"input": "hello"},
    "rerank": {"query": "q", "documents": ["a", "b"]},
}


def body_of(op: str, model: str = "gpt-test") -> dict[str, Any]:
    return {"model": model, **BODIES[op]}


async def call(pool: Pool, op: str, **options: Any) -> Any:
    return await pool.call(body_of(op), op=op, path=PATHS[op], **options)


@pytest.mark.parametrize(
    ("op", "price", "cost"),
    [
        ("speech", PriceSpec(per_character=15 * USD), 75_000),
        ("speech", PriceSpec(input=USD), None),
        ("moderations", PriceSpec(input=0, output=0), 0),
        ("rerank", PriceSpec(per_request=2 * USD), 2_000),
        ("embeddings", PriceSpec(input=MILLION), 5),
        ("images", PriceSpec(input=0, output=MILLION, image_out=USD), 544_000),
    ],
)
async def test_each_is_billed_by_what_it_is_billed_by(
    upstream: FaultUpstream, op: str, price: PriceSpec, cost: int | None
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=price)
        answer = await call(pool, op)
        assert answer.status == 200
        settled = pool.request.request
        assert settled is not None
        if op == "embeddings":
            cost = upstream.served[-1].prompt_tokens
        assert settled.cost_nano == cost


@pytest.mark.parametrize("op", [op for op in PATHS if op != "completions"])
async def test_no_output_is_reserved_for_what_writes_none(pool: Pool, op: str) -> None:
    pool.set_key(tpm=20_000)
    assert (await call(pool, op)).status == 200
    held = pool.intents[0].reservation_nano or 0
    most = {"images": 2 * 6_240 * 2_000, "speech": 10 * 2_000}.get(op, 0)
    assert most <= held <= most + 50_000


async def test_a_price_by_the_piece_is_a_price_under_a_hard_budget(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=PriceSpec(per_image=40_000 * USD))
        pool.budgets[1] = BudgetRecord(1, "key", USD // 10, "day")
        pool.set_key(budget_ids=(1,))
        assert (await call(pool, "images")).status == 200
        assert pool.intents[0].reservation_nano == 80_000_000
        refused = await pool.call()
        assert refused.status == 403
        assert refused.error["code"] == "model_unpriced"


async def test_a_vendor_without_an_operation_is_passed_over(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, format="anthropic", priority=90)
        pool.add_provider(upstream.base_url, priority=10)
        answer = await call(pool, "embeddings")
        assert answer.status == 200
        assert answer.header("x-pool-provider") == "p2"


@pytest.mark.parametrize(
    "fault", ["500", "html-200", "error-200-json", "cut-rst-headers"]
)
async def test_a_fault_leads_to_the_next(upstream: FaultUpstream, fault: str) -> None:
    async with Pool(upstream.base_url, upstream.base_url) as pool:
        upstream.control.orders["sk-test-key-of-provider-1-0001"] = fault
        for op in PATHS:
            pool.health.__init__(pool.clock)  # type: ignore[misc]
            answer = await call(pool, op)
            assert answer.status == 200, op
            assert answer.header("x-pool-provider") == "p2", op


async def test_sound_that_breaks_off_is_billed_and_has_no_end(
    upstream: FaultUpstream,
) -> None:
    async with Pool() as pool:
        price = PriceSpec(per_character=15 * USD)
        pool.add_provider(
            upstream.base_url, models=("fault-cut-rst-chunk-5",), price=price
        )
        client = Client([])
        body = b'{"model":"fault-cut-rst-chunk-5","input":"hello","voice":"a"}'
        client, task = pool.start(body, op="speech", path=PATHS["speech"])
        await task
        assert client.answer.status == 200
        assert client.answer.body.startswith(b"ID3")
        assert not client.answer.is_complete
        settled = pool.request.request
        assert settled is not None
        assert settled.cost_nano == 75_000
        assert settled.outcome != "ok"


@pytest.mark.parametrize(("format_id", "root"), [("google", "/v1beta"), ("ollama", "")])
async def test_embeddings_of_other_vendors_are_translated_and_billed(
    upstream: FaultUpstream, format_id: str, root: str
) -> None:
    origin = upstream.base_url.rpartition("/v1")[0]
    async with Pool() as pool:
        number = pool.add_provider(upstream.base_url, format=format_id)
        pool.set_provider(number, base_url=origin + root)
        answer = await call(pool, "embeddings")
        assert answer.status == 200
        assert len(answer.json["data"][0]["embedding"]) == 8
        assert pool.attempts[0].usage
        assert pool.attempts[0].cost_nano


async def test_clients_of_other_dialects_get_theirs(
    pool: Pool, upstream: FaultUpstream
) -> None:
    answer = await pool.call(
        {"model": "gpt-test", "input": ["a", "b"]},
        op="embeddings",
        path="/api/embed",
        wire=registry.get("ollama"),
    )
    assert [row[0] for row in answer.json["embeddings"]] == [0.0, 1.0]
    part = {"content": {"parts": [{"text": "a"}]}}
    answer = await pool.call(
        part,
        op="embeddings",
        path="/v1beta/models/gpt-test:embedContent",
        path_model="gpt-test",
        wire=registry.get("google"),
    )
    assert len(answer.json["embedding"]["values"]) == 8


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        ("audio/mpeg", "audio/mpeg"),
        ("Audio/L16; rate=24000", "Audio/L16; rate=24000"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/html", "audio/wav"),
        ("audio/x\r\nset-cookie: a=b", "audio/wav"),
        ("image/svg+xml", "audio/wav"),
        ("", "audio/wav"),
    ],
)
def test_only_a_harmless_content_type_is_kept(upstream: str, expected: str) -> None:
    assert kept_type(upstream, "audio/wav") == expected
