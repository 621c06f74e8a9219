"""Word a conversation as chat messages.

Source: reference wire 2.1, 2.2, 2.5, 2.7, 2.12; pitfalls P13, P20, P30, P49, P59.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    CacheMark,
    Loss,
    Media,
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
from providers.formats.openai_chat.parts import DIALECT, write_cache, write_parts
from providers.formats.openai_chat.reasoning import write_details

_ATTACHED: Final = "(The tool returned media; it follows in the next user message.)"
_PART_TYPES: Final = (Text, Media, Refusal, Unknown)


def write_messages(
    request: Request, caps: Capabilities, losses: list[Loss]
) -> list[dict[str, Any]]:
    """Word all instructions and turns, in order; proof that is left is wanted.

    Errors:  FormatError for media this dialect has no word for.
    """
    writer = _Writer(request, caps, losses)
    for turn in (*request.instructions, *request.turns):
        writer.add(turn)
    writer.attach()
    if writer.lost_reasoning:
        losses.append(Loss(field="reasoning", detail="history"))
    return writer.messages


class _Writer:
    """Gather the messages; media of tools waits for the end of its group."""

    def __init__(
        self, request: Request, caps: Capabilities, losses: list[Loss]
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.lost_reasoning = False
        self._is_own = request.dialect == DIALECT
        self._dialect = request.dialect
        self._caps = caps
        self._losses = losses
        self._media: list[Part] = []
        self._unanswered: list[tuple[str, str]] = []

    def add(self, turn: Turn) -> None:
        """Word one turn."""
        if turn.role == "tool":
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    self._result(part)
            return
        if turn.role == "user":
            media, self._media = self._media, []
            self._say("user", (*media, *turn.parts), turn.name)
            return
        self.attach()
        if turn.role == "assistant":
            self._assistant(turn)
            return
        known = turn.authority == "developer" and self._caps.developer_role
        self._say("developer" if known else "system", turn.parts, turn.name)

    def attach(self) -> None:
        """Word the media of tools that no user's message followed."""
        media, self._media = self._media, []
        if media:
            self._say("user", tuple(media), "")

    def _say(self, role: str, parts: tuple[Part, ...], name: str) -> None:
        """Word a message of content alone."""
        message: dict[str, Any] = {"role": role, "content": self._content(parts)}
        if name:
            message["name"] = name
        self.messages.append(message)

    def _content(self, parts: tuple[Part, ...]) -> str | list[Any]:
        """Word content parts."""
        has_marks = self._caps.cache_marks > 0
        kept = [part for part in parts if isinstance(part, _PART_TYPES)]
        return write_parts(kept, self._dialect, self._losses, has_marks=has_marks)

    def _assistant(self, turn: Turn) -> None:
        """Word what a model said, thought and called."""
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        if turn.name:
            message["name"] = turn.name
        said: list[Part] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[Reasoning] = []
        self._unanswered = []
        for part in turn.parts:
            if isinstance(part, Reasoning):
                thoughts.append(part)
            elif isinstance(part, ToolCall):
                calls.append(self._call(part))
            elif isinstance(part, Refusal):
                message["refusal"] = part.text
            elif isinstance(part, Unknown) and part.type == "audio" and self._is_own:
                message["audio"] = part.payload
            else:
                said.append(part)
        message["content"] = self._said(said)
        self._thought(message, thoughts, has_calls=bool(calls))
        if calls:
            message["tool_calls"] = calls
        if not message["content"] and (calls or "refusal" in message):
            message["content"] = None if self._caps.null_content else ""
        self.messages.append(message)

    def _said(self, parts: list[Part]) -> str | list[Any]:
        """Word a model's words: only chat clients' own stay apart as parts."""
        if not self._is_own and all(isinstance(part, Text) for part in parts):
            return "\n".join(part.text for part in parts if isinstance(part, Text))
        return self._content(tuple(parts))

    def _thought(
        self, message: dict[str, Any], thoughts: list[Reasoning], *, has_calls: bool
    ) -> None:
        """Word old reasoning for those that want it back; never as visible text."""
        text = "\n\n".join(part.text for part in thoughts if part.text)
        if self._caps.replays_reasoning_content:
            if text or has_calls:
                message["reasoning_content"] = text
        elif text:
            self.lost_reasoning = True
        details = write_details(thoughts)
        if details:
            message["reasoning_details"] = details

    def _call(self, call: ToolCall) -> dict[str, Any]:
        """Word one call; one without an id gets one its result is told too."""
        call_id = call.id or _minted(len(self.messages), len(self._unanswered), call)
        self._unanswered.append((call.name, call_id))
        if call.kind == "custom":
            custom = {"name": call.name, "input": call.arguments}
            return {"id": call_id, "type": "custom", "custom": custom}
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        written: dict[str, Any] = {
            "id": call_id,
            "type": "function",
            "function": function,
        }
        signed = [proof for proof in call.opaque if proof.slot == "thought_signature"]
        if signed:
            google = {"thought_signature": signed[0].data}
            written["extra_content"] = {"google": google}
        return written

    def _result(self, result: ToolResult) -> None:
        """Word one result; what only a user's message may hold waits for one."""
        call_id = result.call_id or self._called(result.name)
        texts = [part for part in result.content if not isinstance(part, Media)]
        media = [part for part in result.content if isinstance(part, Media)]
        content: str | list[Any]
        if not texts and result.json is not None:
            content = bytes(result.json).decode()
        elif self._is_own and not result.is_error:
            content = self._content(tuple(texts))
        else:
            words = [part.text for part in texts if isinstance(part, Text)]
            content = "\n".join(words)
        if result.is_error and not str(content)[:5].lower().startswith("error"):
            content = f"Error: {content}" if content else "Error"
        if media:
            if not content:
                content = _ATTACHED
            self._media.append(Text(text=f"Returned by tool call {call_id}:"))
            self._media += media
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        if result.name and self._is_own:
            message["name"] = result.name
        has_mark = result.cache is not None and self._caps.cache_marks > 0
        if has_mark and content and isinstance(content, str):
            mark = write_cache(result.cache or CacheMark())
            part = {"type": "text", "text": content, "cache_control": mark}
            message["content"] = [part]
        self.messages.append(message)

    def _called(self, name: str) -> str:
        """Return the id of the first unanswered call of a name, and answer it."""
        for place, (called, call_id) in enumerate(self._unanswered):
            if called == name or not name:
                del self._unanswered[place]
                return call_id
        return f"call_{name or 'unknown'}"[:40]


def _minted(turn: int, place: int, call: ToolCall) -> str:
    """Make an id that is the same the next time this history comes by."""
    seed = f"{turn}/{place}/{call.name}/{call.arguments}".encode()
    return "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()
