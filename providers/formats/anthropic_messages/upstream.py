"""Word a fitted request as messages for an upstream.

Source: reference wire 1.4 and column AN of section 2.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.anthropic_messages.marks import settle_marks
from providers.formats.anthropic_messages.parts import ID
from providers.formats.anthropic_messages.relayed import CHAT_PATH, HEADERS
from providers.formats.anthropic_messages.request import SHOWN
from providers.formats.anthropic_messages.tools import choice_words, tool_words
from providers.formats.anthropic_messages.turns import message_list, system_blocks
from providers.formats.anthropic_messages.words import Words, cache_words
from providers.formats.base import FormatError, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import Loss, Request, Sampling, Thinking

_DISPLAYS: Final[dict[str, str]] = {
    **{show: display for display, show in SHOWN.items()},
    "concise": "summarized",
    "detailed": "summarized",
}
_TIERS: Final[dict[str, str]] = {
    "auto": "auto",
    "standard_only": "standard_only",
    "default": "standard_only",
    "standard": "standard_only",
}
_UNSAID: Final = (
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
)
_LEAST_BUDGET: Final = 1024


def encode_messages_request(
    request: Request, target: Target, caps: Capabilities
) -> Encoded:
    """Word a request; what cannot be said is a loss.

    Errors:  FormatError for state kept by another vendor.
    """
    _refuse_state(request)
    losses: list[Loss] = []
    max_tokens = request.max_output
    if max_tokens is None:
        max_tokens = target.max_output_tokens or caps.default_max_output
    body: Words = {"model": target.model, "max_tokens": max_tokens}
    system = system_blocks(request.instructions, losses)
    if system:
        body["system"] = system
    body["messages"] = message_list(request.turns, losses)
    _tools(request, body, caps, losses)
    _thinking(request, body, losses)
    _sampling(request.sampling, body, losses)
    _rest(request, body, losses)
    losses += settle_marks(body)
    for name in sorted(target.drop & body.keys()):
        del body[name]
        losses.append(Loss(field=name))
    if request.stream:
        body["stream"] = True
    return Encoded(
        body=msgspec.json.encode(body),
        path=CHAT_PATH,
        losses=tuple(losses),
        headers=HEADERS,
        is_stream=request.stream,
    )


def _refuse_state(request: Request) -> None:
    """Refuse what points to a conversation only its vendor has.

    Errors:  FormatError.
    """
    state = request.state
    if state is None:
        return
    for field, value in (
        ("previous_response_id", state.previous_id),
        ("conversation", state.conversation),
        ("background", state.background),
    ):
        if value:
            raise FormatError(
                f"'{field}' cannot be served by this model's provider: it keeps no "
                "conversations. Send the whole input.",
                code="unsupported_parameter",
                param=field,
            )


def _tools(
    request: Request, body: Words, caps: Capabilities, losses: list[Loss]
) -> None:
    tools = [
        words
        for tool in request.tools
        if (words := tool_words(tool, losses)) is not None
    ]
    if not tools:
        return
    body["tools"] = tools
    choice = request.tool_choice
    if choice is None:
        return
    words = choice_words(choice)
    is_forced = words["type"] in ("any", "tool")
    if is_forced and _thinks(request.thinking) and not caps.forced_tool_with_thinking:
        words = {**words, "type": "auto"}
        words.pop("name", None)
        losses.append(Loss(field="tool_choice", action="clamp", detail="thinking"))
    if words != {"type": "auto"} or request.dialect == ID:
        body["tool_choice"] = words


def _thinks(thinking: Thinking | None) -> bool:
    return thinking is not None and thinking.mode in ("budget", "adaptive")


def _thinking(request: Request, body: Words, losses: list[Loss]) -> None:
    """Word how to reason; a budget must leave room for the answer."""
    thinking = request.thinking
    if thinking is None:
        return
    if thinking.effort and thinking.effort != "none":
        body["output_config"] = {"effort": thinking.effort}
    if thinking.mode == "off":
        body["thinking"] = {"type": "disabled"}
        return
    words: Words = {"type": "adaptive"}
    if thinking.mode == "budget":
        budget = thinking.budget or _LEAST_BUDGET
        most = int(body["max_tokens"]) - 1
        if most < _LEAST_BUDGET:
            losses.append(Loss(field="thinking", detail="max_tokens"))
            return
        if budget > most:
            losses.append(Loss(field="thinking", action="clamp", detail="max_tokens"))
        words = {"type": "enabled", "budget_tokens": min(budget, most)}
    elif thinking.mode == "effort":
        return
    if thinking.show in _DISPLAYS:
        words["display"] = _DISPLAYS[thinking.show]
    body["thinking"] = words


def _sampling(sampling: Sampling, body: Words, losses: list[Loss]) -> None:
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(sampling, name)
        if value is not None:
            body[name] = value
    stop = [each for each in sampling.stop if each.strip()]
    if len(stop) < len(sampling.stop):
        losses.append(Loss(field="stop", detail="only white space"))
    if stop:
        body["stop_sequences"] = stop
    for name in _UNSAID:
        if getattr(sampling, name):
            losses.append(Loss(field=name))
    if sampling.n is not None and sampling.n > 1:
        losses.append(Loss(field="n"))


def _rest(request: Request, body: Words, losses: list[Loss]) -> None:
    """Word the smaller members, and send on what this dialect sent."""
    output = request.output
    if output is not None and output.kind != "text":
        if output.schema is None:
            losses.append(Loss(field="response_format"))
        else:
            form = {"type": "json_schema", "schema": output.schema}
            body["output_config"] = {**body.get("output_config", {}), "format": form}
    if request.end_user:
        body["metadata"] = {"user_id": request.end_user}
    if request.service_tier in _TIERS:
        body["service_tier"] = _TIERS[request.service_tier]
    elif request.service_tier:
        losses.append(Loss(field="service_tier"))
    if request.cache is not None:
        body["cache_control"] = cache_words(request.cache)
    _unsaid(request, losses)
    if request.dialect == ID:
        _send_on(request.ext, body)
    else:
        losses += [Loss(field=name) for name in request.ext]


def _unsaid(request: Request, losses: list[Loss]) -> None:
    """Name what there is no member for."""
    if request.verbosity:
        losses.append(Loss(field="verbosity"))
    if request.metadata:
        losses.append(Loss(field="metadata"))
    if any(modality != "text" for modality in request.modalities):
        losses.append(Loss(field="modalities"))
    if request.state is not None and request.state.store:
        losses.append(Loss(field="store"))


def _send_on(ext: dict[str, msgspec.Raw], body: Words) -> None:
    """Put back what a client of this dialect said beyond our reading."""
    for name, raw in ext.items():
        if name == "output_config":
            rest: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            body[name] = {**body.get(name, {}), **rest}
        elif name == "metadata":
            body[name] = raw
        else:
            body.setdefault(name, raw)
