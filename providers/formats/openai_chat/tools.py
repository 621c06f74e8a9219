"""Take tools and their choice apart, and word them again.

Source: reference wire 1.1, 2.3, 2.4; flat tools as in wire 3, P40.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import Loss, Request, Tool, ToolChoice
from providers.formats.openai_chat.fields import (
    UNSET,
    Fields,
    as_object,
    invalid,
    is_said,
    parsed,
)
from providers.formats.openai_chat.parts import DIALECT, read_cache, write_cache

WEB_SEARCH: Final = "web_search"


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = UNSET
    strict: bool | None = None


class _Custom(msgspec.Struct):
    name: str
    description: str | None = None
    format: msgspec.Raw = UNSET


class _Tool(msgspec.Struct):
    """Hold a tool; its fields may stand flat beside its type, as Responses does."""

    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = UNSET
    strict: bool | None = None
    format: msgspec.Raw = UNSET
    cache_control: msgspec.Raw = UNSET


class _Named(msgspec.Struct):
    name: str


class _Allowed(msgspec.Struct):
    tools: list[_Choice]
    mode: str = "auto"


class _Choice(msgspec.Struct):
    type: str | None = None
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _Allowed | None = None
    name: str | None = None
    tools: list[_Choice] | None = None
    mode: str | None = None


_TOOLS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TOOL: Final = msgspec.json.Decoder(_Tool)
_FUNCTIONS: Final = msgspec.json.Decoder(list[_Function])
_CHOICE: Final = msgspec.json.Decoder(str | _Choice)


def read_tools(fields: Fields) -> tuple[Tool, ...]:
    """Read tools, legacy functions and the search of search models.

    Errors:  FormatError with the field at fault.
    """
    tools: list[Tool] = []
    raw = fields.raw("tools")
    listed: list[msgspec.Raw] = [] if raw is None else parsed(raw, _TOOLS, "tools")
    for place, each in enumerate(listed):
        tools.append(_tool(each, f"tools[{place}]"))
    raw = fields.raw("functions")
    if raw is not None:
        functions = parsed(raw, _FUNCTIONS, "functions")
        tools += [_function(each, None) for each in functions]
    raw = fields.raw("web_search_options")
    if raw is not None:
        tools.append(
            Tool(
                kind="server",
                name=WEB_SEARCH,
                type=WEB_SEARCH,
                dialect=DIALECT,
                payload=raw,
            )
        )
    return tuple(tools)


def read_tool_choice(fields: Fields) -> ToolChoice | None:
    """Read what may be called; None when the client did not say.

    Errors:  FormatError with the field at fault.
    """
    parallel = fields.flag("parallel_tool_calls")
    raw = fields.raw("tool_choice")
    param = "tool_choice"
    if raw is None:
        raw, param = fields.raw("function_call"), "function_call"
    if raw is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    value = parsed(raw, _CHOICE, param)
    if isinstance(value, str):
        words = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
        if value not in words:
            raise invalid(param, "must be none, auto, required or name a tool")
        return ToolChoice(mode=words[value], parallel=parallel)  # type: ignore[arg-type]
    if value.type == "allowed_tools":
        allowed = value.allowed_tools or _Allowed(value.tools or [], value.mode or "")
        names = tuple(filter(None, map(_chosen, allowed.tools)))
        if not names:
            raise invalid(f"{param}.allowed_tools.tools", "must name tools")
        return ToolChoice(
            mode="subset",
            names=names,
            is_required=allowed.mode == "required",
            parallel=parallel,
        )
    name = _chosen(value)
    if not name:
        raise invalid(param, "must name a tool")
    return ToolChoice(mode="one", names=(name,), parallel=parallel)


def write_tools(
    request: Request, caps: Capabilities, losses: list[Loss]
) -> dict[str, Any]:
    """Word tools and their choice as the members of a body; empty without tools."""
    written: dict[str, Any] = {}
    tools: list[Any] = []
    for tool in request.tools:
        if tool.kind in ("function", "custom"):
            tools.append(_written(tool, caps, losses))
        elif tool.dialect != DIALECT or tool.payload is None:
            losses.append(Loss(field=f"tools.{tool.type or tool.name}"))
        elif tool.type == WEB_SEARCH:
            written["web_search_options"] = tool.payload
        else:
            tools.append(tool.payload)
    if not tools:
        return written
    written["tools"] = tools
    choice = request.tool_choice
    if choice is None:
        return written
    if choice.parallel is None or choice.mode != "auto":
        written["tool_choice"] = _written_choice(choice, request.tools)
    if choice.parallel is not None:
        if caps.parallel_tool_calls:
            written["parallel_tool_calls"] = choice.parallel
        else:
            losses.append(Loss(field="parallel_tool_calls"))
    return written


def _tool(raw: msgspec.Raw, param: str) -> Tool:
    """Read one tool."""
    kind = as_object(raw).get("type")
    if kind not in (None, "function", "custom"):
        if not isinstance(kind, str):
            raise invalid(f"{param}.type", "must be a string")
        return Tool(kind="server", name=kind, type=kind, dialect=DIALECT, payload=raw)
    wire = parsed(raw, _TOOL, param)
    cache = wire.cache_control
    if kind == "custom":
        custom = wire.custom
        if custom is None:
            name = _needed(wire.name, f"{param}.custom")
            custom = _Custom(name, wire.description, wire.format)
        return Tool(
            kind="custom",
            name=custom.name,
            description=custom.description or "",
            format=custom.format if is_said(custom.format) else None,
            cache=read_cache(cache),
        )
    function = wire.function
    if function is None:
        name = _needed(wire.name, f"{param}.function")
        function = _Function(name, wire.description, wire.parameters, wire.strict)
    return _function(function, cache)


def _function(wire: _Function, cache: msgspec.Raw | None) -> Tool:
    """Read a function."""
    return Tool(
        kind="function",
        name=wire.name,
        description=wire.description or "",
        schema=wire.parameters if is_said(wire.parameters) else None,
        strict=wire.strict,
        cache=read_cache(cache),
    )


def _needed(name: str | None, param: str) -> str:
    """Return what must be there."""
    if not name:
        raise FormatError(
            f"The field '{param}' is missing.", code="missing_field", param=param
        )
    return name


def _chosen(choice: _Choice) -> str:
    """Return the name of a tool that was chosen, nested or flat."""
    named = choice.function or choice.custom
    return named.name if named is not None else choice.name or ""


def _written(tool: Tool, caps: Capabilities, losses: list[Loss]) -> dict[str, Any]:
    """Word one tool."""
    inner: dict[str, Any] = {"name": tool.name}
    if tool.description:
        inner["description"] = tool.description
    if tool.kind == "custom":
        if tool.format is not None:
            inner["format"] = tool.format
        written: dict[str, Any] = {"type": "custom", "custom": inner}
    else:
        if tool.schema is not None:
            inner["parameters"] = tool.schema
        if tool.strict is not None:
            if caps.strict_tools:
                inner["strict"] = tool.strict
            elif tool.strict:
                losses.append(Loss(field="tools.strict"))
        written = {"type": "function", "function": inner}
    if tool.cache is not None and caps.cache_marks:
        written["cache_control"] = write_cache(tool.cache)
    return written


def _written_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> Any:
    """Word the choice."""
    if choice.mode in ("auto", "none"):
        return choice.mode
    if choice.mode == "any" or not choice.names:
        return "required"
    kinds = {tool.name: tool.kind for tool in tools}
    chosen = [_reference(name, kinds.get(name)) for name in choice.names]
    if choice.mode == "one":
        return chosen[0]
    return {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required" if choice.is_required else "auto",
            "tools": chosen,
        },
    }


def _reference(name: str, kind: str | None) -> dict[str, Any]:
    """Name one tool."""
    word = "custom" if kind == "custom" else "function"
    return {"type": word, word: {"name": name}}
