"""Take the items of an input apart into turns.

The items of one speaker that follow each other are one turn: a model's reasoning, its
words and its calls; the answers to those calls. A second message of the model begins
another turn, for a message has an id and a phase of its own.

Source: reference wire 1.2 input item types, 2.1, 2.5, 2.7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, FormatError
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import (
    Authority,
    Media,
    Opaque,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolKind,
    ToolResult,
    Turn,
    Unknown,
)
from providers.formats.openai_responses.content import read_content
from providers.formats.openai_responses.peek import DIALECT, invalid
from providers.formats.openai_responses.tools import read_tools
from providers.formats.openai_responses.wire import UNSET

FAMILY: Final = "openai"
SUMMARY_BREAK: Final = "\n\n"
_USERS: Final = frozenset(
    {"compaction", "compaction_trigger", "mcp_approval_response", "program_output"}
)


class _Words(msgspec.Struct):
    text: str = ""


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = ""
    id: str | None = None
    phase: str | None = None
    name: str | None = None
    namespace: str | None = None
    call_id: str | None = None
    content: msgspec.Raw = UNSET
    output: msgspec.Raw = UNSET
    tools: msgspec.Raw = UNSET
    arguments: msgspec.Raw = msgspec.Raw(b'""')
    input: str | None = None
    summary: list[_Words] | None = None
    encrypted_content: str | None = None


_ITEM: Final = msgspec.json.Decoder(_Item)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_STR: Final = msgspec.json.Decoder(str)
_REASONED: Final = msgspec.json.Decoder(list[_Words])


class Items:
    """Gather the turns of one input.

    Shapes:  ``leading`` are the instructions before everything else, ``tools`` those
             that came as an item. ``reference`` is the id of an item that only the
             vendor's store knows, blank without one.
    """

    def __init__(self) -> None:
        self.leading: list[Turn] = []
        self.turns: list[Turn] = []
        self.tools: list[Tool] = []
        self.reference = ""
        self._assistant: list[Part] = []
        self._message: tuple[str, str] | None = None
        self._results: list[ToolResult] = []
        self._names: dict[str, str] = {}
        self._readers: dict[str, Callable[[_Item], None]] = {
            "message": self._read_message,
            "reasoning": self._read_reasoning,
            "function_call": self._read_call,
            "custom_tool_call": self._read_call,
            "function_call_output": self._read_result,
            "custom_tool_call_output": self._read_result,
            "additional_tools": self._read_tools,
            "item_reference": self._read_reference,
        }

    def read(self, raw: msgspec.Raw) -> None:
        """Read a whole ``input``.

        Errors:  FormatError naming ``input``.
        """
        try:
            if memoryview(raw)[0] == 0x22:
                self._user((Text(text=_STR.decode(raw)),))
                return
            for each in _RAWS.decode(raw):
                self._read_item(each)
        except UNREADABLE:
            raise invalid("input", "holds an item that cannot be read") from None
        self._flush()

    def _read_item(self, raw: msgspec.Raw) -> None:
        item = _ITEM.decode(raw)
        reader = self._readers.get(item.type)
        if reader is not None:
            reader(item)
            return
        payload = msgspec.Raw(bytes(raw))
        part = Unknown(dialect=DIALECT, type=item.type, payload=payload)
        if item.type.endswith("_output") or item.type in _USERS:
            self._user((part,))
        else:
            self._add(part)

    def _read_message(self, item: _Item) -> None:
        parts: tuple[Part, ...] = read_content(item.content, "input")
        if item.role == "assistant":
            if self._message is not None or self._results or not parts:
                self._flush()
            self._message = (item.id or "", item.phase or "")
            self._assistant += parts
            if not parts:
                self._flush()
        elif item.role in ("system", "developer"):
            self._instruct(parts, "system" if item.role == "system" else "developer")
        elif item.role == "user":
            self._user(parts, item)
        else:
            raise invalid("input", f"has a message of the unknown role '{item.role}'")

    def _read_reasoning(self, item: _Item) -> None:
        text = SUMMARY_BREAK.join(each.text for each in item.summary or ())
        content = bytes(item.content)
        is_full = not text and content not in (b"", b"null")
        if is_full:
            text = "".join(each.text for each in _REASONED.decode(content))
        opaque = _proof(item.encrypted_content or "")
        if text or opaque:
            self._add(
                Reasoning(
                    text=text,
                    kind="full" if is_full and text else "summary",
                    opaque=opaque,
                    is_redacted=not text,
                    item_id=item.id or "",
                )
            )

    def _read_call(self, item: _Item) -> None:
        if not item.name or not item.call_id:
            raise invalid("input", "has a call without name or call_id")
        kind: ToolKind = "function" if item.type == "function_call" else "custom"
        self._names[item.call_id] = item.name
        self._add(
            ToolCall(
                name=item.name,
                arguments=(
                    item.input or "" if kind == "custom" else _arguments(item.arguments)
                ),
                id=item.call_id,
                kind=kind,
                namespace=item.namespace or "",
                item_id=item.id or "",
            )
        )

    def _read_result(self, item: _Item) -> None:
        if not item.call_id:
            raise invalid("input", "has an answer to a call without call_id")
        kind: ToolKind = "function"
        if item.type == "custom_tool_call_output":
            kind = "custom"
        parts = read_content(item.output, "input")
        kept = tuple(part for part in parts if isinstance(part, Text | Media | Unknown))
        if self._assistant or self._message:
            self._flush()
        self._results.append(
            ToolResult(
                call_id=item.call_id,
                content=kept,
                kind=kind,
                name=self._names.get(item.call_id, ""),
            )
        )

    def _read_tools(self, item: _Item) -> None:
        self.tools += read_tools(item.tools)

    def _read_reference(self, item: _Item) -> None:
        self.reference = item.id or "item"

    def _add(self, part: Part) -> None:
        """Add to the model's turn."""
        if self._results:
            self._flush()
        self._assistant.append(part)

    def _user(self, parts: tuple[Part, ...], item: _Item | None = None) -> None:
        self._flush()
        name = item.name or "" if item is not None else ""
        message_id = item.id or "" if item is not None else ""
        self.turns.append(Turn(role="user", parts=parts, name=name, id=message_id))

    def _instruct(self, parts: tuple[Part, ...], authority: Authority) -> None:
        self._flush()
        turn = Turn(role="instruction", parts=parts, authority=authority)
        (self.turns if self.turns else self.leading).append(turn)

    def _flush(self) -> None:
        """End the turn that was being gathered."""
        if self._assistant or self._message is not None:
            message_id, phase = self._message or ("", "")
            parts = tuple(self._assistant)
            self.turns.append(
                Turn(role="assistant", parts=parts, id=message_id, phase=phase)
            )
        if self._results:
            self.turns.append(Turn(role="tool", parts=tuple(self._results)))
        self._assistant, self._message, self._results = [], None, []


def _proof(slot: str) -> tuple[Opaque, ...]:
    """Return what an opaque slot holds: packed here, or the vendor's own."""
    if not slot:
        return ()
    if is_packed(slot):
        packed = unpack(slot)
        return () if packed is None else (packed,)
    return (Opaque(family=FAMILY, slot="encrypted", data=slot),)


def _arguments(raw: msgspec.Raw) -> str:
    """Return a call's arguments; an object in place of its text is that text."""
    if memoryview(raw)[0] == 0x22:
        return _STR.decode(raw)
    text = bytes(raw).decode(errors="replace")
    return "" if text == "null" else text


def refuse_state(field: str, value: str) -> None:
    """Refuse a request that leans on state another vendor keeps.

    Errors:  FormatError naming ``previous_response_id``, as clients expect it.
    Source:  P119, T65.
    """
    if value:
        raise FormatError(
            f"This model is served without stored conversations: '{field}' cannot be "
            "resolved here. Send the whole input instead.",
            code="unsupported_parameter",
            param="previous_response_id",
        )
