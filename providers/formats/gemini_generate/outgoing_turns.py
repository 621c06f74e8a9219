"""Word a fitted conversation as Gemini's contents.

Turns of one side that follow each other become one content; the answers of tools stand
first in theirs and are objects. A call in the current turn must carry the signature it
came with: one that was made by another model carries the word Google documents for it.

Source: reference wire 1.5 (thought signatures), 2.1, 2.2, 2.5, 2.7, 2.12.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.capabilities import Capabilities
from providers.formats.gemini_generate.incoming import FAMILY, SKIP_SIGNATURE, SLOT
from providers.formats.neutral.types import (
    Loss,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)

_OPENING: Final = "."
_ANY_TYPE: Final = {
    "image": "image/jpeg",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}
_PART_EXT: Final = frozenset({"thoughtSignature", "videoMetadata", "mediaResolution"})

Wire = dict[str, Any]


class TurnWriter:
    """Word the turns of one request; ``losses`` grows with what has no word."""

    def __init__(
        self, request: Request, model: str, caps: Capabilities, *, call_ids: bool
    ) -> None:
        self._request = request
        self._model = model
        self._caps = caps
        self._call_ids = call_ids
        self._names: dict[str, str] = {}
        self.losses: list[Loss] = []

    def instructions(self) -> list[Wire]:
        """Return the parts of the leading instruction."""
        return [
            part
            for turn in self._request.instructions
            for part in self._plain_parts(turn.parts)
        ]

    def contents(self) -> list[Wire]:
        """Return the conversation."""
        turns = self._request.turns
        current = _current_turn(turns)
        out: list[Wire] = []
        for place, turn in enumerate(turns):
            if turn.role == "assistant":
                role, parts = "model", self._model_parts(turn, place >= current)
            elif turn.role == "tool":
                role, parts = "user", self._results(turn)
            else:
                role, parts = "user", self._plain_parts(turn.parts)
            if not parts:
                continue
            # Answers of tools lead their content; they join nothing before them.
            if out and out[-1]["role"] == role and turn.role != "tool":
                out[-1]["parts"] += parts
            else:
                out.append({"role": role, "parts": parts})
        if not out or out[0]["role"] == "model":
            out.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
        return out

    def _model_parts(self, turn: Turn, is_current: bool) -> list[Wire]:
        """Word what a model said; of the calls of a step the first carries the proof."""
        out: list[Wire] = []
        is_first = True
        for part in turn.parts:
            if isinstance(part, ToolCall):
                out.append(self._call(part, must_prove=is_current and is_first))
                is_first = False
            elif isinstance(part, Reasoning):
                out += self._reasoning(part)
            else:
                out += self._plain_part(part)
        return out

    def _call(self, call: ToolCall, *, must_prove: bool) -> Wire:
        self._names[call.id] = call.name
        function: Wire = {"name": call.name, "args": arguments_object(call.arguments)}
        if call.id and self._call_ids:
            function["id"] = call.id
        out: Wire = {"functionCall": function}
        proof = self._proof(call.opaque)
        if proof:
            out["thoughtSignature"] = proof
        elif must_prove and self._caps.signatures_required:
            out["thoughtSignature"] = SKIP_SIGNATURE
        return out

    def _reasoning(self, part: Reasoning) -> list[Wire]:
        """Word earlier reasoning that Gemini made; no other's is shown to it."""
        proof = self._proof(part.opaque)
        if not proof and (not part.text or self._request.dialect != FAMILY):
            self.losses.append(Loss(field="reasoning"))
            return []
        out: Wire = {"text": part.text}
        if part.text:
            out["thought"] = True
        if proof:
            out["thoughtSignature"] = proof
        return [out]

    def _proof(self, opaque: Iterable[Opaque]) -> str:
        """Return Google's own proof, if this very model made it or nobody knows."""
        for each in opaque:
            is_own = each.family == FAMILY and each.slot == SLOT
            if is_own and each.model in ("", self._model):
                return each.data
        return ""

    def _results(self, turn: Turn) -> list[Wire]:
        """Word all answers of a turn; pictures stand behind the whole group."""
        out: list[Wire] = []
        behind: list[Wire] = []
        for part in turn.parts:
            if not isinstance(part, ToolResult):
                behind += self._plain_part(part)
                continue
            name = part.name or self._names.get(part.call_id, "") or "unknown"
            answer: Wire = {"name": name, "response": response_object(part)}
            if part.call_id and self._call_ids:
                answer["id"] = part.call_id
            media = [
                wire
                for each in part.content
                if isinstance(each, Media)
                for wire in self._plain_part(each)
            ]
            if media and self._caps.media_in_results:
                answer["parts"] = media
            else:
                behind += media
            out.append({"functionResponse": answer})
        return out + behind

    def _plain_parts(self, parts: Iterable[Part]) -> list[Wire]:
        return [wire for part in parts for wire in self._plain_part(part)]

    def _plain_part(self, part: Part) -> list[Any]:
        """Word a text, a picture or a part of Gemini's own."""
        if isinstance(part, Text | Refusal):
            return [{"text": part.text}]
        if isinstance(part, Media):
            return [self._media(part)]
        if isinstance(part, Unknown) and part.dialect == FAMILY:
            return [part.payload]
        self.losses.append(Loss(field=_name(part)))
        return []

    def _media(self, media: Media) -> Wire:
        if media.source == "text":
            head = media.title or media.name
            return {"text": f"{head}\n\n{media.data}" if head else media.data}
        own = {name: value for name, value in media.ext.items() if name in _PART_EXT}
        media_type = media.media_type or _ANY_TYPE[media.kind]
        if media.detail:
            self.losses.append(Loss(field="detail"))
        inner: Wire = {"mimeType": media_type}
        if media.source == "base64":
            inner["data"] = media.data
            key = "inlineData"
        else:
            inner["fileUri"] = media.data
            key = "fileData"
            if not media.media_type:
                del inner["mimeType"]
        if media.name and self._request.dialect == FAMILY:
            inner["displayName"] = media.name
        return {key: inner, **own}


