"""Write a client's Responses stream of repaired events, or its whole answer.

Every item goes through its whole life, and the last event carries them all again: some
clients read only the one, some only the other (R3).

Source: reference wire 1.2, 1.17, 2.14, 2.15; P83, P109.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    Answer,
    AnyEvent,
    Choice,
    CitationSeen,
    Delta,
    End,
    Finish,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
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
from providers.formats.openai_responses.client import ResponsesStream, mint
from providers.formats.openai_responses.output_out import (
    Call,
    CustomCall,
    Item,
    Message,
    Thought,
    UnwrappedCall,
)
from providers.formats.openai_responses.peek import DIALECT
from providers.formats.openai_responses.usage import usage_body

_CUT: Final = frozenset({"max_tokens", "context_full"})
_FAILED: Final = {
    "prompt_blocked": ("invalid_prompt", "The prompt was blocked."),
    "malformed": ("server_error", "The model's call of a tool could not be read."),
}
_REFUSED: Final = "The model refused to answer."


class ResponsesEncoder:
    """Write one stream; see ``codec.Encoder`` for the contract.

    Shapes:  nothing is written before the first event worth showing, so that an
             attempt that is thrown away has opened nothing in the client's stream.
             ``final`` is the whole response, once it is complete.
    Cost:    some 2 us for a piece of text.
    """

    __slots__ = (
        "_customs",
        "_done",
        "_finish",
        "_held",
        "_item",
        "_open",
        "_output",
        "_refused",
        "_stream",
        "_tier",
        "_usage",
        "final",
    )

    def __init__(self, view: View, stream: ResponsesStream) -> None:
        self._stream = stream
        self._customs = {
            tool.name for tool in view.request.tools if tool.kind == "custom"
        }
        self._held: list[AnyEvent] | None = []
        self._item: Item | None = None
        self._open: dict[int, Item | None] = {}
        self._output: list[Any] = []
        self._finish: Finish | None = None
        self._refused = False
        self._tier = ""
        self._usage: TokenUsage | None = None
        self.final: dict[str, Any] | None = None

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the bytes of some events."""
        if self._held is not None:
            events = list(events)
            self._held += events
            if not any(map(_is_useful, events)):
                return b""
            events, self._held = self._held, None
            self._begin(events)
            out = [self._stream.begin()]
        else:
            out = []
        for event in events:
            if isinstance(event, Delta):
                item = self._open.get(event.pos)
                if item is not None:
                    out.append(item.take(event))
            else:
                out.append(self._other(event))
        return b"".join(out)

    def _begin(self, events: Iterable[AnyEvent]) -> None:
        """Take the upstream's id and time, unless the client has others already."""
        stream = self._stream
        for event in events:
            if isinstance(event, Start) and not stream.is_open:
                stream.created = event.created or stream.created
                if event.id:
                    stream.response_id = mint("resp", event.id)

    def _other(self, event: AnyEvent) -> bytes:
        item: Item | None
        if isinstance(event, PartOpen):
            return self._part_open(event) if event.choice == 0 else b""
        if isinstance(event, PartClose):
            return self._part_close(event)
        if isinstance(event, OpaqueSeen):
            item = self._open.get(event.pos)
            if isinstance(item, Thought):
                item.prove(event.opaque)
        elif isinstance(event, CitationSeen):
            item = self._open.get(event.pos)
            if isinstance(item, Message):
                item.cite(event.citation)
        elif isinstance(event, Finish) and event.choice == 0:
            return self._finished(event)
        elif isinstance(event, End):
            return self._end()
        else:
            self._note(event)
        return b""

    def _note(self, event: AnyEvent) -> None:
        if isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Start):
            self._usage = event.usage or self._usage
            self._tier = event.service_tier or self._tier
        elif isinstance(event, Meta):
            self._tier = event.service_tier or self._tier

    def _part_open(self, event: PartOpen) -> bytes:
        if event.kind in ("media", "unknown"):
            self._open[event.pos] = None
            return self._item_done("completed")
        out = b""
        item = self._item
        is_words = event.kind in ("text", "refusal")
        if item is None or not (is_words and isinstance(item, Message)):
            out = self._item_done("completed")
            item = self._item = self._made(event)
            out += self._added(item.index, item.opened())
        self._refused = self._refused or event.kind == "refusal"
        self._open[event.pos] = item
        return out + item.begin(event)

    def _made(self, event: PartOpen) -> Item:
        index, stream = len(self._output), self._stream
        if event.kind == "tool_call":
            is_custom = event.tool_kind == "custom"
            kind: type[Call] = CustomCall if is_custom else Call
            if not is_custom and event.name in self._customs:
                kind = UnwrappedCall
            return kind(stream, index, self._id(kind.prefix), event)
        if event.kind == "reasoning":
            return Thought(stream, index, self._id(Thought.prefix))
        return Message(stream, index, self._id(Message.prefix))

    def _id(self, prefix: str) -> str:
        tail = self._stream.response_id.partition("_")[2]
        return f"{prefix}_{tail}_{len(self._output)}"

    def _part_close(self, event: PartClose) -> bytes:
        if event.pos not in self._open:
            return b""
        item = self._open.pop(event.pos)
        if item is not None:
            return item.close()
        part = event.part
        if isinstance(part, Unknown) and part.dialect == DIALECT:
            return self._whole(part.payload, part.payload)
        if isinstance(part, Media) and part.kind == "image":
            return self._image(part)
        return b""

    def _image(self, part: Media) -> bytes:
        item_id = self._id("ig")
        item = {"id": item_id, "type": "image_generation_call"}
        event = "response.image_generation_call"
        place = {"item_id": item_id, "output_index": len(self._output)}
        first = self._added(
            len(self._output), item | {"status": "in_progress", "result": None}
        )
        first += self._stream.frame(f"{event}.in_progress", **place)
        first += self._stream.frame(f"{event}.completed", **place)
        return first + self._finished_item(
            item | {"status": "completed", "result": part.data}
        )

    def _whole(self, opened: Any, done: Any) -> bytes:
        """Write an item that came whole."""
        return self._added(len(self._output), opened) + self._finished_item(done)

    def _added(self, index: int, item: Any) -> bytes:
        return self._stream.frame(
            "response.output_item.added", output_index=index, item=item
        )

    def _item_done(self, status: str) -> bytes:
        """Close the item that is open, if any."""
        item, self._item = self._item, None
        return b"" if item is None else self._finished_item(item.done(status))

    def _finished_item(self, item: Any) -> bytes:
        index = len(self._output)
        self._output.append(item)
        return self._stream.frame(
            "response.output_item.done", output_index=index, item=item
        )

    def _finished(self, event: Finish) -> bytes:
        self._finish = event
        out = b""
        if event.reason == "refusal" and not self._refused:
            # An empty success would hide the refusal (2.15).
            opened = PartOpen(pos=-1, kind="refusal")
            out = self._part_open(opened)
            item = self._open.pop(-1)
            if item is not None:
                words = event.detail or _REFUSED
                out += item.take(Delta(pos=-1, text=words)) + item.close()
        is_cut = event.reason in _CUT
        return out + self._item_done("incomplete" if is_cut else "completed")

    def _end(self) -> bytes:
        finish = self._finish or Finish(reason="end")
        status = "completed"
        error = details = None
        if finish.reason in _CUT:
            status, details = "incomplete", {"reason": "max_output_tokens"}
        elif finish.reason in _FAILED:
            code, words = _FAILED[finish.reason]
            status = "failed"
            error = {"code": code, "message": finish.detail or words}
        self.final = self._stream.body(status) | {
            "error": error,
            "incomplete_details": details,
            "output": self._output,
            "usage": usage_body(self._usage),
        }
        if self._tier:
            self.final["service_tier"] = self._tier
        return self._stream.frame(f"response.{status}", response=self.final)


