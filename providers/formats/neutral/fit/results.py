"""Put each tool result directly behind the turn that asked for it.

Upstreams refuse a call without its result, a result without its call, and a result
that comes late. What a conversation lacks is said to be lacking; what it has too much
of becomes text.

Source: reference wire 2.5, 2.7, P30 to P34, T47 to T50.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.ids import legal_id, made_id
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import (
    Media,
    Part,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

MISSING: Final = "No result was provided."
ORPHAN: Final = "[Result of a tool call that is not part of this conversation]"
FILE_FOLLOWS: Final = "[file: see the message after the tool results]"
_FIELD: Final = "messages.tool_result"


class _Call:
    """Hold one call of the history and the answer found for it."""

    __slots__ = ("arrival", "call", "result", "wire_id")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.wire_id = call.id
        self.result: ToolResult | None = None
        self.arrival = -1


def fit_results(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Group, order and complete the tool results of a conversation."""
    if not any(_has_tools(turn) for turn in request.turns):
        return request
    turns = _joined(request.turns)
    history = _History(caps, losses)
    rests = [history.take(turn) for turn in turns]
    out: list[Turn] = []
    for turn, (calls, rest) in zip(turns, rests, strict=True):
        if calls:
            out.append(history.turn_with_ids(turn, calls))
            out += history.answers(calls)
        elif rest is not None:
            out.append(rest)
    return replace(request, turns=tuple(out))


def _has_tools(turn: Turn) -> bool:
    return any(isinstance(part, ToolCall | ToolResult) for part in turn.parts)


def _joined(turns: tuple[Turn, ...]) -> list[Turn]:
    """Join turns of the assistant around a call: nothing may stand before its result."""
    groups: list[list[Turn]] = []
    has_calls = False
    for turn in turns:
        if has_calls and turn.role == "assistant":
            groups[-1].append(turn)
        else:
            groups.append([turn])
            has_calls = turn.role == "assistant" and any(
                isinstance(part, ToolCall) for part in turn.parts
            )
    return [
        group[0]
        if len(group) == 1
        else replace(
            group[0], parts=tuple(part for turn in group for part in turn.parts)
        )
        for group in groups
    ]


