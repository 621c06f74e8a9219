"""Make events of what one choice of an answer says, chunk by chunk.

Source: reference wire 1.1, 1.13, 2.6, 2.12, 2.14.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    Finish,
    MediaSeen,
    OpaqueSeen,
    PartClose,
    PartKind,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.types import Citation, Reasoning
from providers.formats.openai_chat import answerwire as wire
from providers.formats.openai_chat.calls import Calls
from providers.formats.openai_chat.fields import UNSET, as_object, as_objects, is_said
from providers.formats.openai_chat.parts import DIALECT, split_data_url
from providers.formats.openai_chat.reasoning import read_blocks, read_details
from providers.formats.openai_chat.words import reason_of


class Counter:
    """Number the parts of one answer, and seed the ids it lacks."""

    __slots__ = ("answer", "pos", "used")

    def __init__(self) -> None:
        self.pos = -1
        self.answer = ""
        self.used: set[str] = set()

    def next_pos(self) -> int:
        """Return the next part's number."""
        self.pos += 1
        return self.pos

    def seed(self) -> str:
        """Return what tells this answer from others."""
        return self.answer


class ChoiceReader:
    """Read one choice; ``is_finished`` once its finish was seen.

    Cost:  a microsecond for a chunk of text.
    """

    __slots__ = (
        "_base",
        "_calls",
        "_counter",
        "_index",
        "_kind",
        "_length",
        "_pos",
        "_reply",
        "_thoughts",
        "has_content",
        "is_finished",
    )

    def __init__(self, index: int, counter: Counter, reply: Reply) -> None:
        self._index = index
        self._counter = counter
        self._reply = reply
        self._kind = ""
        self._pos = -1
        self._base = 0
        self._length = 0
        self._thoughts: list[str] = []
        self._calls: Calls | None = None
        self.is_finished = False
        self.has_content = False

    def take(self, choice: wire.Choice, out: list[AnyEvent], *, whole: bool) -> None:
        """Take one choice of one chunk, or a whole one; all after a finish is void."""
        if self.is_finished:
            return
        delta = choice.message if choice.delta is None else choice.delta
        if delta is not None:
            self._take_delta(delta, choice.logprobs, out, whole=whole)
        if choice.finish_reason:
            self.finish(choice.finish_reason, out, stopped_by=_stopped_by(choice))

    def finish(self, word: str, out: list[AnyEvent], *, stopped_by: str = "") -> None:
        """End the choice."""
        if self._calls is not None:
            self._calls.finish(out)
        self.is_finished = self.has_content = True
        reason = reason_of(word)
        if reason == "end" and stopped_by:
            reason = "stop_sequence"
        out.append(
            Finish(
                reason=reason, choice=self._index, raw=word, stop_sequence=stopped_by
            )
        )

    def _take_delta(
        self,
        delta: wire.Delta,
        logprobs: msgspec.Raw,
        out: list[AnyEvent],
        *,
        whole: bool,
    ) -> None:
        """Take what was added: reasoning, words, then calls."""
        is_rare = delta.is_rare
        text = delta.reasoning_content or delta.reasoning
        if text or is_rare:
            self._think(text or "", delta, out)
        text = delta.content
        if text or is_said(logprobs):
            self._speak(text or "", logprobs, out)
        if delta.refusal:
            out.append(Delta(pos=self._part("refusal", out), text=delta.refusal))
        if is_rare:
            self._take_rare(delta, out)
        if delta.tool_calls:
            self._shut(out)
            self._called().take(delta.tool_calls, out, whole=whole)
        elif delta.function_call is not None:
            self._shut(out)
            self._called().take_legacy(delta.function_call, out)

    def _speak(self, text: str, logprobs: msgspec.Raw, out: list[AnyEvent]) -> None:
        """Take words, and what they weighed."""
        weighed = _entries(logprobs) if is_said(logprobs) else None
        if not text and (weighed is None or self._kind != "text"):
            return
        pos = self._pos if self._kind == "text" else self._part("text", out)
        self._length += len(text)
        out.append(Delta(pos=pos, text=text, logprobs=weighed))

    def _think(self, text: str, delta: wire.Delta, out: list[AnyEvent]) -> None:
        """Take reasoning; servers say it twice, once with its proof."""
        details = self._details(delta)
        is_repeat = bool(details) and self._is_repeat(details, text)
        if not text and not details:
            text = _thinking(delta.thinking)
        if text and (is_repeat or not any(part.text for part in details)):
            out.append(Delta(pos=self._part("reasoning", out), text=text))
            self._thoughts.append(text)
        self._prove(details, out, is_repeat=is_repeat)

    def _prove(
        self, details: list[Reasoning], out: list[AnyEvent], *, is_repeat: bool
    ) -> None:
        """Take reasoning that has, or may have, proof."""
        for part in details:
            if part.is_redacted and part.opaque[0].slot in ("redacted", "encrypted"):
                self._sealed(part, out)
                continue
            if part.text and not is_repeat:
                pos = self._part("reasoning", out, detail=part.kind)
                out.append(Delta(pos=pos, text=part.text))
            for proof in part.opaque:
                pos = self._part("reasoning", out)
                out.append(OpaqueSeen(pos=pos, opaque=proof))
            if part.opaque:
                self._shut(out)  # a signature is the last of its block

    def _is_repeat(self, details: list[Reasoning], text: str) -> bool:
        """Tell whether details say once more what streamed as plain text.

        Some servers send each piece both ways, some the whole text with its proof
        at the end.
        """
        if not self._thoughts or not any(part.text for part in details):
            return False
        thoughts = "".join(self._thoughts) + text
        return all(part.text in ("", thoughts) for part in details)

    def _details(self, delta: wire.Delta) -> list[Reasoning]:
        """Read both de-facto places for reasoning with proof."""
        model, scope = self._reply.model, self._reply.scope
        if delta.reasoning_details is not UNSET:
            details = as_objects(delta.reasoning_details)
            return read_details(details, model=model, scope=scope)
        if delta.thinking_blocks is not UNSET:
            blocks = as_objects(delta.thinking_blocks)
            return read_blocks(blocks, model=model, scope=scope)
        return []

    def _sealed(self, part: Reasoning, out: list[AnyEvent]) -> None:
        """Take proof without words: it closes the words it follows, or stands alone."""
        is_own_part = part.opaque[0].slot == "redacted" or self._kind != "reasoning"
        if is_own_part:
            self._shut(out)
        pos = self._part("reasoning", out, item_id=part.item_id)
        out += [OpaqueSeen(pos=pos, opaque=proof) for proof in part.opaque]
        if is_own_part:
            self._shut(out)

    def _take_rare(self, delta: wire.Delta, out: list[AnyEvent]) -> None:
        """Take sounds, pictures and sources."""
        if is_said(delta.audio):
            audio = as_object(delta.audio)
            spoken = audio.get("transcript")
            if isinstance(spoken, str) and spoken:
                out.append(Delta(pos=self._part("text", out), text=spoken))
            if isinstance(audio.get("data"), str) and audio["data"]:
                pos = self._part("media", out)
                out.append(
                    MediaSeen(pos=pos, data=audio["data"], media_type="audio/wav")
                )
        if self._kind == "text":
            for each in as_objects(delta.annotations):
                citation = _citation(each, self._base)
                if citation is not None:
                    out.append(CitationSeen(pos=self._pos, citation=citation))
        for each in as_objects(delta.images):
            self._picture(each, out)

    def _picture(self, image: dict[str, Any], out: list[AnyEvent]) -> None:
        """Take one picture; one that is only named by a URL is kept as it is."""
        inner = image.get("image_url")
        url = inner.get("url") if isinstance(inner, dict) else inner
        if not isinstance(url, str):
            return
        media_type, data = split_data_url(url)
        self._shut(out)
        if data is None:
            payload = msgspec.Raw(msgspec.json.encode(image))
            pos = self._part("unknown", out)
            seen = UnknownSeen(
                pos=pos, dialect=DIALECT, type="image_url", payload=payload
            )
            out.append(seen)
        else:
            pos = self._part("media", out)
            out.append(
                MediaSeen(pos=pos, data=data, media_type=media_type or "image/png")
            )
        self._shut(out)

    def _part(
        self,
        kind: PartKind,
        out: list[AnyEvent],
        *,
        detail: str = "",
        item_id: str = "",
    ) -> int:
        """Return the open part of a kind; another kind's is closed for it."""
        if self._kind == kind:
            return self._pos
        self._shut(out)
        self.has_content = True
        self._thoughts = []
        self._kind, self._pos = kind, self._counter.next_pos()
        self._base = self._length
        out.append(
            PartOpen(
                pos=self._pos,
                kind=kind,
                choice=self._index,
                detail=detail,
                item_id=item_id,
            )
        )
        return self._pos

    def _shut(self, out: list[AnyEvent]) -> None:
        """Close the open part that is no call."""
        if self._kind:
            out.append(PartClose(pos=self._pos))
            self._kind = ""

    def _called(self) -> Calls:
        """Return the calls of this choice."""
        self.has_content = True
        if self._calls is None:
            counter, reply = self._counter, self._reply
            self._calls = Calls(
                self._index,
                counter.seed,
                next_pos=counter.next_pos,
                used=counter.used,
                proof=(reply.model, reply.scope),
            )
        return self._calls


