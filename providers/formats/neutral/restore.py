"""Give tools back the names and kinds the client knows them by.

The way back of ``fit``: a tool that was renamed, flattened out of a namespace or turned
into a function is the client's own again, and the tool that stood for a structured
answer becomes the text it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from providers.formats.base import UNREADABLE
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    Finish,
    PartClose,
    PartOpen,
)
from providers.formats.neutral.fit.fitted import Fitted
from providers.formats.neutral.types import Text, ToolCall


class Restore:
    """Restore one answer's tools; takes repaired events.

    Cost:  nothing where no tool was changed.
    """

    __slots__ = ("_custom", "_json_tool", "_names", "_texts", "_unwrapped")

    def __init__(self, fitted: Fitted) -> None:
        self._names = fitted.names
        self._json_tool = fitted.json_tool
        self._custom: dict[int, list[str]] = {}
        self._texts: set[int] = set()
        self._unwrapped = False

    def feed(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Take repaired events, return the client's."""
        if not self._names and not self._json_tool:
            return events
        return [out for event in events for out in self._restored(event)]

    def _restored(self, event: AnyEvent) -> Iterable[AnyEvent]:
        if isinstance(event, PartOpen) and event.kind == "tool_call":
            return self._opened(event)
        if isinstance(event, Delta) and event.pos in self._custom:
            self._custom[event.pos].append(event.text)
            return ()
        if isinstance(event, PartClose):
            return self._closed(event)
        # The one call there was is the answer itself.
        is_last = isinstance(event, Finish) and event.reason == "tool_calls"
        if self._unwrapped and is_last:
            return (replace(event, reason="end"),)
        return (event,)

    def _opened(self, event: PartOpen) -> Iterable[AnyEvent]:
        if self._json_tool and event.name == self._json_tool:
            self._unwrapped = True
            self._texts.add(event.pos)
            return (PartOpen(pos=event.pos, kind="text", choice=event.choice),)
        known = self._names.get(event.name)
        if known is None:
            return (event,)
        if known.kind == "custom":
            self._custom[event.pos] = []
        return (
            replace(
                event,
                name=known.name,
                namespace=known.namespace,
                tool_kind=known.kind,
            ),
        )

    def _closed(self, event: PartClose) -> Iterable[AnyEvent]:
        part = event.part
        if event.pos in self._texts and isinstance(part, ToolCall):
            return (replace(event, part=Text(text=part.arguments)),)
        if not isinstance(part, ToolCall):
            return (event,)
        known = self._names.get(part.name)
        if known is None:
            return (event,)
        part = replace(part, name=known.name, namespace=known.namespace)
        pieces = self._custom.pop(event.pos, None)
        if pieces is None:
            return (replace(event, part=part),)
        text = unwrapped("".join(pieces))
        part = replace(part, kind="custom", arguments=text)
        closed = replace(event, part=part)
        return (Delta(pos=event.pos, text=text), closed) if text else (closed,)


def unwrapped(arguments: str) -> str:
    """Return the free text a model put into a function's one parameter.

    Shapes:  ``{"input": text}`` or any object of one string; whatever else is the text.
    """
    try:
        value = msgspec.json.decode(arguments)
    except UNREADABLE:
        return arguments
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        if isinstance(value.get("input"), str):
            return str(value["input"])
        if len(value) == 1:
            (only,) = value.values()
            if isinstance(only, str):
                return only
    return arguments
