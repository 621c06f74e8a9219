"""Read one line of an answer, streamed or whole, chat or generate.

The two operations differ in where they put the text; a line is read as whichever it
is, so that one reader serves both.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Failed,
    Finish,
    FinishReason,
    PartClose,
    PartKind,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed
from providers.formats.ollama_native.arguments import arguments_text
from providers.formats.ollama_native.errors import read_error

_REASONS: Final[dict[str, FinishReason]] = {
    "": "end",
    "stop": "end",
    "load": "end",
    "unload": "end",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "content_filter": "refusal",
}
_NONE: Final = msgspec.Raw(b"")
_NO_PROBS: Final = frozenset({b"", b"null", b"[]"})


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = _NONE


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class Line(msgspec.Struct, gc=False):
    """Name what is read of a line, as loosely as servers write it."""

    model: str | None = None
    created_at: Any = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None
    logprobs: msgspec.Raw = _NONE
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None

    @property
    def is_answer(self) -> bool:
        """Tell whether the line says anything this dialect says."""
        return (
            self.message is not None
            or self.response is not None
            or self.done is not None
        )


_LINE: Final = msgspec.json.Decoder(Line)


def decode_line(payload: bytes) -> Line | None:
    """Return a line, None where it is no object or its fields are of odd types."""
    try:
        return _LINE.decode(payload)
    except UNREADABLE:
        return None


class LineReader:
    """Make events of the lines of one answer.

    Text and thinking are kept apart by their fields, in every line: a server may go
    back and forth between them, and a line may hold both.

    Cost:    some 2 us a line, most of it the JSON.
    """

    __slots__ = ("_calls", "_ids", "_kind", "_next", "_stamp", "_started", "is_over")

    def __init__(self) -> None:
        self._started = False
        self._kind: PartKind | None = None
        self._next = 0
        self._calls = 0
        self._ids: set[str] = set()
        self._stamp = ""
        self.is_over = False

    def take(self, payload: bytes) -> list[AnyEvent]:
        """Read one line; nothing follows an end or an error."""
        if self.is_over:
            return []
        line = decode_line(payload)
        if line is None:
            self.is_over = True
            return [failed("The upstream sent a line that is not valid JSON.")]
        return self.read(line, payload)

    def read(self, line: Line, payload: bytes) -> list[AnyEvent]:
        """Make the events of a decoded line."""
        if line.error:
            self.is_over = True
            return [Failed(error=read_error(None, payload))]
        out: list[AnyEvent] = []
        if not self._started:
            self._start(line, out)
        message = line.message
        if message is not None:
            self._content(message.thinking, message.content, line, out)
            calls = message.tool_calls
        else:
            self._content(line.thinking, line.response, line, out)
            calls = line.tool_calls
        for call in calls or ():
            self._call(call, out)
        if line.done:
            self._end(line, out)
        return out

    def _start(self, line: Line, out: list[AnyEvent]) -> None:
        self._started = True
        self._stamp = line.created_at if isinstance(line.created_at, str) else ""
        out.append(Start(model=line.model or "", created=_seconds(self._stamp)))

    def _content(
        self,
        thinking: str | None,
        text: str | None,
        line: Line,
        out: list[AnyEvent],
    ) -> None:
        if thinking:
            self._piece("reasoning", thinking, None, out)
        if text:
            raw = line.logprobs
            probs = None if bytes(raw) in _NO_PROBS else raw.copy()
            self._piece("text", text, probs, out)

    def _piece(
        self,
        kind: PartKind,
        text: str,
        probs: msgspec.Raw | None,
        out: list[AnyEvent],
    ) -> None:
        if self._kind != kind:
            self._close(out)
            self._kind = kind
            out.append(PartOpen(pos=self._next, kind=kind))
        out.append(Delta(pos=self._next, text=text, logprobs=probs))

    def _call(self, call: _Call, out: list[AnyEvent]) -> None:
        """Pass a whole call on; what the server numbers it with is not to be trusted."""
        function = call.function
        if function is None or not function.name:
            return
        self._close(out)
        arguments = arguments_text(function.arguments)
        given = call.id or ""
        if not given or given in self._ids:
            given = self._minted(function.name, arguments)
        self._ids.add(given)
        self._calls += 1
        pos = self._next
        self._next += 1
        out += (
            PartOpen(pos=pos, kind="tool_call", id=given, name=function.name),
            Delta(pos=pos, text=arguments),
            PartClose(pos=pos),
        )

    def _minted(self, name: str, arguments: str) -> str:
        """Return an id made of the call, its place and the answer's own time.

        The same bytes always give the same id; the same call in another turn does not.
        """
        seed = "\0".join((self._stamp, str(self._calls), name, arguments))
        return f"call_{sha256(seed.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"

    def _close(self, out: list[AnyEvent]) -> None:
        if self._kind is not None:
            out.append(PartClose(pos=self._next))
            self._kind = None
            self._next += 1

    def _end(self, line: Line, out: list[AnyEvent]) -> None:
        self.is_over = True
        self._close(out)
        reason = line.done_reason or ""
        if reason == "error":
            out.append(failed("The upstream ended its answer with an error."))
            return
        usage = read_usage(line)
        if usage is not None:
            out.append(usage)
        known = _REASONS.get(reason, "end")
        out.append(Finish(reason=known, raw=reason or "stop"))
        out.append(End())


def read_usage(line: Line) -> UsageSeen | None:
    """Read the counts of a last line.

    Shapes:  a prompt that was wholly in the server's cache may come without its count:
             the input then is unknown, and said to be.
    """
    flags: list[str] = []
    prompt = count(line.prompt_eval_count, "prompt", flags)
    written = count(line.eval_count, "completion", flags)
    if prompt is None and written is None:
        return None
    if prompt is None:
        flags.append("prompt:missing")
    return UsageSeen(
        usage=TokenUsage(input_tokens=prompt, output_tokens=written),
        flags=tuple(flags),
    )


def _seconds(stamp: str) -> int:
    """Return Unix seconds of an RFC 3339 time, 0 where it is none."""
    try:
        return max(0, int(datetime.fromisoformat(stamp).timestamp()))
    except (ValueError, OverflowError):
        return 0
