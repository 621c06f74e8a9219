"""Tell who began a turn and whether there are pictures in it: a vendor bills by them.

A user begins one; an agent goes on, once the history has answers or results of tools.

Source: reference wire 1.7, P114.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.neutral.types import Media, Part, Request, ToolResult

_AGENTS: Final = frozenset({"assistant", "tool", "function"})
_WORK: Final = ("_call", "_call_output", "reasoning")


class _Item(msgspec.Struct):
    role: str | None = None
    type: str | None = None


_ITEMS: Final = msgspec.json.Decoder(list[_Item])


def is_agents(request: ChatRequest) -> bool:
    """Tell whether an agent goes on, by a client's own body.

    Cost:    one scan of the messages; only roles and types become objects.
    """
    values = request.members.values
    raw = values.get("messages", values.get("input"))
    if raw is None or memoryview(raw)[0] != 0x5B:
        return False
    try:
        items = _ITEMS.decode(raw)
    except UNREADABLE:
        return False
    return any(
        item.role in _AGENTS or (item.type or "").endswith(_WORK) for item in items
    )


def is_agents_turn(request: Request) -> bool:
    """Tell whether an agent goes on, by the neutral form."""
    return any(turn.role in ("assistant", "tool") for turn in request.turns)


def has_images(request: Request) -> bool:
    """Tell whether a picture is anywhere in a conversation."""
    return any(_shows(turn.parts) for turn in request.turns)


def _shows(parts: Iterable[Part]) -> bool:
    for part in parts:
        if isinstance(part, Media) and part.kind == "image":
            return True
        if isinstance(part, ToolResult) and _shows(part.content):
            return True
    return False
