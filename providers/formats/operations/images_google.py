"""Serve OpenAI's images by a Gemini model that makes pictures.

Source: reference wire 1.5, 5.3, T109.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import (
    Bridge,
    ChatRequest,
    FormatError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.operations import images
from providers.formats.operations.answers import OddAnswerError
from providers.formats.operations.asking import form_of, value_of
from providers.formats.operations.google_media import (
    Found,
    found_in,
    generation,
    image_type,
)
from providers.formats.operations.kin import asked_of, sent_as
from providers.formats.operations.taps import EventTap
from providers.formats.operations.usage import counted, images_usage
from providers.formats.taps import ClientStream, StreamTap

_RATIOS: Final = {
    "1024x1024": "1:1",
    "512x512": "1:1",
    "256x256": "1:1",
    "1536x1024": "3:2",
    "1024x1536": "2:3",
    "1792x1024": "16:9",
    "1024x1792": "9:16",
}
_LOST: Final = (
    "quality",
    "style",
    "background",
    "moderation",
    "output_format",
    "output_compression",
    "partial_images",
    "input_fidelity",
)
_IMAGES: Final = ("image", "image[]")
_FILES: Final = ("image", "images", "mask")


class ImagesBridge:
    """Translate images; ``chat`` serves Gemini's own clients."""

    def __init__(self, chat: Bridge) -> None:
        self._chat = chat

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Word a prompt, and the pictures to edit, as one user's turn.

        Errors:  FormatError for variations, which have no prompt.
        """
        prompt = _text(request, "prompt")
        if not prompt:
            raise FormatError(
                "This model needs a prompt.", code="missing_field", param="prompt"
            )
        lost = [f"{name}:drop" for name in _LOST if _text(request, name)]
        config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        size = _text(request, "size")
        if size in _RATIOS:
            config["imageConfig"] = {"aspectRatio": _RATIOS[size]}
        elif size not in ("", "auto"):
            lost.append("size:drop")
        if request.n > 1:
            lost.append("n:clamp")
        pictures, masks = _pictures(request)
        lost += masks
        asked = generation([{"text": prompt}, *pictures], config, target.model)
        return sent_as(asked, target, self._chat, tuple(lost))

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        made = asked_of(sent)
        meta = self._chat.read_response(made.request, made.sent, body)
        if meta.error is not None:
            return meta
        try:
            found = found_in(meta.body, "image")
        except OddAnswerError as odd:
            return ResponseMeta(body=body, error=odd.detail, usage=meta.usage)
        usage = meta.usage or counted(request, units=len(found.media))
        worded = msgspec.json.encode(_answer(request, found, meta))
        return msgspec.structs.replace(meta, body=worded, usage=usage, text_bytes=0)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Word the answer, which comes whole, as the events that were asked for."""

        def whole(body: bytes) -> tuple[ResponseMeta, Iterable[bytes]]:
            meta = self.read_response(request, sent, body)
            if meta.error is not None:
                return meta, ()
            return meta, images.worded(request, meta.body)[1]

        return EventTap(
            sent.model, counted(request), read=images.read_usage, whole=whole
        )


def _answer(request: ChatRequest, found: Found, meta: ResponseMeta) -> dict[str, Any]:
    is_url = _text(request, "response_format") == "url"
    data: list[dict[str, Any]] = []
    for medium in found.media:
        if is_url:
            data.append({"url": f"data:{medium.media_type};base64,{medium.data}"})
        else:
            data.append({"b64_json": medium.data})
        if found.text:
            data[-1]["revised_prompt"] = found.text
    answer: dict[str, Any] = {
        "created": int(time.time()),
        "data": data,
        "output_format": found.media[0].media_type.rpartition("/")[2],
    }
    if meta.usage is not None:
        answer["usage"] = images_usage(meta.usage)
    return answer


def _text(request: ChatRequest, name: str) -> str:
    """Return a field of either kind of body as text, blank when it was not sent."""
    form = form_of(request)
    if form is not None:
        return form.text(name) or ""
    if bytes(request.members.values.get(name, b""))[:1] != b'"':
        return bytes(request.members.values.get(name, b"")).decode("utf-8", "replace")
    return value_of(request.members, name, str) or ""


def _pictures(request: ChatRequest) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the pictures to edit as parts, and what of them is left behind."""
    form = form_of(request)
    lost: list[str] = []
    if form is None:
        lost += [f"{name}:drop" for name in _FILES if name in request.members.values]
        return [], lost
    parts: list[dict[str, Any]] = []
    for part in form.parts:
        if part.is_file and part.name in _IMAGES:
            data = form.body[part.start : part.end]
            inline = {
                "mimeType": image_type(data),
                "data": b64encode(data).decode("ascii"),
            }
            parts.append({"inlineData": inline})
        elif part.is_file:
            lost.append(f"{part.name}:drop")
    return parts, lost
