"""Read ``toolConfig``: which tools a model may call, and which it must."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from providers.formats.bedrock_converse.names import DIALECT
from providers.formats.bedrock_converse.raw import ABSENT, given
from providers.formats.neutral.types import CacheMark, Tool, ToolChoice


class _Schema(msgspec.Struct):
    json: msgspec.Raw = ABSENT


class _Spec(msgspec.Struct):
    name: str
    description: str = ""
    inputSchema: _Schema | None = None
    strict: bool | None = None


class _CachePoint(msgspec.Struct):
    ttl: str = "5m"


class _Tool(msgspec.Struct):
    toolSpec: _Spec | None = None
    cachePoint: _CachePoint | None = None


class _Named(msgspec.Struct):
    name: str = ""


class _Choice(msgspec.Struct):
    any: dict[str, Any] | None = None
    tool: _Named | None = None


class _Config(msgspec.Struct):
    tools: list[msgspec.Raw] | None = None
    toolChoice: _Choice | None = None


_CONFIG: Final[msgspec.json.Decoder[_Config | None]] = msgspec.json.Decoder(
    _Config | None
)
_TOOL: Final = msgspec.json.Decoder(_Tool)
_KEYS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_tools(raw: msgspec.Raw | None) -> tuple[Tool, ...]:
    """Return the tools; a cache point marks the one before it.

    Errors:  msgspec.ValidationError.
    """
    config = None if raw is None else _CONFIG.decode(raw)
    tools: list[Tool] = []
    for each in (config.tools if config is not None else None) or ():
        wire = _TOOL.decode(each)
        if wire.toolSpec is not None:
            tools.append(_function(wire.toolSpec))
        elif wire.cachePoint is not None and tools and tools[-1].cache is None:
            mark = CacheMark(ttl=wire.cachePoint.ttl)
            tools[-1] = replace(tools[-1], cache=mark)
        else:
            tools.append(_other(each))
    return tuple(tools)


def read_tool_choice(
    raw: msgspec.Raw | None, native: Mapping[str, Any] | None
) -> ToolChoice | None:
    """Return what bounds the calls.

    Shapes:  ``native`` is Claude's own ``tool_choice`` among the additional fields,
             the one place that can forbid parallel calls.
    """
    config = None if raw is None else _CONFIG.decode(raw)
    choice = None if config is None else config.toolChoice
    if native is not None:
        return _native_choice(native)
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolChoice(mode="one", names=(choice.tool.name,), is_required=True)
    if choice.any is not None:
        return ToolChoice(mode="any", is_required=True)
    return ToolChoice()


def _native_choice(native: Mapping[str, Any]) -> ToolChoice:
    parallel = False if native.get("disable_parallel_tool_use") else None
    kind = native.get("type")
    if kind == "tool":
        name = str(native.get("name", ""))
        return ToolChoice(
            mode="one", names=(name,), is_required=True, parallel=parallel
        )
    if kind == "any":
        return ToolChoice(mode="any", is_required=True, parallel=parallel)
    if kind == "none":
        return ToolChoice(mode="none", parallel=parallel)
    return ToolChoice(parallel=parallel)


def _function(spec: _Spec) -> Tool:
    schema = None if spec.inputSchema is None else given(spec.inputSchema.json)
    return Tool(
        kind="function",
        name=spec.name,
        description=spec.description,
        schema=schema,
        strict=spec.strict,
    )


def _other(raw: msgspec.Raw) -> Tool:
    keys = _KEYS.decode(raw)
    kind = next(iter(keys), "")
    named = keys.get(kind, msgspec.Raw(b"{}"))
    name = ""
    if bytes(named)[:1] == b"{":
        name = msgspec.json.decode(named, type=_Named).name
    return Tool(kind="server", name=name, type=kind, dialect=DIALECT, payload=raw)
