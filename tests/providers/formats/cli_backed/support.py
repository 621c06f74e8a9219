"""Short cuts of the tests of formats that run a program."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from providers.formats import registry
from providers.formats.base import ResponseMeta, Target, UpstreamRequest
from providers.formats.cli_backed.command import Command, Printed

CLAUDE, CODEX = "claude-cli", "codex-cli"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "The harbour is calm.",
    "session_id": "5d2f1c3e",
    "total_cost_usd": 0.0123,
    "duration_ms": 2100,
    "duration_api_ms": 1900,
    "num_turns": 1,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 4000,
        "output_tokens": 25,
    },
}
LINES: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": "0199-a"},
    {"type": "turn.started"},
    {
        "type": "item.completed",
        "item": {"id": "item_0", "type": "reasoning", "text": "Think of water."},
    },
    {
        "type": "item.completed",
        "item": {"id": "item_1", "type": "command_execution", "text": "ls"},
    },
    {
        "type": "item.completed",
        "item": {"id": "item_2", "type": "agent_message", "text": "The harbour"},
    },
    {
        "type": "item.completed",
        "item": {"id": "item_3", "type": "agent_message", "text": "is calm."},
    },
    {
        "type": "turn.completed",
        "usage": {
            "input_tokens": 900,
            "cached_input_tokens": 600,
            "output_tokens": 40,
        },
    },
]


def chat(**fields: Any) -> dict[str, Any]:
    """Word a chat request."""
    messages = [{"role": "user", "content": "How is the harbour?"}]
    return {"model": "m", "messages": messages, **fields}


class Exchange:
    """One chat client's request for a program, and the way back."""

    def __init__(
        self,
        format_id: str,
        body: dict[str, Any] | None = None,
        *,
        model: str = "m",
        options: dict[str, str] | None = None,
    ) -> None:
        self.client = registry.get("openai")
        self.request = self.client.read_request(json.dumps(body or chat()).encode())
        bridge = registry.bridge("openai", format_id, model)
        assert bridge is not None
        self.bridge = bridge
        self.sent: UpstreamRequest = bridge.build_request(
            self.request, Target(model=model, options=options or {})
        )
        self.command = msgspec.json.decode(self.sent.body, type=Command)

    def printed(self, stdout: str, *, exit: int = 0, stderr: str = "") -> bytes:
        """Return the body a runner makes of what was printed."""
        return msgspec.json.encode(
            Printed(exit=exit, stdout=stdout, stderr=stderr, tools=self.command.tools)
        )

    def read(self, stdout: str, *, exit: int = 0, stderr: str = "") -> ResponseMeta:
        """Read what a program printed as a whole answer."""
        body = self.printed(stdout, exit=exit, stderr=stderr)
        return self.bridge.read_response(self.request, self.sent, body)

    def message(self, stdout: str) -> Any:
        """Return the message a chat client sees."""
        meta = self.read(stdout)
        assert meta.error is None, meta.error
        return json.loads(meta.body)["choices"][0]["message"]


def lines(*values: dict[str, Any]) -> str:
    """Print events as Codex does."""
    return "".join(json.dumps(value) + "\n" for value in values)


def result(**changes: Any) -> str:
    """Print a result as Claude does."""
    return json.dumps({**RESULT, **changes})
