"""Bedrock's InvokeModel for clients that speak to Claude through it.

The body is Anthropic's without a model, the path names it; a stream is an event stream
whose records wrap Anthropic's events. So the dialect is Anthropic's with another edge.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from providers.formats.anthropic_messages.client import MessagesClientStream
from providers.formats.anthropic_messages.dialect import MessagesCodec
from providers.formats.anthropic_messages.peek import read_messages_request
from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    Route,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.bedrock_converse.answer_out import exception_frame
from providers.formats.bedrock_converse.dialect import BedrockConverse
from providers.formats.bedrock_converse.names import model_path
from providers.formats.bedrock_converse.request_in import members_of
from providers.formats.capabilities import Capabilities
from providers.formats.envelopes.bedrock_invoke import (
    BETAS,
    BRIDGE,
    InvokeSplitter,
    enveloped,
    invoke_body,
)
from providers.formats.errors import ErrorDetail
from providers.formats.framing_eventstream import (
    CONTENT_TYPE,
    EventStreamSplitter,
    encode_frame,
)
from providers.formats.framings import SseSplitter
from providers.formats.jsonspans import REMOVE, patch
from providers.formats.neutral.codec import (
    Codec,
    Decoder,
    Encoded,
    Encoder,
    Reply,
    View,
)
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.relay import RelayBridge, Splitter
from providers.formats.neutral.types import Loss, Request
from providers.formats.taps import ClientStream

ID: Final = "bedrock-invoke"
_VERSION: Final = "anthropic_version"
_START: Final = b'"message_start"'
_ROOTS: Final = ("", "/bedrock")
_CHUNK: Final = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}


class BedrockInvoke(BedrockConverse):
    """Speak InvokeModel to clients; errors and model lists are Converse's."""

    id = ID
    routes: tuple[Route, ...] = tuple(
        Route("POST", f"{root}/model/{{model}}/{verb}", "chat", is_stream)
        for root in _ROOTS
        for verb, is_stream in (
            ("invoke", False),
            ("invoke-with-response-stream", True),
        )
    )
    stream_content_type = CONTENT_TYPE

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; model and stream are written into it from the path.

        Errors:  FormatError.
        """
        if not arrival.path_model:
            raise FormatError("The path names no model.", code="missing_model")
        told = {
            "model": msgspec.json.encode(arrival.path_model),
            "stream": b"true" if arrival.is_stream else REMOVE,
        }
        whole = patch(members_of(body), told)
        request = read_messages_request(whole, Arrival(fields=arrival.fields))
        request.arrival = arrival
        request.dialect = ID
        return request

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of the proxy's own records."""
        return InvokeClientStream(request.model, request_id)

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below the runtime's host."""
        if op == "chat":
            verb = "invoke-with-response-stream" if stream else "invoke"
            return model_path(model, verb)
        return super().upstream_path(op, model=model, stream=stream)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay InvokeModel; envelop Anthropic's own clients."""
        if op != "chat" or inbound not in (ID, "anthropic"):
            return None
        return RELAY if inbound == ID else BRIDGE

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


class InvokeClientStream:
    """Write the proxy's own events of Claude's stream, each in a record."""

    def __init__(self, model: str, request_id: str) -> None:
        self.inner = MessagesClientStream(model, request_id)

    def keepalive(self) -> bytes:
        """Return a ping; the first one has to open the stream."""
        return wrapped(self.inner.keepalive())

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the exception that ends the stream."""
        return exception_frame(detail)


class _InvokeDecoder:
    """Unwrap records for Anthropic's own decoder."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self._splitter = InvokeSplitter()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, cut anywhere."""
        frames = self._splitter.feed(data)
        return [event for raw, _ in frames for event in self._inner.feed(raw)]

    def eof(self) -> list[AnyEvent]:
        """Take the end."""
        return self._inner.eof()


class _InvokeEncoder:
    """Wrap what Anthropic's own encoder writes."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the records for some events."""
        return wrapped(self._inner.encode(events))


class InvokeCodec(MessagesCodec):
    """Translate InvokeModel's bodies and streams; see ``codec.Codec``."""

    id = ID
    framing: Literal["sse", "ndjson", "eventstream"] = "eventstream"

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a request apart; what is only Bedrock's stays behind."""
        changes = {_VERSION: REMOVE, BETAS: REMOVE}
        body = patch(request.members, changes)
        plain = replace(request, body=body, members=members_of(body))
        decoded = super().decode_request(plain)
        if BETAS not in request.members.values:
            return decoded
        return replace(decoded, losses=(*decoded.losses, Loss(field=BETAS)))

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for Claude and envelop it."""
        made = super().encode_request(request, target, caps)
        flags = made.headers.get("anthropic-beta", "").split(",")
        body, is_whole = invoke_body(made.body, flags, target)
        lost = () if is_whole else (Loss(field="anthropic-beta"),)
        verb = "invoke-with-response-stream" if made.is_stream else "invoke"
        return replace(
            made,
            body=body,
            path=model_path(target.model, verb),
            headers={},
            losses=(*made.losses, *lost),
        )

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading a stream."""
        return _InvokeDecoder(super().open_decoder(reply))

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a stream."""
        inner = stream.inner if isinstance(stream, InvokeClientStream) else stream
        return _InvokeEncoder(super().open_encoder(view, inner))


class _RelayedRecords:
    """Relay records as they are; only an opening the client already has is dropped."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Give the body back as it came, without what the path says."""
        dropped = {key: REMOVE for key in target.drop if key in request.members.values}
        body = patch(request.members, dropped) if dropped else request.body
        losses = tuple(f"{name}:drop" for name in dropped)
        sent = UpstreamRequest(body=body, path="", model=target.model, losses=losses)
        return enveloped(sent, request, target)

    def splitter(self) -> Splitter:
        """Start cutting a stream."""
        return EventStreamSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Return the record as it is."""
        return raw

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Return the answer as it is."""
        return body

    def resumed(self, data: bytes, stream: ClientStream) -> bytes:
        """Leave the opening out when a keep-alive has made one."""
        if not isinstance(stream, InvokeClientStream):
            return data
        if not stream.inner.is_open:
            stream.inner.is_open = True
            return data
        records = EventStreamSplitter().feed(data)
        return b"".join(raw for raw, _ in records if not _opens(raw))


def wrapped(data: bytes) -> bytes:
    """Return server-sent events as records of an event stream."""
    splitter = SseSplitter()
    return b"".join(
        _record(payload)
        for _, payload in (*splitter.feed(data), *splitter.finish())
        if payload is not None
    )


def _record(event: bytes) -> bytes:
    told: Mapping[str, str] = {"bytes": b64encode(event).decode()}
    return encode_frame(_CHUNK, msgspec.json.encode(told))


def _opens(record: bytes) -> bool:
    return any(
        _START in (payload or b"")[:40] for _, payload in InvokeSplitter().feed(record)
    )


_CODEC: Final = InvokeCodec()
RELAY: Final[Bridge] = RelayBridge(_CODEC, _RelayedRecords())

FORMAT: Final[WireFormat] = BedrockInvoke()
