"""Bedrock Converse as a codec: all its parts under one name."""

from __future__ import annotations

from typing import Literal

from providers.formats.base import ChatRequest, Target
from providers.formats.bedrock_converse.answer_in import decode_answer
from providers.formats.bedrock_converse.answer_out import (
    ConverseEncoder,
    encode_answer,
)
from providers.formats.bedrock_converse.names import DIALECT
from providers.formats.bedrock_converse.request_in import decode_request
from providers.formats.bedrock_converse.request_out import encode_request
from providers.formats.bedrock_converse.stream_in import ConverseDecoder
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Decoder, Encoded, Encoder, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream


class ConverseCodec:
    """Translate Converse; see ``codec.Codec`` for the contract."""

    id = DIALECT
    framing: Literal["sse", "ndjson", "eventstream"] = "eventstream"

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
        """Start reading a stream."""
        return ConverseDecoder(reply)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer."""
        return encode_answer(answer)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a stream."""
        return ConverseEncoder()
