"""The door: paths, methods, probes and refusals before anything is read."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from providers.formats import registry
from providers.proxy.asgi import Door
from providers.proxy.paths import RouteTable
from providers.proxy.peers import Peers
from tests.providers.proxy import strange
from tests.providers.proxy.pool import Answered, Client, Pool
from tests.upstream.server import FaultUpstream


@pytest.fixture(autouse=True)
def around() -> Iterator[strange.Around]:
    with strange.registered() as made:
        yield made


class Entrance:
    """A door in front of a pool's pipeline."""

    def __init__(self, pool: Pool) -> None:
        runtime: Any = SimpleNamespace(
            routes=RouteTable(registry.formats().values()),
            peers=Peers(()),
            clock=pool.clock,
            relay=None,
            pipeline=pool.pipeline,
            metrics=pool.metrics,
            refusal=lambda: None,
        )
        self.pool = pool
        self.door = Door(runtime)

    async def ask(
        self, method: str, path: str, body: bytes = b"", **options: Any
    ) -> Answered:
        headers = options.get("headers")
        if headers is None:
            headers = [(b"authorization", b"Bearer " + self.pool.key.encode())]
        client = Client([body])
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": headers,
            "query_string": options.get("query", b""),
            "client": ("127.0.0.1", 1),
        }
        async with asyncio.timeout(10):
            await self.door(scope, client.receive, client.send)
        return client.answer


@pytest.fixture
def entrance(pool: Pool) -> Entrance:
    return Entrance(pool)


BODY = b'{"model":"gpt-test","messages":[{"role":"user","content":"Hello"}]}'


async def test_t132_a_tool_that_looks_is_answered_at_once(entrance: Entrance) -> None:
    for method in ("HEAD", "GET"):
        answer = await entrance.ask(method, "/", headers=[])
        assert answer.status == 200
    ollama = [(b"user-agent", b"ollama-python/0.6")]
    answer = await entrance.ask("GET", "/", headers=ollama)
    assert answer.body == b"Ollama is running"
    head = await entrance.ask("HEAD", "/v1/chat/completions", headers=[])
    assert (head.status, head.header("allow")) == (405, "POST")


async def test_t133_a_websocket_is_sent_back_to_plain_http(entrance: Entrance) -> None:
    headers = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    for path in ("/v1/chat/completions", "/v1/responses"):
        answer = await entrance.ask("GET", path, headers=headers)
        assert answer.status == 426


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/odd/models/gpt-test:ask",
        "/v1/odd/models/gpt-test:count",
        "/v1/odd/models",
        "/model/gpt-test/talk",
        "/api/small-talk",
    ],
)
async def test_t129_nobody_comes_in_without_a_key(
    entrance: Entrance, path: str
) -> None:
    is_read = path.endswith(("models", "talk")) and "/model/" not in path
    method = "GET" if is_read else "POST"
    for headers in ([], [(b"x-api-key", b"wrong")]):
        answer = await entrance.ask(method, path, BODY, headers=headers)
        assert answer.status == 401
        assert answer.error["code"] in ("missing_api_key", "invalid_api_key")
        is_strange = path not in ("/v1/chat/completions", "/v1/models")
        assert answer.header("x-strange-error") == ("401" if is_strange else None)


