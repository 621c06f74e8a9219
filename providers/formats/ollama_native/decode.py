"""Take a client's request apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest, FormatError
from providers.formats.neutral.types import (
    Media,
    OutputFormat,
    Part,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.formats.ollama_native.arguments import arguments_text
from providers.formats.ollama_native.peek import GENERATE, invalid

EMPTY_SCHEMA: Final = b'{"type":"object","properties":{}}'
LEVELS: Final = frozenset({"low", "medium", "high", "max"})
OPTION: Final = "options."

_CHAT_FIELDS: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "tools",
        "format",
        "options",
        "think",
        "logprobs",
        "top_logprobs",
    }
)
_GENERATE_FIELDS: Final = _CHAT_FIELDS | {"prompt", "system", "images"}
_SAMPLING: Final[dict[str, Any]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repeat_penalty": float,
    "seed": int,
}
_KNOWN_OPTIONS: Final = frozenset(_SAMPLING) | {"stop", "num_predict"}
_NONE: Final = msgspec.Raw(b"")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_PREFIX: Final = re.compile(r"data:[^,]{0,100},")
_PATH: Final = re.compile(r"`\$(.*)`\Z")
_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: msgspec.Raw = _NONE


class _Call(msgspec.Struct):
    function: _Function = _Function()
    id: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


class _ToolFunction(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = _NONE


class _Tool(msgspec.Struct):
    function: _ToolFunction


def decode_request(request: ChatRequest) -> Request:
    """Return the neutral form.

    Errors:  FormatError with the field at fault.
    """
    values = request.members.values
    is_generate = request.arrival.path == GENERATE
    instructions, turns = _prompted(values) if is_generate else _conversation(values)
    fields = _GENERATE_FIELDS if is_generate else _CHAT_FIELDS
    ext = {key: raw.copy() for key, raw in values.items() if key not in fields}
    options = _field(values, "options", dict[str, msgspec.Raw]) or {}
    for key, raw in options.items():
        if key not in _KNOWN_OPTIONS:
            ext[OPTION + key] = raw.copy()
    return Request(
        dialect="ollama",
        model=request.model,
        instructions=instructions,
        turns=turns,
        tools=_tools(values),
        sampling=_sampling(values, options),
        max_output=request.max_output_tokens,
        max_output_field="options.num_predict" if request.max_output_tokens else "",
        thinking=_thinking(values),
        output=_output(values),
        stream=request.stream,
        include_usage=True,
        ext=ext,
    )


def _field(values: dict[str, msgspec.Raw], key: str, kind: Any) -> Any:
    """Return a field of a kind; absent and null are None."""
    raw = values.get(key)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        words = str(error)
        found = _PATH.search(words)
        raise FormatError(
            f"'{key}' is not as it should be: {words}.",
            code="invalid_value",
            param=key + (found[1] if found else ""),
        ) from None
    except UNREADABLE:
        raise invalid(key, "cannot be read") from None


def _prompted(
    values: dict[str, msgspec.Raw],
) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Make a conversation of a prompt: its system text and one message."""
    system = _field(values, "system", str)
    parts = _parts(_field(values, "prompt", str))
    parts += _images(_field(values, "images", list[str]), "images")
    if not parts:
        raise invalid("prompt", "must not be empty for this model")
    lead = Turn(role="instruction", parts=tuple(_parts(system)))
    return (lead,) if system else (), (Turn(role="user", parts=tuple(parts)),)


