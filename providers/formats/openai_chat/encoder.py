"""Write a chat client's stream out of neutral events.

Source: reference wire 1.1, 1.17, 2.5, 2.14 to 2.17; pitfalls P21, P23, P24, P28.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Finish,
    Meta,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.types import Citation, Media, Opaque, Reasoning, ToolCall
from providers.formats.openai_chat.messageout import (
    call_id,
    extra_content,
    write_citations,
    write_image,
)
from providers.formats.openai_chat.reasoning import write_details
from providers.formats.openai_chat.stream import DONE
from providers.formats.openai_chat.words import (
    answer_id,
    excuse_of,
    word_of,
    write_usage,
)

_dumps: Final = msgspec.json.encode
_TEXT_FIELDS: Final = {
    "text": "content",
    "reasoning": "reasoning_content",
    "refusal": "refusal",
}


class _Part:
    """Hold an open part: its deltas are ``before`` + JSON text + ``after``."""

    __slots__ = (
        "after",
        "before",
        "choice",
        "citations",
        "gap",
        "kind",
        "opaque",
        "start",
    )

    def __init__(self, kind: str, choice: _Choice) -> None:
        self.kind = kind
        self.choice = choice
        self.before = b""
        self.after = b""
        self.gap = ""
        self.start = choice.text_length
        self.citations: list[Citation] = []
        self.opaque: list[Opaque] = []


class _Choice:
    """Hold what one choice has been told so far."""

    __slots__ = (
        "calls",
        "details",
        "has_content",
        "has_reasoning",
        "index",
        "is_begun",
        "text_length",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.is_begun = False
        self.has_content = False
        self.has_reasoning = False
        self.calls = 0
        self.details = 0
        self.text_length = 0


class ChatEncoder:
    """Write one stream; see ``codec.Encoder`` for the contract.

    Shapes:  the first chunk of a choice carries its role; calls count from 0 in each
             choice, their id and name are said once.
    Cost:    some 2 us for a piece of text.
    """

    __slots__ = (
        "_asked_usage",
        "_choices",
        "_head",
        "_is_legacy",
        "_parts",
        "_started",
        "_tail",
        "_usage",
        "_view",
    )

    def __init__(self, view: View) -> None:
        self._view = view
        self._asked_usage = view.asked.include_usage
        self._is_legacy = view.request.is_legacy
        self._tail = b',"usage":null}\n\n' if self._asked_usage else b"}\n\n"
        self._head: dict[str, Any] = {}
        self._started = b""
        self._choices: dict[int, _Choice] = {}
        self._parts: dict[int, _Part] = {}
        self._usage: TokenUsage | None = None

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the bytes for some events."""
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Delta):
                self._delta(event, out)
            elif isinstance(event, PartOpen):
                self._open(event, out)
            elif isinstance(event, PartClose):
                self._close(event, out)
            else:
                self._rare(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _rare(self, event: AnyEvent, out: list[bytes]) -> None:
        """Write what comes once or never."""
        if isinstance(event, Start):
            self._begin(event)
        elif isinstance(event, CitationSeen):
            if event.pos in self._parts:
                self._parts[event.pos].citations.append(event.citation)
        elif isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Meta):
            if event.service_tier:
                self._head["service_tier"] = event.service_tier
                self._started = _head_bytes(self._head)
        elif isinstance(event, Finish):
            self._finish(event, out)
        elif isinstance(event, End):
            self._end(out)

    def _begin(self, event: Start) -> None:
        """Settle what every chunk says alike."""
        self._usage = event.usage
        self._head = {
            "id": answer_id(event.id),
            "object": "chat.completion.chunk",
            "created": event.created or self._view.created,
            "model": self._view.model,
        }
        if event.service_tier:
            self._head["service_tier"] = event.service_tier
        self._started = _head_bytes(self._head)

    def _open(self, event: PartOpen, out: list[bytes]) -> None:
        """Open a part; a call's id and name are said here and nowhere else."""
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = _Choice(event.choice)
        is_call = event.kind == "tool_call"
        if not choice.is_begun:
            self._role(choice, out, content=None if is_call else "")
        part = self._parts[event.pos] = _Part(event.kind, choice)
        choice.has_content = choice.has_content or event.kind != "reasoning"
        field = _TEXT_FIELDS.get(event.kind)
        if field is not None:
            part.before, part.after = self._around(choice, {field: 0})
            if event.kind == "reasoning" and choice.has_reasoning:
                part.gap = "\n\n"
        elif is_call:
            self._open_call(event, part, out)

    def _open_call(self, event: PartOpen, part: _Part, out: list[bytes]) -> None:
        """Say a call's id and name; the legacy shape has room for one call."""
        choice = part.choice
        number, choice.calls = choice.calls, choice.calls + 1
        if self._is_legacy:
            if number == 0:
                named = {"name": event.name, "arguments": ""}
                out.append(self._chunk(choice, {"function_call": named}))
                part.before, part.after = self._around(
                    choice, {"function_call": {"arguments": 0}}
                )
            return
        kind, field = "function", "arguments"
        if event.tool_kind == "custom":
            kind, field = "custom", "input"
        call: dict[str, Any] = {
            "index": number,
            "id": call_id(event.id),
            "type": kind,
            kind: {"name": event.name, field: ""},
        }
        out.append(self._chunk(choice, {"tool_calls": [call]}))
        piece = {"index": number, kind: {field: 0}}
        part.before, part.after = self._around(choice, {"tool_calls": [piece]})

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        """Write a piece of a part."""
        part = self._parts.get(event.pos)
        if part is None or not part.before:
            return
        text = event.text
        if part.kind == "text":
            part.choice.text_length += len(text)
        elif part.gap:
            text, part.gap = part.gap + text, ""
        if event.logprobs is None:
            out.append(part.before + _dumps(text) + part.after)
        else:
            weighed = {"content": event.logprobs}
            out.append(self._chunk(part.choice, {"content": text}, logprobs=weighed))
        if part.kind == "reasoning":
            part.choice.has_reasoning = True

    def _close(self, event: PartClose, out: list[bytes]) -> None:
        """Say what is known of a part only now: proof, sources, pictures."""
        part = self._parts.pop(event.pos, None)
        if part is None:
            return
        choice, became = part.choice, event.part
        delta: dict[str, Any] = {}
        if part.citations:
            annotations = write_citations(
                part.citations, part.start, choice.text_length
            )
            delta = {"annotations": annotations} if annotations else {}
        elif isinstance(became, Reasoning) and became.opaque:
            details = write_details([became])
            for detail in details:
                detail["index"] = choice.details
                choice.details += 1
            delta = {"reasoning_details": details}
        elif isinstance(became, Media):
            delta = write_image(became)
        elif isinstance(became, ToolCall) and became.opaque and not self._is_legacy:
            extra = extra_content(became)
            number = choice.calls - 1
            piece = {"index": number, "function": {"arguments": ""}, **extra}
            delta = {"tool_calls": [piece]} if extra else {}
        if delta:
            out.append(self._chunk(choice, delta))

    def _finish(self, event: Finish, out: list[bytes]) -> None:
        """End a choice; one that ended without an answer says why."""
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = _Choice(event.choice)
        if not choice.is_begun:
            self._role(choice, out, content="")
        excuse = excuse_of(event.reason, event.detail)
        if excuse and not choice.has_content:
            out.append(self._chunk(choice, {"refusal": excuse}))
        word = word_of(event.reason, is_legacy=self._is_legacy)
        out.append(self._chunk(choice, {}, finish=word))

    def _end(self, out: list[bytes]) -> None:
        """Write the usage, where it was asked for, and the terminator."""
        if self._asked_usage and self._usage is not None:
            usage = _dumps(write_usage(self._usage))
            out.append(self._started + b'[],"usage":' + usage + b"}\n\n")
        out.append(DONE)

    def _role(self, choice: _Choice, out: list[bytes], *, content: str | None) -> None:
        """Begin a choice."""
        choice.is_begun = True
        out.append(self._chunk(choice, {"role": "assistant", "content": content}))

    def _around(self, choice: _Choice, delta: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return the bytes before and after the one value of a delta, a 0."""
        chunk = self._chunk(choice, delta)
        at = chunk.rindex(b":0}")
        return chunk[: at + 1], chunk[at + 2 :]

    def _chunk(
        self,
        choice: _Choice,
        delta: dict[str, Any],
        *,
        finish: str | None = None,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        """Write one chunk."""
        value: dict[str, Any] = {"index": choice.index, "delta": delta}
        if logprobs is not None:
            value["logprobs"] = logprobs
        value["finish_reason"] = finish
        return self._started + b"[" + _dumps(value) + b"]" + self._tail


def _head_bytes(head: dict[str, Any]) -> bytes:
    """Return the beginning of every chunk, up to its choices."""
    return b"data: " + _dumps(head)[:-1] + b',"choices":'
