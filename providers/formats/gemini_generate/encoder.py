"""Write a Gemini client's stream: as events, or as one JSON array.

Nothing but ``data`` lines and blank lines may stand in the events: Google's own clients
take a comment, an event's name or a terminator for broken JSON. Without ``alt=sse`` the
frames are the members of one array, which is closed also when the answer breaks off.

Source: reference wire 1.5, 1.14, R4, R5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import ChatRequest
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.errors import error_object
from providers.formats.gemini_generate.logprobs import logprobs_body
from providers.formats.gemini_generate.peek import WRAPPED, wants_array
from providers.formats.gemini_generate.usage import usage_body
from providers.formats.gemini_generate.words import (
    Cited,
    answer_id_of,
    candidate_body,
    enveloped,
    feedback_body,
    part_body,
)
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Finish,
    Meta,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.types import Part, Refusal, Text

SSE_TYPE: Final = "text/event-stream; charset=utf-8"
ARRAY_TYPE: Final = "application/json"
_KEEPALIVE: Final = b"data: {}\n\n"
_SPACE: Final = b"\n"
_TAIL: Final = b'],"role":"model"},'
_FLAT: Final = bytes.maketrans(b"\r\n", b"  ")
_ENCODER: Final = msgspec.json.Encoder()


def flat(payload: bytes) -> bytes:
    """Return JSON on one line: a raw line end is white space between its tokens."""
    if b"\n" not in payload and b"\r" not in payload:
        return payload
    return payload.translate(_FLAT)


class GeminiClientStream:
    """Frame one client's stream, and write what the proxy itself has to say in it.

    Shapes:  ``content_type`` is that of the framing the client asked for. ``is_open``
             = the array was begun: bytes of it are on their way to the client.
    """

    __slots__ = ("content_type", "is_array", "is_open")

    def __init__(self, asked: ChatRequest) -> None:
        self.is_array = wants_array(asked.arrival)
        self.is_open = False
        self.content_type = ARRAY_TYPE if self.is_array else SSE_TYPE

    def frame(self, payload: bytes) -> bytes:
        """Return one frame of the answer."""
        if not self.is_array:
            return b"data: " + flat(payload) + b"\r\n\r\n"
        if self.is_open:
            return b",\r\n" + payload
        self.is_open = True
        return b"[" + payload

    def closing(self) -> bytes:
        """Return the end of a stream; events have none."""
        if not self.is_array:
            return b""
        return b"]" if self.is_open else b"[]"

    def keepalive(self) -> bytes:
        """Return an empty frame; between the members of an array white space."""
        return _SPACE if self.is_array else _KEEPALIVE

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the in-stream error, and the array's end so that it stays JSON."""
        _, error = error_object(detail.status or 502, detail, request_id=request_id)
        frame = self.frame(msgspec.json.encode({"error": error}))
        return frame + self.closing()


