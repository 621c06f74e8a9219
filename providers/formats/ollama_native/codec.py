"""Translate this dialect from and into the neutral form."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, Literal

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest, Target, is_bulky
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Decoder, Encoded, Encoder, Reply, View
from providers.formats.neutral.events import (
    Answer,
    AnyEvent,
    Choice,
    End,
    Failed,
    Finish,
    Start,
)
from providers.formats.neutral.repair import failed
from providers.formats.neutral.types import (
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
)
from providers.formats.ollama_native import decode, encode
from providers.formats.ollama_native.lines import (
    Line,
    LineReader,
    decode_line,
    read_usage,
)
from providers.formats.ollama_native.peek import GENERATE
from providers.formats.ollama_native.stream import (
    Head,
    LineDecoder,
    LineEncoder,
    explained,
    last_members,
    worded_call,
)
from providers.formats.taps import ClientStream

_NO_ANSWER: Final = "The upstream's answer is not a chat."
_NO_CHOICE: Final = Choice()


class OllamaCodec:
    """Take requests and answers apart and put them together.

    Shapes:  ``now_ns`` tells the time that answers state as their duration.
    """

    id = "ollama"
    framing: Literal["sse", "ndjson", "eventstream"] = "ndjson"

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return decode.decode_request(request)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request; it was fitted to what ``caps`` say already."""
        return encode.encode_request(request, target)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart, also one that came as lines."""
        if is_bulky(body):
            return [failed(_NO_ANSWER)]
        line = decode_line(body)
        if line is None:
            return _whole(self._streamed(body))
        if not line.error and not line.is_answer:
            return [failed(_NO_ANSWER)]
        if line.done is None:
            line.done = True
        return _whole(LineReader().read(line, body))

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading lines."""
        return LineDecoder()

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer; of several choices the first."""
        choice = answer.choices[0] if answer.choices else _NO_CHOICE
        is_generate = view.asked.arrival.path == GENERATE
        head = Head(view.model, view.created, is_generate=is_generate)
        rest = _content(choice)
        tail = last_members(choice.finish, answer.usage, 0)
        if choice.logprobs:
            tail["logprobs"] = [
                each for raw in choice.logprobs for each in _entries(raw)
            ]
        return head.done(tail, rest)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing lines."""
        return LineEncoder(view, self._now_ns)

    def _streamed(self, body: bytes) -> list[AnyEvent]:
        decoder = LineDecoder()
        return [*decoder.feed(body), *decoder.eof()]


class EmbeddingsCodec(OllamaCodec):
    """Meter the answers of embedding operations, which are relayed only."""

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Read the model and the count of an answer."""
        line = decode_line(body)
        if line is None:
            return [failed("The upstream's answer holds no embeddings.")]
        if line.error:
            return LineReader().read(line, body)
        usage = read_usage(line)
        return [
            Start(model=line.model or ""),
            *([] if usage is None else [usage]),
            Finish(reason="end"),
            End(),
        ]


def _whole(events: list[AnyEvent]) -> list[AnyEvent]:
    """Return an answer's events; without an end it is half an answer, and no success."""
    if events and isinstance(events[-1], End | Failed):
        return events
    return [*events, failed("The upstream's answer broke off.", "upstream_truncated")]


def join_lines(body: bytes) -> bytes | None:
    """Make one object of an answer's lines; None where they are no whole answer."""
    last: dict[str, msgspec.Raw] | None = None
    kept: list[Line] = []
    for each in body.splitlines():
        line = decode_line(each)
        if line is not None and not line.error:
            kept.append(line)
            last = msgspec.json.decode(each, type=dict[str, msgspec.Raw])
    if last is None or not kept[-1].done:
        return None
    thinking = "".join(_said(line, "thinking") for line in kept)
    if kept[-1].message is None:
        last["response"] = _raw("".join(line.response or "" for line in kept))
        last |= {"thinking": _raw(thinking)} if thinking else {}
        return msgspec.json.encode(last)
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(_said(line, "content") for line in kept),
    }
    if thinking:
        message["thinking"] = thinking
    calls = [
        call
        for line in kept
        if line.message is not None
        for call in line.message.tool_calls or ()
    ]
    if calls:
        message["tool_calls"] = calls
    last["message"] = _raw(message)
    return msgspec.json.encode(last)


def _said(line: Line, field: str) -> str:
    holder = line if line.message is None else line.message
    return getattr(holder, field, None) or ""


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _content(choice: Choice) -> bytes:
    """Return the text of a choice, and what stands behind it in its object."""
    texts = _texts(choice.parts)
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    thinking = "".join(p.text for p in choice.parts if isinstance(p, Reasoning))
    has_content = bool(texts or calls)
    text = texts or explained(choice.finish, has_content=has_content)
    rest = msgspec.json.encode(text)
    if thinking:
        rest += b',"thinking":' + msgspec.json.encode(thinking)
    if calls:
        worded = [worded_call(call, index) for index, call in enumerate(calls)]
        rest += b',"tool_calls":' + msgspec.json.encode(worded)
    return rest


def _texts(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))


def _entries(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the entries of one piece; a single one may come without its list."""
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except UNREADABLE:
        return [raw]