def arguments_object(arguments: str) -> msgspec.Raw:
    """Return a call's arguments as an object, spliced in as they are.

    Shapes:  nothing is an empty object; what is no object stands under ``_raw``.
    """
    text = arguments.strip()
    if not text:
        return msgspec.Raw(b"{}")
    if text.startswith("{") and _is_json(text):
        return msgspec.Raw(text.encode())
    try:
        inner = msgspec.json.decode(text)
    except UNREADABLE:
        inner = None
    if isinstance(inner, str) and inner.lstrip().startswith("{") and _is_json(inner):
        # Some clients encode arguments twice.
        return msgspec.Raw(inner.encode())
    return msgspec.Raw(msgspec.json.encode({"_raw": arguments}))


def response_object(result: ToolResult) -> Any:
    """Return a tool's answer as the object Gemini insists on."""
    if result.json is not None:
        return result.json
    text = "\n".join(
        each.text if isinstance(each, Text) else bytes(each.payload).decode()
        for each in result.content
        if isinstance(each, Text | Unknown)
    )
    bare = text.strip()
    is_object = bare.startswith("{") and _is_json(bare)
    value: Any = msgspec.Raw(bare.encode()) if is_object else text
    if result.is_error:
        return {"error": value}
    return value if is_object else {"result": text}


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True


def _current_turn(turns: tuple[Turn, ...]) -> int:
    """Return where the turn begins that is still going on: behind the user's words."""
    for place in range(len(turns) - 1, -1, -1):
        if turns[place].role in ("user", "instruction"):
            return place + 1
    return 0


def _name(part: Part) -> str:
    if isinstance(part, Unknown):
        return f"content.{part.type}"
    return type(part).__name__.lower()
