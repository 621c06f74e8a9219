"""Translate Gemini's requests and answers from and into the neutral form."""

from __future__ import annotations

from typing import Literal

from providers.formats.base import ChatRequest, Target
from providers.formats.capabilities import Capabilities
from providers.formats.gemini_generate.decoder import (
    GeminiDecoder,
    decode_gemini_answer,
)
from providers.formats.gemini_generate.encoder import (
    GeminiClientStream,
    GeminiEncoder,
)
from providers.formats.gemini_generate.incoming import decode_gemini_request
from providers.formats.gemini_generate.outgoing import encode_gemini_request
from providers.formats.gemini_generate.platform import Platform
from providers.formats.gemini_generate.words import encode_gemini_answer
from providers.formats.neutral.codec import Decoder, Encoded, Encoder, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream


class GeminiCodec:
    """Take Gemini apart and put it together; ``platform`` is where it is served.

    Shapes:  a client's envelope is known by its request's dialect, an upstream's by
             itself.
    """

    framing: Literal["sse", "ndjson", "eventstream"] = "sse"

    def __init__(self, platform: Platform) -> None:
        self.id = platform.id
        self._platform = platform

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return decode_gemini_request(request)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for this platform."""
        return encode_gemini_request(request, target, caps, self._platform)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart."""
        return decode_gemini_answer(body, reply)

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading a stream."""
        return GeminiDecoder(reply)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer."""
        return encode_gemini_answer(answer, view)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a client's stream."""
        if not isinstance(stream, GeminiClientStream):
            stream = GeminiClientStream(view.asked)
        return GeminiEncoder(view, stream)
