"""Word a conversation as the plain text a command-line program reads.

Source: reference seeds 14.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from providers.formats.neutral.types import (
    Loss,
    Part,
    Refusal,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

_TOOLS_HEAD: Final = """\
# Tools

The tools below belong to the program that asks you, not to you: you cannot run them
yourself. To use some, answer with this JSON object and nothing else; "arguments" is a
string that holds a JSON object:

{"tool_calls":[{"id":"call_1","type":"function","function":\
{"name":"<tool>","arguments":"{}"}}]}

Their results come with the next message."""

_MUST: Final = "Answer with a call of one of these tools now, not with text."
_ONE_ONLY: Final = "Call one tool at a time."


class Worded(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a request in words.

    Shapes:  ``system`` are the instructions with the tools; ``conversation`` the turns
             with their speakers' names, ``is_bare`` = one message without a name.
    """

    system: str
    conversation: str
    is_bare: bool
    tools: tuple[str, ...]
    losses: tuple[Loss, ...]


def word(request: Request) -> Worded:
    """Word a fitted request."""
    losses: dict[str, Loss] = {}
    tools = _offered(request)
    blocks = [_text(turn.parts, losses) for turn in request.instructions]
    blocks.append(_tools(tools, request))
    turns = request.turns
    is_bare = len(turns) == 1 and turns[0].role == "user"
    if is_bare:
        conversation = _text(turns[0].parts, losses)
    else:
        conversation = "\n".join(
            line for turn in turns for line in _lines(turn, losses)
        )
    if request.max_output is not None:
        field = request.max_output_field or "max_tokens"
        losses[field] = Loss(field=field)
    return Worded(
        system=_clean("\n\n".join(block for block in blocks if block)),
        conversation=_clean(conversation),
        is_bare=is_bare,
        tools=tuple(tool.name for tool in tools),
        losses=tuple(losses.values()),
    )


def _offered(request: Request) -> tuple[Tool, ...]:
    """Return the tools that may be called now."""
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return ()
    functions = tuple(tool for tool in request.tools if tool.kind == "function")
    if choice is not None and choice.mode in ("one", "subset"):
        return tuple(tool for tool in functions if tool.name in choice.names)
    return functions


def _tools(tools: tuple[Tool, ...], request: Request) -> str:
    if not tools:
        return ""
    blocks = [_TOOLS_HEAD]
    for tool in tools:
        lines = [f"## {tool.name}"]
        if tool.description:
            lines.append(tool.description)
        if tool.schema is not None:
            schema = bytes(tool.schema).decode("utf-8", "replace")
            lines.append(f"Parameters (JSON schema): {schema}")
        blocks.append("\n".join(lines))
    choice = request.tool_choice
    if choice is not None:
        if choice.mode in ("any", "one") or choice.is_required:
            blocks.append(_MUST)
        if choice.parallel is False:
            blocks.append(_ONE_ONLY)
    return "\n\n".join(blocks)


def _lines(turn: Turn, losses: dict[str, Loss]) -> Iterable[str]:
    if turn.role == "tool":
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield _result(part, losses)
        return
    if turn.role == "assistant":
        said = _text(turn.parts, losses)
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if calls:
            said = f"{said}\n{_calls(calls)}".strip()
        yield f"Assistant: {said}"
        return
    name = "User" if turn.role == "user" else "System"
    yield f"{name}: {_text(turn.parts, losses)}"


def _calls(calls: list[ToolCall]) -> str:
    """Show a model the calls it made in the words it was asked to make them in."""
    worded = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for call in calls
    ]
    return msgspec.json.encode({"tool_calls": worded}).decode()


def _result(result: ToolResult, losses: dict[str, Loss]) -> str:
    text = _text(result.content, losses)
    if not text and result.json is not None:
        text = bytes(result.json).decode("utf-8", "replace")
    kind = "Tool Error" if result.is_error else "Tool Result"
    return f"[{kind} for {result.call_id or result.name}]: {text}"


def _text(parts: Iterable[Part], losses: dict[str, Loss]) -> str:
    texts = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
        elif not isinstance(part, ToolCall | ToolResult):
            name = type(part).__name__.lower()
            losses[name] = Loss(field=name)
    return "\n".join(text for text in texts if text)


def _clean(text: str) -> str:
    """Take out what no program's argument or input may hold."""
    return text.replace("\0", "")
