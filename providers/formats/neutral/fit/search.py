"""Carry a vendor's web search or code execution over to another vendor's.

Source: reference wire 2.3, P123, T74.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import Tool

NAME: Final = "web_search"
EXECUTION: Final = "code_execution"
_EXECUTIONS: Final = ("code_execution", "codeexecution", "code_interpreter")
_KINDS: Final = ("web_search", "google_search", "googlesearch")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_execution(tool: Tool) -> bool:
    """Tell a tool that runs code at the vendor's, however it is spelled."""
    return (tool.type or tool.name).lower().startswith(_EXECUTIONS)


def execution_tool(tool: Tool, caps: Capabilities) -> Tool:
    """Return the upstream's own code execution."""
    dialect = caps.speaks[0] if caps.speaks else ""
    payload: dict[str, Any] = {caps.code_execution: {}}
    if dialect == "responses":
        payload = {"type": caps.code_execution, "container": {"type": "auto"}}
    return Tool(
        kind="server",
        name=EXECUTION,
        type=EXECUTION,
        dialect=dialect,
        payload=msgspec.Raw(msgspec.json.encode(payload)),
        cache=tool.cache,
    )


def is_search(tool: Tool) -> bool:
    """Tell a web search, however its vendor spells it."""
    return (tool.type or tool.name).lower().startswith(_KINDS)


def stays_inside(tool: Tool) -> bool:
    """Tell a search that must not leave its vendor: Codex asks for one."""
    told = _members(tool.payload).get("external_web_access")
    return told is not None and bytes(told).strip() == b"false"


def search_tool(tool: Tool, caps: Capabilities, losses: Losses) -> Tool:
    """Return the upstream's own search, bounded as far as it has words for that."""
    bounds = _bounds(tool)
    dialect = caps.speaks[0] if caps.speaks else ""
    payload, used = _worded(dialect, caps.web_search, bounds)
    for name in bounds.keys() - used:
        losses.add(f"tools.{NAME}.{name}")
    return Tool(
        kind="server",
        name=NAME,
        type=NAME,
        dialect=dialect,
        payload=msgspec.Raw(msgspec.json.encode(payload)),
        cache=tool.cache,
    )


def _bounds(tool: Tool) -> dict[str, msgspec.Raw]:
    """Return what bounds a search, by its plain names."""
    members = _members(tool.payload)
    filters = _members(members.get("filters"))
    bounds = {
        name: value
        for name, value in {**members, **filters}.items()
        if name
        in ("allowed_domains", "blocked_domains", "search_context_size", "max_uses")
        and bytes(value) != b"null"
    }
    place = members.get("user_location")
    if place is not None and bytes(place) != b"null":
        inner = _members(place).get("approximate")
        if inner is not None:
            head = b'{"type":"approximate"'
            rest = bytes(inner).strip()[1:]
            joint = b"" if rest.strip() == b"}" else b","
            place = msgspec.Raw(head + joint + rest)
        bounds["user_location"] = place
    return bounds


def _worded(
    dialect: str, kind: str, bounds: dict[str, msgspec.Raw]
) -> tuple[dict[str, Any], set[str]]:
    """Return a search in a dialect's words, and the bounds it could say."""
    if dialect == "anthropic":
        names = {"allowed_domains", "blocked_domains", "user_location", "max_uses"}
        return {"type": kind, "name": NAME, **_some(bounds, names)}, names
    if dialect == "responses":
        names = {"user_location", "search_context_size"}
        payload: dict[str, Any] = {"type": kind, **_some(bounds, names)}
        if "allowed_domains" in bounds:
            payload["filters"] = {"allowed_domains": bounds["allowed_domains"]}
        return payload, names | {"allowed_domains"}
    if dialect == "openai":
        payload = _some(bounds, {"search_context_size"})
        if "user_location" in bounds:
            place = _members(bounds["user_location"])
            place.pop("type", None)
            payload["user_location"] = {"type": "approximate", "approximate": place}
        return payload, {"search_context_size", "user_location"}
    return {kind: {}}, set()


def _some(bounds: dict[str, msgspec.Raw], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in bounds.items() if name in names}


def _members(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    if raw is None:
        return {}
    try:
        return _MEMBERS.decode(raw)
    except UNREADABLE:
        return {}
