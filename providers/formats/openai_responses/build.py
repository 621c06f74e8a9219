"""Word a fitted neutral request for an upstream that speaks Responses.

Source: reference wire column RS of section 2; P17, P52, P60; T42, T69.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

import msgspec

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import (
    Loss,
    OutputFormat,
    Reasoning,
    Refusal,
    Request,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)
from providers.formats.openai_responses.content import PART_PREFIX, word_content
from providers.formats.openai_responses.items import FAMILY
from providers.formats.openai_responses.parse import LOGPROBS
from providers.formats.openai_responses.peek import DIALECT
from providers.formats.openai_responses.tools import word_choice, word_tools

PATH: Final = "/responses"
MIN_OUTPUT: Final = 16
ENCRYPTED: Final = "reasoning.encrypted_content"

_NO_WORD: Final = (
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "seed",
    "logit_bias",
)
_TIERS: Final = {"standard_only": "default"}
_SHOWN: Final = {"full": "detailed"}
_BUDGETS: Final = ((4096, "low"), (12_000, "medium"), (24_576, "high"))


def build_request(request: Request, target: Target, caps: Capabilities) -> Encoded:
    """Return the request in the dialect's words, with what it could not say."""
    losses: list[Loss] = []
    writer = _Input(request, target, caps, losses)
    body: dict[str, Any] = {"model": target.model, **writer.worded()}
    if request.tools:
        is_native = request.dialect == DIALECT
        body["tools"] = word_tools(request.tools, losses, is_native=is_native)
        if request.tool_choice is not None:
            body["tool_choice"] = word_choice(request.tool_choice, request.tools)
            if request.tool_choice.parallel is not None:
                body["parallel_tool_calls"] = request.tool_choice.parallel
    _limits(request, body, losses)
    _reasoning_and_text(request, body)
    _state(request, body)
    _identity(request, body)
    if request.stream:
        body["stream"] = True
    for key, raw in request.ext.items() if request.dialect == DIALECT else ():
        body.setdefault(key, raw)
    for key in sorted((target.drop | set(caps.refuses)) & body.keys()):
        del body[key]
        losses.append(Loss(field=key))
    return Encoded(
        body=msgspec.json.encode(body),
        path=PATH,
        losses=tuple(losses),
        is_stream=request.stream,
    )


def _limits(request: Request, body: dict[str, Any], losses: list[Loss]) -> None:
    sampling = request.sampling
    if request.max_output is not None:
        body["max_output_tokens"] = max(MIN_OUTPUT, request.max_output)
        if request.max_output < MIN_OUTPUT:
            field = request.max_output_field or "max_output_tokens"
            losses.append(Loss(field=field, action="clamp"))
    for name in ("temperature", "top_p", "top_logprobs"):
        value = getattr(sampling, name)
        if value is not None:
            body[name] = value
    losses += [
        Loss(field=name) for name in _NO_WORD if getattr(sampling, name) is not None
    ]
    if sampling.stop:
        losses.append(Loss(field="stop"))
    if (sampling.n or 1) > 1:
        losses.append(Loss(field="n"))


def _reasoning_and_text(request: Request, body: dict[str, Any]) -> None:
    reasoning: dict[str, Any] = {}
    if request.dialect == DIALECT and "reasoning" in request.ext:
        reasoning = msgspec.json.decode(
            request.ext["reasoning"], type=dict[str, msgspec.Raw]
        )
    if request.thinking is not None:
        reasoning |= _thinking(request.thinking)
    if reasoning:
        body["reasoning"] = reasoning
    text: dict[str, Any] = {}
    if request.output is not None:
        text["format"] = _format(request.output)
    if request.verbosity:
        text["verbosity"] = request.verbosity
    if text:
        body["text"] = text


def _thinking(thinking: Thinking) -> dict[str, str]:
    if thinking.mode == "off":
        return {"effort": "none"}
    effort = thinking.effort
    if thinking.mode == "budget" and not effort:
        budget = thinking.budget or 0
        effort = next((word for most, word in _BUDGETS if budget <= most), "xhigh")
    made = {"effort": effort} if effort else {}
    show = _SHOWN.get(thinking.show, thinking.show)
    return made | ({"summary": show} if show and show != "none" else {})


