"""Which dialect a provider is asked in, and what that changes on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from providers.formats import registry
from providers.proxy.choice import choose
from tests.providers.proxy import strange
from tests.providers.proxy.pool import CHAT, STREAM, Pool, chat
from tests.upstream.server import FaultUpstream


@pytest.fixture(autouse=True)
def around() -> Iterator[strange.Around]:
    with strange.registered() as made:
        yield made


@pytest.fixture
async def odd(upstream: FaultUpstream) -> Iterator[Pool]:  # type: ignore[misc]
    """A pool whose only provider speaks the strange dialect."""
    async with Pool(upstream.base_url) as pool:
        pool.set_provider(1, format="strange")
        yield pool


def _chosen(pool: Pool, **changes: object) -> tuple[str, str] | None:
    provider, model = pool.providers[1], pool.models[1]
    names = {key: value for key, value in changes.items() if key != "formats"}
    provider = replace(provider, **names)
    if "formats" in changes:
        model = replace(model, formats=changes["formats"])
    way = choose(provider, model, registry.get("openai"))
    return None if way is None else (way.wire.id, way.base_url)


async def test_the_clients_own_dialect_comes_first(pool: Pool) -> None:
    base = pool.providers[1].base_url
    other = {"openai": ""}
    assert _chosen(pool) == ("openai", base)
    assert _chosen(pool, format="strange") == ("strange", base)
    found = _chosen(pool, format="strange", other_formats=other)
    assert found == ("openai", base)


async def test_a_model_is_asked_only_in_a_dialect_it_is_served_in(pool: Pool) -> None:
    base = pool.providers[1].base_url
    both = {"strange": ""}
    assert _chosen(pool, other_formats=both, formats=("strange",)) == ("strange", base)
    assert _chosen(pool, formats=("strange",)) == ("strange", base)
    assert _chosen(pool, formats=("martian",)) is None


async def test_a_dialect_at_another_address_is_not_the_providers(pool: Pool) -> None:
    origin = pool.providers[1].origin
    near = _chosen(pool, format="martian", other_formats={"openai": f"{origin}/two/"})
    assert near == ("openai", f"{origin}/two")
    for url in ("https://elsewhere.example/v1", "nonsense"):
        far = _chosen(pool, format="martian", other_formats={"openai": url})
        assert far is None


async def test_a_bare_host_gets_the_version_its_dialect_has(pool: Pool) -> None:
    origin = pool.providers[1].origin
    for bare in (origin, f"{origin}/"):
        found = _chosen(pool, format="strange", base_url=bare)
        assert found == ("strange", f"{origin}/v1")


async def test_what_a_dialect_needs_lies_above_the_clients_headers(
    odd: Pool, upstream: FaultUpstream, around: strange.Around
) -> None:
    around.headers = {"accept": "application/x-odd", "x-odd": "1"}
    headers = {
        "authorization": f"Bearer {odd.key}",
        "accept": "application/json",
        "user-agent": "codex",
        "traceparent": "00-1-2-01",
    }
    answer = await odd.call(CHAT, headers=headers)
    assert answer.status == 200
    seen = upstream.control.seen[0]
    assert seen.header("accept") == "application/x-odd"
    assert seen.header("x-odd") == "1"
    assert seen.header("traceparent") == "00-1-2-01"
    assert seen.header("user-agent") != "codex"


async def test_losses_are_named_to_the_client_and_in_the_record(
    odd: Pool, around: strange.Around
) -> None:
    around.losses = ("seed:drop", "logit_bias:drop", "odd, field\n:fold")
    for body in (CHAT, STREAM):
        odd.journal.records.clear()
        answer = await odd.call(body)
        assert answer.status == 200
        told = answer.header("x-pool-loss")
        assert told == "seed:drop,logit_bias:drop,odd__field_:fold"
        assert odd.attempts[0].losses.startswith("seed:drop,logit_bias:drop")


async def test_a_long_list_of_losses_ends_in_its_number(
    odd: Pool, around: strange.Around
) -> None:
    around.losses = tuple(f"field_{number:03}:drop" for number in range(300))
    told = (await odd.call(CHAT)).header("x-pool-loss")
    assert told is not None
    assert len(told) < 700
    assert told.endswith("_more")
    assert len(odd.attempts[0].losses) <= 200


async def test_an_upstream_that_cannot_express_it_is_passed_over(
    odd: Pool, upstream: FaultUpstream, around: strange.Around
) -> None:
    around.refuses = "This provider knows one choice only."
    odd.add_provider(upstream.base_url, priority=1)
    answer = await odd.call(CHAT)
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
    assert answer.header("x-pool-attempts") == "1"
    assert odd.request.request is not None
    (skipped,) = odd.request.request.skipped
    assert "inexpressible:not_expressible" in skipped
    assert not odd.facts


async def test_what_nobody_can_express_is_told_as_the_requests_own_fault(
    odd: Pool, upstream: FaultUpstream, around: strange.Around
) -> None:
    around.refuses = "This provider knows one choice only."
    answer = await odd.call(CHAT)
    assert answer.status == 400
    assert answer.error["message"] == "This provider knows one choice only."
    assert (answer.error["code"], answer.error["param"]) == ("not_expressible", "n")
    assert answer.header("x-should-retry") == "false"
    assert not upstream.control.seen
    assert not odd.intents


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ("400", 400, "invalid_request"),
        ("400-context", 400, "context_length_exceeded"),
        ("401", 503, "provider_credentials"),
        ("402", 429, "insufficient_quota"),
        ("403", 503, "provider_credentials"),
        ("404", 404, "model_not_found"),
        ("413", 413, "request_too_large"),
        ("422", 422, "invalid_request"),
        ("429", 429, "rate_limit_exceeded"),
        ("500", 502, "upstream_error"),
        ("503", 503, "server_is_overloaded"),
        ("529", 503, "server_is_overloaded"),
        ("error-200-json", 503, "server_is_overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_t113_an_error_is_told_in_the_clients_words(
    odd: Pool,
    upstream: FaultUpstream,
    spec: str,
    status: int,
    code: str,
    stream: bool,
) -> None:
    upstream.control.orders["gpt-test"] = spec
    answer = await odd.call(chat(stream=stream))
    assert (answer.status, answer.error["code"]) == (status, code), answer.body
    assert answer.error["request_id"]
    if status < 429 or code in ("insufficient_quota", "provider_credentials"):
        assert answer.header("x-should-retry") == "false"


async def test_t114_our_own_credential_is_never_the_clients_401(
    odd: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "401+first-1"
    odd.add_provider(upstream.base_url, priority=1)
    answer = await odd.call(chat())
    assert answer.status == 200
    assert answer.header("x-pool-provider") == "p2"
