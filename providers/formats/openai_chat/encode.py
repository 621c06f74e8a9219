"""Word a fitted request for an upstream that speaks chat completions.

Source: reference wire 1.1, 1.13, 2.1 to 2.13, 2.18.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import FormatError, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import Loss, OutputFormat, Request, Thinking
from providers.formats.openai_chat.conversation import write_messages
from providers.formats.openai_chat.parts import DIALECT, write_cache
from providers.formats.openai_chat.request import PATH
from providers.formats.openai_chat.tools import write_tools

_NEEDED: Final = frozenset({"model", "messages"})
_NEAREST: Final = ((1024, "minimal"), (4096, "low"), (12_000, "medium"))
_SAMPLING: Final = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("repeat_penalty", "repetition_penalty"),
    ("seed", "seed"),
    ("n", "n"),
    ("logit_bias", "logit_bias"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
)


def encode_request(request: Request, target: Target, caps: Capabilities) -> Encoded:
    """Word a request; nothing the client did not say is added but the asking for usage.

    Errors:  FormatError for what must not be left out silently.
    """
    losses: list[Loss] = []
    body: dict[str, Any] = {
        "model": target.model,
        "messages": write_messages(request, caps, losses),
    }
    body |= write_tools(request, caps, losses)
    _bound(body, request, caps)
    if request.thinking is not None:
        _think(body, request.thinking, caps)
    if request.output is not None:
        body["response_format"] = _response_format(request.output)
    _describe(body, request, caps, losses)
    _keep(body, request, caps, losses)
    for name, raw in request.ext.items():
        if request.dialect == DIALECT:
            body.setdefault(name, raw)
        else:
            losses.append(Loss(field=name))
    if request.stream:
        body["stream"] = True
        if caps.stream_options:
            body["stream_options"] = {"include_usage": True}
    _drop(body, target.drop.union(caps.refuses), losses)
    return Encoded(
        body=msgspec.json.encode(body),
        path=PATH,
        losses=tuple(losses),
        is_stream=request.stream,
    )


def _bound(body: dict[str, Any], request: Request, caps: Capabilities) -> None:
    """Word how long the answer may be and how its words are chosen."""
    if request.max_output is not None:
        body[caps.max_tokens_field] = request.max_output
    for name, spelling in _SAMPLING:
        value = getattr(request.sampling, name)
        if value is not None:
            body[spelling] = value
    if request.sampling.stop:
        body["stop"] = list(request.sampling.stop)


def _think(body: dict[str, Any], thinking: Thinking, caps: Capabilities) -> None:
    """Word how much to reason; a budget that is left is the nearest word."""
    if caps.thinking == "none":
        return
    word = thinking.effort
    if thinking.mode == "off":
        word = word or "none"
        if word not in caps.effort_levels and "minimal" in caps.effort_levels:
            word = "minimal"
    elif not word and thinking.budget is not None:
        word = next((w for most, w in _NEAREST if thinking.budget <= most), "high")
        if word == "minimal" and word not in caps.effort_levels:
            word = "low"
    if word:
        body["reasoning_effort"] = word


def _response_format(output: OutputFormat) -> dict[str, Any]:
    """Word the form of the answer."""
    if output.kind == "text":
        return {"type": "text"}
    if output.kind == "json" or output.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": output.name or "response"}
    if output.description:
        schema["description"] = output.description
    schema["schema"] = output.schema
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _describe(
    body: dict[str, Any], request: Request, caps: Capabilities, losses: list[Loss]
) -> None:
    """Word what surrounds the conversation, where the upstream knows the field."""
    said: tuple[tuple[str, Any, bool], ...] = (
        ("verbosity", request.verbosity, caps.verbosity),
        ("prompt_cache_key", request.cache_key, caps.cache_key),
        ("user", request.end_user, caps.end_user),
        ("metadata", request.metadata, caps.metadata),
        ("service_tier", request.service_tier, caps.service_tier),
    )
    for name, value, is_known in said:
        if not value:
            continue
        if is_known:
            body[name] = value
        else:
            losses.append(Loss(field=name))
    if request.cache is not None:
        if caps.auto_cache:
            body["cache_control"] = write_cache(request.cache)
        else:
            losses.append(Loss(field="cache_control"))
    if request.modalities and tuple(request.modalities) != ("text",):
        body["modalities"] = list(request.modalities)


def _keep(
    body: dict[str, Any], request: Request, caps: Capabilities, losses: list[Loss]
) -> None:
    """Word what the vendor is to keep; what it kept elsewhere cannot be reached.

    Errors:  FormatError: half a conversation is not the one the client meant.
    """
    state = request.state
    if state is None:
        return
    for name in ("previous_id", "conversation"):
        if getattr(state, name):
            param = "previous_response_id" if name == "previous_id" else name
            raise FormatError(
                f"The model's API keeps no conversations: '{param}' cannot be used.",
                code="unsupported_parameter",
                param=param,
            )
    if state.background:
        losses.append(Loss(field="background"))
    if state.store is not None:
        if caps.store:
            body["store"] = state.store
        elif state.store:
            losses.append(Loss(field="store"))


def _drop(body: dict[str, Any], refused: frozenset[str], losses: list[Loss]) -> None:
    """Leave out what this upstream is known to refuse."""
    for name in sorted(refused & body.keys() - _NEEDED):
        del body[name]
        if name != "stream_options":
            losses.append(Loss(field=name))
