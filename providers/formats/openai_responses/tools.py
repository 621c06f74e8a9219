"""Tools and the choice among them, both ways.

Source: reference wire 1.2 tool kinds, 2.3, 2.4; P41, P42, P52.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, FormatError
from providers.formats.neutral.types import Loss, Tool, ToolChoice, ToolKind
from providers.formats.openai_responses.peek import DIALECT, invalid
from providers.formats.openai_responses.wire import UNSET

_BUILTIN: Final = frozenset(
    {"local_shell", "shell", "apply_patch", "computer", "computer_use_preview"}
)
"""Run by the client; every other kind unknown here is run by the vendor."""

_EMPTY_SCHEMA: Final = {"type": "object", "properties": {}}
_MODES: Final = {"none": "none", "auto": "auto", "required": "any"}
_WORDS: Final = {"none": "none", "auto": "auto", "any": "required"}
_HOSTED_ALIKE: Final[dict[str, dict[str, Any]]] = {
    "web_search": {"type": "web_search"},
    "google_search": {"type": "web_search"},
    "googlesearch": {"type": "web_search"},
    "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
    "codeexecution": {"type": "code_interpreter", "container": {"type": "auto"}},
}
"""What other vendors call the tools this one runs itself, by how the name begins."""


class _Tool(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = UNSET
    strict: bool | None = None
    format: msgspec.Raw = UNSET
    tools: list[msgspec.Raw] | None = None
    defer_loading: bool | None = None
    server_label: str | None = None


class _Named(msgspec.Struct):
    type: str = ""
    name: str | None = None
    server_label: str | None = None


class _Choice(msgspec.Struct):
    type: str
    name: str | None = None
    server_label: str | None = None
    mode: str = "auto"
    tools: list[_Named] = []


_TOOL: Final = msgspec.json.Decoder(_Tool)
_TOOLS: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
_CHOICE: Final = msgspec.json.Decoder(_Choice | str | None)


def read_tools(raw: msgspec.Raw | None) -> list[Tool]:
    """Read a list of tools; a namespace's tools stand beside the others.

    Errors:  FormatError naming ``tools``.
    """
    if raw is None or raw == UNSET:
        return []
    try:
        found: list[Tool] = []
        for each in _TOOLS.decode(raw) or ():
            wire = _TOOL.decode(each)
            if wire.type == "namespace":
                found += _children(wire)
            else:
                found.append(_read_tool(wire, each))
    except UNREADABLE:
        raise invalid("tools", "holds a tool that cannot be read") from None
    return found


def merged(known: Iterable[Tool], more: Iterable[Tool]) -> list[Tool]:
    """Add tools that came in the input to those beside it; the same name counts once."""
    tools = list(known)
    names = {(tool.namespace, tool.name) for tool in tools}
    for tool in more:
        if (tool.namespace, tool.name) not in names:
            names.add((tool.namespace, tool.name))
            tools.append(tool)
    return tools


def _children(wire: _Tool) -> list[Tool]:
    head = {"type": "namespace", "name": wire.name, "description": wire.description}
    payload = msgspec.Raw(msgspec.json.encode(head))
    return [
        msgspec.structs.replace(
            _read_tool(_TOOL.decode(each), each),
            namespace=wire.name or "",
            dialect=DIALECT,
            payload=payload,
        )
        for each in wire.tools or ()
    ]


def _read_tool(wire: _Tool, raw: msgspec.Raw) -> Tool:
    is_deferred = wire.defer_loading is True
    if wire.type == "function":
        schema = wire.parameters
        return Tool(
            kind="function",
            name=_required(wire.name),
            description=wire.description or "",
            schema=_kept(schema),
            strict=wire.strict,
            is_deferred=is_deferred,
        )
    if wire.type == "custom":
        return Tool(
            kind="custom",
            name=_required(wire.name),
            description=wire.description or "",
            format=_kept(wire.format),
            is_deferred=is_deferred,
        )
    kind: ToolKind = "builtin" if wire.type in _BUILTIN else "server"
    return Tool(
        kind=kind,
        name=wire.server_label or wire.type,
        type=wire.type,
        dialect=DIALECT,
        payload=msgspec.Raw(bytes(raw)),
    )


def _required(name: str | None) -> str:
    if not name:
        raise FormatError(
            "Every tool needs a name.", code="missing_field", param="tools"
        )
    return name


def _kept(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return a copy that does not hold the whole body; null is none."""
    if bytes(raw) in (b"", b"null"):
        return None
    return msgspec.Raw(bytes(raw))


