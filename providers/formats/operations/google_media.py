"""Ask a Gemini model for pictures or speech, and read them out of its answer.

Source: reference wire 1.5, 5.3, T109.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, Arrival, ChatRequest
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import read_members
from providers.formats.operations.answers import (
    OddAnswerError,
    dicts_in,
    odd_answer,
)

_MAGIC: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
    (b"GIF8", "image/gif"),
)


class Medium(msgspec.Struct, frozen=True):
    """One picture or recording; ``data`` is base64."""

    media_type: str
    data: str


class Found(msgspec.Struct, frozen=True):
    """Hold what a model gave: media, and the words beside them."""

    media: tuple[Medium, ...]
    text: str = ""


def generation(
    parts: list[dict[str, Any]], config: dict[str, Any], model: str
) -> ChatRequest:
    """Word a generation as a client of Gemini's would."""
    body = msgspec.json.encode(
        {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": config,
        }
    )
    return ChatRequest(
        dialect="google",
        body=body,
        model=model,
        members=read_members(body),
        arrival=Arrival(op="chat", path=f"/v1beta/models/{model}:generateContent"),
    )


def found_in(body: bytes, kind: str) -> Found:
    """Return the media of an answer; ``kind`` is image or audio.

    Errors:  OddAnswerError when there are none, with the model's reason if it gave one.
    """
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        raise odd_answer(body) from None
    media: list[Medium] = []
    texts: list[str] = []
    for candidate in dicts_in(said.get("candidates")):
        content = candidate.get("content")
        for part in dicts_in(
            content.get("parts") if isinstance(content, dict) else None
        ):
            inline = part.get("inlineData") or part.get("inline_data")
            if isinstance(inline, dict) and not part.get("thought"):
                name = str(inline.get("mimeType") or inline.get("mime_type") or "")
                if name.startswith(f"{kind}/") and isinstance(inline.get("data"), str):
                    media.append(Medium(name, inline["data"]))
            elif isinstance(part.get("text"), str) and not part.get("thought"):
                texts.append(part["text"])
    if not media:
        raise _nothing(said, "".join(texts))
    return Found(tuple(media), "".join(texts))


def image_type(data: bytes) -> str:
    """Return a picture's media type by its first bytes."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    return "image/png"


def _nothing(said: dict[str, Any], text: str) -> OddAnswerError:
    """Word an answer without what was asked for; a refusal is the request's fault."""
    feedback = said.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    for candidate in dicts_in(said.get("candidates")):
        reason = reason or candidate.get("finishReason")
    words = text[:500] or f"The model gave nothing ({reason or 'no reason'})."
    is_refused = reason not in (None, "STOP", "MAX_TOKENS", "OTHER")
    return OddAnswerError(
        ErrorDetail(
            message=words,
            type="invalid_request_error" if is_refused else "server_error",
            code="content_policy_violation" if is_refused else "upstream_no_media",
            status=400 if is_refused else None,
        )
    )