@pytest.mark.parametrize(
    ("name", "value", "query"),
    [
        ("authorization", "Bearer {}", ""),
        ("authorization", "bearer {}", ""),
        ("x-api-key", "{}", ""),
        ("api-key", "{}", ""),
        ("x-goog-api-key", "{}", ""),
        ("", "", "key={}"),
        ("", "", "alt=sse&api_key={}"),
        ("authorization", "Basic {}", ""),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/odd/models/m:ask"])
async def test_t129_a_key_is_taken_from_all_its_places_on_every_path(
    entrance: Entrance, path: str, name: str, value: str, query: str
) -> None:
    key = entrance.pool.key
    if value.startswith("Basic"):
        key = b64encode(f"user:{key}".encode()).decode()
    headers = [(name.encode(), value.format(key).encode())] if name else []
    answer = await entrance.ask(
        "POST", path, BODY, headers=headers, query=query.format(key).encode()
    )
    assert answer.status == 200, answer.body


async def test_t130_an_unknown_model_is_refused_in_the_words_of_the_path(
    entrance: Entrance,
) -> None:
    body = BODY.replace(b"gpt-test", b"gpt-nope")
    answer = await entrance.ask("POST", "/v1/odd/models/gpt-nope:ask", body)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.header("x-strange-error") == "404"


async def test_t134_a_doubled_version_reaches_the_model(entrance: Entrance) -> None:
    answer = await entrance.ask("POST", "/v1/v1/chat/completions", BODY)
    assert answer.status == 200


async def test_t135_each_path_lists_the_same_models_in_its_own_shape(
    entrance: Entrance,
) -> None:
    plain = await entrance.ask("GET", "/v1/models")
    assert [each["id"] for each in plain.json["data"]] == ["gpt-test"]
    other = await entrance.ask("GET", "/v1/odd/models")
    assert other.body == b"strange: gpt-test"


async def test_a_dialect_may_answer_small_talk_by_itself(entrance: Entrance) -> None:
    answer = await entrance.ask("GET", "/api/small-talk")
    assert answer.json == {"path": "/api/small-talk"}
    shown = await entrance.ask("POST", "/api/strange/show", BODY)
    assert shown.status == 200
    assert not entrance.pool.journal.records
    unknown = await entrance.ask(
        "POST", "/api/strange/show", BODY.replace(b"gpt-test", b"nope")
    )
    assert unknown.status == 404


async def test_an_editor_is_told_what_a_model_can_do(entrance: Entrance) -> None:
    pool = entrance.pool
    known = {"capabilities": ("tools", "reasoning"), "context_window": 4711}
    pool.models[1] = replace(pool.models[1], **known)
    pool.changed()
    answer = await entrance.ask("POST", "/api/show", b'{"name":"gpt-test"}')
    assert answer.status == 200, answer.body
    told = answer.json
    assert set(told["capabilities"]) == {"completion", "tools", "thinking"}
    assert 4711 in told["model_info"].values()
    version = await entrance.ask("GET", "/api/version")
    assert version.json["version"]
    nameless = await entrance.ask("POST", "/api/show", b"{}")
    assert nameless.status == 400


async def test_t136_tokens_are_estimated_where_no_upstream_counts(
    entrance: Entrance, upstream: FaultUpstream
) -> None:
    answer = await entrance.ask("POST", "/v1/odd/models/gpt-test:count", BODY)
    assert answer.status == 200
    assert 1 <= answer.json["counted"] < 100
    assert not upstream.control.seen
    assert not entrance.pool.journal.records


async def test_a_count_for_a_model_the_key_may_not_use_is_refused(
    entrance: Entrance,
) -> None:
    entrance.pool.set_key(model_access="only", models_allowed=("other",))
    answer = await entrance.ask("POST", "/v1/odd/models/gpt-test:count", BODY)
    assert answer.status == 403


async def test_a_path_nobody_serves_is_no_page(entrance: Entrance) -> None:
    answer = await entrance.ask("POST", "/v1/nothing", BODY)
    assert answer.error["code"] == "unknown_url"


async def test_what_the_pool_does_not_have_is_counted_and_not_recorded(
    entrance: Entrance,
) -> None:
    await entrance.ask("POST", "/v1/nothing", BODY)
    assert (await entrance.ask("GET", "/v1/chat/completions")).status == 405
    assert entrance.pool.metrics.strangers == ["unknown_url", "method_not_allowed"]
    assert not entrance.pool.journal.records


async def test_t3_a_list_in_several_header_lines_arrives_whole_and_in_order(
    entrance: Entrance, upstream: FaultUpstream
) -> None:
    headers = [
        (b"authorization", b"Bearer " + entrance.pool.key.encode()),
        (b"anthropic-version", b"2026-10-21"),
        (b"anthropic-beta", b"one,two"),
        (b"anthropic-beta", b"three"),
    ]
    answer = await entrance.ask("POST", "/v1/chat/completions", BODY, headers=headers)
    assert answer.status == 200
    seen = upstream.control.seen[0]
    assert seen.header("anthropic-beta") == "one,two,three"
    assert seen.header("anthropic-version") == "2026-10-21"
