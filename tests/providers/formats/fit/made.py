"""Build neutral requests for the tests of fit, and fit them."""

from __future__ import annotations

import msgspec

from providers.formats.base import Target
from providers.formats.capabilities import capabilities
from providers.formats.neutral.fit.fitted import Fitted, fit
from providers.formats.neutral.types import (
    Part,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

MODELS = {
    "openai": "gpt-4o",
    "responses": "gpt-5.2",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "ollama": "qwen3:8b",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def parts(*given: Part | str) -> tuple[Part, ...]:
    return tuple(Text(text=each) if isinstance(each, str) else each for each in given)


def user(*given: Part | str, **more) -> Turn:
    return Turn(role="user", parts=parts(*given), **more)


def assistant(*given: Part | str, **more) -> Turn:
    return Turn(role="assistant", parts=parts(*given), **more)


def system(*given: Part | str, **more) -> Turn:
    return Turn(role="instruction", parts=parts(*given), **more)


def results(*given: ToolResult) -> Turn:
    return Turn(role="tool", parts=given)


def call(call_id: str = "c1", name: str = "look", arguments: str = "{}", **more):
    return ToolCall(id=call_id, name=name, arguments=arguments, **more)


def result(call_id: str = "c1", *given: Part | str, **more) -> ToolResult:
    return ToolResult(call_id=call_id, content=parts(*(given or ("ok",))), **more)


def tool(name: str = "look", **more) -> Tool:
    return Tool(**{"kind": "function", "name": name, **more})


def request(*turns: Turn, **more) -> Request:
    return Request(
        **{
            "dialect": "openai",
            "model": "asked",
            "turns": turns or (user("Hi"),),
            **more,
        }
    )


def fitted(
    asked: Request,
    to: str = "anthropic",
    model: str = "",
    *,
    provider: str = "",
    fetched=None,
    **target,
) -> Fitted:
    provider = provider or {"openai": "openai"}.get(to, "")
    model = model or MODELS[to]
    caps = capabilities(to, provider, model)
    return fit(asked, Target(model=model, **target), caps, fetched or {})


def words(done: Fitted) -> set[str]:
    return {loss.word for loss in done.losses}


def shape(done: Fitted) -> list[tuple[str, list[str]]]:
    """Return roles and what their parts say, in short."""
    return [
        (turn.role, [_short(part) for part in turn.parts])
        for turn in done.request.turns
    ]


def _short(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, ToolCall):
        return f"call {part.id}"
    if isinstance(part, ToolResult):
        return f"result {part.call_id}"
    return type(part).__name__.lower()
