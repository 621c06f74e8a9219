"""Take a Gemini client's request apart: the conversation.

Function calls without ids get some, made of what they say and where they stand, so that
the next request of the conversation gives them the same; answers find their calls by id,
else by name and order.

Source: reference wire 1.5, 2.1, 2.2, 2.5, 2.7.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.gemini_generate.fields import (
    TRUE,
    Fields,
    fields_of,
    list_of,
    raw_json,
    take,
    text_of,
)
from providers.formats.gemini_generate.incoming_config import read_config, read_tools
from providers.formats.gemini_generate.peek import inner_members
from providers.formats.neutral.smuggle import is_packed, unpack
from providers.formats.neutral.types import (
    Media,
    MediaKind,
    MediaSource,
    Opaque,
    Part,
    Reasoning,
    Request,
    ResultPart,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)

SKIP_SIGNATURE: Final = "skip_thought_signature_validator"
_SKIPPED: Final = (
    SKIP_SIGNATURE,
    b64encode(SKIP_SIGNATURE.encode()).decode(),
    urlsafe_b64encode(SKIP_SIGNATURE.encode()).decode(),
)
"""Google's Python client takes the value for bytes and writes it again as base64."""

SLOT: Final = "thought_signature"
FAMILY: Final = "google"
_GOOGLE_FILES: Final = "https://generativelanguage.googleapis.com/"
_ROLES: Final = {
    "model": "assistant",
    "assistant": "assistant",
    "system": "instruction",
}
_RESULT_WORDS: Final = ("result", "output")


def decode_gemini_request(asked: ChatRequest) -> Request:
    """Take a request apart; what is not understood stays in ``ext``.

    Errors:  FormatError with the field at fault.
    """
    inner, _ = inner_members(asked.members, asked.dialect)
    fields = fields_of(inner.body, "request")
    for name in ("model", "sessionId"):
        fields.pop(name, None)
    turns = _turns(fields.pop("contents", None))
    system = fields.pop("systemInstruction", None)
    tools, tool_choice, tool_rest = read_tools(fields)
    config, config_rest = read_config(fields)
    store = take(fields, "store", bool)
    tier = text_of(fields, "serviceTier")
    fields.pop("serviceTier", None)
    if tool_rest:
        fields["toolConfig"] = raw_json(tool_rest)
    if config_rest:
        fields["generationConfig"] = raw_json(config_rest)
    return Request(
        dialect=FAMILY,
        model=asked.model,
        instructions=_instructions(system),
        turns=turns,
        tools=tools,
        tool_choice=tool_choice,
        sampling=config.sampling,
        max_output=config.max_output,
        max_output_field="maxOutputTokens" if config.max_output is not None else "",
        thinking=config.thinking,
        output=config.output,
        modalities=config.modalities,
        state=None if store is None else State(store=store),
        stream=asked.stream,
        include_usage=True,
        service_tier=tier,
        ext=fields,
    )


def _instructions(raw: msgspec.Raw | None) -> tuple[Turn, ...]:
    """Read the leading instruction: an object of parts, or plain text."""
    if raw is None:
        return ()
    if bytes(raw)[:1] == b'"':
        parts: tuple[Part, ...] = (Text(text=msgspec.json.decode(raw, type=str)),)
    else:
        fields = fields_of(raw, "systemInstruction")
        where = "systemInstruction.parts"
        parts = tuple(
            part
            for each in list_of(fields.get("parts"), where)
            for part in read_part(each, where)
        )
    return (Turn(role="instruction", parts=parts),) if parts else ()


def _turns(raw: msgspec.Raw | None) -> tuple[Turn, ...]:
    history = _History()
    for place, each in enumerate(list_of(raw, "contents")):
        history.add(each, f"contents[{place}]")
    return tuple(history.turns)


class _History:
    """Gather turns, and which calls still wait for an answer."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._waiting: list[tuple[str, str]] = []
        self._calls = 0

    def add(self, raw: msgspec.Raw, where: str) -> None:
        """Read one content: a turn, or the answers of tools and a turn after them."""
        fields = fields_of(raw, where)
        role = _ROLES.get(text_of(fields, "role"), "user")
        parts = [
            part
            for each in list_of(fields.get("parts"), f"{where}.parts")
            for part in read_part(each, f"{where}.parts")
        ]
        if role == "assistant":
            if not self.turns or self.turns[-1].role != "assistant":
                self._waiting = []
            found = tuple(
                self._call(part) if isinstance(part, ToolCall) else part
                for part in parts
            )
            if found:
                self.turns.append(Turn(role="assistant", parts=found))
            return
        results = tuple(self._result(p) for p in parts if isinstance(p, ToolResult))
        others = tuple(p for p in parts if not isinstance(p, ToolResult))
        if results:
            self._add_results(results)
        if others and role == "instruction":
            self.turns.append(Turn(role="instruction", parts=others))
        elif others:
            self.turns.append(Turn(role="user", parts=others))

    def _add_results(self, results: tuple[ToolResult, ...]) -> None:
        """Keep all answers to one turn in one turn, also where they came one by one."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "tool":
            self.turns[-1] = Turn(role="tool", parts=(*last.parts, *results))
        else:
            self.turns.append(Turn(role="tool", parts=results))

    def _call(self, call: ToolCall) -> ToolCall:
        if not call.id:
            made = f"{self._calls}\0{call.name}\0{call.arguments}".encode()
            call = msgspec.structs.replace(
                call, id=f"call_{hashlib.sha256(made).hexdigest()[:24]}"
            )
        self._calls += 1
        self._waiting.append((call.id, call.name))
        return call

    def _result(self, result: ToolResult) -> ToolResult:
        """Find the call a result answers: by id, else the first of its name."""
        for place, (call_id, name) in enumerate(self._waiting):
            if result.call_id == call_id or (
                not result.call_id and result.name == name
            ):
                del self._waiting[place]
                return msgspec.structs.replace(
                    result, call_id=call_id, name=result.name or name
                )
        return result


