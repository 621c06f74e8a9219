"""Offer tools the way an upstream takes them, and rename them in the history too.

Source: reference wire 2.3 to 2.5, P35 to P43, T41 to T52, T66 to T68, T74.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.builtins import as_function
from providers.formats.neutral.fit.choice import fit_choice, has_calls
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.names import Key, wire_names
from providers.formats.neutral.fit.schemas import enforceable
from providers.formats.neutral.fit.search import (
    execution_tool,
    is_execution,
    is_search,
    search_tool,
    stays_inside,
)
from providers.formats.neutral.fit.walk import with_parts
from providers.formats.neutral.types import (
    Part,
    Request,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_FREE_TEXT: Final = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},'
    b'"required":["input"],"additionalProperties":false}'
)


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the client's tools are called on the wire.

    Shapes:  ``wire`` by the client's (namespace, name); ``kinds`` are those of tools
             that went out as another kind, by the same key.
    """

    wire: Mapping[Key, str]
    kinds: Mapping[Key, str]


def fit_tools(
    request: Request, caps: Capabilities, losses: Losses
) -> tuple[Request, Naming]:
    """Fit the tools offered, the choice among them, and the calls of the history.

    Errors:  FormatError for tools no model here could call.
    """
    if request.tools and not caps.tools:
        raise FormatError(
            "This model does not call tools.", code="unsupported_value", param="tools"
        )
    calls = has_calls(request.turns)
    if not request.tools and not calls:
        gone = request.tool_choice is not None
        empty = Naming(wire={}, kinds={})
        return (replace(request, tool_choice=None) if gone else request), empty
    needs_tools = caps.tools_needed_for_history and calls
    tools, choice = fit_choice(
        request.tools, request.tool_choice, caps, losses, needs_tools=needs_tools
    )
    kinds: dict[Key, str] = {}
    tools = tuple(_offered(tools, caps, kinds, losses))
    if not caps.server_tools_with_functions:
        tools = _functions_alone(tools, losses)
    if needs_tools and not tools:
        losses.add("tools", "emulate", "offered again for the calls of the history")
        tools = tuple(_of_history(request, caps))
    wire = wire_names(_keys(request, tools, choice), caps)
    choice = _named(choice, tools, wire)
    if not tools:
        choice = None
    fitted = replace(
        request,
        tools=tuple(_renamed(tool, wire, caps) for tool in tools),
        tool_choice=choice,
        turns=with_parts(request.turns, _Recall(wire, caps)),
    )
    return fitted, Naming(wire=wire, kinds=kinds)


def _offered(
    tools: tuple[Tool, ...], caps: Capabilities, kinds: dict[Key, str], losses: Losses
) -> Iterator[Tool]:
    """Return the tools an upstream can be offered, each once."""
    seen: set[Key] = set()
    for tool in tools:
        made = _fitted(tool, caps, losses)
        if made is None:
            continue
        is_ours = made.kind in ("function", "custom")
        key = (made.namespace if is_ours else made.type, made.name)
        if key in seen:
            losses.add(f"tools.{made.name}", "drop", "offered twice")
            continue
        seen.add(key)
        was_own = tool.dialect == "responses" and tool.kind == "builtin"
        if made.kind == "function" and (tool.kind == "custom" or was_own):
            kinds[made.namespace, made.name] = tool.kind
        yield made


def _functions_alone(tools: tuple[Tool, ...], losses: Losses) -> tuple[Tool, ...]:
    """Leave a vendor's own tools out where they may not stand beside functions."""
    kept = tuple(tool for tool in tools if tool.kind != "server")
    if not kept:
        return tools
    for tool in tools:
        if tool.kind == "server":
            losses.add(f"tools.{tool.name}", "drop", "beside functions")
    return kept


def _fitted(tool: Tool, caps: Capabilities, losses: Losses) -> Tool | None:
    """Return one tool as the upstream takes it; None where it takes none."""
    is_own = tool.dialect in caps.speaks
    if tool.kind == "server":
        return _server(tool, caps, losses, is_own=is_own)
    if tool.kind == "builtin":
        if is_own and caps.builtin_tools:
            return tool
        made = as_function(tool)
        if made is None:
            losses.add(f"tools.{tool.type or tool.name}")
        return made
    if tool.kind == "custom" and not caps.custom_tools:
        tool = _as_function(tool, losses)
    if tool.is_deferred and not (caps.deferred_tools and is_own):
        tool = replace(tool, is_deferred=False)
    if tool.strict is not None and not caps.strict_tools:
        if tool.strict:
            losses.add(f"tools.{tool.name}.strict")
        tool = replace(tool, strict=None)
    return _enforced(tool, caps, losses) if tool.strict else tool


def _enforced(tool: Tool, caps: Capabilities, losses: Losses) -> Tool:
    """Return a strict tool whose schema the upstream can hold a model to."""
    if tool.schema is None:
        return tool
    schema, dropped = enforceable(tool.schema, caps)
    for keyword in dropped:
        losses.add(f"tools.{tool.name}.{keyword}")
    return tool if schema is tool.schema else replace(tool, schema=schema)


