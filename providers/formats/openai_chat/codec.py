"""The translator of chat completions: what is asked and answered, both ways."""

from __future__ import annotations

from typing import Literal

from providers.formats.base import ChatRequest, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Decoder, Encoded, Encoder, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.types import Request
from providers.formats.openai_chat.decode import decode_request
from providers.formats.openai_chat.decoder import ChatDecoder, decode_answer
from providers.formats.openai_chat.encode import encode_request
from providers.formats.openai_chat.encoder import ChatEncoder
from providers.formats.openai_chat.messageout import encode_answer
from providers.formats.taps import ClientStream


class ChatCodec:
    """Translate chat completions; see ``codec.Codec`` for the contract."""

    id = "openai"
    framing: Literal["sse", "ndjson", "eventstream"] = "sse"

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return decode_request(request)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for an upstream."""
        return encode_request(request, target, caps)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart."""
        return decode_answer(body, reply)

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading an upstream's stream."""
        return ChatDecoder(reply)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer for a client."""
        return encode_answer(answer, view)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a client's stream; its own frames need no state."""
        return ChatEncoder(view)
