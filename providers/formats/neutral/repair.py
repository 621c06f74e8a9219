"""Put the events of a sloppy upstream right, so that every encoder may be strict.

What leaves here keeps these rules: ``Start`` comes first; in one choice one part is open
at a time; positions count up from zero in the order of opening; every call has a name;
every part is closed, and its close carries what it became; a choice has exactly one
``Finish``, after its parts; tool calls decide the reason of a finish that says otherwise;
nothing follows ``End`` or ``Failed``.

Source: reference wire 5.2 and 2.14.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from providers.formats.errors import ErrorDetail
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
    PartOpen,
    Start,
    UnknownSeen,
)
from providers.formats.neutral.types import (
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)

_CALLS_OVERRIDE = frozenset({"end", "stop_sequence", "cancelled"})
_PartEvent = Delta | OpaqueSeen | CitationSeen | MediaSeen | UnknownSeen | PartClose


class Building:
    """Gather what one open part will be.

    Shapes:  ``pos`` is its number downstream. ``waiting`` holds its events while another
             part of the choice is open; None = it is the open one.
    """

    __slots__ = (
        "citations",
        "media_type",
        "opaque",
        "opened",
        "pos",
        "texts",
        "unknown",
        "waiting",
    )

    def __init__(self, opened: PartOpen) -> None:
        self.opened = opened
        self.pos = -1
        self.texts: list[str] = []
        self.opaque: list[Opaque] = []
        self.citations: list[Citation] = []
        self.media_type = ""
        self.unknown: UnknownSeen | None = None
        self.waiting: list[_PartEvent] | None = None

    def take(self, event: _PartEvent) -> None:
        """Remember what an event adds."""
        if isinstance(event, Delta):
            self.texts.append(event.text)
        elif isinstance(event, OpaqueSeen):
            self.opaque.append(event.opaque)
        elif isinstance(event, CitationSeen):
            self.citations.append(event.citation)
        elif isinstance(event, MediaSeen):
            self.texts.append(event.data)
            self.media_type = event.media_type or self.media_type
        elif isinstance(event, UnknownSeen):
            self.unknown = event

    def part(self) -> Part:
        """Return the finished part."""
        opened, text = self.opened, "".join(self.texts)
        if opened.kind == "tool_call":
            return ToolCall(
                name=opened.name,
                arguments=text,
                id=opened.id,
                kind="custom" if opened.tool_kind == "custom" else "function",
                namespace=opened.namespace,
                item_id=opened.item_id,
                opaque=tuple(self.opaque),
            )
        if opened.kind == "reasoning":
            return Reasoning(
                text=text,
                kind="summary" if opened.detail == "summary" else "full",
                opaque=tuple(self.opaque),
                is_redacted=not text and bool(self.opaque),
                item_id=opened.item_id,
            )
        if opened.kind == "refusal":
            return Refusal(text=text, category=opened.detail)
        if opened.kind == "media":
            return Media(
                kind=_media_kind(self.media_type),
                source="base64",
                data=text,
                media_type=self.media_type,
            )
        if opened.kind == "unknown":
            seen = self.unknown
            if seen is None:
                return Unknown(dialect="", type="", payload=msgspec.Raw(b"null"))
            return Unknown(dialect=seen.dialect, type=seen.type, payload=seen.payload)
        return Text(text=text, citations=tuple(self.citations))


class _Choice:
    """Hold the open parts of one choice, in order; the first is the open one."""

    __slots__ = ("finished", "has_calls", "parts")

    def __init__(self) -> None:
        self.parts: deque[Building] = deque()
        self.has_calls = False
        self.finished = False


class Repair:
    """Put one answer's events right; one object an attempt.

    Cost:  under 1 us an event.
    """

    __slots__ = ("_choices", "_next", "_open", "_over", "_started")

    def __init__(self) -> None:
        self._started = False
        self._over = False
        self._next = 0
        self._open: dict[int, tuple[_Choice, Building]] = {}
        self._choices: dict[int, _Choice] = {}

    def feed(self, events: Iterable[AnyEvent]) -> list[AnyEvent]:
        """Take some events, return what they are when put right."""
        out: list[AnyEvent] = []
        for event in events:
            if self._over:
                break
            if isinstance(event, _PartEvent):
                self._part_event(event, out)
            else:
                self._other(event, out)
        return out

    def _other(self, event: AnyEvent, out: list[AnyEvent]) -> None:
        if isinstance(event, Start):
            if not self._started:
                self._started = True
                out.append(event)
            return
        if isinstance(event, Failed):
            self._over = True
            out.append(event)
            return
        if not self._started:
            self._started = True
            out.append(Start())
        if isinstance(event, PartOpen):
            self._part_open(event, out)
        elif isinstance(event, Finish):
            self._finish(event, out)
        elif isinstance(event, End):
            self._end(out)
        else:
            out.append(event)

    def _part_open(self, event: PartOpen, out: list[AnyEvent]) -> None:
        choice = self._choice(event.choice)
        if choice.finished or event.pos in self._open:
            return
        if event.kind == "tool_call" and not event.name:
            # Nobody can make a call without a name, and clients break on it.
            return
        building = Building(event)
        choice.has_calls = choice.has_calls or event.kind == "tool_call"
        choice.parts.append(building)
        self._open[event.pos] = (choice, building)
        if len(choice.parts) == 1:
            self._show(building, out)
        else:
            building.waiting = []

    def _part_event(self, event: _PartEvent, out: list[AnyEvent]) -> None:
        found = self._open.get(event.pos)
        if found is None:
            return
        choice, building = found
        if isinstance(event, PartClose):
            del self._open[event.pos]
        if building.waiting is not None:
            building.waiting.append(event)
            return
        self._write(choice, building, event, out)

    def _write(
        self,
        choice: _Choice,
        building: Building,
        event: _PartEvent,
        out: list[AnyEvent],
    ) -> None:
        if isinstance(event, PartClose):
            self._close(choice, building, out)
            return
        building.take(event)
        if isinstance(event, Delta) and not event.text and event.logprobs is None:
            return
        out.append(
            event if event.pos == building.pos else replace(event, pos=building.pos)
        )

    def _show(self, building: Building, out: list[AnyEvent]) -> None:
        """Open a part downstream; its number is the next one."""
        building.waiting = None
        building.pos = self._next
        self._next += 1
        out.append(replace(building.opened, pos=building.pos))

    def _close(self, choice: _Choice, building: Building, out: list[AnyEvent]) -> None:
        """Close the open part and let the next ones of the choice have their say."""
        out.append(PartClose(pos=building.pos, part=building.part()))
        choice.parts.popleft()
        while choice.parts:
            building = choice.parts[0]
            waiting = building.waiting or []
            self._show(building, out)
            for event in waiting:
                if isinstance(event, PartClose):
                    break
                self._write(choice, building, event, out)
            else:
                return
            out.append(PartClose(pos=building.pos, part=building.part()))
            choice.parts.popleft()

    def _finish(self, event: Finish, out: list[AnyEvent]) -> None:
        choice = self._choice(event.choice)
        if choice.finished:
            return
        self._close_all(choice, out)
        choice.finished = True
        if choice.has_calls and event.reason in _CALLS_OVERRIDE:
            event = replace(event, reason="tool_calls")
        elif not choice.has_calls and event.reason == "tool_calls":
            event = replace(event, reason="end")
        out.append(event)

    def _end(self, out: list[AnyEvent]) -> None:
        for index, choice in self._choices.items():
            if not choice.finished:
                self._finish(Finish(reason="end", choice=index), out)
        if not self._choices:
            self._finish(Finish(reason="end"), out)
        self._over = True
        out.append(End())

    def _close_all(self, choice: _Choice, out: list[AnyEvent]) -> None:
        for building in choice.parts:
            # Its number may be another part's by now, if it was closed while it waited.
            found = self._open.get(building.opened.pos)
            if found is not None and found[1] is building:
                del self._open[building.opened.pos]
        while choice.parts:
            self._close(choice, choice.parts[0], out)

    def _choice(self, index: int) -> _Choice:
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = _Choice()
        return found


def failed(message: str, code: str = "upstream_invalid_response") -> Failed:
    """Return the event for an upstream that broke its own format."""
    return Failed(error=ErrorDetail(message=message, type="server_error", code=code))


def _media_kind(media_type: str) -> MediaKind:
    kind = media_type.partition("/")[0]
    if kind == "audio":
        return "audio"
    if kind == "video":
        return "video"
    return "image" if kind == "image" else "document"
