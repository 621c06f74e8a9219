"""Google's Gemini API as a wire format: what Gemini CLI and google-genai speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    Op,
    Route,
    Target,
    WireFormat,
)
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.codec import GeminiCodec
from providers.formats.gemini_generate.encoder import SSE_TYPE, GeminiClientStream
from providers.formats.gemini_generate.errors import build_error_body, read_error_body
from providers.formats.gemini_generate.peek import read_gemini_request
from providers.formats.gemini_generate.platform import GOOGLE, METHODS, resource
from providers.formats.gemini_generate.relay import relays_of
from providers.formats.neutral.codec import Codec
from providers.formats.taps import ClientStream

_VERSIONS: Final = ("/v1beta", "/v1", "/v1alpha", "")
_COLLECTIONS: Final = ("models", "tunedModels")
_METHODS: Final[tuple[tuple[str, Op, bool], ...]] = (
    ("generateContent", "chat", False),
    ("streamGenerateContent", "chat", True),
    ("countTokens", "count_tokens", False),
    ("embedContent", "embeddings", False),
    ("batchEmbedContents", "embeddings", False),
)
_SUPPORTED: Final = ("generateContent", "streamGenerateContent", "countTokens")
_OAUTH_TOKEN: Final = "ya29."  # noqa: S105 - how Google's access tokens begin


def _routes() -> tuple[Route, ...]:
    made = [
        Route("POST", f"{version}/{collection}/{{model}}:{method}", op, is_stream)
        for version in _VERSIONS
        for collection in _COLLECTIONS
        for method, op, is_stream in _METHODS
    ]
    for version in ("/v1beta", "/v1alpha"):
        made.append(Route("GET", f"{version}/models", "models"))
        made.append(Route("GET", f"{version}/models/{{model}}", "model"))
    return tuple(made)


class Gemini:
    """Speak Gemini on either side."""

    id = "google"
    routes: tuple[Route, ...] = _routes()
    stream_content_type = SSE_TYPE
    version_root = "/v1beta"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; the model stands in its path."""
        return read_gemini_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of one client's stream, in the framing it asked for."""
        return GeminiClientStream(request)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error as Google does."""
        return build_error_body(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models."""
        return msgspec.json.encode({"models": [_model(model) for model in models]})

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return msgspec.json.encode(_model(model))

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below a base URL that ends in the API's version."""
        if op == "models":
            return "/models"
        if op in METHODS:
            return GOOGLE.path(op, Target(model=model), stream=stream)
        return f"/{resource(model)}"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the key's header, or the bearer's for an access token."""
        if secret.startswith(_OAUTH_TOKEN):
            return {"authorization": f"Bearer {secret}"}
        return {"x-goog-api-key": secret}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return read_error_body(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay the bytes of clients that speak Gemini, also inside the envelope."""
        bridge = _RELAYS.get((inbound, op == "chat"))
        return bridge if op in METHODS else None

    def count_tokens_body(self, tokens: int) -> bytes:
        """Word a count that was estimated here."""
        return msgspec.json.encode({"totalTokens": tokens})

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


def _model(model: str) -> dict[str, Any]:
    """Word a model in Gemini's list."""
    return {
        "name": f"models/{model}",
        "baseModelId": model,
        "version": "001",
        "displayName": model,
        "supportedGenerationMethods": list(_SUPPORTED),
    }


_CODEC: Final = GeminiCodec(GOOGLE)
_RELAYS: Final = relays_of(GOOGLE)

FORMAT: Final[WireFormat] = Gemini()
