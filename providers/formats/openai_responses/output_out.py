"""Write the items of a client's output, each with its whole row of events.

Source: reference wire 1.2 stream, R3, R8, R9; P25, P26, P39, P103.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import msgspec

from providers.formats.neutral.events import Delta, PartOpen
from providers.formats.neutral.restore import unwrapped
from providers.formats.neutral.smuggle import pack
from providers.formats.neutral.types import Citation, Opaque
from providers.formats.openai_responses.client import ResponsesStream
from providers.formats.openai_responses.content import annotation
from providers.formats.openai_responses.items import FAMILY

_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SUMMARY: Final = "response.reasoning_summary"
_NO_LOGPROBS: Final = b',"logprobs":[]}\n\n'
_END: Final = b"}\n\n"


class Item(ABC):
    """Write one item of the output.

    Shapes:  ``open`` and ``close`` bracket a part of it; ``done`` is the finished item,
             whose last event is the caller's.
    """

    prefix = "item"
    delta = ""

    def __init__(self, stream: ResponsesStream, index: int, item_id: str) -> None:
        self._stream = stream
        self._texts: list[str] = []
        self.index = index
        self.id = item_id
        self._head = self._middle = b""

    def frame(self, kind: str, **fields: Any) -> bytes:
        """Word an event about this item."""
        return self._stream.frame(
            kind, item_id=self.id, output_index=self.index, **fields
        )

    def aim(self, kind: str, **fields: int) -> None:
        """Prepare the frames of pieces, of which there are many and all alike."""
        place = {"item_id": self.id, "output_index": self.index, **fields}
        self._head = b'event: %b\ndata: {"type":"%b","sequence_number":' % (
            kind.encode(),
            kind.encode(),
        )
        self._middle = b',%b,"delta":' % msgspec.json.encode(place)[1:-1]

    def piece(self, text: str, ending: bytes = _END) -> bytes:
        """Word a piece of text."""
        number = str(self._stream.number()).encode()
        encoded = msgspec.json.encode(text)
        return self._head + number + self._middle + encoded + ending

    @abstractmethod
    def opened(self) -> dict[str, Any]:
        """Return the item as it begins."""

    @abstractmethod
    def begin(self, event: PartOpen) -> bytes:
        """Open a part."""

    def take(self, event: Delta) -> bytes:
        """Take a piece of the part."""
        self._texts.append(event.text)
        return self.piece(event.text)

    @abstractmethod
    def close(self) -> bytes:
        """Close the part."""

    @abstractmethod
    def done(self, status: str) -> dict[str, Any]:
        """Return the finished item."""


class Message(Item):
    """Write a message: texts and refusals, each a content part of its own."""

    prefix = "msg"

    def __init__(self, stream: ResponsesStream, index: int, item_id: str) -> None:
        super().__init__(stream, index, item_id)
        self._content: list[dict[str, Any]] = []
        self._citations: list[Citation] = []
        self._logprobs: list[msgspec.Raw] = []
        self._is_refusal = False

    def opened(self) -> dict[str, Any]:
        """Return an empty message."""
        return self._message("in_progress", [])

    def begin(self, event: PartOpen) -> bytes:
        """Open a content part."""
        self._texts, self._citations, self._logprobs = [], [], []
        self._is_refusal = event.kind == "refusal"
        place = len(self._content)
        kind = "refusal" if self._is_refusal else "output_text"
        self.aim(f"response.{kind}.delta", content_index=place)
        return self.frame(
            "response.content_part.added", content_index=place, part=self._part("")
        )

    def take(self, event: Delta) -> bytes:
        """Take a piece of text."""
        self._texts.append(event.text)
        if self._is_refusal:
            return self.piece(event.text)
        if event.logprobs is None:
            return self.piece(event.text, _NO_LOGPROBS)
        self._logprobs += _RAWS.decode(event.logprobs)
        return self.piece(event.text, b',"logprobs":%b}\n\n' % bytes(event.logprobs))

    def cite(self, citation: Citation) -> None:
        """Remember a source until the text it refers to is complete."""
        self._citations.append(citation)

    def close(self) -> bytes:
        """Close the content part: its sources, its text, itself."""
        place, text = len(self._content), "".join(self._texts)
        part = self._part(text)
        out = [
            self.frame(
                "response.output_text.annotation.added",
                content_index=place,
                annotation_index=number,
                annotation=each,
            )
            for number, each in enumerate(part.get("annotations", ()))
        ]
        if self._is_refusal:
            done = self.frame(
                "response.refusal.done", content_index=place, refusal=text
            )
        else:
            done = self.frame(
                "response.output_text.done",
                content_index=place,
                text=text,
                logprobs=self._logprobs,
            )
        ended = self.frame("response.content_part.done", content_index=place, part=part)
        self._content.append(part)
        return b"".join((*out, done, ended))

    def done(self, status: str) -> dict[str, Any]:
        """Return the whole message."""
        return self._message(status, self._content)

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _part(self, text: str) -> dict[str, Any]:
        if self._is_refusal:
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": [annotation(each, len(text)) for each in self._citations],
            "logprobs": list(self._logprobs),
        }


class Thought(Item):
    """Write a reasoning item; words of any vendor's reasoning are a summary here."""

    prefix = "rs"

    def __init__(self, stream: ResponsesStream, index: int, item_id: str) -> None:
        super().__init__(stream, index, item_id)
        self._proof = ""

    def opened(self) -> dict[str, Any]:
        """Return an empty item."""
        return {"id": self.id, "type": "reasoning", "summary": []}

    def begin(self, event: PartOpen) -> bytes:
        """Wait for words: there may be none."""
        self.aim(f"{_SUMMARY}_text.delta", summary_index=0)
        return b""

    def take(self, event: Delta) -> bytes:
        """Take a piece; the first one opens the summary."""
        first = b""
        if not self._texts:
            first = self.frame(
                f"{_SUMMARY}_part.added", summary_index=0, part=_summary("")
            )
        self._texts.append(event.text)
        return first + self.piece(event.text)

    def prove(self, opaque: Opaque) -> None:
        """Keep proof for the item's opaque slot; another vendor's comes packed."""
        is_own = opaque.family == FAMILY and opaque.slot == "encrypted"
        if not self._proof:
            bare = is_own and not opaque.scope
            self._proof = opaque.data if bare else pack(opaque)

    def close(self) -> bytes:
        """Close the summary, where there is one."""
        if not self._texts:
            return b""
        text = "".join(self._texts)
        return self.frame(
            f"{_SUMMARY}_text.done", summary_index=0, text=text
        ) + self.frame(f"{_SUMMARY}_part.done", summary_index=0, part=_summary(text))

    def done(self, status: str) -> dict[str, Any]:
        """Return the whole item."""
        item = self.opened()
        if self._texts:
            item["summary"] = [_summary("".join(self._texts))]
        if self._proof:
            item["encrypted_content"] = self._proof
        return item