def _conversation(
    values: dict[str, msgspec.Raw],
) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Return the leading instructions and the turns."""
    messages = _field(values, "messages", list[_Message])
    if not messages:
        raise invalid("messages", "must not be empty for this model")
    turns: list[Turn] = []
    results: list[Part] = []
    called: dict[str, str] = {}
    for place, message in enumerate(messages):
        turn = _turn(message, f"messages[{place}]", called)
        if turn.role == "tool":
            results += turn.parts
            continue
        _answer(turns, results)
        for part in turn.parts:
            if isinstance(part, ToolCall) and part.id:
                called[part.id] = part.name
        turns.append(turn)
    _answer(turns, results)
    lead = 0
    while lead < len(turns) and turns[lead].role == "instruction":
        lead += 1
    return tuple(turns[:lead]), tuple(turns[lead:])


def _answer(turns: list[Turn], results: list[Part]) -> None:
    """Make one turn of the results that came one after the other."""
    if results:
        turns.append(Turn(role="tool", parts=tuple(results)))
        results.clear()


def _turn(message: _Message, where: str, called: Mapping[str, str]) -> Turn:
    """Return one turn; ``called`` are the names of the calls so far, by id."""
    role = message.role
    parts = _parts(message.content)
    images = _images(message.images, f"{where}.images")
    if role in ("system", "developer"):
        return Turn(role="instruction", parts=tuple(parts + images))
    if role == "user":
        return Turn(role="user", parts=tuple(parts + images))
    if role == "assistant":
        return Turn(role="assistant", parts=_assistant(message, parts + images))
    if role == "tool":
        call_id = message.tool_call_id or ""
        result = ToolResult(
            call_id=call_id,
            content=tuple(parts + images),
            name=message.tool_name or message.name or called.get(call_id, ""),
        )
        return Turn(role="tool", parts=(result,))
    raise invalid(f"{where}.role", "must be system, user, assistant or tool")


def _assistant(message: _Message, said: list[Text | Media]) -> tuple[Part, ...]:
    parts: list[Part] = []
    if message.thinking:
        parts.append(Reasoning(text=message.thinking))
    parts += said
    for call in message.tool_calls or ():
        arguments = arguments_text(call.function.arguments)
        parts.append(
            ToolCall(name=call.function.name, arguments=arguments, id=call.id or "")
        )
    return tuple(parts)


def _parts(content: str | None) -> list[Text | Media]:
    return [Text(text=content)] if content else []


def _images(images: list[str] | None, where: str) -> list[Text | Media]:
    """Return pictures; what a picture is, its first bytes tell."""
    found: list[Text | Media] = []
    for place, text in enumerate(images or ()):
        data = "".join(_PREFIX.sub("", text, count=1).split())
        if not _BASE64.fullmatch(data):
            raise invalid(f"{where}[{place}]", "must be base64 of a picture")
        kinds = [kind for magic, kind in _MAGIC if data.startswith(magic)]
        found.append(
            Media(
                kind="image",
                source="base64",
                data=data,
                media_type=kinds[0] if kinds else "",
            )
        )
    return found


def _tools(values: dict[str, msgspec.Raw]) -> tuple[Tool, ...]:
    tools = _field(values, "tools", list[_Tool]) or []
    return tuple(
        Tool(
            kind="function",
            name=tool.function.name,
            description=tool.function.description or "",
            schema=_schema(tool.function.parameters),
        )
        for tool in tools
    )


def _schema(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return a schema; the one that says nothing is none."""
    text = bytes(raw)
    return None if text in (b"", b"null", EMPTY_SCHEMA) else msgspec.Raw(text)


def _sampling(
    values: dict[str, msgspec.Raw], options: dict[str, msgspec.Raw]
) -> Sampling:
    found: dict[str, Any] = {
        key: _number(options, key, kind) for key, kind in _SAMPLING.items()
    }
    stop = _field(options, "stop", list[str] | str)
    return Sampling(
        **found,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        logprobs=_field(values, "logprobs", bool),
        top_logprobs=_field(values, "top_logprobs", int),
    )


def _number(
    options: dict[str, msgspec.Raw], key: str, kind: type[float] | type[int]
) -> float | None:
    """Return a number; a whole one may be written as a fraction."""
    try:
        value: int | float | None = _field(options, key, int | float)
    except FormatError:
        raise invalid(OPTION + key, "must be a number") from None
    return None if value is None else kind(value)


def _thinking(values: dict[str, msgspec.Raw]) -> Thinking | None:
    think = _field(values, "think", bool | str)
    if think is None or think == "":
        return None
    if think is True:
        return Thinking(mode="adaptive")
    if think is False:
        return Thinking(mode="off")
    if think not in LEVELS:
        raise invalid("think", "must be a boolean, low, medium, high or max")
    return Thinking(mode="effort", effort=think)


def _output(values: dict[str, msgspec.Raw]) -> OutputFormat | None:
    raw = values.get("format")
    text = b"null" if raw is None else bytes(raw)
    if text in (b"null", b'""'):
        return None
    if text == b'"json"':
        return OutputFormat(kind="json")
    if text[:1] == b"{":
        return OutputFormat(kind="schema", schema=msgspec.Raw(text))
    raise invalid("format", "must be 'json' or a JSON schema")
