"""Translate the Responses dialect; the parts are in the modules beside this one."""

from __future__ import annotations

from typing import Literal

from providers.formats.base import ChatRequest, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Decoder, Encoded, Encoder, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.types import Request
from providers.formats.openai_responses.build import build_request
from providers.formats.openai_responses.client import ResponsesStream
from providers.formats.openai_responses.decoder import ResponsesDecoder, decode_answer
from providers.formats.openai_responses.encoder import ResponsesEncoder, encode_answer
from providers.formats.openai_responses.parse import parse_request
from providers.formats.openai_responses.peek import DIALECT
from providers.formats.taps import ClientStream


class ResponsesCodec:
    """Take requests and answers apart and put them together.

    Shapes:  ``is_relayed`` = only answers are worded anew and the vendor itself saw the
             request, so state it keeps is no obstacle.
    """

    id = DIALECT
    framing: Literal["sse", "ndjson", "eventstream"] = "sse"

    def __init__(self, *, is_relayed: bool = False) -> None:
        self._is_relayed = is_relayed

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return parse_request(request, is_relayed=self._is_relayed)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for an upstream."""
        return build_request(request, target, caps)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart."""
        return decode_answer(body, reply)

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading a stream."""
        return ResponsesDecoder(reply)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer."""
        return encode_answer(answer, view)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a stream, going on from what was opened already."""
        if not isinstance(stream, ResponsesStream):
            stream = ResponsesStream(view.asked, view.request_id)
        return ResponsesEncoder(view, stream)
