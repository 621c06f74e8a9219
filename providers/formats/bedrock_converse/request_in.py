"""Read a client's Converse request: first what the proxy must know, then all of it."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pricing.tokens import MAX_COUNT
from providers.formats import base
from providers.formats.base import (
    UNREADABLE,
    Arrival,
    ChatRequest,
    FormatError,
    is_bulky,
)
from providers.formats.bedrock_converse.blocks_in import read_parts
from providers.formats.bedrock_converse.extra_in import (
    Extra,
    read_extra,
    read_output,
    read_thinking,
)
from providers.formats.bedrock_converse.names import DIALECT
from providers.formats.bedrock_converse.raw import ABSENT, given
from providers.formats.bedrock_converse.tools_in import read_tool_choice, read_tools
from providers.formats.jsonspans import (
    DuplicateKeyError,
    Members,
    TooManyMembersError,
    read_members,
)
from providers.formats.neutral.types import Part, Request, Sampling, ToolResult, Turn

_KNOWN: Final = frozenset(
    {
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "additionalModelRequestFields",
        "requestMetadata",
        "serviceTier",
        "outputConfig",
        "modelId",
    }
)
_READ_BY_MODEL: Final = ("messages", "system", "toolConfig", "outputConfig")
# An unescaped quote cannot stand inside a JSON string, so these never match text.
_PART_NEEDS: Final = (
    (re.compile(rb'"image"[ \t\n\r]*:[ \t\n\r]*\{'), base.NEED_VISION),
    (re.compile(rb'"audio"[ \t\n\r]*:[ \t\n\r]*\{'), base.NEED_AUDIO),
    (re.compile(rb'"document"[ \t\n\r]*:[ \t\n\r]*\{'), base.NEED_FILES),
)
_AT: Final = re.compile(r"`\$\.?([^`]*)`")
# Signatures are Claude's; other models on Bedrock give none that could be replayed.
_FAMILY: Final = "anthropic"


class _Limits(msgspec.Struct):
    maxTokens: int | None = None


class _Inference(msgspec.Struct):
    maxTokens: int | None = None
    temperature: float | None = None
    topP: float | None = None
    stopSequences: list[str] | None = None


class _Message(msgspec.Struct):
    role: str = "user"
    content: list[msgspec.Raw] | None = None


class _Tier(msgspec.Struct):
    type: str = ""


class _Body(msgspec.Struct):
    messages: list[_Message] | None = None
    system: list[msgspec.Raw] | None = None
    inferenceConfig: _Inference | None = None
    toolConfig: msgspec.Raw = ABSENT
    additionalModelRequestFields: dict[str, msgspec.Raw] | None = None
    requestMetadata: dict[str, str] | None = None
    serviceTier: _Tier | None = None
    outputConfig: msgspec.Raw = ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_LIMITS: Final[msgspec.json.Decoder[_Limits | None]] = msgspec.json.Decoder(
    _Limits | None
)


def read_request(body: bytes, arrival: Arrival) -> ChatRequest:
    """Read what the proxy must know of a Converse call; the path names its model.

    Errors:  FormatError with the field at fault in ``param``.
    """
    members = members_of(body)
    values = members.values
    if not arrival.path_model:
        raise FormatError("The path names no model.", code="missing_model")
    if bytes(values.get("messages", b""))[:1] != b"[":
        raise FormatError("messages must be a list.", param="messages")
    limits = _peek_limits(values)
    return ChatRequest(
        dialect=DIALECT,
        body=body,
        model=arrival.path_model,
        members=members,
        content_spans=tuple(
            members.spans[name][1:] for name in _READ_BY_MODEL if name in members.spans
        ),
        stream=arrival.is_stream,
        include_usage=True,
        max_output_tokens=limits,
        needs=_needs(values),
        arrival=arrival,
    )


def members_of(body: bytes) -> Members:
    """Find a body's members.

    Errors:  FormatError.
    """
    try:
        return read_members(body)
    except msgspec.ValidationError as error:
        raise FormatError("The body must be a JSON object.") from error
    except DuplicateKeyError as error:
        raise FormatError("The body names a field twice.") from error
    except TooManyMembersError as error:
        raise FormatError("The body has too many fields.") from error
    except UNREADABLE as error:
        raise FormatError("The body is not valid JSON.", code="invalid_json") from error


def decode_request(request: ChatRequest) -> Request:
    """Take a Converse request apart.

    Errors:  FormatError with the field at fault.
    """
    if is_bulky(request.body):
        raise FormatError(
            "The body has too many parts.", code="request_too_large", status=413
        )
    try:
        return _decoded(request)
    except msgspec.ValidationError as error:
        raise field_error(error) from error


def field_error(error: msgspec.ValidationError) -> FormatError:
    """Word a value of the wrong kind, with the place it stands at."""
    text = str(error)
    found = _AT.search(text)
    return FormatError(
        text.partition(" - at ")[0] + ".", param=found[1] or None if found else None
    )


def _decoded(request: ChatRequest) -> Request:
    body = _BODY.decode(request.body)
    extra = read_extra(body.additionalModelRequestFields or {})
    inference = body.inferenceConfig or _Inference()
    output, effort = read_output(given(body.outputConfig))
    ext = {
        name: raw
        for name, raw in request.members.values.items()
        if name not in _KNOWN and bytes(raw) != b"null"
    }
    if extra.rest:
        rest = msgspec.json.encode(extra.rest)
        ext["additionalModelRequestFields"] = msgspec.Raw(rest)
    return Request(
        dialect=DIALECT,
        model=request.model,
        instructions=_instructions(body.system),
        turns=_turns(body.messages or []),
        tools=read_tools(given(body.toolConfig)),
        tool_choice=read_tool_choice(given(body.toolConfig), extra.tool_choice),
        sampling=_sampling(inference, extra),
        max_output=inference.maxTokens,
        max_output_field="" if inference.maxTokens is None else "maxTokens",
        thinking=read_thinking(extra, effort),
        output=output,
        stream=request.stream,
        include_usage=True,
        metadata=body.requestMetadata or {},
        service_tier=body.serviceTier.type if body.serviceTier else "",
        ext=ext,
    )


def _sampling(inference: _Inference, extra: Extra) -> Sampling:
    return Sampling(
        temperature=inference.temperature,
        top_p=inference.topP,
        top_k=extra.top_k,
        stop=tuple(inference.stopSequences or ()),
    )


def _instructions(system: list[msgspec.Raw] | None) -> tuple[Turn, ...]:
    if not system:
        return ()
    return (Turn(role="instruction", parts=tuple(read_parts(system, _FAMILY))),)


def _turns(messages: list[_Message]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for message in messages:
        parts = read_parts(message.content or (), _FAMILY)
        if message.role == "assistant":
            turns.append(Turn(role="assistant", parts=tuple(parts)))
        elif message.role == "system":
            turns.append(Turn(role="instruction", parts=tuple(parts)))
        else:
            turns += _user_turns(parts)
    return tuple(turns)


def _user_turns(parts: list[Part]) -> list[Turn]:
    """Part the answers to calls from what the user says beside them."""
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    said = tuple(part for part in parts if not isinstance(part, ToolResult))
    turns = [Turn(role="tool", parts=results)] if results else []
    if said or not results:
        turns.append(Turn(role="user", parts=said))
    return turns


def _peek_limits(values: dict[str, msgspec.Raw]) -> int | None:
    raw = values.get("inferenceConfig")
    if raw is None:
        return None
    try:
        limits = _LIMITS.decode(raw)
    except UNREADABLE as error:
        raise FormatError(
            "inferenceConfig.maxTokens must be an integer.",
            param="inferenceConfig.maxTokens",
        ) from error
    most = None if limits is None else limits.maxTokens
    if most is not None and not 0 < most <= MAX_COUNT:
        raise FormatError(
            "inferenceConfig.maxTokens is out of range.",
            param="inferenceConfig.maxTokens",
        )
    return most


def _needs(values: dict[str, msgspec.Raw]) -> int:
    needs = base.NEED_TOOLS if "toolConfig" in values else 0
    messages: Any = values["messages"]
    for pattern, need in _PART_NEEDS:
        if pattern.search(messages):
            needs |= need
    if b'"textFormat"' in bytes(values.get("outputConfig", b"")):
        needs |= base.NEED_JSON_SCHEMA
    extra = bytes(values.get("additionalModelRequestFields", b""))
    if b'"thinking"' in extra or b'"reasoning' in extra:
        needs |= base.NEED_REASONING
    return needs
