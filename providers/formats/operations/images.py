"""Images of OpenAI-shaped upstreams: passed on, whole or as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    ResponseMeta,
    UpstreamRequest,
)
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.operations.answers import (
    OddAnswerError,
    answered,
    members_in,
    named,
    odd_answer,
)
from providers.formats.operations.taps import EventTap, sse
from providers.formats.operations.usage import as_images, counted, read_media
from providers.formats.taps import StreamTap

_ABOUT: Final = ("background", "output_format", "quality", "size", "usage")


class _Picture(msgspec.Struct, gc=False):
    b64_json: msgspec.Raw = msgspec.Raw(b"null")


_DATA: Final = msgspec.json.Decoder(list[_Picture])


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Read an answer; without a usage its pictures are counted.

    Errors:  OddAnswerError.
    """
    members = members_in(body)
    try:
        pictures = len(_DATA.decode(members.values["data"]))
    except (*UNREADABLE, KeyError):
        raise odd_answer(body) from None
    found = read_usage(members.values.get("usage"))
    if found.usage is None:
        found = ReadUsage(counted(request, units=pictures), found.flags)
    return answered(members, named(members, request.model), found)


def open_tap(request: ChatRequest, sent: UpstreamRequest) -> StreamTap:
    """Start passing on a stream of pictures."""
    return EventTap(
        sent.model,
        counted(request),
        read=read_usage,
        whole=lambda body: worded(request, body),
    )


def read_usage(raw: bytes | msgspec.Raw | None) -> ReadUsage:
    """Read a usage of pictures."""
    return as_images(read_media(raw))


def worded(request: ChatRequest, body: bytes) -> tuple[ResponseMeta, Iterable[bytes]]:
    """Word an answer that came whole as the events that were asked for."""
    try:
        meta = read(request, body)
    except OddAnswerError as odd:
        return ResponseMeta(body=body, error=odd.detail), ()
    said = msgspec.json.decode(meta.body)
    verb = "edit" if request.arrival.path.endswith("/edits") else "generation"
    about = {name: said[name] for name in _ABOUT if name in said}
    frames = [
        sse(
            {
                "type": f"image_{verb}.completed",
                **picture,
                "created_at": said.get("created", 0),
                **about,
            }
        )
        for picture in said["data"]
    ]
    return meta, frames
