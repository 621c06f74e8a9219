"""Take tools and the choice among them apart, and put them together."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.anthropic_messages.parts import ID, invalid, read_cache
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.anthropic_messages.words import Words, marked
from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Loss, Tool, ToolChoice, ToolKind

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_CLIENT_TOOLS: Final = ("bash_", "text_editor_", "computer_", "browser_", "memory_")
_READ: Final = frozenset(
    {
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "defer_loading",
    }
)
_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')


class _Tool(msgspec.Struct):
    """Name the members of a tool that are read."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = ABSENT
    strict: bool | None = None
    defer_loading: bool | None = None
    cache_control: msgspec.Raw = ABSENT


class _Choice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_TOOL: Final = msgspec.json.Decoder(_Tool)
_CHOICE: Final = msgspec.json.Decoder(_Choice)


def read_tools(raw: msgspec.Raw | None) -> tuple[Tool, ...]:
    """Read a request's tools.

    Errors:  FormatError naming the one at fault.
    """
    if (raw := given(raw)) is None:
        return ()
    try:
        each = _LIST.decode(raw)
    except UNREADABLE:
        raise invalid("tools", "must be an array") from None
    return tuple(_read_tool(one, f"tools.{place}") for place, one in enumerate(each))


def read_choice(raw: msgspec.Raw | None) -> ToolChoice | None:
    """Read which tools may be called.

    Errors:  FormatError.
    """
    if (raw := given(raw)) is None:
        return None
    try:
        choice = _CHOICE.decode(raw)
    except UNREADABLE as error:
        raise invalid("tool_choice", str(error)) from None
    parallel = (
        None
        if choice.disable_parallel_tool_use is None
        else not choice.disable_parallel_tool_use
    )
    if choice.type == "tool" and choice.name:
        return ToolChoice(
            mode="one", names=(choice.name,), is_required=True, parallel=parallel
        )
    if choice.type == "any":
        return ToolChoice(mode="any", is_required=True, parallel=parallel)
    if choice.type == "none":
        return ToolChoice(mode="none", parallel=parallel)
    if choice.type == "auto":
        return ToolChoice(mode="auto", parallel=parallel)
    raise invalid("tool_choice.type", "must be auto, any, tool or none")


def tool_words(tool: Tool, losses: list[Loss]) -> Words | None:
    """Word one tool; None for one this dialect cannot offer."""
    if tool.kind in ("server", "builtin"):
        return _vendor_tool(tool, losses)
    words: Words = {}
    if tool.dialect == ID and tool.payload is not None:
        words = dict(_MEMBERS.decode(tool.payload))
        if not tool.is_deferred:
            words.pop("defer_loading", None)
    words["name"] = tool.name
    if tool.description:
        words["description"] = tool.description
    words["input_schema"] = _NO_PARAMETERS if tool.schema is None else tool.schema
    if tool.strict is not None:
        words["strict"] = tool.strict
    if tool.is_deferred and tool.dialect == ID:
        words["defer_loading"] = True
    return marked(words, tool.cache)


def choice_words(choice: ToolChoice) -> Words:
    """Word which tools may be called.

    A subset went out as the only tools there are, so that all of them may be called.
    """
    words: Words = {"type": "auto"}
    if choice.mode == "none":
        return {"type": "none"}
    if choice.mode == "one" and choice.names:
        words = {"type": "tool", "name": choice.names[0]}
    elif choice.mode == "any" or (choice.mode == "subset" and choice.is_required):
        words = {"type": "any"}
    if choice.parallel is not None:
        words["disable_parallel_tool_use"] = not choice.parallel
    return words


def _read_tool(raw: msgspec.Raw, where: str) -> Tool:
    try:
        tool = _TOOL.decode(raw)
        members = _MEMBERS.decode(raw)
    except UNREADABLE as error:
        raise invalid(where, str(error)) from None
    cache = read_cache(given(tool.cache_control))
    if tool.type not in (None, "custom"):
        type_ = tool.type or ""
        kind: ToolKind = "builtin" if type_.startswith(_CLIENT_TOOLS) else "server"
        return Tool(
            kind=kind,
            name=tool.name,
            type=type_,
            dialect=ID,
            payload=msgspec.Raw(bytes(raw)),
            cache=cache,
            is_deferred=bool(tool.defer_loading),
        )
    if not tool.name:
        raise invalid(f"{where}.name", "Field required")
    schema = given(tool.input_schema)
    return Tool(
        kind="function",
        name=tool.name,
        description=tool.description or "",
        schema=None if schema is None else msgspec.Raw(bytes(schema)),
        strict=tool.strict,
        dialect=ID,
        payload=None if members.keys() <= _READ else msgspec.Raw(bytes(raw)),
        cache=cache,
        is_deferred=bool(tool.defer_loading),
    )


def _vendor_tool(tool: Tool, losses: list[Loss]) -> Words | None:
    """Word a tool that is known by its type, as this dialect knows it."""
    if tool.dialect == ID and tool.payload is not None:
        return marked(dict(_MEMBERS.decode(tool.payload)), tool.cache)
    losses.append(Loss(field="tools", detail=tool.type or tool.name))
    return None
