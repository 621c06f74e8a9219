"""Word a fitted request for a server of this dialect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import FormatError, Target
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import (
    Loss,
    Media,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.formats.ollama_native.arguments import arguments_object
from providers.formats.ollama_native.decode import EMPTY_SCHEMA, LEVELS, OPTION
from providers.formats.ollama_native.peek import CHAT

_OPTIONS: Final = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "seed",
)
_LEVEL_OF: Final = {"minimal": "low", "xhigh": "max"}
_BUDGETS: Final = ((4_096, "low"), (12_000, "medium"), (24_576, "high"))
_MISSING: Final = msgspec.Raw(EMPTY_SCHEMA)


def encode_request(request: Request, target: Target) -> Encoded:
    """Return the body for the chat operation; generate is asked as a chat too.

    Errors:  FormatError for state and files that must not be dropped in silence.
    """
    _refuse_state(request)
    losses = _unsaid(request)
    body: dict[str, Any] = {
        "model": target.model,
        "messages": _messages(request, losses),
    }
    if tools := _tools(request, losses):
        body["tools"] = tools
    output = request.output
    if output is not None and output.kind != "text":
        body["format"] = "json" if output.schema is None else output.schema
    if options := _options(request):
        body["options"] = options
    if request.thinking is not None:
        body["think"] = _think(request.thinking)
    if request.sampling.logprobs is not None:
        body["logprobs"] = request.sampling.logprobs
    if request.sampling.top_logprobs is not None:
        body["top_logprobs"] = request.sampling.top_logprobs
    body["stream"] = request.stream
    _extend(body, request, losses)
    for name in sorted(target.drop & body.keys()):
        del body[name]
        losses.append(Loss(field=name))
    return Encoded(
        body=msgspec.json.encode(body),
        path=CHAT,
        losses=tuple(losses),
        is_stream=request.stream,
    )


def _refuse_state(request: Request) -> None:
    state = request.state
    if state is None:
        return
    for name, value in (
        ("previous_response_id", state.previous_id),
        ("conversation", state.conversation),
    ):
        if value:
            raise FormatError(
                f"This model keeps no conversations: '{name}' cannot be used.",
                code="unsupported_parameter",
                param=name,
            )


def _unsaid(request: Request) -> list[Loss]:
    """Name what this dialect has no word for."""
    sampling, state, choice = request.sampling, request.state, request.tool_choice
    forced = choice is not None and choice.mode in ("any", "one")
    said = (
        ("n", (sampling.n or 1) > 1),
        ("logit_bias", sampling.logit_bias is not None),
        ("tool_choice", forced),
        ("parallel_tool_calls", choice is not None and choice.parallel is False),
        ("verbosity", bool(request.verbosity)),
        ("modalities", bool(set(request.modalities) - {"text"})),
        ("prompt_cache_key", bool(request.cache_key)),
        ("user", bool(request.end_user)),
        ("metadata", bool(request.metadata)),
        ("service_tier", bool(request.service_tier)),
        ("store", state is not None and bool(state.store)),
        ("background", state is not None and state.background),
    )
    return [Loss(field=name) for name, is_lost in said if is_lost]


def _extend(body: dict[str, Any], request: Request, losses: list[Loss]) -> None:
    """Send on what only this dialect knows; name what only another one does."""
    for name, raw in request.ext.items():
        if request.dialect != "ollama":
            losses.append(Loss(field=name))
        elif name.startswith(OPTION):
            body.setdefault("options", {})[name.removeprefix(OPTION)] = raw
        else:
            body.setdefault(name, raw)


def _options(request: Request) -> dict[str, Any]:
    sampling = request.sampling
    options = {
        name: value
        for name in _OPTIONS
        if (value := getattr(sampling, name)) is not None
    }
    if sampling.stop:
        options["stop"] = sampling.stop
    if request.max_output is not None:
        options["num_predict"] = request.max_output
    return options


def _think(thinking: Thinking) -> bool | str:
    """Return a level where one is asked for; most models take yes and no only."""
    if thinking.mode == "off" or thinking.effort == "none":
        return False
    if thinking.mode == "budget" and thinking.budget is not None:
        budget = thinking.budget
        return next((word for most, word in _BUDGETS if budget <= most), "max")
    if thinking.mode == "effort" and thinking.effort:
        word = _LEVEL_OF.get(thinking.effort, thinking.effort)
        return word if word in LEVELS else True
    return True


def _tools(request: Request, losses: list[Loss]) -> list[dict[str, Any]]:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return []
    allowed = None
    if choice is not None and choice.mode == "subset":
        allowed = choice.names
    worded = []
    for tool in request.tools:
        if allowed is not None and tool.name not in allowed:
            continue
        if tool.kind != "function":
            losses.append(Loss(field=f"tools.{tool.type or tool.name}"))
            continue
        worded.append(_tool(tool))
    if any(tool.strict for tool in request.tools):
        losses.append(Loss(field="tools.strict"))
    return worded


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = _MISSING if tool.schema is None else tool.schema
    return {"type": "function", "function": function}


def _messages(request: Request, losses: list[Loss]) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    worded: list[dict[str, Any]] = []
    for turn in (*request.instructions, *request.turns):
        if turn.role == "instruction":
            worded.append(_said("system", turn.parts, losses, between="\n\n"))
        elif turn.role == "assistant":
            worded.append(_assistant(turn, losses))
            calls = (part for part in turn.parts if isinstance(part, ToolCall))
            names |= {call.id: call.name for call in calls if call.id}
        elif turn.role == "tool":
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    worded.append(_result(part, names, losses))
        else:
            worded.append(_said("user", turn.parts, losses))
    return worded


def _assistant(turn: Turn, losses: list[Loss]) -> dict[str, Any]:
    rest = [p for p in turn.parts if not isinstance(p, Reasoning | ToolCall)]
    message = _said("assistant", rest, losses)
    thoughts = [p.text for p in turn.parts if isinstance(p, Reasoning) and p.text]
    if thoughts:
        message["thinking"] = "\n".join(thoughts)
    calls = [_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_object(call)}
    named = {"id": call.id} if call.id else {}
    return {**named, "function": function}


def _result(
    result: ToolResult, names: dict[str, str], losses: list[Loss]
) -> dict[str, Any]:
    """Word one result; the model finds its call by the tool's name."""
    message = _said("tool", result.content, losses)
    if not message["content"] and result.json is not None:
        message["content"] = bytes(result.json).decode()
    if result.is_error:
        message["content"] = f"Error: {message['content']}"
    if name := result.name or names.get(result.call_id, ""):
        message["tool_name"] = name
    if result.call_id:
        message["tool_call_id"] = result.call_id
    return message


def _said(
    role: str, parts: Iterable[Part], losses: list[Loss], *, between: str = "\n"
) -> dict[str, Any]:
    """Join the texts of a message to the one string it may have; pictures go beside."""
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
        elif isinstance(part, Media):
            _media(part, texts, images)
        else:
            losses.append(Loss(field=getattr(part, "type", "") or "content"))
    message: dict[str, Any] = {"role": role, "content": between.join(texts)}
    if images:
        message["images"] = images
    return message


def _media(media: Media, texts: list[str], images: list[str]) -> None:
    """Take a picture, or a document that is text.

    Errors:  FormatError for anything else: an answer that never saw it would lie.
    """
    if media.kind == "image" and media.source == "base64":
        images.append(media.data)
    elif media.kind == "document" and media.source == "text":
        texts.append(f"{media.title}\n{media.data}" if media.title else media.data)
    else:
        words = "by reference" if media.kind == "image" else "at all"
        raise FormatError(
            f"This model takes no {media.kind} {words}.",
            code="unsupported_content",
            param="messages",
        )
