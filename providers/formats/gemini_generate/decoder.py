"""Make events of a Gemini answer, streamed or whole.

Pieces of text and of thought come one by one, calls come whole. There is no word at the
end: a stream ended well when every candidate has its reason. What was refused, blocked
or spoiled is never an empty success.

Source: reference wire 1.5, 2.12, 2.14, 2.16.
"""

from __future__ import annotations

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.candidates import CandidateReader
from providers.formats.gemini_generate.errors import is_error, read_error_body
from providers.formats.gemini_generate.frames import (
    DECODER,
    LIST_DECODER,
    NULL,
    Frame,
)
from providers.formats.gemini_generate.splitting import CrlfSplitter
from providers.formats.gemini_generate.usage import UsageReader
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    End,
    Failed,
    Finish,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed


class GeminiDecoder:
    """Read one answer; see ``neutral.codec.Decoder`` for the contract.

    Cost:  some 5 us for a frame of text.
    """

    __slots__ = (
        "_blocked",
        "_candidates",
        "_over",
        "_splitter",
        "_started",
        "_usage",
    )

    def __init__(self, reply: Reply) -> None:
        self._splitter = CrlfSplitter()
        self._usage = UsageReader()
        self._candidates = CandidateReader(reply)
        self._started = False
        self._blocked = False
        self._over = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes of a stream, return the events they complete."""
        out: list[AnyEvent] = []
        payloads = self._splitter.plain(data)
        if payloads is None:
            payloads = [
                payload
                for _, payload in self._splitter.feed(data)
                if payload is not None
            ]
        for payload in payloads:
            self.take(payload, out)
        return out

    def eof(self) -> list[AnyEvent]:
        """Take the end of the body: a success when every candidate said why."""
        out: list[AnyEvent] = []
        if self._over:
            return out
        for _, payload in self._splitter.finish():
            if payload is not None:
                self._take_last(payload, out)
        self._end(out)
        return out

    @property
    def is_finished(self) -> bool:
        """Every candidate has its reason, or the prompt was refused."""
        return self._blocked or self._candidates.is_finished

    def settle(self, out: list[AnyEvent]) -> None:
        """End a whole answer: its own braces say that nothing is missing."""
        if not self._over:
            self._candidates.settle(out)
        self._end(out)

    def _end(self, out: list[AnyEvent]) -> None:
        if not self._over and self.is_finished:
            out.append(End())
        self._over = True

    def take(self, payload: bytes, out: list[AnyEvent]) -> None:
        """Take one frame."""
        text = payload.strip()
        if self._over or not text or text == b"[DONE]":
            return
        if text[:1] == b"[":
            self._take_list(text, out)
            return
        try:
            frame = DECODER.decode(text).inner()
        except UNREADABLE:
            if is_error(text):
                self._fail(read_error_body(None, text), out)
            else:
                self._broken(out)
            return
        if frame.error:
            self._fail(read_error_body(None, text), out)
        else:
            self._take_frame(frame, out)

    def _take_list(self, text: bytes, out: list[AnyEvent]) -> None:
        """Take frames that came as one array; an error may be wrapped in one."""
        try:
            raws = LIST_DECODER.decode(text)
        except UNREADABLE:
            self._broken(out)
            return
        for raw in raws:
            self.take(bytes(raw), out)

    def _take_last(self, payload: bytes, out: list[AnyEvent]) -> None:
        """Take a frame that lacks its blank line; torn, it is no frame at all."""
        try:
            msgspec.json.decode(payload)
        except UNREADABLE:
            return
        self.take(payload, out)

    def _take_frame(self, frame: Frame, out: list[AnyEvent]) -> None:
        if not self._started and not self._start(frame, out):
            return
        if frame.usage_metadata != NULL:
            usage = self._usage.take(frame.usage_metadata)
            if usage is not None:
                out.append(UsageSeen(usage=usage, flags=self._usage.flags))
        candidates = self._candidates
        for place, candidate in enumerate(frame.candidates or ()):
            candidates.take(place, candidate, out)
            if candidates.error is not None:
                self._fail(candidates.error, out)
                return
        feedback = frame.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._block(feedback.block_reason, feedback.block_reason_message, out)

    def _start(self, frame: Frame, out: list[AnyEvent]) -> bool:
        """Open the answer with the first frame that says anything."""
        if (
            not frame.candidates
            and frame.prompt_feedback is None
            and frame.usage_metadata == NULL
        ):
            return False
        self._started = True
        self._candidates.id = frame.response_id or ""
        out.append(Start(id=self._candidates.id, model=frame.model_version or ""))
        return True

    def _block(self, word: str, message: str | None, out: list[AnyEvent]) -> None:
        """Take that the prompt was refused: there will be no candidate."""
        if not self._blocked and not self._candidates.has_begun:
            self._blocked = True
            out.append(Finish(reason="prompt_blocked", raw=word, detail=message or ""))

    def _fail(self, detail: ErrorDetail, out: list[AnyEvent]) -> None:
        self._over = True
        out.append(Failed(error=detail))

    def _broken(self, out: list[AnyEvent]) -> None:
        self._over = True
        out.append(failed("The upstream sent a frame that is not Gemini's."))


def decode_gemini_answer(body: bytes, reply: Reply) -> list[AnyEvent]:
    """Take a whole answer apart: one frame, or an array of them."""
    out: list[AnyEvent] = []
    decoder = GeminiDecoder(reply)
    decoder.take(body, out)
    decoder.settle(out)
    if not out:
        out.append(failed("The upstream's answer is not Gemini's."))
    return out