class Call(Item):
    """Write a call of a function."""

    prefix = "fc"
    kind = "function_call"
    said = "arguments"
    event = "response.function_call_arguments"

    def __init__(
        self, stream: ResponsesStream, index: int, item_id: str, opened: PartOpen
    ) -> None:
        super().__init__(stream, index, item_id)
        self._opened = opened
        self._call_id = opened.id or mint_call(item_id)

    def opened(self) -> dict[str, Any]:
        """Return the call as it begins: its names, nothing said yet."""
        return self._item("in_progress", "")

    def begin(self, event: PartOpen) -> bytes:
        """Wait for what is said."""
        self.aim(f"{self.event}.delta")
        return b""

    def close(self) -> bytes:
        """Close what was said; a function without arguments gets an empty object."""
        first = b""
        if not self._texts:
            first = self._say_nothing()
        fields = {self.said: "".join(self._texts)}
        return first + self.frame(f"{self.event}.done", **fields)

    def _say_nothing(self) -> bytes:
        return self.take(Delta(pos=0, text="{}"))

    def done(self, status: str) -> dict[str, Any]:
        """Return the whole call."""
        return self._item(status, "".join(self._texts))

    def _item(self, status: str, said: str) -> dict[str, Any]:
        item = {
            "id": self.id,
            "type": self.kind,
            "status": status,
            "call_id": self._call_id,
            "name": self._opened.name,
            self.said: said,
        }
        if self._opened.namespace:
            item["namespace"] = self._opened.namespace
        return item


class CustomCall(Call):
    """Write a call of a freeform tool."""

    prefix = "ctc"
    kind = "custom_tool_call"
    said = "input"
    event = "response.custom_tool_call_input"

    def _say_nothing(self) -> bytes:
        return b""


class UnwrappedCall(CustomCall):
    """Write a call of a freeform tool that an upstream made a function's call of.

    Source:  P39: Codex ends the session over a function's call of ``apply_patch``.
    """

    def __init__(
        self, stream: ResponsesStream, index: int, item_id: str, opened: PartOpen
    ) -> None:
        super().__init__(stream, index, item_id, opened)
        self._wrapped: list[str] = []

    def take(self, event: Delta) -> bytes:
        """Wait: the text can be taken out of its object only when it is whole."""
        self._wrapped.append(event.text)
        return b""

    def close(self) -> bytes:
        """Say the text, and close."""
        text = unwrapped("".join(self._wrapped))
        first = b""
        if text:
            self._texts.append(text)
            first = self.piece(text)
        return first + super().close()


def mint_call(item_id: str) -> str:
    """Return an id for a call whose upstream gave none."""
    return f"call_{item_id.partition('_')[2]}"


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}