class _History:
    """Find the call each result answers, in one walk."""

    def __init__(self, caps: Capabilities, losses: Losses) -> None:
        self._caps = caps
        self._losses = losses
        self._calls = 0
        self._by_id: dict[str, deque[_Call]] = {}
        self._waiting: dict[tuple[str, bool], deque[_Call]] = {}
        self._used: dict[str, int] = {}
        self._arrivals = 0

    def take(self, turn: Turn) -> tuple[list[_Call], Turn | None]:
        """Return the calls of a turn, and what is left of it without results."""
        if turn.role == "assistant":
            calls = [
                self._called(part)
                for part in turn.parts
                if isinstance(part, ToolCall) and part.kind != "server"
            ]
            self._note(calls)
            if calls:
                return calls, None
        if not any(isinstance(part, ToolResult) for part in turn.parts):
            return [], turn
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult) and part.kind != "server":
                rest += self._answered(part)
            else:
                rest.append(part)
        if not rest:
            return [], None
        role = "user" if turn.role == "tool" else turn.role
        return [], replace(turn, role=role, parts=tuple(rest))

    def turn_with_ids(self, turn: Turn, calls: list[_Call]) -> Turn:
        """Return a turn whose calls have the ids of the wire."""
        ids = iter(calls)
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolCall) and part.kind != "server":
                wire_id = next(ids).wire_id
                if wire_id != part.id:
                    part = replace(part, id=wire_id)
            parts.append(part)
        return replace(turn, parts=tuple(parts))

    def answers(self, calls: list[_Call]) -> list[Turn]:
        """Return the turn of results for some calls, and one for their files."""
        ordered = calls
        if not self._caps.results_in_call_order:
            last = self._arrivals
            ordered = sorted(
                calls, key=lambda each: each.arrival if each.arrival >= 0 else last
            )
        results = [self._result(each) for each in ordered]
        files: list[Part] = []
        if not self._caps.media_in_results:
            results = [self._without_files(each, files) for each in results]
        turns = [Turn(role="tool", parts=tuple(results))]
        if files:
            turns.append(Turn(role="user", parts=tuple(files)))
        return turns

    def _called(self, part: ToolCall) -> _Call:
        """Take a call and give it an id no other call has."""
        call = _Call(part)
        call.wire_id = self._wire_id(part)
        self._calls += 1
        for name in {"", part.name}:
            self._waiting.setdefault((name, False), deque()).append(call)
            if not part.id:
                self._waiting.setdefault((name, True), deque()).append(call)
        return call

    def _note(self, calls: list[_Call]) -> None:
        """Make the calls of the newest turn those that their ids mean."""
        newest: dict[str, deque[_Call]] = {}
        for call in calls:
            if call.call.id:
                newest.setdefault(call.call.id, deque()).append(call)
        self._by_id.update(newest)

    def _wire_id(self, part: ToolCall) -> str:
        caps = self._caps
        if not caps.tool_ids:
            return part.id
        if part.id:
            wire_id = legal_id(part.id, caps)
        else:
            seed = f"{self._calls}\0{part.name}\0{part.arguments}"
            wire_id = made_id(seed, caps)
        times = self._used[wire_id] = self._used.get(wire_id, 0) + 1
        if times == 1:
            return wire_id
        again = made_id(f"{part.id}\0{times}", caps)
        self._used[again] = self._used.get(again, 0) + 1
        return again

    def _answered(self, part: ToolResult) -> list[Part]:
        """Keep a result for its call; return it as text when there is none."""
        call = self._call_of(part)
        if call is None:
            self._losses.add(_FIELD, "fold", "no such call")
            return _as_text(part)
        if call.result is not None:
            self._losses.add(_FIELD, "drop", "answered twice")
        call.result = part
        call.arrival = self._arrivals
        self._arrivals += 1
        return []

    def _call_of(self, part: ToolResult) -> _Call | None:
        """Find a result's call by its id, else by its name, in order.

        Cost:    what was answered is dropped as it is met, so all results together
                 take one walk.
        """
        named = self._by_id.get(part.call_id) if part.call_id else None
        if named is not None:
            while len(named) > 1 and named[0].result is not None:
                named.popleft()
            return named[0]
        # A result with an id may still belong to a call that never got one.
        waiting = self._waiting.get((part.name, bool(part.call_id)), deque())
        while waiting and waiting[0].result is not None:
            waiting.popleft()
        return waiting[0] if waiting else None

    def _result(self, call: _Call) -> ToolResult:
        """Return the answer to a call, or the statement that there is none."""
        made = call.call
        if call.result is None:
            self._losses.add(_FIELD, "emulate", "no result")
            return ToolResult(
                call_id=call.wire_id,
                name=made.name,
                kind=made.kind,
                content=(Text(text=MISSING),),
                is_error=True,
            )
        return replace(
            call.result, call_id=call.wire_id, name=made.name, kind=made.kind
        )

    def _without_files(self, result: ToolResult, files: list[Part]) -> ToolResult:
        """Return a result of words, its files put aside."""
        found = [each for each in result.content if isinstance(each, Media)]
        if not found:
            return result
        files += found
        self._losses.add("messages.tool_result.image", "fold")
        words = tuple(each for each in result.content if not isinstance(each, Media))
        return replace(result, content=(*words, Text(text=FILE_FOLLOWS)))


def _as_text(part: ToolResult) -> list[Part]:
    """Return a result nobody asked for as parts of a user's turn."""
    content: list[Part] = list(part.content)
    if part.json is not None and not content:
        content = [Text(text=bytes(part.json).decode())]
    return [Text(text=ORPHAN), *content]
