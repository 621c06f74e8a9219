"""Word a whole answer, and the members a stream shares with it.

Source: reference wire 1.1, 2.12 to 2.17.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import msgspec

from providers.formats.neutral.codec import View
from providers.formats.neutral.events import Answer, Choice
from providers.formats.neutral.types import (
    Citation,
    Media,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from providers.formats.openai_chat.reasoning import write_details
from providers.formats.openai_chat.words import (
    answer_id,
    excuse_of,
    word_of,
    write_usage,
)


def encode_answer(answer: Answer, view: View) -> bytes:
    """Word a whole answer for a chat client."""
    is_legacy = view.request.is_legacy
    value: dict[str, Any] = {
        "id": answer_id(answer.id),
        "object": "chat.completion",
        "created": answer.created or view.created,
        "model": view.model,
        "choices": [_choice(choice, is_legacy=is_legacy) for choice in answer.choices],
    }
    if answer.usage is not None:
        value["usage"] = write_usage(answer.usage)
    if answer.service_tier:
        value["service_tier"] = answer.service_tier
    return msgspec.json.encode(value)


def call_id(known: str) -> str:
    """Return a call's id; a decoder that had none left it blank."""
    return known or f"call_{secrets.token_hex(12)}"


def extra_content(call: ToolCall) -> dict[str, Any]:
    """Word the proof Google puts on a call, where Google's own clients look for it."""
    for proof in call.opaque:
        if proof.slot == "thought_signature":
            return {"extra_content": {"google": {"thought_signature": proof.data}}}
    return {}


def write_citations(
    citations: Iterable[Citation], start: int, end: int
) -> list[dict[str, Any]]:
    """Word sources by URL; one without a place of its own is for the whole part.

    Units:   ``start`` and ``end`` of the part, in characters of the whole content.
    """
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start if each.start is None else start + each.start,
                "end_index": end if each.end is None else start + each.end,
                "url": each.url,
                "title": each.title,
            },
        }
        for each in citations
        if each.url
    ]


def write_image(media: Media) -> dict[str, Any]:
    """Word a picture or a sound the way servers that make them do; else nothing."""
    if media.kind == "image":
        url = f"data:{media.media_type};base64,{media.data}"
        return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
    if media.kind == "audio":
        return {"audio": {"data": media.data}}
    return {}


def _choice(choice: Choice, *, is_legacy: bool) -> dict[str, Any]:
    """Word one choice."""
    finish = choice.finish
    written: dict[str, Any] = {
        "index": choice.index,
        "message": _message(choice, is_legacy=is_legacy),
        "finish_reason": word_of(finish.reason, is_legacy=is_legacy),
        "logprobs": None,
    }
    if choice.logprobs:
        entries: list[msgspec.Raw] = []
        for raw in choice.logprobs:
            entries += msgspec.json.decode(raw, type=list[msgspec.Raw])
        written["logprobs"] = {"content": entries, "refusal": None}
    return written


def _message(choice: Choice, *, is_legacy: bool) -> dict[str, Any]:
    """Word what was said, thought and called."""
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[Reasoning] = []
    calls: list[ToolCall] = []
    annotations: list[dict[str, Any]] = []
    media: dict[str, Any] = {}
    length = 0
    for part in choice.parts:
        if isinstance(part, Text):
            end = length + len(part.text)
            annotations += write_citations(part.citations, length, end)
            texts.append(part.text)
            length = end
        elif isinstance(part, Refusal):
            refusals.append(part.text)
        elif isinstance(part, Reasoning):
            thoughts.append(part)
        elif isinstance(part, ToolCall):
            calls.append(part)
        elif isinstance(part, Media):
            _add_media(media, write_image(part))
    if not (texts or refusals or calls or media):
        excuse = excuse_of(choice.finish.reason, choice.finish.detail)
        refusals = [excuse] if excuse else []
    has_other = bool(calls or refusals)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not has_other else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    message |= _thought(thoughts)
    if annotations:
        message["annotations"] = annotations
    message |= media
    message |= _called(calls, is_legacy=is_legacy)
    return message


def _thought(thoughts: list[Reasoning]) -> dict[str, Any]:
    """Word reasoning: its text, and its proof beside."""
    written: dict[str, Any] = {}
    text = "\n\n".join(part.text for part in thoughts if part.text)
    if text:
        written["reasoning_content"] = text
    details = write_details(thoughts)
    if details:
        written["reasoning_details"] = details
    return written


def _called(calls: list[ToolCall], *, is_legacy: bool) -> dict[str, Any]:
    """Word calls; the legacy shape has room for one."""
    if not calls:
        return {}
    if is_legacy:
        first = calls[0]
        return {"function_call": {"name": first.name, "arguments": first.arguments}}
    return {"tool_calls": [_call(call) for call in calls]}


def _call(call: ToolCall) -> dict[str, Any]:
    """Word one call."""
    kind, field = "function", "arguments"
    if call.kind == "custom":
        kind, field = "custom", "input"
    return {
        "id": call_id(call.id),
        "type": kind,
        kind: {"name": call.name, field: call.arguments},
        **extra_content(call),
    }


def _add_media(media: dict[str, Any], more: dict[str, Any]) -> None:
    """Join pictures to one list; of sounds the last one counts."""
    if "images" in more:
        media.setdefault("images", []).extend(more["images"])
    else:
        media.update(more)