def _server(
    tool: Tool, caps: Capabilities, losses: Losses, *, is_own: bool
) -> Tool | None:
    """Return a tool the vendor runs; never one the client would have to run."""
    if is_own and (caps.web_search or not is_search(tool)):
        return tool
    # A search of a vendor's own store must not become one of the open web.
    if caps.web_search and is_search(tool) and not stays_inside(tool):
        return search_tool(tool, caps, losses)
    if caps.code_execution and is_execution(tool):
        return execution_tool(tool, caps)
    losses.add(f"tools.{tool.type or tool.name}")
    return None


def _as_function(tool: Tool, losses: Losses) -> Tool:
    """Return a tool of free text as a function of one string."""
    description = tool.description
    if tool.format is not None and b'"text"' not in bytes(tool.format)[:16]:
        shape = bytes(tool.format).decode("utf-8", "replace")
        losses.add(f"tools.{tool.name}.format", "emulate")
        told = f"The input is free text in this format: {shape}"
        description = f"{description}\n\n{told}" if description else told
    return replace(
        tool,
        kind="function",
        description=description,
        schema=_FREE_TEXT,
        format=None,
        strict=None,
    )


def _of_history(request: Request, caps: Capabilities) -> Iterator[Tool]:
    """Return tools for the calls of a history that came without its tools."""
    for namespace, name in dict.fromkeys(_called(request)):
        yield Tool(
            kind="function", name=name, namespace=namespace, schema=_NO_PARAMETERS
        )


def _called(request: Request) -> Iterator[Key]:
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall) and part.kind != "server":
                yield part.namespace, part.name


def _keys(
    request: Request, tools: tuple[Tool, ...], choice: ToolChoice | None
) -> Iterator[Key]:
    """Return every tool a name is needed for."""
    known: set[str] = set()
    for tool in tools:
        known.add(tool.name)
        if tool.kind in ("function", "custom"):
            yield tool.namespace, tool.name
    yield from _called(request)
    for name in choice.names if choice is not None else ():
        if name not in known:
            yield "", name


def _named(
    choice: ToolChoice | None, tools: tuple[Tool, ...], wire: Mapping[Key, str]
) -> ToolChoice | None:
    """Return a choice in the names of the wire."""
    if choice is None or not choice.names:
        return choice
    spaces = {tool.name: tool.namespace for tool in reversed(tools)}
    names = tuple(wire.get((spaces.get(name, ""), name), name) for name in choice.names)
    return choice if names == choice.names else replace(choice, names=names)


def _renamed(tool: Tool, wire: Mapping[Key, str], caps: Capabilities) -> Tool:
    name = wire.get((tool.namespace, tool.name), tool.name)
    if tool.kind not in ("function", "custom"):
        return tool
    if tool.namespace and not caps.namespaces:
        # What the tool said of itself was said of its whole namespace.
        return replace(tool, name=name, namespace="", dialect="", payload=None)
    return tool if name == tool.name else replace(tool, name=name)


class _Recall:
    """Rename the calls and results of a history like the tools."""

    def __init__(self, wire: Mapping[Key, str], caps: Capabilities) -> None:
        self._wire = wire
        self._caps = caps
        self._names: dict[str, str] = {}
        self._without_id: dict[str, list[str]] = {}

    def __call__(self, part: Part) -> Part:
        """Return a part under the names of the wire."""
        if isinstance(part, ToolCall) and part.kind != "server":
            return self._call(part)
        if isinstance(part, ToolResult) and part.kind != "server":
            return self._result(part)
        return part

    def _call(self, part: ToolCall) -> ToolCall:
        name = self._wire[part.namespace, part.name]
        kept_space = part.namespace if self._caps.namespaces else ""
        if part.id:
            self._names[part.id] = name
        else:
            self._without_id.setdefault(part.name, []).append(name)
        if (name, kept_space) != (part.name, part.namespace):
            part = replace(part, name=name, namespace=kept_space)
        if part.kind == "custom" and not self._caps.custom_tools:
            wrapped = msgspec.json.encode({"input": part.arguments}).decode()
            return replace(part, kind="function", arguments=wrapped)
        if part.kind == "builtin" and not self._caps.builtin_tools:
            return replace(part, kind="function")
        return part

    def _result(self, part: ToolResult) -> ToolResult:
        name = self._name_of(part)
        kind = part.kind
        if kind == "custom" and not self._caps.custom_tools:
            kind = "function"
        if kind == "builtin" and not self._caps.builtin_tools:
            kind = "function"
        if (name, kind) == (part.name, part.kind):
            return part
        return replace(part, name=name, kind=kind)

    def _name_of(self, part: ToolResult) -> str:
        """Return the name of the call a result answers; without ids order tells."""
        if part.call_id:
            return self._names.get(part.call_id, part.name)
        return self._without_id[part.name].pop(0)