def read_choice(
    raw: msgspec.Raw | None, parallel: msgspec.Raw | None
) -> ToolChoice | None:
    """Read ``tool_choice`` and ``parallel_tool_calls``; None when neither was said.

    Errors:  FormatError naming ``tool_choice``.
    """
    at_once = (
        None
        if parallel is None
        else {b"true": True, b"false": False}.get(bytes(parallel))
    )
    try:
        wire = None if raw is None else _CHOICE.decode(raw)
    except UNREADABLE:
        raise invalid("tool_choice", "cannot be read") from None
    if wire is None:
        return None if at_once is None else ToolChoice(parallel=at_once)
    if isinstance(wire, str):
        mode = _MODES.get(wire)
        if mode is None:
            raise invalid("tool_choice", "must be none, auto or required")
        return msgspec.convert({"mode": mode, "parallel": at_once}, ToolChoice)
    if wire.type == "allowed_tools":
        return ToolChoice(
            mode="subset",
            names=tuple(
                each.name or each.server_label or each.type for each in wire.tools
            ),
            is_required=wire.mode == "required",
            parallel=at_once,
        )
    name = wire.server_label or wire.name or wire.type
    return ToolChoice(mode="one", names=(name,), parallel=at_once)


def word_tools(
    tools: Iterable[Tool], losses: list[Loss], *, is_native: bool
) -> list[Any]:
    """Word tools; those of one namespace are one entry, where the first of them was.

    Shapes:  ``is_native`` = the client spoke this dialect: what it left unsaid stays
             unsaid. From another dialect strictness is switched off in so many words,
             for here it is on by default.
    """
    worded: list[Any] = []
    spaces: dict[str, dict[str, Any]] = {}
    for tool in tools:
        made = _word_tool(tool, is_native)
        if made is None:
            losses.append(Loss(field=tool.type or tool.name, detail="tools"))
        elif tool.namespace:
            space = spaces.get(tool.namespace)
            if space is None:
                space = spaces[tool.namespace] = _space(tool)
                worded.append(space)
            space["tools"].append(made)
        else:
            worded.append(made)
    return worded


def _space(tool: Tool) -> dict[str, Any]:
    head: dict[str, Any] = {}
    if tool.dialect == DIALECT and tool.payload is not None:
        head = msgspec.json.decode(tool.payload)
    return {"type": "namespace", "name": tool.namespace, **head, "tools": []}


def _word_tool(tool: Tool, is_native: bool) -> Any:
    if tool.kind in ("server", "builtin"):
        if tool.dialect == DIALECT and tool.payload is not None:
            return tool.payload
        return _alike(tool)
    made: dict[str, Any] = {"type": tool.kind, "name": tool.name}
    if tool.description:
        made["description"] = tool.description
    if tool.kind == "custom":
        if tool.format is not None:
            made["format"] = tool.format
    else:
        empty = None if is_native else _EMPTY_SCHEMA
        made["parameters"] = tool.schema if tool.schema is not None else empty
        if tool.strict is not None or not is_native:
            made["strict"] = tool.strict is True
    if tool.is_deferred and is_native:
        made["defer_loading"] = True
    return made


def _alike(tool: Tool) -> dict[str, Any] | None:
    name = (tool.type or tool.name).lower()
    for beginning, made in _HOSTED_ALIKE.items():
        if name.startswith(beginning):
            return made
    return None


def word_choice(choice: ToolChoice, tools: Iterable[Tool]) -> Any:
    """Word a choice; the kind of a named tool is that of the tool itself."""
    word = _WORDS.get(choice.mode)
    if word is not None:
        return word
    kinds = {tool.name: tool for tool in tools}
    named = [_reference(name, kinds.get(name)) for name in choice.names]
    if choice.mode == "one" and named:
        return named[0]
    mode = "required" if choice.is_required else "auto"
    return {"type": "allowed_tools", "mode": mode, "tools": named}


def _reference(name: str, tool: Tool | None) -> dict[str, str]:
    if tool is None or tool.kind == "function":
        return {"type": "function", "name": name}
    if tool.kind == "custom":
        return {"type": "custom", "name": name}
    if tool.type == "mcp":
        return {"type": "mcp", "server_label": name}
    return {"type": (_alike(tool) or {}).get("type", tool.type)}
