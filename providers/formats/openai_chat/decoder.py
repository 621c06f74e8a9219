"""Make events of an upstream's chat answer, streamed or whole.

Both go through the same readers, so that a stream and the same answer whole are the
same events, with the same usage.

Source: reference wire 1.1, 1.13, 2.6, 2.17.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import is_bulky
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseSplitter, event_name
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    End,
    Failed,
    Meta,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed
from providers.formats.openai_chat.answerwire import Chunk, read_created, read_wire
from providers.formats.openai_chat.choices import ChoiceReader, Counter
from providers.formats.openai_chat.errors import is_error, read_error_body
from providers.formats.openai_chat.fields import NULL, UNSET
from providers.formats.openai_chat.usage import read_usage
from providers.formats.openai_chat.words import BROKEN

_NO_ANSWER: Final = "The upstream's answer is not a chat completion."
_NOT_JSON: Final = "The upstream sent a frame that is not JSON."
_EMPTY: Final = "The upstream ended its answer before it began."


class ChatDecoder:
    """Read one upstream stream; see ``codec.Decoder`` for the contract.

    Cost:  some 4 us for a chunk of text.
    """

    __slots__ = (
        "_choices",
        "_counter",
        "_is_over",
        "_is_torn",
        "_reply",
        "_splitter",
        "_started",
        "_tier",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._splitter = SseSplitter()
        self._counter = Counter()
        self._choices: dict[int, ChoiceReader] = {}
        self._started = False
        self._is_over = False
        self._is_torn = False
        self._tier = ""
        self._usage: msgspec.Raw = UNSET

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, return the events that became complete."""
        out: list[AnyEvent] = []
        payloads = self._splitter.plain(data)
        if payloads is not None:
            for payload in payloads:
                self._take(b"data:", payload, out)
            return out
        for raw, payload_or_none in self._splitter.feed(data):
            if payload_or_none is not None:
                self._take(raw, payload_or_none, out)
        return out

    def eof(self) -> list[AnyEvent]:
        """Take the end of the body: without a terminator, finishes are enough."""
        out: list[AnyEvent] = []
        self._is_torn = True
        for raw, payload in self._splitter.finish():
            if payload is not None:
                self._take(raw, payload, out)
        choices = self._choices.values()
        if not self._is_over and choices and all(each.is_finished for each in choices):
            self._is_over = True
            out.append(End())
        return out

    def take_whole(self, body: bytes) -> list[AnyEvent]:
        """Take a whole answer, return all its events."""
        chunk = None if is_bulky(body) else read_wire(body)
        if chunk is None:
            return [failed(_NO_ANSWER)]
        if chunk.error is not UNSET and is_error(chunk.error):
            return [Failed(error=read_error_body(None, body))]
        if not chunk.choices:
            detail = read_error_body(None, body)
            is_answer = chunk.choices is not None or not detail.message
            return [failed(_NO_ANSWER) if is_answer else Failed(error=detail)]
        out: list[AnyEvent] = []
        numbers = {choice.index for choice in chunk.choices}
        is_numbered = None not in numbers and len(numbers) == len(chunk.choices)
        for place, choice in enumerate(chunk.choices):
            choice.index = choice.index if is_numbered else place
            # A whole answer is complete even where its server forgot to say why.
            choice.finish_reason = choice.finish_reason or "stop"
        self._take_chunk(chunk, out, whole=True)
        if not self._is_over:
            out.append(End())
        return out

    def _take(self, raw: bytes, payload: bytes, out: list[AnyEvent]) -> None:
        """Take one frame; nothing counts after the end."""
        if self._is_over:
            return
        if payload[:1] != b"{":
            payload = payload.strip()
            if payload == b"[DONE]":
                self._done(out)
                return
            if not payload:
                return
        chunk = read_wire(payload) if payload[:1] == b"{" else None
        if chunk is None:
            if not self._is_torn:
                self._is_over = True
                out.append(failed(_NOT_JSON))
            return
        if chunk.error is not UNSET and is_error(chunk.error):
            self._fail(read_error_body(None, payload), out)
            return
        if chunk.choices is None and _is_event_error(raw, payload, chunk):
            self._fail(read_error_body(None, payload), out)
            return
        self._take_chunk(chunk, out, whole=False)

    def _take_chunk(self, chunk: Chunk, out: list[AnyEvent], *, whole: bool) -> None:
        """Take what one chunk or answer says."""
        choices = chunk.choices
        if not self._started and (choices or chunk.id or chunk.model):
            self._start(chunk, out)
        if chunk.service_tier and chunk.service_tier != self._tier:
            self._tier = chunk.service_tier
            out.append(Meta(service_tier=self._tier))
        for choice in choices or ():
            if choice.finish_reason in BROKEN:
                self._break(chunk, str(choice.finish_reason), out)
                return
            index = choice.index or 0
            reader = self._choices.get(index)
            if reader is None:
                reader = ChoiceReader(index, self._counter, self._reply)
                self._choices[index] = reader
            reader.take(choice, out, whole=whole)
        if chunk.usage is not UNSET and chunk.usage != NULL:
            self._meter(chunk.usage, out)

    def _start(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        """Begin the answer."""
        self._started = True
        self._tier = chunk.service_tier or ""
        created = read_created(chunk.created)
        self._counter.answer = f"{chunk.id}/{created}/{chunk.model}"
        out.append(
            Start(
                id=chunk.id or "",
                model=chunk.model or "",
                created=created,
                service_tier=self._tier,
            )
        )

    def _meter(self, raw: msgspec.Raw, out: list[AnyEvent]) -> None:
        """Read a usage; some servers repeat it on every chunk."""
        if raw == self._usage:
            return
        self._usage = raw
        read = read_usage(raw)
        if read.usage is not None:
            out.append(
                UsageSeen(
                    usage=read.usage,
                    flags=read.flags,
                    vendor_cost_nano_usd=read.vendor_cost_nano_usd,
                )
            )

    def _done(self, out: list[AnyEvent]) -> None:
        """Take the terminator: an answer that never began is a fault, not an end."""
        self._is_over = True
        if any(each.has_content for each in self._choices.values()):
            for each in self._choices.values():
                if not each.is_finished:
                    each.finish("", out)
            out.append(End())
        else:
            out.append(failed(_EMPTY))

    def _fail(self, detail: ErrorDetail, out: list[AnyEvent]) -> None:
        """Take an error the upstream put into its answer."""
        self._is_over = True
        out.append(Failed(error=detail))

    def _break(self, chunk: Chunk, word: str, out: list[AnyEvent]) -> None:
        """Take a finish that says the answer broke off; what it cost is kept."""
        if chunk.usage is not UNSET and chunk.usage != NULL:
            self._meter(chunk.usage, out)
        self._is_over = True
        message = f"The upstream broke off its answer: {word}."
        out.append(failed(message, "upstream_error"))


def _is_event_error(raw: bytes, payload: bytes, chunk: Chunk) -> bool:
    """Tell whether a frame without choices is an error in another's clothes."""
    if raw[:5] != b"data:" and event_name(raw) == b"error":
        return True
    # vLLM before 0.6 and SGLang: {"object":"error","message":...} without "error".
    return chunk.usage is UNSET and b'"object":"error"' in payload.replace(b" ", b"")


def decode_answer(body: bytes, reply: Reply) -> list[AnyEvent]:
    """Take a whole answer apart, into the events a stream of it would have had.

    Fails:   a ``Failed`` event for what is no answer.
    """
    return ChatDecoder(reply).take_whole(body)
