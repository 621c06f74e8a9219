"""Session, agent and end user as the common clients really say them."""

from __future__ import annotations

from typing import Any

import pytest

from providers.formats import registry
from tests.providers.proxy.pool import Pool, chat

UUID = "7f9c2ba4-e88f-4e1b-9d0c-2a4b6c8d0e1f"
CLAUDE = "claude-cli/2.0.1 (external, cli)"
ANTHROPIC: dict[str, Any] = {
    "wire": "anthropic",
    "path": "/v1/messages",
    "body": {
        "model": "gpt-test",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hello"}],
    },
}
RESPONSES: dict[str, Any] = {
    "wire": "responses",
    "path": "/v1/responses",
    "body": {"model": "gpt-test", "input": "Hello"},
}
CHAT: dict[str, Any] = {
    "wire": "openai",
    "path": "/v1/chat/completions",
    "body": chat(),
}


def of(shape: dict[str, Any], **body: Any) -> dict[str, Any]:
    return {**shape, "body": {**shape["body"], **body}}


@pytest.mark.parametrize(
    ("shape", "headers", "session", "agent", "end_user"),
    [
        pytest.param(
            of(ANTHROPIC, metadata={"user_id": f"user_ab_account__session_{UUID}"}),
            {"user-agent": CLAUDE, "x-claude-code-session-id": UUID},
            UUID,
            "claude-code",
            None,
            id="Claude Code, header and body",
        ),
        pytest.param(
            of(ANTHROPIC, metadata={"user_id": f"user_ab_account__session_{UUID}"}),
            {"user-agent": CLAUDE},
            UUID,
            "claude-code",
            None,
            id="Claude Code, only the body",
        ),
        pytest.param(
            of(ANTHROPIC, metadata={"user_id": f'{{"session_id": "{UUID}"}}'}),
            {"user-agent": CLAUDE},
            UUID,
            "claude-code",
            None,
            id="Claude Code, JSON in the body",
        ),
        pytest.param(
            of(RESPONSES, prompt_cache_key="cache-1"),
            {"user-agent": "codex_exec/0.60.1 (Linux)", "session-id": UUID},
            UUID,
            "codex",
            "",
            id="Codex",
        ),
        pytest.param(
            of(RESPONSES, prompt_cache_key="cache-1"),
            {"user-agent": "codex_cli_rs/0.40.0 (Linux)", "session_id": UUID},
            UUID,
            "codex",
            "",
            id="Codex before the dash",
        ),
        pytest.param(
            of(CHAT, user="olivia", prompt_cache_key="cache-1"),
            {"user-agent": "OpenAI/Python 2.8.0"},
            "cache-1",
            "openai-python",
            "olivia",
            id="OpenAI SDK",
        ),
        pytest.param(
            of(CHAT, safety_identifier="hash-1"),
            {"user-agent": "OpenAI/JS 6.1.0"},
            "",
            "openai-node",
            "hash-1",
            id="OpenAI SDK, safety identifier",
        ),
        pytest.param(
            of(ANTHROPIC, metadata={"user_id": "olivia"}),
            {"user-agent": "Anthropic/Python 0.80.0"},
            "",
            "anthropic-python",
            "olivia",
            id="Anthropic SDK",
        ),
        pytest.param(
            CHAT,
            {"user-agent": "opencode/1.0", "x-session-id": "s-9"},
            "s-9",
            "opencode",
            "",
            id="opencode",
        ),
        pytest.param(
            CHAT,
            {"user-agent": CLAUDE, "x-pool-session": "bot:mail:7"},
            "bot:mail:7",
            "bot",
            "",
            id="the pool's own header first",
        ),
    ],
)
async def test_a_client_is_recorded_with_session_agent_and_user(
    pool: Pool,
    shape: dict[str, Any],
    headers: dict[str, str],
    session: str,
    agent: str,
    end_user: str | None,
) -> None:
    answer = await pool.call(
        shape["body"],
        headers={"authorization": f"Bearer {pool.key}", **headers},
        wire=registry.get(shape["wire"]),
        path=shape["path"],
    )
    assert answer.status == 200, answer.body
    head = pool.request.head
    assert (head.session, head.agent) == (session, agent)
    if end_user is not None:
        assert head.end_user == end_user
