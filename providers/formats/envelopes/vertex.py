"""Vertex AI: Gemini, Claude and others, each in its own dialect under Google's paths.

The base URL is the bare host; the provider's options ``project`` and ``location``
(``global`` when unset) name the rest. Source: reference wire 1.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from providers.formats.base import (
    Bridge,
    ChatRequest,
    Op,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.envelopes.wrapping import (
    PlainEdge,
    UpstreamOnly,
    WrappedBridge,
    WrappedCodec,
    inner_codec,
    inner_relay,
)
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.codec import GeminiCodec
from providers.formats.gemini_generate.errors import read_error_body
from providers.formats.gemini_generate.peek import bare_model
from providers.formats.gemini_generate.platform import METHODS, Platform, option
from providers.formats.gemini_generate.relay import relays_of
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.codec import Codec, Encoded
from providers.formats.neutral.types import Request

VERSION: Final = "vertex-2023-10-16"
_CLAUDE: Final = "anthropic"
_CHAT: Final = "openai"
_GOOGLES: Final = ("gemini", "gemma", "imagen", "learnlm", "text-embedding")


def family(model: str) -> str:
    """Return the dialect a model is served in: google, anthropic or openai."""
    name = model.rpartition("/")[2].lower()
    if name.startswith("claude"):
        return _CLAUDE
    return "google" if name.startswith(_GOOGLES) else _CHAT


def root(options: Mapping[str, str]) -> str:
    """Return the path of a project's location.

    Errors:  FormatError when the provider names no project.
    """
    location = quote(options.get("location") or "global", safe="")
    return f"/v1/projects/{option(options, 'project')}/locations/{location}"


def _locate(model: str, method: str, options: Mapping[str, str]) -> str:
    name = quote(bare_model(model), safe="@-._~")
    return f"{root(options)}/publishers/google/models/{name}:{method}"


PLATFORM: Final = Platform(id="vertex", locate=_locate, call_ids=False, labels=True)


class VertexEdge(PlainEdge):
    """Give a request the path of its model's maker; Claude's loses the model to it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Change a client's own request."""
        is_count = request.arrival.op == "count_tokens"
        path = self._path(target, stream=sent.is_stream, is_count=is_count)
        body = self._body(sent.body, target.model if is_count else "")
        return replace(sent, body=body, path=path, headers={})

    def encoded(self, request: Request, sent: Encoded, target: Target) -> Encoded:
        """Change a translated request."""
        path = self._path(target, stream=sent.is_stream)
        return replace(sent, body=self._body(sent.body), path=path, headers={})

    def _path(self, target: Target, *, stream: bool, is_count: bool = False) -> str:
        if self._kind == _CHAT:
            return f"{root(target.options)}/endpoints/openapi/chat/completions"
        method = "streamRawPredict" if stream else "rawPredict"
        name = "count-tokens" if is_count else quote(target.model, safe="@-._~")
        return f"{root(target.options)}/publishers/anthropic/models/{name}:{method}"

    def _body(self, body: bytes, model: str = "") -> bytes:
        """Return a body as Vertex takes it; only a count of Claude's names its model."""
        if self._kind == _CHAT:
            return body
        named = msgspec.json.encode(model) if model else REMOVE
        changes = {"anthropic_version": msgspec.json.encode(VERSION), "model": named}
        return patch(read_members(body), changes)


class Vertex(UpstreamOnly):
    """Speak to Vertex AI; clients of the pool speak the dialects inside."""

    id = "vertex"

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path of the list of models, which needs no project."""
        return "/v1beta1/publishers/google/models"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header."""
        return {"authorization": f"Bearer {secret}"}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read Google's error, or that of the model's own maker."""
        return read_error_body(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay clients that speak the model's own dialect."""
        kind = family(model)
        if kind == "google":
            return _RELAYS.get((inbound, op == "chat")) if op in METHODS else None
        if inbound != kind or (kind == _CHAT and op != "chat"):
            return None
        inner = inner_relay(kind, op, model)
        return None if inner is None else WrappedBridge(inner, _EDGES[kind])

    def codec(self, model: str) -> Codec | None:
        """Translate into the model's own dialect."""
        kind = family(model)
        if kind == "google":
            return _CODEC
        inner = inner_codec(kind, model)
        return None if inner is None else WrappedCodec(inner, _EDGES[kind])


_EDGES: Final = {kind: VertexEdge(kind) for kind in (_CLAUDE, _CHAT)}
_CODEC: Final = GeminiCodec(PLATFORM)
_RELAYS: Final = relays_of(PLATFORM)

FORMAT: Final[WireFormat] = Vertex()
