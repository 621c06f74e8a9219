"""Take a client's chat request apart into the neutral form.

Source: reference wire 1.1, 2.4, 2.8 to 2.13, 2.18.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from providers.formats.base import ChatRequest, FormatError, is_bulky
from providers.formats.neutral.types import (
    OutputFormat,
    Request,
    Sampling,
    State,
    Thinking,
)
from providers.formats.openai_chat.fields import (
    UNSET,
    Fields,
    as_object,
    invalid,
    is_said,
    parsed,
)
from providers.formats.openai_chat.messages import read_messages
from providers.formats.openai_chat.parts import DIALECT, read_cache
from providers.formats.openai_chat.tools import read_tool_choice, read_tools


class _Schema(msgspec.Struct):
    name: str = ""
    description: str | None = None
    schema: msgspec.Raw = UNSET
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


_FORMAT: Final = msgspec.json.Decoder(_Format)
_STOP: Final = msgspec.json.Decoder(str | list[str])
_WORDS: Final = msgspec.json.Decoder(list[str])
_METADATA: Final = msgspec.json.Decoder(dict[str, Any])


def decode_request(asked: ChatRequest) -> Request:
    """Take a request apart.

    Shapes:  fields nobody here knows are kept in ``ext``.
    Errors:  FormatError with the field at fault.
    Cost:    linear; some 30 us for a small conversation.
    """
    if is_bulky(asked.body):
        raise FormatError(
            "This body has too many items to be translated.",
            code="request_too_large",
            status=413,
        )
    fields = Fields(asked.members.values)
    fields.raw("model")
    messages = fields.raw("messages")
    if messages is None:
        raise FormatError(
            "The field 'messages' is missing.", code="missing_field", param="messages"
        )
    values = asked.members.values
    is_legacy = is_said(values.get("functions")) and not is_said(values.get("tools"))
    instructions, turns = read_messages(messages)
    max_output, max_output_field = _max_output(fields)
    user = fields.text("user")
    fields.raw("stream")
    fields.raw("stream_options")
    return Request(
        dialect=DIALECT,
        model=asked.model,
        instructions=instructions,
        turns=turns,
        tools=read_tools(fields),
        tool_choice=read_tool_choice(fields),
        sampling=_sampling(fields),
        max_output=max_output,
        max_output_field=max_output_field,
        thinking=_thinking(fields),
        output=_output(fields),
        verbosity=fields.text("verbosity"),
        modalities=_modalities(fields),
        cache_key=fields.text("prompt_cache_key"),
        cache=read_cache(fields.raw("cache_control")),
        state=_state(fields),
        stream=asked.stream,
        include_usage=asked.include_usage,
        end_user=fields.text("safety_identifier") or user,
        metadata=_metadata(fields),
        service_tier=fields.text("service_tier"),
        is_legacy=is_legacy,
        ext={name: raw for name, raw in fields.rest().items() if is_said(raw)},
    )


def _max_output(fields: Fields) -> tuple[int | None, str]:
    """Return the limit of the answer and its spelling; the newer one wins."""
    older = fields.integer("max_tokens")
    newer = fields.integer("max_completion_tokens")
    if newer is not None:
        return newer, "max_completion_tokens"
    return older, "" if older is None else "max_tokens"


def _sampling(fields: Fields) -> Sampling:
    """Read how words are chosen."""
    raw = fields.raw("stop")
    stop: str | list[str] = [] if raw is None else parsed(raw, _STOP, "stop")
    repeat = fields.number("repetition_penalty")
    older = fields.number("repeat_penalty")
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        min_p=fields.number("min_p"),
        presence_penalty=fields.number("presence_penalty"),
        frequency_penalty=fields.number("frequency_penalty"),
        repeat_penalty=older if repeat is None else repeat,
        seed=fields.integer("seed"),
        n=fields.integer("n"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        logit_bias=fields.raw("logit_bias"),
        logprobs=fields.flag("logprobs"),
        top_logprobs=fields.integer("top_logprobs"),
    )


def _thinking(fields: Fields) -> Thinking | None:
    """Read how much to reason: OpenAI's word, else the objects others take.

    Shapes:  ``reasoning`` is OpenRouter's, ``thinking`` that of Anthropic as many
             compatible servers copied it.
    """
    word = fields.text("reasoning_effort")
    if word:
        if word == "none":
            return Thinking(mode="off", effort="none")
        return Thinking(mode="effort", effort=word)
    for name, read in (("reasoning", _routed), ("thinking", _switched)):
        raw = fields.raw(name)
        found = read(as_object(raw)) if raw is not None else None
        if found is not None:
            return found
        fields.untaken(name)
    return None


def _routed(value: Mapping[str, Any]) -> Thinking | None:
    """Read ``{effort, max_tokens, exclude, enabled}``."""
    show = "none" if value.get("exclude") is True else ""
    budget = _count(value.get("max_tokens"))
    effort = value.get("effort")
    if value.get("enabled") is False or effort == "none":
        return Thinking(mode="off", effort="none")
    if budget is not None:
        return Thinking(mode="budget", budget=budget, show=show)
    if isinstance(effort, str) and effort:
        return Thinking(mode="effort", effort=effort, show=show)
    return Thinking(mode="adaptive", show=show) if value.get("enabled") else None


def _switched(value: Mapping[str, Any]) -> Thinking | None:
    """Read ``{type: enabled | disabled | adaptive, budget_tokens}``."""
    if value.get("type") == "disabled":
        return Thinking(mode="off", effort="none")
    budget = _count(value.get("budget_tokens"))
    if value.get("type") == "enabled" and budget is not None:
        return Thinking(mode="budget", budget=budget)
    if value.get("type") in ("enabled", "adaptive"):
        return Thinking(mode="adaptive")
    return None


def _count(value: Any) -> int | None:
    """Return a whole number that is one."""
    return value if type(value) is int and value > 0 else None


def _output(fields: Fields) -> OutputFormat | None:
    """Read the form of the answer; a form of another name stays with the rest."""
    raw = fields.raw("response_format")
    if raw is None:
        return None
    wire = parsed(raw, _FORMAT, "response_format")
    if wire.type == "text":
        return OutputFormat(kind="text")
    if wire.type == "json_object":
        return OutputFormat(kind="json")
    if wire.type != "json_schema":
        fields.untaken("response_format")
        return None
    if wire.json_schema is None:
        raise invalid("response_format.json_schema", "is missing")
    schema = wire.json_schema
    return OutputFormat(
        kind="schema",
        name=schema.name,
        description=schema.description or "",
        schema=schema.schema if is_said(schema.schema) else None,
        strict=schema.strict,
    )


def _modalities(fields: Fields) -> tuple[str, ...]:
    """Read the kinds of answers that are wanted."""
    raw = fields.raw("modalities")
    words: list[str] = [] if raw is None else parsed(raw, _WORDS, "modalities")
    return tuple(words)


def _metadata(fields: Fields) -> dict[str, str]:
    """Read the client's labels; what is no text becomes its JSON."""
    raw = fields.raw("metadata")
    if raw is None:
        return {}
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in parsed(raw, _METADATA, "metadata").items()
    }


def _state(fields: Fields) -> State | None:
    """Read whether the vendor is to keep the answer."""
    store = fields.flag("store")
    return None if store is None else State(store=store)
