"""Change parts of turns, and leave what does not change the very same object."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_

from msgspec.structs import replace

from providers.formats.neutral.types import Part, Request, Turn

Change = Callable[[Part], Part | None]


def with_parts(turns: tuple[Turn, ...], change: Change) -> tuple[Turn, ...]:
    """Return turns with each part changed; None drops it."""
    return tuple(turn_with_parts(turn, change) for turn in turns)


def turn_with_parts(turn: Turn, change: Change) -> Turn:
    """Return one turn with each part changed."""
    parts = tuple(new for part in turn.parts if (new := change(part)) is not None)
    if len(parts) == len(turn.parts) and all(map(is_, parts, turn.parts)):
        return turn
    return replace(turn, parts=parts)


def everywhere(request: Request, change: Change) -> Request:
    """Return a request with each part of its instructions and turns changed."""
    instructions = with_parts(request.instructions, change)
    turns = with_parts(request.turns, change)
    return replace(request, instructions=instructions, turns=turns)
