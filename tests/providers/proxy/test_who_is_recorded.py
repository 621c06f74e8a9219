"""Who called, as the common clients say it: from their headers to the ledger's rows."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest

from providers.formats import registry
from tests.factories import ship
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream
from usage import log
from usage.journal.records import Settle
from usage.selectors import usage_summary

SESSION: Final = "7f9c2ba4-e88f-4e1b-9d0c-2a4b6c8d0e1f"
MESSAGES: Final = [{"role": "user", "content": "Hello"}]


class Client(NamedTuple):
    """A client product: what it sends, and what the ledger must say of it."""

    name: str
    wire: str
    headers: dict[str, str]
    body: dict[str, Any]
    session: str
    agent: str
    end_user: str = ""


def _anthropic(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-test", "max_tokens": 50, "messages": MESSAGES, **more}


def _responses(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-test", "input": "Hello", **more}


def _agent(user_agent: str, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"user-agent": user_agent, **named}


CLIENTS: Final = (
    Client(
        "Claude Code",
        "anthropic",
        _agent("claude-cli/2.0.1 (external, cli)", x_claude_code_session_id=SESSION),
        _anthropic(metadata={"user_id": f"user_ab_account_c_session_{SESSION}"}),
        SESSION,
        "claude-code",
        "user_ab_account_c",
    ),
    Client(
        "Claude Code by its body",
        "anthropic",
        _agent("claude-cli/2.1.9 (external, sdk-py)"),
        _anthropic(
            metadata={
                "user_id": f'{{"account_uuid": "acc-1", "session_id": "{SESSION}"}}'
            }
        ),
        SESSION,
        "claude-code",
        "acc-1",
    ),
    Client(
        "Codex",
        "responses",
        _agent("codex_cli_rs/0.60.1 (Linux)", session_id=SESSION),
        _responses(prompt_cache_key="cache-1"),
        SESSION,
        "codex",
    ),
    Client(
        "Codex without a header",
        "responses",
        _agent("codex_exec/0.60.1 (Linux)"),
        _responses(prompt_cache_key="cache-1"),
        "cache-1",
        "codex",
    ),
    Client(
        "OpenAI SDK",
        "openai",
        _agent("OpenAI/Python 2.8.0"),
        chat(user="olivia", prompt_cache_key="cache-2"),
        "cache-2",
        "openai-python",
        "olivia",
    ),
    Client(
        "OpenAI SDK, asynchronous",
        "openai",
        _agent("AsyncOpenAI/Python 2.8.0"),
        chat(safety_identifier="hash-1"),
        "",
        "openai-python",
        "hash-1",
    ),
    Client(
        "OpenAI SDK, responses",
        "responses",
        _agent("OpenAI/JS 6.1.0"),
        _responses(safety_identifier="hash-2"),
        "",
        "openai-node",
        "hash-2",
    ),
    Client(
        "Anthropic SDK",
        "anthropic",
        _agent("Anthropic/Python 0.80.0"),
        _anthropic(metadata={"user_id": "olivia"}),
        "",
        "anthropic-python",
        "olivia",
    ),
    Client(
        "Ollama SDK",
        "ollama",
        _agent("ollama-python/0.6.0 (x86_64 linux) Python/3.11.7"),
        {"model": "gpt-test", "messages": MESSAGES, "stream": False},
        "",
        "ollama-python",
    ),
    Client(
        "opencode",
        "openai",
        _agent("opencode/1.0.110", x_session_id="s-9"),
        chat(),
        "s-9",
        "opencode",
    ),
    Client(
        "the pool's own header",
        "openai",
        _agent("OpenAI/Python 2.8.0", x_pool_session="bot:mail:7"),
        chat(user="viktor"),
        "bot:mail:7",
        "bot",
        "viktor",
    ),
    Client("a stranger to us", "openai", _agent("home-made/0.1"), chat(), "", "other"),
    Client("nobody in particular", "openai", {}, chat(), "", ""),
)
PATHS: Final = {
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "ollama": "/api/chat",
    "openai": "/v1/chat/completions",
}


async def _served() -> dict[str, list[Settle]]:
    """Serve one call of each client and return what was journalled of it."""
    found: dict[str, list[Settle]] = {}
    async with (
        FaultUpstream(seed=1) as upstream,
        Pool(upstream.base_url) as pool,
    ):
        for client in CLIENTS:
            answer = await pool.call(
                client.body,
                headers={"authorization": f"Bearer {pool.key}", **client.headers},
                wire=registry.get(client.wire),
                path=PATHS[client.wire],
            )
            assert answer.status == 200, (client.name, answer.body)
            found[client.name] = pool.settles
            pool.journal.records.clear()
    return found


@pytest.mark.django_db
def test_every_client_lands_in_the_ledger_with_session_agent_and_user() -> None:
    served = asyncio.run(_served())
    for client in CLIENTS:
        [request_id] = ship(served[client.name])
        row = log.detail(UUID(request_id))
        assert row is not None
        said = (row.request.session, row.request.agent, row.request.end_user)
        assert said == (client.session, client.agent, client.end_user), client.name

    for by, words in (
        ("session", [client.session for client in CLIENTS]),
        ("agent", [client.agent for client in CLIENTS]),
        ("user", [client.end_user for client in CLIENTS]),
    ):
        groups = usage_summary(by=by)["groups"]
        counted = {group["name"]: group["requests"] for group in groups}
        counted.pop("", None)
        counted.pop(None, None)
        assert counted == {word: words.count(word) for word in set(words) if word}, by
