"""Read an upstream's lines, and write a client's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.framing_ndjson import NdjsonSplitter
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Finish,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.types import ToolCall
from providers.formats.ollama_native.arguments import arguments_object
from providers.formats.ollama_native.errors import error_text
from providers.formats.ollama_native.lines import LineReader
from providers.formats.ollama_native.peek import GENERATE

_MORE: Final = b',"done":false}\n'
_WORDLESS: Final[dict[str, str]] = {
    "refusal": "The model declined to answer.",
    "prompt_blocked": "The request was blocked before the model answered.",
    "malformed": "The model's answer could not be read.",
}
"""What is said where nothing was: an empty answer would pass for a success."""


class LineDecoder:
    """Make events of an upstream's lines, cut anywhere."""

    __slots__ = ("_reader", "_splitter")

    def __init__(self) -> None:
        self._splitter = NdjsonSplitter()
        self._reader = LineReader()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes.

        Errors:  FramingError for a line above ``MAX_EVENT_BYTES``.
        """
        return self._read(self._splitter.feed(data))

    def eof(self) -> list[AnyEvent]:
        """Take the end; without a last line ``done`` the answer broke off."""
        return self._read(self._splitter.finish())

    def _read(self, frames: list[tuple[bytes, bytes | None]]) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        for _, payload in frames:
            if payload is not None:
                out += self._reader.take(payload)
        return out


class Head:
    """Write what every line of one answer begins with, and what it holds.

    Shapes:  ``is_generate`` puts the text beside the other fields and not into a
             message.
    """

    __slots__ = ("_close", "_open", "_thinking", "start")

    def __init__(self, model: str, created: int, *, is_generate: bool) -> None:
        stamp = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.start = b'{"model":%b,"created_at":"%b"' % (
            msgspec.json.encode(model),
            stamp.encode(),
        )
        within = b"" if is_generate else b"}"
        message = b"" if is_generate else b',"message":{"role":"assistant"'
        name = b',"response":' if is_generate else b',"content":'
        self._open = self.start + message + name
        self._thinking = self._open + b'"","thinking":'
        self._close = within

    def text(self, text: str, probs: msgspec.Raw | None = None) -> bytes:
        """Return a line of text."""
        line = self._open + msgspec.json.encode(text) + self._close
        if probs is not None:
            line += b',"logprobs":' + bytes(probs)
        return line + _MORE

    def thinking(self, text: str) -> bytes:
        """Return a line of thinking."""
        return self._thinking + msgspec.json.encode(text) + self._close + _MORE

    def call(self, call: ToolCall, index: int) -> bytes:
        """Return a line with one whole call."""
        worded = msgspec.json.encode([worded_call(call, index)])
        return self._open + b'"","tool_calls":' + worded + self._close + _MORE

    def done(self, tail: dict[str, Any], rest: bytes = b'""') -> bytes:
        """Return the last line; ``rest`` is what stands where the text does."""
        members = msgspec.json.encode({"done": True, **tail})[1:]
        return self._open + rest + self._close + b"," + members


def worded_call(call: ToolCall, index: int) -> dict[str, Any]:
    """Return a call as this dialect has it: whole, its arguments an object."""
    return {
        "id": call.id,
        "function": {
            "index": index,
            "name": call.name,
            "arguments": arguments_object(call),
        },
    }


def last_members(
    finish: Finish | None, usage: TokenUsage | None, total_ns: int
) -> dict[str, Any]:
    """Return what a last line says beside its text.

    Units:   nanoseconds; 0 where nothing is known of the time.
    """
    reason = "end" if finish is None else finish.reason
    tail: dict[str, Any] = {
        "done_reason": "length" if reason in ("max_tokens", "context_full") else "stop",
        "total_duration": total_ns,
        "load_duration": 0,
    }
    if usage is not None:
        # A count of zero is a count; what nobody reported is left out.
        if usage.prompt_tokens or usage.input_tokens is not None:
            tail["prompt_eval_count"] = usage.prompt_tokens
        tail["prompt_eval_duration"] = 0
        if usage.completion_tokens or usage.output_tokens is not None:
            tail["eval_count"] = usage.completion_tokens
    tail["eval_duration"] = total_ns
    return tail


def explained(finish: Finish | None, *, has_content: bool) -> str:
    """Return the words for an answer that was withheld and says nothing itself."""
    if finish is None or has_content or finish.reason not in _WORDLESS:
        return ""
    return finish.detail or _WORDLESS[finish.reason]


class LineEncoder:
    """Write one client's lines; of several choices the first.

    Cost:    some 1 us a piece of text.
    """

    __slots__ = (
        "_calls",
        "_finish",
        "_has_content",
        "_head",
        "_kinds",
        "_now_ns",
        "_started_ns",
        "_usage",
    )

    def __init__(self, view: View, now_ns: Callable[[], int]) -> None:
        is_generate = view.asked.arrival.path == GENERATE
        self._head = Head(view.model, view.created, is_generate=is_generate)
        self._now_ns = now_ns
        self._started_ns = now_ns()
        self._kinds: dict[int, str] = {}
        self._calls = 0
        self._has_content = False
        self._usage: TokenUsage | None = None
        self._finish: Finish | None = None

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the lines for some events."""
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Delta):
                self._piece(event, out)
            elif isinstance(event, PartOpen):
                if event.choice == 0:
                    self._kinds[event.pos] = event.kind
            elif isinstance(event, PartClose):
                self._closed(event, out)
            else:
                self._rare(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _piece(self, event: Delta, out: list[bytes]) -> None:
        kind = self._kinds.get(event.pos)
        if kind in ("text", "refusal"):
            self._has_content = True
            out.append(self._head.text(event.text, event.logprobs))
        elif kind == "reasoning":
            out.append(self._head.thinking(event.text))

    def _closed(self, event: PartClose, out: list[bytes]) -> None:
        """Write a call now that it is whole."""
        kind = self._kinds.pop(event.pos, None)
        if kind == "tool_call" and isinstance(event.part, ToolCall):
            self._has_content = True
            out.append(self._head.call(event.part, self._calls))
            self._calls += 1

    def _rare(self, event: AnyEvent, out: list[bytes]) -> None:
        if isinstance(event, Start | UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Finish):
            if event.choice == 0:
                self._finish = event
        elif isinstance(event, End):
            words = explained(self._finish, has_content=self._has_content)
            if words:
                out.append(self._head.text(words))
            spent = max(0, self._now_ns() - self._started_ns)
            tail = last_members(self._finish, self._usage, spent)
            out.append(self._head.done(tail) + b"\n")


class LineStream:
    """Write what the proxy itself says in a client's stream.

    Lines need no opening, so an encoder has nothing to go on from.
    """

    __slots__ = ("_head",)

    def __init__(self, model: str, path: str) -> None:
        self._head = Head(model, int(time.time()), is_generate=path == GENERATE)

    def keepalive(self) -> bytes:
        """Return a line without content: clients add nothing to nothing.

        Source:  reference wire 1.14; a blank line or a comment breaks some clients.
        """
        return self._head.text("")

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the line that says an error; this dialect has no place for an id."""
        return error_text(detail) + b"\n"
