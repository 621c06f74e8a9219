"""What a request, its key and its session choose for themselves, end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pricing.cost import PriceSpec
from providers.formats import registry
from providers.proxy import plan
from providers.proxy.exchange import Caller
from providers.routing.strategies import STRATEGIES
from providers.snapshot.types import RoutingRecord
from tests.providers.proxy.pool import Answered, Pool, chat
from tests.upstream.server import FaultUpstream

OVERRIDES = ("strategy", "mode", "exclude", "prefer")
BROKEN = "sk-fault-500-0001"


@pytest.fixture
async def trio(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """Three providers of one model: p1 first by priority, p3 the cheapest."""
    async with Pool(*[upstream.base_url] * 3) as pool:
        pool.set_key(overrides_allowed=OVERRIDES)
        for number, price in ((1, 9), (2, 5), (3, 1)):
            _model(pool, number, price=PriceSpec(input=price, output=price))
        yield pool


def _model(pool: Pool, row: int, **changes: Any) -> None:
    pool.models[row] = msgspec.structs.replace(pool.models[row], **changes)
    pool.changed()


def _route_by(pool: Pool, **changes: Any) -> None:
    pool.set(routing=RoutingRecord(**changes))


async def _call(pool: Pool, *, body: Any = None, **fields: str) -> Answered:
    headers = {"authorization": f"Bearer {pool.key}"}
    headers |= {f"x-pool-{name}": value for name, value in fields.items()}
    return await pool.call(body, headers=headers)


def _provider(answer: Answered) -> str | None:
    assert answer.status == 200, answer.body
    return answer.header("x-pool-provider")


async def test_the_strategy_is_the_requests_then_the_keys_then_the_pools(
    trio: Pool,
) -> None:
    assert _provider(await _call(trio)) == "p1"
    _route_by(trio, strategy="cost")
    assert _provider(await _call(trio)) == "p3"
    trio.set_key(default_strategy="priority")
    assert _provider(await _call(trio)) == "p1"
    assert _provider(await _call(trio, strategy="cost")) == "p3"
    heads = [settle.head for settle in trio.settles if settle.request is not None]
    assert [head.strategy for head in heads] == ["priority", "cost", "priority", "cost"]
    assert {head.mode for head in heads} == {"auto"}


async def test_a_mode_keeps_requests_at_home(trio: Pool) -> None:
    trio.set_provider(2, location="local")
    assert _provider(await _call(trio, mode="local")) == "p2"
    assert _provider(await _call(trio, mode="cloud")) == "p1"
    trio.set_provider(2, location="cloud")
    answer = await _call(trio, mode="local")
    assert (answer.status, answer.error["code"]) == (404, "model_not_in_mode")


async def test_who_is_excluded_is_not_asked_and_said_to_be(trio: Pool) -> None:
    assert _provider(await _call(trio, exclude="p1, p2/gpt-test")) == "p3"
    assert trio.request.request is not None
    assert [each.rpartition(" ")[2] for each in trio.request.request.skipped] == [
        "excluded_by_client",
        "excluded_by_client",
    ]
    answer = await _call(trio, exclude="p1,p2,p3")
    assert (answer.status, answer.error["code"]) == (400, "all_excluded")


async def test_who_is_preferred_goes_first_whatever_the_strategy(trio: Pool) -> None:
    for strategy in ("priority", "cost", "latency", "round_robin"):
        answer = await _call(trio, prefer="p2", strategy=strategy)
        assert _provider(answer) == "p2"
    assert _provider(await _call(trio, prefer="nobody")) == "p1"


@pytest.mark.parametrize(
    ("word", "value", "code"),
    [
        ("strategy", "cost", "override_not_allowed"),
        ("prefer", "p2", "override_not_allowed"),
        ("mode", "moon", "invalid_override"),
    ],
)
async def test_a_header_a_key_may_not_send_is_named(
    trio: Pool, word: str, value: str, code: str
) -> None:
    trio.set_key(overrides_allowed=("mode",))
    answer = await _call(trio, **{word: value})
    assert (answer.status, answer.error["code"]) == (400, code)
    assert answer.error["param"] == f"x-pool-{word}"
    assert not trio.intents


async def test_a_session_stays_where_it_was_served_last(trio: Pool) -> None:
    served = [_provider(await _call(trio, session="talk", prefer="p2"))]
    for _ in range(3):
        served.append(_provider(await _call(trio, session="talk")))
    assert served == ["p2"] * 4
    closed = [settle.request for settle in trio.settles if settle.request is not None]
    assert [len(each.notes) for each in closed] == [0, 1, 1, 1]
    assert "not a fallback" in closed[1].notes[0]
    assert _provider(await _call(trio, session="other")) == "p1"
    assert _provider(await _call(trio, session="talk", exclude="p2")) == "p1"
    # It was served by p1 meanwhile: there its cache is the younger one.
    assert _provider(await _call(trio, session="talk")) == "p1"


async def test_a_session_leaves_who_cannot_serve_it(trio: Pool) -> None:
    await _call(trio, session="talk", prefer="p2")
    secret = trio.credential(99, BROKEN, trio.providers[2].base_url)
    broken = msgspec.structs.replace(trio.providers[2], credentials=(secret,))
    trio.providers[2] = broken
    trio.changed()
    assert _provider(await _call(trio, session="talk")) == "p1"


async def test_no_session_stays_where_the_pool_says_so(trio: Pool) -> None:
    _route_by(trio, sticky_s=0.0)
    await _call(trio, session="talk", prefer="p2")
    assert _provider(await _call(trio, session="talk")) == "p1"


async def test_who_is_known_to_lack_a_need_is_asked_only_for_want(trio: Pool) -> None:
    body = chat(tools=[{"type": "function", "function": {"name": "f"}}])
    assert _provider(await _call(trio, body=body)) == "p1"
    _model(trio, 1, lacks=("tools",))
    assert _provider(await _call(trio, body=body)) == "p2"
    assert _provider(await _call(trio)) == "p1"
    _model(trio, 2, lacks=("tools", "vision"))
    _model(trio, 3, lacks=("tools",))
    assert _provider(await _call(trio, body=body)) == "p1"


async def test_auto_is_served_without_a_default_model(trio: Pool) -> None:
    answer = await _call(trio, body=chat("auto"))
    assert _provider(answer) == "p1"
    assert answer.header("x-pool-model") == "gpt-test"


async def test_a_key_for_home_sends_nothing_out_to_be_counted() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"input_tokens":7}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Pool(f"{origin}/v1") as pool:
        pool.set_provider(1, format="anthropic")
        options: Any = {
            "headers": {"x-api-key": pool.key},
            "wire": registry.get("anthropic"),
            "op": "count_tokens",
            "path": "/v1/messages/count_tokens",
        }
        for mode, times in (("local", 0), ("cloud", 1)):
            pool.set_key(default_mode=mode)
            answer = await pool.call(chat(max_tokens=5), **options)
            assert answer.status == 200
            assert len(asked) == times


async def test_whoever_brings_routes_the_mode_and_the_exclusions_hold(
    trio: Pool,
) -> None:
    found = trio.snapshot().resolve("gpt-test")
    caller = Caller(trio.keys[trio.key[3:11]])
    rules = plan.PlanRules(plan.Catalog(), trio.health, trio.clock)
    wish = plan.Wish(
        registry.get("openai"), "gpt-test", False, exclude=("p1",), mode="local"
    )
    ways = plan.Plan(list(found.candidates), caller, wish, rules)
    assert ways.next() is None
    assert {skip.reason for skip in ways.skipped} == {"not_in_mode"}


async def test_who_is_cooling_never_goes_first_while_another_is_usable(
    trio: Pool,
) -> None:
    await _call(trio, session="talk", prefer="p2")
    for route in list(trio.snapshot().resolve("gpt-test").candidates):
        if route.provider.slug == "p2":
            trio.health.report(route, "quota")
    for strategy in STRATEGIES:
        for options in ({"prefer": "p2"}, {"session": "talk"}, {}):
            answer = await _call(trio, strategy=strategy, **options)
            assert _provider(answer) != "p2"