def _format(output: OutputFormat) -> dict[str, Any]:
    if output.kind == "json":
        return {"type": "json_object"}
    if output.schema is None:
        return {"type": "text"}
    made: dict[str, Any] = {
        "type": "json_schema",
        "name": output.name or "answer",
        "schema": output.schema,
    }
    if output.description:
        made["description"] = output.description
    if output.strict is not None:
        made["strict"] = output.strict
    return made


def _state(request: Request, body: dict[str, Any]) -> None:
    """Say what is kept: nothing, unless the client itself speaks this dialect."""
    state = request.state or State()
    include = list(state.include)
    if request.dialect != DIALECT:
        body["store"] = False
        include = [ENCRYPTED]
    elif state.store is not None:
        body["store"] = state.store
    if state.background and request.dialect == DIALECT:
        body["background"] = True
    if request.sampling.logprobs and LOGPROBS not in include:
        include.append(LOGPROBS)
    if include:
        body["include"] = include


def _identity(request: Request, body: dict[str, Any]) -> None:
    if request.end_user:
        body["safety_identifier"] = request.end_user
    if request.metadata:
        body["metadata"] = request.metadata
    if request.cache_key:
        body["prompt_cache_key"] = request.cache_key
    if request.service_tier:
        tier = request.service_tier
        body["service_tier"] = _TIERS.get(tier, tier)


