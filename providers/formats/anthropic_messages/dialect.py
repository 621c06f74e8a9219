"""Anthropic's messages as a wire format: what Claude Code and its vendor speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from providers.formats.anthropic_messages.answer import message_body
from providers.formats.anthropic_messages.client import (
    ID,
    MessagesClientStream,
    MessagesEncoder,
)
from providers.formats.anthropic_messages.errors import (
    build_error_body,
    read_messages_error,
)
from providers.formats.anthropic_messages.peek import read_messages_request
from providers.formats.anthropic_messages.relayed import (
    CHAT_PATH,
    COUNT_PATH,
    CountRelay,
    RelayedMessages,
    count_tokens_body,
)
from providers.formats.anthropic_messages.request import decode_messages_request
from providers.formats.anthropic_messages.stream import MessagesDecoder, read_answer
from providers.formats.anthropic_messages.upstream import encode_messages_request
from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    Route,
    Target,
    WireFormat,
)
from providers.formats.capabilities import Capabilities
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import (
    Codec,
    Decoder,
    Encoded,
    Encoder,
    Reply,
    View,
)
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.relay import RelayBridge
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream

_OAUTH_PREFIX: Final = "sk-ant-oat"


class _Model(msgspec.Struct):
    id: str
    display_name: str
    created_at: str
    type: str = "model"


class _ModelList(msgspec.Struct):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class MessagesCodec:
    """Translate messages; see ``codec.Codec`` for the contract."""

    id = ID
    framing: Literal["sse", "ndjson", "eventstream"] = "sse"

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return decode_messages_request(request)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for an upstream."""
        return encode_messages_request(request, target, caps)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart."""
        return read_answer(body, reply)

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading a stream."""
        return MessagesDecoder(reply)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer."""
        return message_body(answer, view)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a stream."""
        return MessagesEncoder(view, stream)


class AnthropicMessages:
    """Speak Anthropic's messages on either side."""

    id = ID
    routes: tuple[Route, ...] = (
        Route("POST", "/v1/messages", "chat"),
        Route("POST", "/v1/messages/count_tokens", "count_tokens"),
    )
    stream_content_type = "text/event-stream; charset=utf-8"
    version_root = "/v1"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; this dialect names its model in the body only."""
        if arrival.path_model is not None:
            raise FormatError("This path takes no model.", code="wrong_endpoint")
        return read_messages_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of the proxy's own frames."""
        return MessagesClientStream(request.model, request_id)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error; overload and a spent quota have statuses of their own."""
        return build_error_body(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models, all on one page."""
        data = [_model(model, created) for model in models]
        return msgspec.json.encode(
            _ModelList(
                data,
                first_id=data[0].id if data else None,
                last_id=data[-1].id if data else None,
            )
        )

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return msgspec.json.encode(_model(model, created))

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below a base URL that ends in the API's version."""
        if op == "count_tokens":
            return COUNT_PATH
        if op == "models":
            return "/models?limit=1000"
        return f"/models/{quote(model, safe='')}" if op == "model" else CHAT_PATH

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the key's header; tokens of a subscription go as a bearer."""
        if secret.startswith(_OAUTH_PREFIX):
            return {"authorization": f"Bearer {secret}"}
        return {"x-api-key": secret}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return read_messages_error(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay the bytes of clients that speak this dialect too."""
        if inbound != ID:
            return None
        if op == "count_tokens":
            return _COUNT
        return _RELAY if op == "chat" else None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return CODEC

    def count_tokens_body(self, estimate: int) -> bytes:
        """Answer a count where the upstream speaks another dialect."""
        return count_tokens_body(estimate)


def _model(model: str, created: int) -> _Model:
    at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _Model(id=model, display_name=model, created_at=at)


CODEC: Final = MessagesCodec()
RELAYED: Final = RelayedMessages()
_RELAY: Final = RelayBridge(CODEC, RELAYED)
_COUNT: Final = CountRelay(RELAYED)

FORMAT: Final[WireFormat] = AnthropicMessages()