def encode_answer(answer: Answer, view: View) -> bytes:
    """Word a whole answer: what the last event of its stream would have carried."""
    stream = ResponsesStream(view.asked, view.request_id)
    stream.created = view.created or stream.created
    encoder = ResponsesEncoder(view, stream)
    encoder.encode(events_of(answer))
    return msgspec.json.encode(encoder.final)


def events_of(answer: Answer) -> list[AnyEvent]:
    """Return the events of a whole answer's first choice."""
    events: list[AnyEvent] = [
        Start(id=answer.id, created=answer.created, service_tier=answer.service_tier)
    ]
    choice = next((each for each in answer.choices if each.index == 0), Choice())
    logprobs = _joined(choice.logprobs)
    for pos, part in enumerate(choice.parts):
        events += _events_of_part(pos, part, logprobs)
        if isinstance(part, Text):
            logprobs = None
    if answer.usage is not None:
        events.append(UsageSeen(usage=answer.usage))
    finish = msgspec.structs.replace(choice.finish, choice=0)
    return [*events, finish, End()]


def _events_of_part(
    pos: int, part: Part, logprobs: msgspec.Raw | None
) -> list[AnyEvent]:
    made: list[AnyEvent] = []
    if isinstance(part, Text):
        made.append(PartOpen(pos=pos, kind="text"))
        made.append(Delta(pos=pos, text=part.text, logprobs=logprobs))
        made += [CitationSeen(pos=pos, citation=each) for each in part.citations]
    elif isinstance(part, Reasoning):
        made.append(PartOpen(pos=pos, kind="reasoning"))
        if part.text:
            made.append(Delta(pos=pos, text=part.text))
        made += [OpaqueSeen(pos=pos, opaque=each) for each in part.opaque]
    elif isinstance(part, ToolCall):
        made.append(
            PartOpen(
                pos=pos,
                kind="tool_call",
                id=part.id,
                name=part.name,
                tool_kind=part.kind,
                namespace=part.namespace,
            )
        )
        if part.arguments:
            made.append(Delta(pos=pos, text=part.arguments))
    elif isinstance(part, Refusal):
        made.append(PartOpen(pos=pos, kind="refusal"))
        made.append(Delta(pos=pos, text=part.text))
    else:
        made.append(PartOpen(pos=pos, kind="unknown"))
    return [*made, PartClose(pos=pos, part=part)]


def _joined(logprobs: tuple[msgspec.Raw, ...]) -> msgspec.Raw | None:
    """Join the log probabilities of all pieces of a choice."""
    if not logprobs:
        return None
    entries = [
        entry
        for raw in logprobs
        for entry in msgspec.json.decode(raw, type=list[msgspec.Raw])
    ]
    return msgspec.Raw(msgspec.json.encode(entries))


def _is_useful(event: AnyEvent) -> bool:
    """Tell what ``gather.Meter`` calls useful: bytes leave with it, not before."""
    if isinstance(event, Delta):
        return bool(event.text)
    if isinstance(event, PartOpen):
        return event.kind == "tool_call"
    return isinstance(event, MediaSeen | UnknownSeen | Finish)
