"""What thin envelopes share: another dialect inside, changed at its edges.

An envelope speaks a dialect whose paths, headers or answers differ a little from its
maker's. The dialect's own bridge and codec do the work; an ``Edge`` changes what goes
in and what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from providers.formats import registry
from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    Op,
    ResponseMeta,
    Route,
    Target,
    UpstreamRequest,
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
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream, StreamTap


class Edge(Protocol):
    """Change what passes between an envelope and the dialect inside it."""

    def aim(self, target: Target) -> Target:
        """Return the target as the dialect inside shall see it."""

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Change a client's own request."""

    def encoded(self, request: Request, sent: Encoded, target: Target) -> Encoded:
        """Change a translated request."""

    def answered(self, request: ChatRequest, meta: ResponseMeta) -> ResponseMeta:
        """Change a relayed whole answer."""

    def events(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Change the events of a whole answer that is translated."""

    def decoder(self, decoder: Decoder) -> Decoder:
        """Change the events of a stream that is translated."""


class PlainEdge:
    """Change nothing; the base of edges that change little."""

    def aim(self, target: Target) -> Target:
        """Return the target."""
        return target

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Return the request."""
        return sent

    def encoded(self, request: Request, sent: Encoded, target: Target) -> Encoded:
        """Return the request."""
        return sent

    def answered(self, request: ChatRequest, meta: ResponseMeta) -> ResponseMeta:
        """Return the answer."""
        return meta

    def events(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Return the events."""
        return events

    def decoder(self, decoder: Decoder) -> Decoder:
        """Return the decoder."""
        return decoder


class WrappedBridge:
    """Relay a client of the dialect inside."""

    def __init__(self, inner: Bridge, edge: Edge) -> None:
        self._inner = inner
        self._edge = edge

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Build a request of the dialect inside and change its edges."""
        sent = self._inner.build_request(request, self._edge.aim(target))
        return self._edge.relayed(request, sent, target)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        meta = self._inner.read_response(request, sent, body)
        return meta if meta.error else self._edge.answered(request, meta)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start relaying a stream."""
        return self._inner.open_tap(request, sent, stream)


class WrappedCodec:
    """Translate into the dialect inside."""

    def __init__(self, inner: Codec, edge: Edge) -> None:
        self._inner = inner
        self._edge = edge
        self.id: str = inner.id
        self.framing: Literal["sse", "ndjson", "eventstream"] = inner.framing

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart."""
        return self._inner.decode_request(request)

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request and change its edges."""
        sent = self._inner.encode_request(request, self._edge.aim(target), caps)
        return self._edge.encoded(request, sent, target)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart."""
        return self._edge.events(self._inner.decode_answer(body, reply))

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading a stream."""
        return self._edge.decoder(self._inner.open_decoder(reply))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer."""
        return self._inner.encode_answer(answer, view)

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a stream."""
        return self._inner.open_encoder(view, stream)


class UpstreamOnly:
    """The client's side of an envelope that no client speaks: chat completions."""

    routes: tuple[Route, ...] = ()
    stream_content_type = "text/event-stream; charset=utf-8"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Read a request as chat completions do."""
        return _chat().read_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of chat completions."""
        return _chat().open_stream(request, request_id=request_id)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error as chat completions do."""
        return _chat().build_error(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models as OpenAI does."""
        return _chat().models_list(models, created=created)

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model as OpenAI does."""
        return _chat().model_body(model, created=created)

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error as OpenAI's."""
        return _chat().read_error(status, body)


def inner_relay(format_id: str, op: Op, model: str) -> Bridge | None:
    """Return the relay of a dialect for its own clients, None where there is none."""
    inner = registry.formats().get(format_id)
    return None if inner is None else inner.relay(format_id, op, model)


def inner_codec(format_id: str, model: str) -> Codec | None:
    """Return the translator of a dialect, None where there is none."""
    inner = registry.formats().get(format_id)
    return None if inner is None else inner.codec(model)


def _chat() -> WireFormat:
    return registry.get("openai")