def read_part(raw: msgspec.Raw, where: str) -> list[Part]:
    """Read one part; a signature on a text becomes a proof of its own behind it.

    Errors:  FormatError.
    """
    if bytes(raw)[:1] == b'"':
        return [Text(text=msgspec.json.decode(raw, type=str))]
    fields = fields_of(raw, where)
    proof = _proof(text_of(fields, "thoughtSignature"))
    if "text" in fields:
        text = take(fields, "text", str, f"{where}.") or ""
        if text and fields.get("thought") == TRUE:
            return [Reasoning(text=text, kind="summary", opaque=proof)]
        if not proof:
            return [Text(text=text)]
        shown = [Text(text=text)] if text else []
        return [*shown, Reasoning(opaque=proof, is_redacted=True)]
    if "functionCall" in fields:
        return [_function_call(fields, proof, where)]
    if "functionResponse" in fields:
        return [_function_response(fields, where)]
    media = _media(fields, where)
    if media is not None:
        return [media]
    name = next((each for each in fields if each != "thoughtSignature"), "")
    return [Unknown(dialect=FAMILY, type=name, payload=msgspec.Raw(bytes(raw)))]


def _proof(signature: str) -> tuple[Opaque, ...]:
    """Read a signature: Google's, or another family's in the pool's own envelope."""
    if not signature or signature in _SKIPPED:
        return ()
    if is_packed(signature):
        packed = unpack(signature)
        return () if packed is None else (packed,)
    return (Opaque(family=FAMILY, slot=SLOT, data=signature),)


def _function_call(fields: Fields, proof: tuple[Opaque, ...], where: str) -> ToolCall:
    call = fields_of(fields["functionCall"], f"{where}.functionCall")
    return ToolCall(
        name=text_of(call, "name"),
        arguments=bytes(call.get("args", b"{}")).decode("utf-8", "replace"),
        id=text_of(call, "id"),
        opaque=proof,
    )


def _function_response(fields: Fields, where: str) -> ToolResult:
    """Read a tool's answer: the object as it is, and in words for others."""
    where = f"{where}.functionResponse"
    answer = fields_of(fields["functionResponse"], where)
    response = answer.get("response", msgspec.Raw(b"{}"))
    try:
        value = msgspec.json.decode(response)
    except UNREADABLE:
        value = None
    words = bytes(response).decode("utf-8", "replace")
    is_error = False
    if isinstance(value, dict) and len(value) == 1:
        ((name, only),) = value.items()
        is_error = name == "error"
        if isinstance(only, str) and (is_error or name in _RESULT_WORDS):
            words = only
    content: list[ResultPart] = [Text(text=words)]
    for each in list_of(answer.get("parts"), f"{where}.parts"):
        media = _media(fields_of(each, where), where)
        if media is not None:
            content.append(media)
    return ToolResult(
        call_id=text_of(answer, "id"),
        content=tuple(content),
        is_error=is_error,
        name=text_of(answer, "name"),
        json=msgspec.Raw(bytes(response)) if isinstance(value, dict) else None,
    )


def _media(fields: Fields, where: str) -> Media | None:
    """Read bytes or a file; whatever else the part says stays with it."""
    key = "inlineData" if "inlineData" in fields else "fileData"
    if key not in fields:
        return None
    media = fields_of(fields[key], f"{where}.{key}")
    media_type = text_of(media, "mimeType")
    source: MediaSource = "base64"
    data = text_of(media, "data")
    if key == "fileData":
        data = text_of(media, "fileUri")
        source = _source(data)
    return Media(
        kind=_kind(media_type),
        source=source,
        data=data,
        media_type=media_type,
        name=text_of(media, "displayName"),
        ext={
            name: msgspec.Raw(bytes(value))
            for name, value in fields.items()
            if name != key
        },
    )


def _source(uri: str) -> MediaSource:
    if uri.startswith("gs://"):
        return "gs"
    if uri.startswith(_GOOGLE_FILES) or "://" not in uri:
        return "file_id"
    return "url"


def _kind(media_type: str) -> MediaKind:
    kind = media_type.partition("/")[0].lower()
    if kind == "image":
        return "image"
    if kind == "audio":
        return "audio"
    return "video" if kind == "video" else "document"
