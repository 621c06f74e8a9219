"""Take a client's messages request apart.

Source: reference wire 1.4, 2.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.anthropic_messages.parts import (
    ID,
    invalid,
    read_cache,
    read_content,
)
from providers.formats.anthropic_messages.peek import user_of
from providers.formats.anthropic_messages.raws import ABSENT, given
from providers.formats.anthropic_messages.tools import read_choice, read_tools
from providers.formats.base import UNREADABLE, ChatRequest, FormatError, is_bulky
from providers.formats.neutral.types import (
    Loss,
    OutputFormat,
    Part,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolResult,
    Turn,
)

BILLING: Final = "x-anthropic-billing-header:"
_READ: Final = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "stream",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
        "cache_control",
    }
)
SHOWN: Final[dict[str, str]] = {
    "summarized": "auto",
    "omitted": "none",
    "updates": "full",
}


class _Message(msgspec.Struct):
    role: str
    content: msgspec.Raw


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str = ""
    schema: msgspec.Raw = ABSENT
    name: str | None = None


class _OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Scalars(msgspec.Struct):
    """Name the plain members of a request."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    service_tier: str | None = None


_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_SCALARS: Final = msgspec.json.Decoder(_Scalars)
_THINKING: Final = msgspec.json.Decoder(_Thinking)
_OUTPUT: Final = msgspec.json.Decoder(_OutputConfig)
_FORMAT: Final = msgspec.json.Decoder(_Format)
_METADATA: Final = msgspec.json.Decoder(_Metadata)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
Values = dict[str, msgspec.Raw]


def decode_messages_request(request: ChatRequest) -> Request:
    """Take a request apart.

    Errors:  FormatError with the field at fault.
    """
    values = request.members.values
    if is_bulky(request.body):
        raise FormatError(
            "The request has too many items to be translated.",
            code="request_too_large",
            status=413,
        )
    try:
        scalars = _SCALARS.decode(request.body)
    except UNREADABLE as error:
        raise invalid("body", str(error)) from None
    losses: list[Loss] = []
    ext = {
        key: msgspec.Raw(bytes(raw))
        for key, raw in values.items()
        if key not in _READ and given(raw) is not None
    }
    thinking, output = _reasoning(values, ext)
    end_user = _end_user(values, ext)
    return Request(
        dialect=ID,
        model=request.model,
        instructions=_instructions(values, losses),
        turns=_turns(values),
        tools=read_tools(values.get("tools")),
        tool_choice=read_choice(values.get("tool_choice")),
        sampling=Sampling(
            temperature=scalars.temperature,
            top_p=scalars.top_p,
            top_k=scalars.top_k,
            stop=tuple(scalars.stop_sequences or ()),
        ),
        max_output=scalars.max_tokens,
        max_output_field="max_tokens" if scalars.max_tokens is not None else "",
        thinking=thinking,
        output=output,
        cache=read_cache(values.get("cache_control")),
        cache_key=request.session or "",
        stream=bool(scalars.stream),
        include_usage=bool(scalars.stream),
        end_user=end_user,
        service_tier=scalars.service_tier or "",
        ext=ext,
        losses=tuple(losses),
    )


def _instructions(values: Values, losses: list[Loss]) -> tuple[Turn, ...]:
    """Read the leading system text.

    Claude Code's first block states what is billed to whom and differs from call to
    call, so that no prefix of the prompt could ever be cached; it means nothing to
    anyone but Anthropic and stays behind.
    """
    raw = given(values.get("system"))
    if raw is None:
        return ()
    parts = read_content(raw, "system")
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, Text) and part.text.startswith(BILLING):
            losses.append(Loss(field="system", detail="billing header"))
        else:
            kept.append(part)
    return (Turn(role="instruction", parts=tuple(kept)),) if kept else ()


def _turns(values: Values) -> tuple[Turn, ...]:
    try:
        messages = _MESSAGES.decode(values["messages"])
    except UNREADABLE as error:
        raise invalid("messages", str(error)) from None
    turns: list[Turn] = []
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        parts = read_content(message.content, f"{where}.content")
        if message.role == "user":
            turns += _user_turns(parts)
        elif message.role == "assistant":
            turns.append(Turn(role="assistant", parts=parts))
        elif message.role == "system":
            turns.append(Turn(role="instruction", parts=parts))
        else:
            raise invalid(f"{where}.role", "must be user, assistant or system")
    return tuple(turns)


def _user_turns(parts: tuple[Part, ...]) -> list[Turn]:
    """Split a user's message into the results in it and what the user said."""
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    if not results:
        return [Turn(role="user", parts=parts)]
    turns = [Turn(role="tool", parts=results)]
    said = tuple(part for part in parts if not isinstance(part, ToolResult))
    if said:
        turns.append(Turn(role="user", parts=said))
    return turns


def _reasoning(
    values: Values, ext: Values
) -> tuple[Thinking | None, OutputFormat | None]:
    """Read how to think and what to answer in; leave what is newer in ``ext``."""
    config = _OutputConfig()
    raw = given(values.get("output_config"))
    if raw is not None:
        config = _typed(_OUTPUT, raw, "output_config")
        rest = {
            key: value
            for key, value in _MEMBERS.decode(raw).items()
            if key not in ("effort", "format")
        }
        if rest:
            ext["output_config"] = msgspec.Raw(msgspec.json.encode(rest))
    form = config.format
    legacy = given(values.get("output_format"))
    if form is None and legacy is not None:
        form = _typed(_FORMAT, legacy, "output_format")
    output = None
    if form is not None and form.type == "json_schema":
        schema = given(form.schema)
        schema = None if schema is None else msgspec.Raw(bytes(schema))
        output = OutputFormat(kind="schema", name=form.name or "", schema=schema)
    return _thinking(given(values.get("thinking")), config.effort or "", ext), output


def _thinking(raw: msgspec.Raw | None, effort: str, ext: Values) -> Thinking | None:
    default = Thinking(mode="effort", effort=effort) if effort else None
    if raw is None:
        return default
    asked: _Thinking = _typed(_THINKING, raw, "thinking")
    show = SHOWN.get(asked.display or "", "")
    if asked.type == "enabled" and asked.budget_tokens is not None:
        return Thinking(
            mode="budget", budget=asked.budget_tokens, effort=effort, show=show
        )
    if asked.type in ("adaptive", "enabled"):
        return Thinking(mode="adaptive", effort=effort, show=show)
    if asked.type == "disabled":
        return Thinking(mode="off", effort=effort)
    ext["thinking"] = msgspec.Raw(bytes(raw))
    return default


def _typed(decoder: Any, raw: msgspec.Raw, field: str) -> Any:
    try:
        return decoder.decode(raw)
    except UNREADABLE as error:
        raise invalid(field, str(error)) from None


def _end_user(values: Values, ext: Values) -> str:
    """Return whom the call serves, without the session and the account beside it.

    What that leaves out stays in ``ext``, for an upstream of this dialect only.
    """
    raw = values.get("metadata")
    if raw is None:
        return ""
    try:
        user_id = _METADATA.decode(raw).user_id or ""
        has_more = len(_MEMBERS.decode(raw)) > 1
    except UNREADABLE:
        return ""
    lasting = user_of(user_id)[0]
    if lasting == user_id and not has_more:
        ext.pop("metadata", None)
    return lasting
