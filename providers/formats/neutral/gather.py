"""Join events to a whole answer, and count what passes on the way."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    Answer,
    AnyEvent,
    Choice,
    Delta,
    End,
    Failed,
    Finish,
    MediaSeen,
    Meta,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.types import Part


class Meter:
    """Know of one answer what the proxy must know: usage, size, how it ended.

    Shapes:  the attributes are those of ``base.StreamTap``. ``is_ended`` = ``End`` was
             seen.
    """

    __slots__ = (
        "_open",
        "_shut",
        "error",
        "finish_reasons",
        "flags",
        "is_ended",
        "model",
        "response_id",
        "service_tier",
        "text_bytes",
        "usage",
        "useful",
        "vendor_cost_nano_usd",
    )

    def __init__(self) -> None:
        self.usage: TokenUsage | None = None
        self.flags: tuple[str, ...] = ()
        self.vendor_cost_nano_usd: int | None = None
        self.model: str | None = None
        self.response_id: str | None = None
        self.service_tier: str | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.text_bytes = 0
        self.error: ErrorDetail | None = None
        self.useful = False
        self.is_ended = False
        self._open: set[int] = set()
        self._shut: set[int] = set()

    @property
    def finished(self) -> bool:
        """Every choice that began has its finish."""
        return bool(self._shut) and self._open <= self._shut

    def take(self, events: Iterable[AnyEvent]) -> None:
        """Count some events."""
        for event in events:
            if isinstance(event, Delta):
                text = event.text
                self.text_bytes += len(text) if text.isascii() else len(text.encode())
                self.useful = self.useful or bool(text)
            elif isinstance(event, PartOpen):
                self._open.add(event.choice)
                if event.kind == "tool_call":
                    self.useful = True
                    self.text_bytes += len(event.name.encode())
            elif isinstance(event, MediaSeen | UnknownSeen):
                self.useful = True
            else:
                self._take_rare(event)

    def _take_rare(self, event: AnyEvent) -> None:
        if isinstance(event, Start):
            self._describe(event.id, event.model, event.service_tier)
            if event.usage is not None:
                self.usage = event.usage
        elif isinstance(event, Meta):
            self._describe(event.id, event.model, event.service_tier)
        elif isinstance(event, UsageSeen):
            self.usage, self.flags = event.usage, event.flags
            if event.vendor_cost_nano_usd is not None:
                self.vendor_cost_nano_usd = event.vendor_cost_nano_usd
        elif isinstance(event, Finish):
            self.useful = True
            if event.choice not in self._shut:
                self._shut.add(event.choice)
                self.finish_reasons += (event.raw or event.reason,)
        elif isinstance(event, Failed):
            self.error = event.error
        elif isinstance(event, End):
            self.is_ended = True

    def _describe(self, answer_id: str, model: str, tier: str) -> None:
        self.response_id = self.response_id or answer_id or None
        self.model = self.model or model or None
        self.service_tier = tier or self.service_tier


def gather(events: Iterable[AnyEvent]) -> Answer:
    """Join repaired events to a whole answer."""
    events = list(events)
    meter = Meter()
    meter.take(events)
    created = 0
    choice_of: dict[int, int] = {}
    parts: dict[int, list[Part]] = {}
    logprobs: dict[int, list[msgspec.Raw]] = {}
    finishes: dict[int, Finish] = {}
    for event in events:
        if isinstance(event, Start):
            created = event.created
        elif isinstance(event, PartOpen):
            choice_of[event.pos] = event.choice
            parts.setdefault(event.choice, [])
        elif isinstance(event, PartClose) and event.part is not None:
            parts[choice_of[event.pos]].append(event.part)
        elif isinstance(event, Delta) and event.logprobs is not None:
            logprobs.setdefault(choice_of[event.pos], []).append(event.logprobs)
        elif isinstance(event, Finish):
            finishes[event.choice] = event
            parts.setdefault(event.choice, [])
    return Answer(
        id=meter.response_id or "",
        model=meter.model or "",
        created=created,
        service_tier=meter.service_tier or "",
        choices=tuple(
            Choice(
                index=index,
                parts=tuple(parts[index]),
                finish=finishes.get(index, Finish(reason="end", choice=index)),
                logprobs=tuple(logprobs.get(index, ())),
            )
            for index in sorted(parts)
        ),
        usage=meter.usage,
        flags=meter.flags,
        vendor_cost_nano_usd=meter.vendor_cost_nano_usd,
        is_complete=meter.is_ended,
        error=meter.error,
    )
