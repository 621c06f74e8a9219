"""Keep cache marks within what the API takes: four, those for an hour first.

Source: reference wire 2.13, pitfall P4.
"""

from __future__ import annotations

from typing import Any, Final

from providers.formats.anthropic_messages.words import Words
from providers.formats.neutral.types import Loss

MOST_MARKS: Final = 4
_KEPT_MESSAGES: Final = 2


def settle_marks(body: Words) -> list[Loss]:
    """Trim and order a request's marks in place; name what changed.

    Shapes:  kept are the last mark on tools, the last on the system text and the last
             two on messages, then as many of the later others as there is room for. An
             automatic mark of the request itself counts as one.
    """
    tools = [tool for tool in body.get("tools", ()) if _is_marked(tool)]
    system = [block for block in body.get("system", ()) if _is_marked(block)]
    said = _marked_blocks(body.get("messages", ()))
    everything = [*tools, *system, *said]
    room = MOST_MARKS - ("cache_control" in body)
    losses: list[Loss] = []
    if len(everything) > room:
        losses.append(Loss(field="cache_control", detail=f"{len(everything)} marks"))
        everything = _trimmed(tools, system, said, room=room)
    if _order(everything):
        losses.append(Loss(field="cache_control", action="clamp", detail="ttl"))
    return losses


def _trimmed(
    tools: list[Words], system: list[Words], said: list[Words], *, room: int
) -> list[Words]:
    """Take off the marks that matter least; return the others, in order."""
    first = [*tools[-1:], *system[-1:], *said[-_KEPT_MESSAGES:]][-room:]
    others = [*tools[:-1], *system[:-1], *said[:-_KEPT_MESSAGES]]
    spare = room - len(first)
    kept = {id(block) for block in [*first, *(others[-spare:] if spare else ())]}
    everything = [*tools, *system, *said]
    for block in everything:
        if id(block) not in kept:
            del block["cache_control"]
    return [block for block in everything if id(block) in kept]


def _order(blocks: list[Words]) -> bool:
    """Shorten marks for an hour that come after one for five minutes."""
    has_short = changed = False
    for block in blocks:
        mark = block["cache_control"]
        is_long = isinstance(mark, dict) and mark.get("ttl") == "1h"
        if is_long and has_short:
            block["cache_control"] = {"type": "ephemeral"}
            changed = True
        has_short = has_short or not is_long
    return changed


def _marked_blocks(messages: Any) -> list[Words]:
    """List marked blocks of messages in order, those inside tool results too."""
    found: list[Words] = []
    for message in messages:
        for block in message["content"]:
            inner = block.get("content")
            if isinstance(inner, list):
                found += [
                    each
                    for each in inner
                    if isinstance(each, dict) and _is_marked(each)
                ]
            if _is_marked(block):
                found.append(block)
    return found


def _is_marked(block: Words) -> bool:
    return "cache_control" in block
