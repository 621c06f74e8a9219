"""Keep as many cache marks as an upstream allows, the most useful ones.

Source: reference wire 2.13, P4, T63.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.walk import with_parts
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Part,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

_Marked = TypeVar("_Marked", bound=Text | Media | ToolCall | ToolResult | Tool)
Decide = Callable[[CacheMark], CacheMark | None]


def fit_cache_marks(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Keep the last mark on tools and system and the last ones on messages."""
    if request.cache is not None and not caps.auto_cache:
        losses.add("cache_control")
        request = replace(request, cache=None)
    counts = _counts(request)
    if not sum(counts):
        return request
    limit = caps.cache_marks - (request.cache is not None)
    kept = _shares(counts, max(limit, 0))
    ordered = _is_ordered(request)
    if kept == counts and ordered:
        return request
    if kept != counts:
        losses.add("cache_control")
    return _marked(request, _Chooser(counts, kept, losses))


def _counts(request: Request) -> list[int]:
    """Count the marks on tools, instructions and messages."""
    counts = [0, 0, 0]

    def count(place: int) -> Decide:
        def seen(mark: CacheMark) -> CacheMark:
            counts[place] += 1
            return mark

        return seen

    _visit(request, [count(0), count(1), count(2)])
    return counts


def _shares(counts: list[int], limit: int) -> list[int]:
    """Share the marks out: one for tools, one for system, the rest for messages."""
    kept = [0, 0, 0]
    for place, share in ((2, 1), (1, 1), (0, 1), (2, limit), (1, limit), (0, limit)):
        more = min(share, counts[place] - kept[place], limit - sum(kept))
        kept[place] += max(more, 0)
    return kept


def _is_ordered(request: Request) -> bool:
    """Tell whether no long mark comes after a short one."""
    short_seen = False
    is_ordered = True

    def look(mark: CacheMark) -> CacheMark:
        nonlocal short_seen, is_ordered
        if mark.ttl == "1h" and short_seen:
            is_ordered = False
        short_seen = short_seen or mark.ttl != "1h"
        return mark

    _visit(request, [look, look, look])
    return is_ordered


class _Chooser:
    """Decide mark by mark: the first ones over the share go."""

    def __init__(self, counts: list[int], kept: list[int], losses: Losses) -> None:
        self._over = [have - keep for have, keep in zip(counts, kept, strict=True)]
        self._short_seen = False
        self._losses = losses

    def at(self, place: int) -> Decide:
        """Return the decision for tools, instructions or messages."""

        def decide(mark: CacheMark) -> CacheMark | None:
            if self._over[place] > 0:
                self._over[place] -= 1
                return None
            if mark.ttl == "1h" and self._short_seen:
                self._losses.add("cache_control.ttl", "clamp")
                mark = CacheMark()
            self._short_seen = self._short_seen or mark.ttl != "1h"
            return mark

        return decide


def _marked(request: Request, chooser: _Chooser) -> Request:
    return _visit(request, [chooser.at(0), chooser.at(1), chooser.at(2)])


def _visit(request: Request, decide: list[Decide]) -> Request:
    """Ask about each mark in the order an upstream reads them."""
    tools = tuple(_remarked(tool, decide[0]) for tool in request.tools)
    instructions = with_parts(request.instructions, _for_parts(decide[1]))
    turns = with_parts(request.turns, _for_parts(decide[2]))
    return replace(request, tools=tools, instructions=instructions, turns=turns)


def _for_parts(decide: Decide) -> Callable[[Part], Part]:
    def change(part: Part) -> Part:
        if isinstance(part, ToolResult):
            content = tuple(
                _remarked(each, decide) if isinstance(each, Text | Media) else each
                for each in part.content
            )
            if content != part.content:
                part = replace(part, content=content)
            return _remarked(part, decide)
        if isinstance(part, Text | Media | ToolCall):
            return _remarked(part, decide)
        return part

    return change


def _remarked(holder: _Marked, decide: Decide) -> _Marked:
    if holder.cache is None:
        return holder
    mark = decide(holder.cache)
    return holder if mark is holder.cache else replace(holder, cache=mark)
