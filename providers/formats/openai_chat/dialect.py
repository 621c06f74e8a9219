"""OpenAI chat completions as a wire format: what clients and most vendors speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    ResponseMeta,
    Route,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import Codec
from providers.formats.openai_chat.codec import ChatCodec
from providers.formats.openai_chat.errors import build_error_body, read_error_body
from providers.formats.openai_chat.request import (
    PATH,
    build_chat_request,
    read_chat_request,
)
from providers.formats.openai_chat.response import read_chat_response
from providers.formats.openai_chat.stream import ChatClientStream, ChatStreamTap
from providers.formats.operations import relays
from providers.formats.operations.asking import read_operation
from providers.formats.operations.streams import SoundStream, is_sound, sound_type
from providers.formats.taps import ClientStream, StreamTap

_OWNER: Final = "provider-pool"
_PATHS: Final[dict[Op, str]] = {
    "completions": "/completions",
    "embeddings": "/embeddings",
    "images": "/images/generations",
    "speech": "/audio/speech",
    "transcription": "/audio/transcriptions",
    "moderations": "/moderations",
    "rerank": "/rerank",
}


class _Model(msgspec.Struct):
    id: str
    created: int
    object: str = "model"
    owned_by: str = _OWNER


class _ModelList(msgspec.Struct):
    data: list[_Model]
    object: str = "list"


class OpenAIChat:
    """Speak OpenAI's chat completions on either side."""

    id = "openai"
    routes: tuple[Route, ...] = (
        Route("POST", "/v1/chat/completions", "chat"),
        Route("POST", "/v1/completions", "completions"),
        Route("POST", "/v1/embeddings", "embeddings"),
        Route("POST", "/v1/images/generations", "images"),
        Route("POST", "/v1/images/edits", "images"),
        Route("POST", "/v1/images/variations", "images"),
        Route("POST", "/v1/audio/speech", "speech"),
        Route("POST", "/v1/audio/transcriptions", "transcription"),
        Route("POST", "/v1/audio/translations", "transcription"),
        Route("POST", "/v1/moderations", "moderations"),
        Route("POST", "/v1/rerank", "rerank"),
        Route("GET", "/v1/models", "models"),
        Route("GET", "/v1/models/{model}", "model"),
    )
    stream_content_type = "text/event-stream; charset=utf-8"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; this dialect names its model in the body only."""
        if arrival.op != "chat":
            return read_operation(body, arrival)
        if arrival.path_model is not None:
            raise FormatError("This path takes no model.", code="wrong_endpoint")
        return read_chat_request(body)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of the proxy's own frames; chat needs no state for it."""
        if is_sound(request):
            return SoundStream(sound_type(request))
        return _CLIENT_STREAM

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error; the status stays what it is."""
        return status, build_error_body(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models."""
        return msgspec.json.encode(
            _ModelList([_Model(model, created) for model in models])
        )

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return msgspec.json.encode(_Model(model, created))

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below a base URL that ends in the API's version."""
        if op == "chat":
            return PATH
        if op in _PATHS:
            return _PATHS[op]
        return "/models" if op == "models" else f"/models/{model}"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header."""
        return {"authorization": f"Bearer {secret}"}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return read_error_body(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay the bytes of clients that speak this dialect too."""
        if inbound != self.id:
            return None
        return _PASSTHROUGH if op == "chat" else relays.relay(op, model)

    def codec(self, model: str) -> Codec | None:
        """Return the translator; it is the same for every model."""
        return _CODEC


class ChatPassthrough:
    """Relay chat completions to an upstream that speaks them too."""

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch the body by span."""
        return build_chat_request(request, model=target.model, drop=target.drop)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a buffered answer."""
        return read_chat_response(request, sent, body)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start reading a stream."""
        return ChatStreamTap(request, sent)


_CLIENT_STREAM: Final = ChatClientStream()
_CODEC: Final = ChatCodec()
_PASSTHROUGH: Final = ChatPassthrough()

FORMAT: Final[WireFormat] = OpenAIChat()
