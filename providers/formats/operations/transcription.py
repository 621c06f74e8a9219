"""Transcripts and translations of recordings: JSON, plain text or events.

Source: reference wire 1.3, T21, T112.
"""

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
    is_page,
    members_in,
    odd_answer,
    text_in,
)
from providers.formats.operations.asking import form_of
from providers.formats.operations.taps import EventTap, sse
from providers.formats.operations.usage import read_media
from providers.formats.taps import StreamTap

PLAIN: Final = "text/plain; charset=utf-8"
_TEXTS: Final = frozenset({"text", "srt", "vtt"})


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Read an answer; what was asked for as text is passed on as text.

    Errors:  OddAnswerError.
    """
    if _format(request) in _TEXTS:
        return _plain(body)
    members = members_in(body)
    text = text_in(members, "text")
    if text is None:
        raise odd_answer(body)
    found = read_media(members.values.get("usage"))
    if found.usage is None:
        # A verbose transcript states how long the recording is.
        length = bytes(members.values.get("duration", b"")).strip(b'"')
        if length:
            stated = read_media(b'{"type":"duration","seconds":%b}' % length)
            found = ReadUsage(stated.usage, found.flags)
    meta = answered(members, {}, found)
    meta.text_bytes = len(text.encode())
    return meta


def open_tap(request: ChatRequest, sent: UpstreamRequest) -> StreamTap:
    """Start passing on a stream of text."""
    return EventTap(
        sent.model, None, read=read_media, whole=lambda body: worded(request, body)
    )


def worded(request: ChatRequest, body: bytes) -> tuple[ResponseMeta, Iterable[bytes]]:
    """Word an answer that came whole as the event that was asked for."""
    try:
        meta = read(request, body)
        if meta.content_type:
            raise odd_answer(body)
    except OddAnswerError as odd:
        return ResponseMeta(body=body, error=odd.detail), ()
    said = msgspec.json.decode(meta.body)
    event = {"type": "transcript.text.done", "text": said["text"]}
    if said.get("usage"):
        event["usage"] = said["usage"]
    return meta, (sse(event),)


def _plain(body: bytes) -> ResponseMeta:
    """Pass text on, unless it is an error; nothing says what it cost."""
    if is_page(body):
        raise odd_answer(body)
    if body[:1] == b"{":
        try:
            members = members_in(body)
        except OddAnswerError as odd:
            if odd.detail.code != "upstream_invalid_response":
                raise
        else:
            if "text" in members.values:
                return answered(members, {}, read_media(members.values.get("usage")))
    return ResponseMeta(
        body=body, text_bytes=len(body), content_type=PLAIN, keeps_type=True
    )


def _format(request: ChatRequest) -> str:
    form = form_of(request)
    if form is not None:
        return (form.text("response_format") or "").strip()
    try:
        return str(msgspec.json.decode(request.members.values["response_format"]))
    except (*UNREADABLE, KeyError):
        return ""