class GeminiEncoder:
    """Make one client's stream of events; see ``neutral.codec.Encoder``.

    Shapes:  the reasons wait for the end, where Gemini's clients look for the usage.
    Cost:    some 2 us for a piece of text.
    """

    __slots__ = (
        "_asked",
        "_choices",
        "_cited",
        "_early",
        "_finishes",
        "_id",
        "_kinds",
        "_model",
        "_places",
        "_refused",
        "_stream",
        "_tails",
        "_usage",
    )

    def __init__(self, view: View, stream: GeminiClientStream) -> None:
        self._stream = stream
        self._asked = view.asked.dialect
        self._model = view.model
        self._id = answer_id_of("", view)
        self._usage: TokenUsage | None = None
        self._kinds: dict[int, str] = {}
        self._choices: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._tails: dict[int, bytes] = {}
        self._cited: dict[int, Cited] = {}
        self._refused: set[int] = set()
        self._finishes: list[Finish] = []
        self._early: list[bytes] = []

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the bytes for some events."""
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Delta):
                self._delta(event, out)
            elif isinstance(event, PartOpen):
                self._kinds[event.pos] = event.kind
                self._choices[event.pos] = event.choice
            elif isinstance(event, PartClose):
                self._close(event, out)
            elif isinstance(event, UsageSeen):
                self._usage = event.usage
            elif isinstance(event, Finish):
                self._finishes.append(event)
            elif isinstance(event, Start):
                self._id, self._usage = event.id or self._id, event.usage
            elif isinstance(event, Meta):
                self._id = event.id or self._id
            elif isinstance(event, End):
                self._end(out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        """Write a piece of text or thought; arguments wait until they are whole."""
        kind, choice = self._kinds[event.pos], self._choices[event.pos]
        if kind not in ("text", "reasoning", "refusal"):
            return
        thought = b',"thought":true}' if kind == "reasoning" else b"}"
        part = b'{"text":' + _ENCODER.encode(event.text) + thought
        payload = self._frame(part, choice)
        if event.logprobs is not None:
            said = b'"logprobsResult":' + _ENCODER.encode(
                logprobs_body([event.logprobs])
            )
            at = len(payload) - len(self._tails[choice]) + len(_TAIL)
            payload = payload[:at] + said + b"," + payload[at:]
        self._write(payload, out, is_useful=bool(event.text))

    def _close(self, event: PartClose, out: list[bytes]) -> None:
        """Write what comes whole, and keep what the last frame will say."""
        part, choice = event.part, self._choices.pop(event.pos)
        kind = self._kinds.pop(event.pos)
        place = self._places.get(choice, 0)
        self._places[choice] = place + 1
        if isinstance(part, Refusal):
            self._refused.add(choice)
        if isinstance(part, Text):
            cited = [(place, part.text, each) for each in part.citations]
            self._cited.setdefault(choice, []).extend(cited)
        elif kind == "reasoning":
            self._proof(part, choice, out)
        elif part is not None and not isinstance(part, Refusal):
            wire = part_body(part)
            if wire is not None:
                self._write(self._frame(_ENCODER.encode(wire), choice), out)

    def _proof(self, part: Part | None, choice: int, out: list[bytes]) -> None:
        """Write the proof of a thought whose words went out before."""
        wire = part_body(part) if part is not None else None
        if not isinstance(wire, dict) or "thoughtSignature" not in wire:
            return
        payload = self._frame(_ENCODER.encode({**wire, "text": ""}), choice)
        self._write(payload, out, is_useful=False)

    def _write(
        self, payload: bytes, out: list[bytes], *, is_useful: bool = True
    ) -> None:
        """Write a frame; what says nothing yet may still be thrown away, and waits."""
        if not is_useful and self._stream.is_array and not self._stream.is_open:
            self._early.append(payload)
            return
        if self._early:
            out += map(self._stream.frame, self._early)
            self._early = []
        out.append(self._stream.frame(payload))

    def _frame(self, part: bytes, choice: int) -> bytes:
        """Return a frame of one part."""
        tail = self._tails.get(choice)
        if tail is None:
            tail = self._tails[choice] = self._tail(choice)
        head = b'{"candidates":[{"content":{"parts":['
        if self._asked == WRAPPED:
            head = b'{"response":' + head
        return head + part + tail

    def _tail(self, choice: int) -> bytes:
        tail = _TAIL + b'"index":%d}],"modelVersion":%b,"responseId":%b}' % (
            choice,
            _ENCODER.encode(self._model),
            _ENCODER.encode(self._id),
        )
        if self._asked == WRAPPED:
            tail += b',"traceId":' + _ENCODER.encode(self._id) + b"}"
        return tail

    def _end(self, out: list[bytes]) -> None:
        """Write the reasons and the usage, and end the stream."""
        body: dict[str, Any] = {}
        blocked = [
            each
            for each in self._finishes
            if each.reason == "prompt_blocked" and each.choice not in self._places
        ]
        if blocked:
            body["promptFeedback"] = feedback_body(blocked[0])
        else:
            body["candidates"] = [
                candidate_body(
                    each,
                    [{"text": ""}],
                    cited=self._cited.get(each.choice, []),
                    logprobs=[],
                    refused=each.choice in self._refused,
                )
                for each in self._finishes
            ]
        if self._usage is not None:
            body["usageMetadata"] = usage_body(self._usage)
        body["modelVersion"] = self._model
        body["responseId"] = self._id
        out += map(self._stream.frame, self._early)
        payload = _ENCODER.encode(enveloped(body, self._id, self._asked))
        out.append(self._stream.frame(payload) + self._stream.closing())
