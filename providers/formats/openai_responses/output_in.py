"""Read the items of an upstream's output, in pieces or whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import Opaque
from providers.formats.openai_responses.content import read_annotation
from providers.formats.openai_responses.items import FAMILY, SUMMARY_BREAK
from providers.formats.openai_responses.peek import DIALECT
from providers.formats.openai_responses.wire import (
    UNSET,
    ContentPart,
    Item,
    StreamEvent,
    loose_text,
    number,
    read_item,
    read_part,
    read_parts,
    word,
)

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})

Take = Callable[["_Open", StreamEvent, list[AnyEvent]], None]


class _Part:
    """Hold one part that was opened for an item."""

    __slots__ = ("citations", "has_text", "is_closed", "pos")

    def __init__(self, pos: int) -> None:
        self.pos = pos
        self.has_text = False
        self.citations = 0
        self.is_closed = False


class _Open:
    """Hold one item: its parts by content index; a call and reasoning have one."""

    __slots__ = ("is_done", "parts", "summary")

    def __init__(self) -> None:
        self.parts: dict[int, _Part] = {}
        self.summary: int | None = None
        self.is_done = False

    def is_another(self, kind: str) -> bool:
        """Tell whether an event begins another item under the same number."""
        return self.is_done and kind == "response.output_item.added"


class Output:
    """Make events of the items of one answer."""

    __slots__ = ("_items", "_next", "_reply", "_takes")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._items: dict[int, _Open] = {}
        self._next = 0
        self._takes: dict[str, Take] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._reasoned,
            "response.function_call_arguments.delta": self._arguments,
            "response.custom_tool_call_input.delta": self._arguments,
            "response.output_text.annotation.added": self._annotation,
            "response.content_part.done": self._part_done,
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
        }

    def take(self, kind: str, event: StreamEvent, out: list[AnyEvent]) -> bool:
        """Take an event about an item; False when it is about something else."""
        take = self._takes.get(kind)
        if take is None:
            return False
        index = number(event.output_index)
        item = self._items.get(index)
        if item is None or (event.item is not UNSET and item.is_another(kind)):
            item = self._items[index] = _Open()
        if not item.is_done:
            take(item, event, out)
        return True

    def rest(self, items: list[msgspec.Raw], out: list[AnyEvent]) -> None:
        """Take the whole output at the end, for what no event of its own said.

        Shapes:  servers number their items oddly; what stands before the last known
                 number and has none of its own was said under another.
        """
        last = max(self._items, default=-1)
        for index, raw in enumerate(items):
            if index in self._items or index > last:
                self.done(index, raw, out)

    def done(self, index: int, raw: msgspec.Raw, out: list[AnyEvent]) -> None:
        """Take a whole item; nothing that was said in pieces is said again."""
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Open()
        if item.is_done:
            return
        item.is_done = True
        wire = read_item(raw)
        if wire.type == "message":
            for place, content in enumerate(read_parts(raw)):
                self._rest(item, place, content, out)
        elif wire.type == "reasoning":
            self._reasoning_done(item, wire, out)
        elif wire.type in _CALLS:
            self._call_done(item, wire, out)
        elif wire.type == "image_generation_call" and word(wire.result):
            self._image(wire, out)
        elif wire.type is not None:
            self._unknown(word(wire.type), raw, out)
        for part in item.parts.values():
            _close(part, out)

    def _open(
        self,
        item: _Open,
        place: int,
        kind: Literal["text", "refusal", "reasoning"],
        out: list[AnyEvent],
        *,
        detail: str = "",
    ) -> _Part:
        part = item.parts.get(place)
        if part is None:
            part = item.parts[place] = _Part(self._next)
            self._next += 1
            out.append(PartOpen(pos=part.pos, kind=kind, detail=detail))
        return part

    def _text(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = self._open(item, number(event.content_index), "text", out)
        text = event.delta if isinstance(event.delta, str) else loose_text(event.delta)
        part.has_text = part.has_text or bool(text)
        if event.logprobs is UNSET:
            out.append(Delta(pos=part.pos, text=text))
        else:
            out.append(
                Delta(pos=part.pos, text=text, logprobs=_logprobs(event.logprobs))
            )

    def _refusal(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = self._open(item, number(event.content_index), "refusal", out)
        part.has_text = True
        out.append(Delta(pos=part.pos, text=loose_text(event.delta)))

    def _summary(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = self._open(item, 0, "reasoning", out, detail="summary")
        index = number(event.summary_index)
        text = loose_text(event.delta)
        if item.summary is not None and index != item.summary:
            text = SUMMARY_BREAK + text
        item.summary = index
        part.has_text = True
        out.append(Delta(pos=part.pos, text=text))

    def _reasoned(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = self._open(item, 0, "reasoning", out, detail="full")
        part.has_text = True
        out.append(Delta(pos=part.pos, text=loose_text(event.delta)))

    def _arguments(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = item.parts.get(0)
        text = loose_text(event.delta)
        # Without its name a call cannot begin: then its last event brings it whole.
        if part is not None and text:
            part.has_text = True
            out.append(Delta(pos=part.pos, text=text))

    def _annotation(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        part = self._open(item, number(event.content_index), "text", out)
        citation = read_annotation(event.annotation)
        part.citations += 1
        if citation is not None:
            out.append(CitationSeen(pos=part.pos, citation=citation))

    def _part_done(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        known = self._rest(
            item, number(event.content_index), read_part(event.part), out
        )
        if known is not None:
            _close(known, out)

    def _added(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        wire = read_item(event.item)
        if wire.type in _CALLS and word(wire.name) and not item.parts:
            self._call_open(item, wire, out)

    def _item_done(self, item: _Open, event: StreamEvent, out: list[AnyEvent]) -> None:
        self.done(number(event.output_index), event.item, out)

    def _rest(
        self, item: _Open, place: int, part: ContentPart, out: list[AnyEvent]
    ) -> _Part | None:
        """Say of a content part what was not said yet; None for parts of other kinds."""
        text, kind = word(part.text), word(part.type)
        if kind == "refusal":
            text = word(part.refusal)
            known = self._open(item, place, "refusal", out)
        elif kind in ("output_text", "text"):
            known = self._open(item, place, "text", out)
        else:
            return None
        if known.is_closed:
            return known
        if text and not known.has_text:
            known.has_text = True
            logprobs = _logprobs(part.logprobs)
            out.append(Delta(pos=known.pos, text=text, logprobs=logprobs))
        for raw in (part.annotations or [])[known.citations :]:
            known.citations += 1
            citation = read_annotation(raw)
            if citation is not None:
                out.append(CitationSeen(pos=known.pos, citation=citation))
        return known

    def _reasoning_done(self, item: _Open, wire: Item, out: list[AnyEvent]) -> None:
        summary = _joined(wire.summary, SUMMARY_BREAK)
        text = summary or _joined(wire.content, "")
        proof = word(wire.encrypted_content)
        if not text and not proof and not item.parts:
            return  # the vendor keeps it to itself: there is nothing to show
        detail = "summary" if summary or not text else "full"
        part = self._open(item, 0, "reasoning", out, detail=detail)
        if text and not part.has_text:
            out.append(Delta(pos=part.pos, text=text))
        if proof:
            opaque = unpack(proof) if is_packed(proof) else self._encrypted(proof)
            if opaque is not None:
                out.append(OpaqueSeen(pos=part.pos, opaque=opaque))

    def _encrypted(self, data: str) -> Opaque:
        return Opaque(
            family=FAMILY,
            slot="encrypted",
            data=data,
            model=self._reply.model,
            scope=self._reply.scope,
        )

    def _call_open(self, item: _Open, wire: Item, out: list[AnyEvent]) -> _Part:
        part = item.parts[0] = _Part(self._next)
        self._next += 1
        out.append(
            PartOpen(
                pos=part.pos,
                kind="tool_call",
                id=word(wire.call_id) or word(wire.id),
                name=word(wire.name),
                tool_kind="custom" if wire.type == "custom_tool_call" else "function",
                namespace=word(wire.namespace),
                item_id=word(wire.id),
            )
        )
        return part

    def _call_done(self, item: _Open, wire: Item, out: list[AnyEvent]) -> None:
        part = item.parts.get(0) or self._call_open(item, wire, out)
        said = wire.input if wire.type == "custom_tool_call" else wire.arguments
        text = loose_text(said)
        if text and not part.has_text:
            out.append(Delta(pos=part.pos, text=text))

    def _image(self, wire: Item, out: list[AnyEvent]) -> None:
        ending = word(wire.output_format) or "png"
        pos = self._next
        self._next += 1
        out.append(PartOpen(pos=pos, kind="media"))
        out.append(
            MediaSeen(pos=pos, data=word(wire.result), media_type=f"image/{ending}")
        )
        out.append(PartClose(pos=pos))

    def _unknown(self, kind: str, raw: msgspec.Raw, out: list[AnyEvent]) -> None:
        pos = self._next
        self._next += 1
        payload = msgspec.Raw(bytes(raw))
        out.append(PartOpen(pos=pos, kind="unknown"))
        out.append(UnknownSeen(pos=pos, dialect=DIALECT, type=kind, payload=payload))
        out.append(PartClose(pos=pos))


def _close(part: _Part, out: list[AnyEvent]) -> None:
    if not part.is_closed:
        part.is_closed = True
        out.append(PartClose(pos=part.pos))


def _logprobs(raw: msgspec.Raw) -> msgspec.Raw | None:
    found = bytes(raw)
    return msgspec.Raw(found) if found[:1] == b"[" and found != b"[]" else None


def _joined(parts: object, between: str) -> str:
    if not isinstance(parts, list):
        return ""
    texts = [each.get("text") for each in parts if isinstance(each, dict)]
    return between.join(text for text in texts if isinstance(text, str))
