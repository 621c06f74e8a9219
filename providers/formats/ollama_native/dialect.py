"""Ollama's own API as a wire format: lines of JSON, on either side.

An upstream's base URL is the root of its server. The other dialects such a server
speaks below ``/v1`` are those of a provider whose base URL ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    Op,
    Route,
    WireFormat,
)
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import Codec
from providers.formats.neutral.relay import RelayBridge
from providers.formats.ollama_native import errors, local
from providers.formats.ollama_native.codec import EmbeddingsCodec, OllamaCodec
from providers.formats.ollama_native.peek import CHAT, EMBED, GENERATE, read_request
from providers.formats.ollama_native.relayed import OllamaRelayed
from providers.formats.ollama_native.stream import LineStream
from providers.formats.taps import ClientStream

_TAGS: Final = "/api/tags"


class OllamaNative:
    """Speak Ollama's own dialect on either side."""

    id = "ollama"
    routes: tuple[Route, ...] = (
        Route("POST", CHAT, "chat"),
        Route("POST", GENERATE, "chat"),
        Route("POST", EMBED, "embeddings"),
        Route("POST", "/api/embeddings", "embeddings"),
        Route("GET", _TAGS, "models"),
        Route("POST", local.SHOW, "local"),
        Route("GET", "/api/version", "local"),
        Route("GET", local.PROCESSES, "local"),
    )
    stream_content_type = "application/x-ndjson"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; the path says whether it is a chat or a prompt."""
        return read_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of the proxy's own lines."""
        return LineStream(request.model, request.arrival.path)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error; there is no place for the request id but the header."""
        return errors.build_error(status, detail)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models."""
        return local.tags(models, created)

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return local.shown(model, local.ShownModel(created=created))

    def local_answer(self, request: ChatRequest) -> bytes:
        """Answer what needs no upstream; the model asked about is known to exist."""
        return local.local_answer(request)

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below the root of a server."""
        if op == "models":
            return _TAGS
        return EMBED if op == "embeddings" else CHAT

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header of hosted servers; a local one takes none."""
        return {"authorization": f"Bearer {secret}"} if secret else {}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return errors.read_error(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay the bytes of clients that speak this dialect too."""
        if inbound != self.id:
            return None
        if op == "embeddings":
            return _EMBEDDINGS
        return _CHAT if op == "chat" else None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


_CODEC: Final = OllamaCodec()
_CHAT: Final = RelayBridge(_CODEC, OllamaRelayed())
_EMBEDDINGS: Final = RelayBridge(EmbeddingsCodec(), OllamaRelayed())

FORMAT: Final[WireFormat] = OllamaNative()
