"""Make events of the candidates of a Gemini answer, piece by piece.

Source: reference wire 1.5, 2.12, 2.14, 2.16.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

import msgspec

from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.frames import (
    NULL,
    UNKNOWN_PARTS,
    Candidate,
    FunctionCall,
    Part,
)
from providers.formats.gemini_generate.grounding import read_citations, read_grounding
from providers.formats.gemini_generate.incoming import FAMILY, SLOT
from providers.formats.gemini_generate.logprobs import read_logprobs
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    Finish,
    FinishReason,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.types import Citation, Opaque

_UNSAID: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED"})
REASONS: Final[dict[str, FinishReason]] = {
    "STOP": "end",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "MODEL_ARMOR": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "malformed",
    "MISSING_THOUGHT_SIGNATURE": "malformed",
    "MALFORMED_RESPONSE": "malformed",
    "IMAGE_OTHER": "malformed",
    "NO_IMAGE": "malformed",
}


class _Choice:
    """Follow one candidate: its open part, its words so far, how it ended."""

    __slots__ = ("cited", "finished", "has_content", "kind", "pos", "proof", "texts")

    def __init__(self) -> None:
        self.pos = -1
        self.kind = ""
        self.texts: list[str] = []
        self.cited: list[Citation] = []
        self.proof = ""
        self.has_content = False
        self.finished = False


class CandidateReader:
    """Read the candidates of one answer.

    Shapes:  ``id`` is the answer's, for calls that have none. ``error`` is set by a
             candidate that was spoiled and has nothing to show.
    """

    __slots__ = ("_choices", "_next", "_reply", "error", "id")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._choices: dict[int, _Choice] = {}
        self._next = 0
        self.id = ""
        self.error: ErrorDetail | None = None

    @property
    def has_begun(self) -> bool:
        """A candidate was seen."""
        return bool(self._choices)

    @property
    def is_finished(self) -> bool:
        """Every candidate that was seen has its reason."""
        return bool(self._choices) and all(
            choice.finished for choice in self._choices.values()
        )

    def take(self, place: int, candidate: Candidate, out: list[AnyEvent]) -> None:
        """Take a candidate, or a piece of one, at its place in a frame."""
        index = place if candidate.index is None else candidate.index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        if not choice.finished:
            self._take_candidate(index, choice, candidate, out)

    def settle(self, out: list[AnyEvent]) -> None:
        """End what has content and no reason; only for an answer that came whole."""
        for index, choice in self._choices.items():
            if not choice.finished and choice.has_content:
                self._finish(index, choice, "STOP", "", out)

    def _take_candidate(
        self,
        index: int,
        choice: _Choice,
        candidate: Candidate,
        out: list[AnyEvent],
    ) -> None:
        logprobs = None
        if candidate.logprobs_result != NULL:
            logprobs = read_logprobs(candidate.logprobs_result)
        content = candidate.content
        if content is not None and content.parts:
            for part in content.parts:
                if part.text is not None:
                    self._text(index, choice, part, logprobs, out=out)
                    logprobs = None
                else:
                    self._other_part(index, choice, part, out)
        self._sources(choice, candidate, out)
        reason = candidate.finish_reason
        if reason and reason not in _UNSAID:
            self._finish(index, choice, reason, candidate.finish_message or "", out)

    def _text(
        self,
        index: int,
        choice: _Choice,
        part: Part,
        logprobs: msgspec.Raw | None,
        *,
        out: list[AnyEvent],
    ) -> None:
        """Take a piece of text or of thought; a signature may come with either."""
        text = part.text or ""
        kind = "reasoning" if part.thought else "text"
        if text:
            choice.has_content = choice.has_content or kind == "text"
            if choice.kind != kind:
                self._open(index, choice, kind, out)
            if kind == "text":
                choice.texts.append(text)
            out.append(Delta(pos=choice.pos, text=text, logprobs=logprobs))
        elif logprobs is not None and choice.kind == "text":
            out.append(Delta(pos=choice.pos, text="", logprobs=logprobs))
        if not part.thought_signature:
            return
        if kind == "reasoning" and choice.kind == "reasoning":
            out.append(self._opaque(choice.pos, part.thought_signature))
        else:
            choice.proof = part.thought_signature

    def _open(
        self, index: int, choice: _Choice, kind: str, out: list[AnyEvent]
    ) -> None:
        """Open a text or a thought in place of what was open."""
        self._close(index, choice, out)
        choice.kind = kind
        choice.pos = self._pos()
        if kind == "reasoning":
            event = PartOpen(
                pos=choice.pos, kind="reasoning", choice=index, detail="summary"
            )
        else:
            event = PartOpen(pos=choice.pos, kind="text", choice=index)
        out.append(event)

    def _close(self, index: int, choice: _Choice, out: list[AnyEvent]) -> None:
        """Close what is open, and put a proof that sat on a text behind it."""
        if choice.kind:
            out.append(PartClose(pos=choice.pos))
            choice.kind = ""
            choice.texts = []
        if choice.proof:
            proof, choice.proof = choice.proof, ""
            pos = self._pos()
            out += (
                PartOpen(pos=pos, kind="reasoning", choice=index, detail="full"),
                self._opaque(pos, proof),
                PartClose(pos=pos),
            )

    def _other_part(
        self, index: int, choice: _Choice, part: Part, out: list[AnyEvent]
    ) -> None:
        """Take a part that comes whole."""
        call, blob = part.function_call, part.inline_data
        if call is not None and call.name:
            self._close(index, choice, out)
            self._call(index, call, part.thought_signature, out)
            choice.has_content = True
        elif blob is not None and blob.data:
            self._close(index, choice, out)
            pos = self._pos()
            out += (
                PartOpen(pos=pos, kind="media", choice=index),
                MediaSeen(pos=pos, data=blob.data, media_type=blob.mime_type or ""),
                PartClose(pos=pos),
            )
            choice.has_content = True
        else:
            self._unknown(index, choice, part, out)
        if part.thought_signature and call is None:
            choice.proof = part.thought_signature

    def _unknown(
        self, index: int, choice: _Choice, part: Part, out: list[AnyEvent]
    ) -> None:
        """Keep a part of a server tool as it is."""
        for attribute, name in UNKNOWN_PARTS:
            raw = getattr(part, attribute)
            if raw == NULL:
                continue
            self._close(index, choice, out)
            pos = self._pos()
            payload = msgspec.Raw(msgspec.json.encode({name: raw}))
            out += (
                PartOpen(pos=pos, kind="unknown", choice=index),
                UnknownSeen(pos=pos, dialect=FAMILY, type=name, payload=payload),
                PartClose(pos=pos),
            )
            choice.has_content = True

    def _call(
        self, index: int, call: FunctionCall, proof: str | None, out: list[AnyEvent]
    ) -> None:
        pos = self._pos()
        args = "{}" if call.args == NULL else bytes(call.args).decode(errors="replace")
        name = call.name or ""
        call_id = call.id or self._minted(pos, name, args)
        out.append(
            PartOpen(pos=pos, kind="tool_call", choice=index, id=call_id, name=name)
        )
        out.append(Delta(pos=pos, text=args))
        if proof:
            out.append(self._opaque(pos, proof))
        out.append(PartClose(pos=pos))

    def _minted(self, pos: int, name: str, args: str) -> str:
        """Make an id for a call that has none: the same however the bytes were cut."""
        if not self.id:
            self.id = uuid.uuid4().hex
        made = f"{self.id}\0{pos}\0{name}\0{args}".encode()
        return f"call_{hashlib.sha256(made).hexdigest()[:24]}"

    def _sources(
        self, choice: _Choice, candidate: Candidate, out: list[AnyEvent]
    ) -> None:
        """Attach what an answer rests on to the text that is still open."""
        grounding, recited = candidate.grounding_metadata, candidate.citation_metadata
        if choice.kind != "text" or (grounding == NULL and recited == NULL):
            return
        text = "".join(choice.texts)
        found = [*read_grounding(grounding, text)] if grounding != NULL else []
        if recited != NULL:
            found += read_citations(recited, text)
        for citation in found:
            key = msgspec.structs.replace(citation, ext={})
            if all(key != known for known in choice.cited):
                choice.cited.append(key)
                out.append(CitationSeen(pos=choice.pos, citation=citation))

    def _finish(
        self,
        index: int,
        choice: _Choice,
        word: str,
        message: str,
        out: list[AnyEvent],
    ) -> None:
        """End a candidate; one that was spoiled and is empty is a failure."""
        self._close(index, choice, out)
        choice.finished = True
        reason = REASONS.get(word)
        if reason is None:
            # A reason nobody knows is no success unless there is something to show.
            reason = "end" if choice.has_content else "malformed"
        if reason == "malformed" and not choice.has_content:
            self.error = ErrorDetail(
                message=message or f"The model's answer was spoiled: {word}.",
                type="server_error",
                code="upstream_invalid_response",
            )
            return
        out.append(Finish(reason=reason, choice=index, raw=word, detail=message))

    def _opaque(self, pos: int, data: str) -> OpaqueSeen:
        return OpaqueSeen(
            pos=pos,
            opaque=Opaque(
                family=FAMILY,
                slot=SLOT,
                data=data,
                model=self._reply.model,
                scope=self._reply.scope,
            ),
        )

    def _pos(self) -> int:
        pos = self._next
        self._next += 1
        return pos
