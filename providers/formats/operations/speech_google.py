"""Serve OpenAI's speech by a Gemini model that speaks, as PCM or WAV.

Gemini gives raw samples; making MP3 of them takes a codec that is not here.

Source: reference wire 1.5, 5.3; voices as widely known; not checked against Google's guide.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode
from collections.abc import Iterable
from typing import Any, Final

from providers.formats.base import (
    UNREADABLE,
    Bridge,
    ChatRequest,
    FormatError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.operations import speech
from providers.formats.operations.answers import OddAnswerError, odd_answer
from providers.formats.operations.asking import value_of
from providers.formats.operations.google_media import found_in, generation
from providers.formats.operations.kin import asked_of, sent_as
from providers.formats.operations.streams import is_sound, sound_format
from providers.formats.operations.taps import EventTap
from providers.formats.operations.usage import counted
from providers.formats.taps import ClientStream, StreamTap

_FORMATS: Final = frozenset({"pcm", "wav"})
_RATE: Final = re.compile(r"rate=(\d{4,6})")
_DEFAULT_RATE: Final = 24_000
_VOICES: Final = {
    "alloy": "Kore",
    "ash": "Charon",
    "ballad": "Enceladus",
    "coral": "Leda",
    "echo": "Orus",
    "fable": "Puck",
    "nova": "Aoede",
    "onyx": "Fenrir",
    "sage": "Callirrhoe",
    "shimmer": "Zephyr",
    "verse": "Iapetus",
}
"""A voice of Gemini's for each of OpenAI's; any other name is passed on."""


class SpeechBridge:
    """Translate speech; ``chat`` serves Gemini's own clients."""

    def __init__(self, chat: Bridge) -> None:
        self._chat = chat

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Word a text and a voice.

        Errors:  FormatError for formats that need an encoder, and for events.
        """
        if sound_format(request) not in _FORMATS or not is_sound(request):
            raise FormatError(
                "This model speaks as 'pcm' or 'wav' only.",
                code="invalid_value",
                param="response_format",
            )
        members = request.members
        voice = value_of(members, "voice", str) or "alloy"
        text = value_of(members, "input", str) or ""
        told = value_of(members, "instructions", str)
        if told:
            text = f"{told}\n\n{text}"
        named = {"voiceName": _VOICES.get(voice, voice)}
        config: dict[str, Any] = {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": named}},
        }
        lost = ("speed:drop",) if "speed" in members.values else ()
        asked = generation([{"text": text}], config, target.model)
        return sent_as(asked, target, self._chat, lost)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        made = asked_of(sent)
        meta = self._chat.read_response(made.request, made.sent, body)
        if meta.error is not None:
            return meta
        try:
            found = found_in(meta.body, "audio").media
            sound = b"".join(b64decode(each.data, validate=True) for each in found)
        except OddAnswerError as odd:
            return ResponseMeta(body=body, error=odd.detail, usage=meta.usage)
        except UNREADABLE:
            return ResponseMeta(body=body, error=odd_answer(body).detail)
        if sound_format(request) == "wav":
            rate = _RATE.search(found[0].media_type)
            sound = (
                wav_head(len(sound), int(rate[1]) if rate else _DEFAULT_RATE) + sound
            )
        return ResponseMeta(body=sound, usage=meta.usage or counted(request))

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Hand the sound out once the answer, which comes whole, is there."""

        def whole(body: bytes) -> tuple[ResponseMeta, Iterable[bytes]]:
            meta = self.read_response(request, sent, body)
            return meta, (meta.body,)

        return EventTap(
            sent.model, counted(request), read=speech.read_usage, whole=whole
        )


def wav_head(size: int, rate: int) -> bytes:
    """Return the head of a file of samples: mono, 16 bits.

    Units:   ``size`` bytes of samples, ``rate`` samples a second.
    """
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        rate * 2,
        2,
        16,
        b"data",
        size,
    )