def _stopped_by(choice: wire.Choice) -> str:
    """Return the stop sequence vLLM and SGLang name; a token's number is none."""
    for raw in (choice.stop_reason, choice.matched_stop):
        if raw is UNSET or memoryview(raw)[0] != 0x22:
            continue
        try:
            return msgspec.json.decode(raw, type=str)
        except UNREADABLE:
            return ""
    return ""


def _entries(logprobs: msgspec.Raw) -> msgspec.Raw | None:
    """Return the ``content`` entries of log probabilities, None without any."""
    try:
        found = msgspec.json.decode(logprobs, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return None
    content = found.get("content", UNSET)
    if not is_said(content) or bytes(content)[:1] != b"[":
        return None
    return None if bytes(content)[1:].strip() == b"]" else content


def _thinking(raw: msgspec.Raw) -> str:
    """Return the words of a ``thinking`` member: a text, or an object with one."""
    if raw is UNSET:
        return ""
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return ""
    if isinstance(value, dict):
        value = value.get("content") or value.get("text")
    return value if isinstance(value, str) else ""


def _citation(value: dict[str, Any], base: int) -> Citation | None:
    """Read one annotation; only sources by URL are known.

    Units:   the wire counts characters of the whole content, ``base`` of them before
             this part.
    """
    inner = value.get("url_citation")
    if not isinstance(inner, dict):
        inner = value
    url = inner.get("url")
    if not isinstance(url, str) or not url:
        return None
    start, end = inner.get("start_index"), inner.get("end_index")
    title, cited = inner.get("title"), inner.get("content")
    return Citation(
        url=url,
        title=title if isinstance(title, str) else "",
        cited_text=cited if isinstance(cited, str) else "",
        start=max(0, start - base) if type(start) is int else None,
        end=max(0, end - base) if type(end) is int else None,
    )
