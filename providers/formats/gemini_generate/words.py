"""Word the pieces of an answer as Gemini does: parts, reasons, whole answers."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from providers.formats.gemini_generate.candidates import REASONS
from providers.formats.gemini_generate.grounding import grounding_body
from providers.formats.gemini_generate.incoming import FAMILY, SLOT
from providers.formats.gemini_generate.logprobs import logprobs_body
from providers.formats.gemini_generate.outgoing_turns import arguments_object
from providers.formats.gemini_generate.peek import WRAPPED
from providers.formats.gemini_generate.usage import usage_body
from providers.formats.neutral.codec import View
from providers.formats.neutral.events import Answer, Choice, Finish
from providers.formats.neutral.smuggle import pack
from providers.formats.neutral.types import (
    Citation,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)

_WORDS: Final = {
    "end": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "max_tokens": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "refusal": "SAFETY",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "cancelled": "OTHER",
    "prompt_blocked": "PROHIBITED_CONTENT",
}

Cited = list[tuple[int, str, Citation]]
"""Citations, each with the place of its part and the part's text."""


def part_body(part: Part) -> Any:
    """Return a part on the wire, None for one Gemini has no word for."""
    if isinstance(part, Text | Refusal):
        return {"text": part.text} if part.text else None
    if isinstance(part, ToolCall):
        return call_body(part)
    if isinstance(part, Media):
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    if isinstance(part, Reasoning):
        return _reasoning_body(part)
    if isinstance(part, Unknown) and part.dialect == FAMILY:
        return part.payload
    return None


def call_body(call: ToolCall) -> dict[str, Any]:
    """Word a call, whole and with an object for its arguments."""
    function: dict[str, Any] = {"name": call.name}
    if call.id:
        function["id"] = call.id
    function["args"] = arguments_object(call.arguments)
    out: dict[str, Any] = {"functionCall": function}
    proof = proof_of(call)
    if proof:
        out["thoughtSignature"] = proof
    return out


def proof_of(part: ToolCall | Reasoning) -> str:
    """Return the proof on a part, blank without one; another family's is packed."""
    for each in part.opaque:
        if each.family == FAMILY and each.slot == SLOT:
            return each.data
    return pack(part.opaque[0]) if part.opaque else ""


def _reasoning_body(part: Reasoning) -> dict[str, Any] | None:
    proof = proof_of(part)
    if not part.text and not proof:
        return None
    out: dict[str, Any] = {"text": part.text}
    if part.text:
        out["thought"] = True
    if proof:
        out["thoughtSignature"] = proof
    return out


def candidate_body(
    finish: Finish,
    parts: list[Any],
    *,
    cited: Cited,
    logprobs: list[msgspec.Raw],
    refused: bool = False,
) -> dict[str, Any]:
    """Word a candidate with its reason, and what it rests on.

    Shapes:  ``refused`` = it holds a refusal in words: that is no plain success.
    """
    out: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    out["finishReason"] = _finish_word(finish, refused)
    if finish.detail:
        out["finishMessage"] = finish.detail
    out["index"] = finish.choice
    if cited:
        out["groundingMetadata"] = grounding_body(cited)
    result = logprobs_body(logprobs)
    if result is not None:
        out["logprobsResult"] = result
    return out


def _finish_word(finish: Finish, refused: bool) -> str:
    if REASONS.get(finish.raw) == finish.reason:
        return finish.raw
    if refused and finish.reason in ("end", "stop_sequence"):
        return "SAFETY"
    return _WORDS[finish.reason]


def feedback_body(finish: Finish) -> dict[str, Any]:
    """Word that the prompt was refused."""
    out = {"blockReason": finish.raw if finish.raw.isupper() else "PROHIBITED_CONTENT"}
    if finish.detail:
        out["blockReasonMessage"] = finish.detail
    return out


def answer_id_of(upstream: str, view: View) -> str:
    """Return the id of an answer: the upstream's, else one of our own."""
    return upstream or view.request_id or uuid.uuid4().hex


def enveloped(body: Any, answer_id: str, dialect: str) -> Any:
    """Put an answer into Code Assist's envelope, for clients that speak it."""
    if dialect != WRAPPED:
        return body
    return {"response": body, "traceId": answer_id}


def encode_gemini_answer(answer: Answer, view: View) -> bytes:
    """Word a whole answer."""
    body: dict[str, Any] = {}
    candidates = [_choice_body(choice) for choice in answer.choices]
    blocked = [
        choice.finish
        for choice in answer.choices
        if choice.finish.reason == "prompt_blocked" and not choice.parts
    ]
    if blocked:
        body["promptFeedback"] = feedback_body(blocked[0])
    else:
        body["candidates"] = candidates
    if answer.usage is not None:
        body["usageMetadata"] = usage_body(answer.usage)
    body["modelVersion"] = view.model
    answer_id = answer_id_of(answer.id, view)
    body["responseId"] = answer_id
    return msgspec.json.encode(enveloped(body, answer_id, view.asked.dialect))


def _choice_body(choice: Choice) -> dict[str, Any]:
    parts: list[Any] = []
    cited: Cited = []
    for part in choice.parts:
        wire = part_body(part)
        if wire is None:
            continue
        if isinstance(part, Text):
            cited += [(len(parts), part.text, each) for each in part.citations]
        parts.append(wire)
    return candidate_body(
        choice.finish,
        parts or [{"text": ""}],
        cited=cited,
        logprobs=list(choice.logprobs),
        refused=any(isinstance(part, Refusal) for part in choice.parts),
    )
