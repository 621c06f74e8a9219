"""Hold the events of an answer to their rules.

One reading of the rules for every test: what ``Repair`` hands out, whatever an upstream
sent, keeps them, and every encoder may lean on them.

Source: reference wire 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pricing.tokens import TokenUsage, clamp
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartKind,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.types import (
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)

_PARTS: Final[dict[PartKind, type[Part]]] = {
    "text": Text,
    "reasoning": Reasoning,
    "tool_call": ToolCall,
    "refusal": Refusal,
    "media": Media,
    "unknown": Unknown,
}
_WORDED: Final = frozenset({"text", "reasoning", "tool_call", "refusal"})
_INNER: Final[dict[type, frozenset[str]]] = {
    Delta: _WORDED,
    OpaqueSeen: frozenset({"text", "reasoning", "tool_call"}),
    CitationSeen: frozenset({"text"}),
    MediaSeen: frozenset({"media"}),
    UnknownSeen: frozenset({"unknown"}),
}


class EventsError(AssertionError):
    """Report events that break a rule."""


class Validator:
    """Follow one answer's events and refuse the first that breaks a rule.

    Shapes:  ``is_over`` = ``End`` or ``Failed`` was seen.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._started = False
        self._last = -1
        self._open: dict[int, PartOpen] = {}
        self._texts: dict[int, list[str]] = {}
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    def take(self, events: Iterable[AnyEvent]) -> None:
        """Check some events.

        Errors:  EventsError.
        """
        for event in events:
            _hold(not self.is_over, "something follows the end", event)
            self._take(event)

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, Failed):
            self.is_over = True
            return
        is_start = isinstance(event, Start)
        _hold(is_start is not self._started, "the start comes first, once", event)
        self._started = True
        if isinstance(event, Start | UsageSeen):
            _hold_usage(event.usage, event)
        elif isinstance(event, PartOpen):
            self._part_open(event)
        elif isinstance(event, PartClose):
            self._part_close(event)
        elif isinstance(event, Finish):
            self._finish(event)
        elif isinstance(event, End):
            self._end(event)
        elif type(event) in _INNER:
            self._inner(event)

    def _part_open(self, event: PartOpen) -> None:
        _hold(event.pos > self._last, "positions count up", event)
        _hold(event.choice not in self._finished, "its choice has ended", event)
        others = (each.choice for each in self._open.values())
        _hold(event.choice not in others, "one part of a choice at a time", event)
        is_named = event.kind != "tool_call" or bool(event.name)
        _hold(is_named, "a call has its name from the start", event)
        self._last = event.pos
        self._open[event.pos] = event
        self._texts[event.pos] = []
        self._begun.add(event.choice)

    def _inner(self, event: AnyEvent) -> None:
        opened = self._open.get(getattr(event, "pos", -1))
        if opened is None:
            raise EventsError(f"its part is not open: {event!r}")
        _hold(opened.kind in _INNER[type(event)], "not of this kind of part", event)
        if isinstance(event, Delta):
            self._texts[opened.pos].append(event.text)

    def _part_close(self, event: PartClose) -> None:
        opened = self._open.pop(event.pos, None)
        if opened is None:
            raise EventsError(f"its part is not open: {event!r}")
        part = event.part
        _hold(isinstance(part, _PARTS[opened.kind]), "it became another kind", event)
        if opened.kind in _WORDED:
            said = "".join(self._texts.pop(event.pos))
            _hold(_words(part) == said, "it became what was never said", event)

    def _finish(self, event: Finish) -> None:
        _hold(event.choice not in self._finished, "one finish for a choice", event)
        still = (each.choice for each in self._open.values())
        _hold(event.choice not in still, "a part is still open", event)
        self._finished.add(event.choice)

    def _end(self, event: End) -> None:
        _hold(bool(self._finished), "no choice has ended", event)
        _hold(self._begun <= self._finished, "a choice has not ended", event)
        self.is_over = True


def validate(events: Iterable[AnyEvent]) -> None:
    """Check an answer's events, whole or as far as they came.

    Errors:  EventsError.
    """
    Validator().take(events)


def _words(part: Part | None) -> str:
    if isinstance(part, ToolCall):
        return part.arguments
    return str(getattr(part, "text", ""))


def _hold_usage(usage: TokenUsage | None, event: AnyEvent) -> None:
    _hold(usage is None or not clamp(usage)[1], "no bill is made of this", event)


def _hold(rule: bool, what: str, event: AnyEvent) -> None:
    if not rule:
        raise EventsError(f"{what}: {event!r}")