class _Input:
    """Word instructions and turns as the items of an input."""

    def __init__(
        self,
        request: Request,
        target: Target,
        caps: Capabilities,
        losses: list[Loss],
    ) -> None:
        self._request = request
        self._scope = target.scope
        self._caps = caps
        self._losses = losses
        self._items: list[Any] = []

    def worded(self) -> dict[str, Any]:
        """Return ``input`` and, where there is one, ``instructions``."""
        made: dict[str, Any] = {}
        leading = list(self._request.instructions)
        is_native = self._request.dialect == DIALECT
        if leading:
            text = plain_instructions(leading[0], is_native=is_native)
            if text:
                made["instructions"] = text
                del leading[0]
        for turn in (*leading, *self._request.turns):
            self._turn(turn)
        made["input"] = self._items
        return made

    def _turn(self, turn: Turn) -> None:
        if turn.role == "assistant":
            self._assistant(turn)
        elif turn.role == "tool":
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    self._result(part)
        else:
            role: str = turn.role
            if role == "instruction":
                knows = self._caps.developer_role or turn.authority == "system"
                role = turn.authority if knows else "system"
            self._message(role, turn)

    def _message(self, role: str, turn: Turn) -> None:
        held: list[object] = []
        for part in turn.parts:
            if _is_item(part):
                self._close_message(role, held)
                self._items.append(part.payload)
            else:
                held.append(part)
        if held or not turn.parts:
            self._close_message(role, held, is_empty=not turn.parts)

    def _close_message(
        self, role: str, held: list[object], *, is_empty: bool = False
    ) -> None:
        if held or is_empty:
            content = word_content(held, self._losses)
            self._items.append({"type": "message", "role": role, "content": content})
        held.clear()

    def _assistant(self, turn: Turn) -> None:
        """Word a model's turn.

        Shapes:  ids are kept only beside proof that is given back: without it the
                 vendor looks for the reasoning they belong to and does not find it.
        """
        proofs = [part for part in turn.parts if self._proof(part)]
        is_kept = bool(proofs) and self._caps.item_ids
        held: list[object] = []
        for part in turn.parts:
            if isinstance(part, Text | Refusal) or _is_content(part):
                held.append(part)
                continue
            self._said(turn, held, is_kept)
            if isinstance(part, Reasoning):
                self._reasoning(part, is_kept)
            elif isinstance(part, ToolCall):
                self._call(part, is_kept)
            elif _is_item(part):
                self._items.append(part.payload)
            else:
                word_content([part], self._losses, is_output=True)
        if held or not turn.parts:
            self._said(turn, held, is_kept, is_empty=not turn.parts)

    def _said(
        self,
        turn: Turn,
        held: list[object],
        is_kept: bool,
        *,
        is_empty: bool = False,
    ) -> None:
        if not held and not is_empty:
            return
        made: dict[str, Any] = {"type": "message", "role": "assistant"}
        if turn.id and is_kept:
            made |= {"id": turn.id, "status": "completed"}
        if turn.phase:
            made["phase"] = turn.phase
        made["content"] = word_content(held, self._losses, is_output=True)
        self._items.append(made)
        held.clear()

    def _proof(self, part: object) -> str:
        """Return the proof in a part that this very account can read."""
        if isinstance(part, Reasoning):
            for each in part.opaque:
                is_ours = each.family == FAMILY and each.slot == "encrypted"
                if is_ours and each.scope in ("", self._scope):
                    return each.data
        return ""

    def _reasoning(self, part: Reasoning, is_kept: bool) -> None:
        proof = self._proof(part)
        is_open = self._caps.replays_reasoning_content and bool(part.text)
        if not proof and not is_open:
            self._losses.append(Loss(field="reasoning"))
            return
        made: dict[str, Any] = {"type": "reasoning", "summary": []}
        if part.item_id and is_kept:
            made["id"] = part.item_id
        if part.text and part.kind == "summary":
            made["summary"] = [{"type": "summary_text", "text": part.text}]
        elif part.text:
            made["content"] = [{"type": "reasoning_text", "text": part.text}]
        if proof:
            made["encrypted_content"] = proof
        self._items.append(made)

    def _call(self, part: ToolCall, is_kept: bool) -> None:
        if part.kind not in ("function", "custom"):
            self._losses.append(Loss(field=part.name, detail="a tool run elsewhere"))
            return
        made: dict[str, Any] = {"call_id": part.id, "name": part.name}
        if part.kind == "custom":
            made |= {"type": "custom_tool_call", "input": part.arguments}
        else:
            made |= {"type": "function_call", "arguments": part.arguments or "{}"}
        if part.namespace:
            made["namespace"] = part.namespace
        if part.item_id and is_kept:
            made["id"] = part.item_id
        self._items.append(made)

    def _result(self, part: ToolResult) -> None:
        output: Any
        if not part.content and part.json is not None:
            output = bytes(part.json).decode()
        elif len(part.content) <= 1 and all(map(_is_text, part.content)):
            output = "".join(each.text for each in part.content if _is_text(each))
        else:
            output = word_content(part.content, self._losses)
        if part.is_error:
            self._losses.append(Loss(field="is_error"))
        prefix = "custom_tool_call" if part.kind == "custom" else "function_call"
        self._items.append(
            {"type": f"{prefix}_output", "call_id": part.call_id, "output": output}
        )


def plain_instructions(turn: Turn, *, is_native: bool) -> str:
    """Return the text of an instruction that fits the ``instructions`` field.

    Shapes:  blocks of another dialect are joined by a blank line; a client of this one
             said them as an item and keeps them as one. Blank = it does not fit.
    """
    texts = [part.text for part in turn.parts if _is_text(part) and not part.cache]
    fits = len(texts) == len(turn.parts) and (len(texts) == 1 or not is_native)
    return "\n\n".join(texts) if fits and turn.authority == "system" else ""


def _is_text(part: object) -> TypeGuard[Text]:
    return isinstance(part, Text)


def _is_content(part: object) -> bool:
    return isinstance(part, Unknown) and part.type.startswith(PART_PREFIX)


def _is_item(part: object) -> TypeGuard[Unknown]:
    """Tell a whole item of this dialect that nobody took apart."""
    return (
        isinstance(part, Unknown)
        and part.dialect == DIALECT
        and not part.type.startswith(PART_PREFIX)
    )
