"""Speech: sound as bytes, or as events that carry it.

Source: reference wire 1.3, T22.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from providers.formats.base import ChatRequest, ResponseMeta, UpstreamRequest
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.operations.answers import (
    OddAnswerError,
    is_page,
    members_in,
    odd_answer,
)
from providers.formats.operations.streams import is_sound, sound_type
from providers.formats.operations.taps import EventTap, SoundTap
from providers.formats.operations.usage import as_speech, counted, read_media
from providers.formats.taps import StreamTap


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Pass sound on as it came; speech is always streamed, so this is for readers.

    Errors:  OddAnswerError.
    """
    if body[:1] == b"{":
        members_in(body)
    if body[:1] == b"{" or is_page(body):
        raise odd_answer(body)
    return ResponseMeta(
        body=body,
        usage=counted(request),
        content_type=sound_type(request),
        keeps_type=True,
    )


def open_tap(request: ChatRequest, sent: UpstreamRequest) -> StreamTap:
    """Start passing on sound."""
    if is_sound(request):
        return SoundTap(sent.model, counted(request))
    return EventTap(sent.model, counted(request), read=read_usage, whole=_whole)


def read_usage(raw: bytes | msgspec.Raw | None) -> ReadUsage:
    """Read a usage of speech."""
    return as_speech(read_media(raw))


def _whole(body: bytes) -> tuple[ResponseMeta, Iterable[bytes]]:
    """Refuse what is neither sound nor events of it."""
    try:
        members_in(body)
        raise odd_answer(body)
    except OddAnswerError as odd:
        return ResponseMeta(body=body, error=odd.detail), ()
