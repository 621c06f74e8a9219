"""Word the tools of a request as ``toolConfig``.

Bedrock refuses a history with calls but without tools, and has no word for "no tool".

Source: reference wire 2.3, 2.4, pitfalls P37 and P38.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.bedrock_converse.blocks_out import Block, cache_point
from providers.formats.bedrock_converse.names import DIALECT, is_claude
from providers.formats.neutral.types import (
    Loss,
    Request,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_UNNAMED: Final = "tool"


class ToolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the tools as worded.

    Shapes:  ``native_choice`` is Claude's own ``tool_choice``, for what Converse's
             cannot say; ``config`` then has none.
    """

    config: Block = {}
    native_choice: Block | None = None
    losses: tuple[Loss, ...] = ()


def tool_config(request: Request, model: str, has_marks: bool) -> ToolConfig:
    """Word tools and choice; the tools of a history are there whatever was chosen."""
    choice = request.tool_choice or ToolChoice()
    in_history = _names_in_history(request)
    if choice.mode == "none" and not in_history:
        return ToolConfig()
    tools: list[Any] = []
    losses: list[Loss] = []
    for tool in request.tools:
        if choice.mode == "subset" and not _stays(tool, choice, in_history):
            continue
        worded = _worded(tool)
        if worded is None:
            losses.append(Loss(field=f"tools.{tool.type or tool.kind}"))
            continue
        tools.append(worded)
        if tool.cache is not None and has_marks:
            tools.append(cache_point(tool.cache))
    if not tools:
        tools = [_standing_for(name) for name in in_history]
    if not tools:
        return ToolConfig(losses=tuple(losses))
    config: Block = {"tools": tools}
    native = _native_choice(choice, model)
    if choice.parallel is False and native is None:
        losses.append(Loss(field="parallel_tool_calls"))
    worded_choice = _choice(request.tool_choice) if native is None else None
    if worded_choice is not None:
        config["toolChoice"] = worded_choice
    return ToolConfig(config=config, native_choice=native, losses=tuple(losses))


def _names_in_history(request: Request) -> list[str]:
    names: dict[str, None] = {}
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall) or (
                isinstance(part, ToolResult) and part.name
            ):
                names[part.name] = None
            elif isinstance(part, ToolResult) and not names:
                names[_UNNAMED] = None
    if len(names) > 1:
        names.pop(_UNNAMED, None)
    return list(names)


def _stays(tool: Tool, choice: ToolChoice, in_history: list[str]) -> bool:
    return tool.name in choice.names or tool.name in in_history


def _worded(tool: Tool) -> msgspec.Raw | Block | None:
    if tool.payload is not None and tool.dialect == DIALECT:
        return tool.payload
    if tool.kind != "function":
        return None
    spec: Block = {"name": tool.name}
    if tool.description.strip():
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": tool.schema or _NO_PARAMETERS}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {"toolSpec": spec}


def _standing_for(name: str) -> Block:
    """Describe a tool that is only known from the calls it had."""
    return {
        "toolSpec": {
            "name": name,
            "description": "A tool used earlier in this conversation.",
            "inputSchema": {"json": _NO_PARAMETERS},
        }
    }


def _choice(choice: ToolChoice | None) -> Block | None:
    if choice is None or choice.mode == "none":
        return None
    if choice.mode == "one" and choice.names:
        return {"tool": {"name": choice.names[0]}}
    if choice.mode == "any" or choice.is_required:
        return {"any": {}}
    return {"auto": {}}


def _native_choice(choice: ToolChoice, model: str) -> Block | None:
    """Word a choice in Claude's own field, where parallel calls can be forbidden."""
    if choice.parallel is None or not is_claude(model):
        return None
    if choice.mode == "none" or choice.parallel:
        return None
    made: Block = {"type": "auto"}
    if choice.mode == "one" and choice.names:
        made = {"type": "tool", "name": choice.names[0]}
    elif choice.mode == "any" or choice.is_required:
        made = {"type": "any"}
    made["disable_parallel_tool_use"] = True
    return made
