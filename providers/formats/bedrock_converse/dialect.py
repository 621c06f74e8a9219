"""Amazon Bedrock's Converse as a wire format, for clients and for upstreams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    Op,
    Route,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.bedrock_converse.answer_out import ConverseClientStream
from providers.formats.bedrock_converse.codec import ConverseCodec
from providers.formats.bedrock_converse.errors import (
    error_body,
    exception_of,
    read_error_body,
)
from providers.formats.bedrock_converse.history import without_packed
from providers.formats.bedrock_converse.names import DIALECT, is_claude, model_path
from providers.formats.bedrock_converse.request_in import read_request
from providers.formats.errors import ErrorDetail
from providers.formats.framing_eventstream import CONTENT_TYPE, EventStreamSplitter
from providers.formats.jsonspans import REMOVE, patch
from providers.formats.neutral.codec import Codec
from providers.formats.neutral.relay import RelayBridge, Splitter
from providers.formats.neutral.smuggle import PREFIX
from providers.formats.taps import ClientStream

_PACKED: Final = PREFIX.encode()
_CLAUDES_CLIENTS: Final = ("anthropic", "bedrock-invoke")
_ROOTS: Final = ("", "/bedrock")


class _Summary(msgspec.Struct):
    modelId: str
    modelName: str


class _Summaries(msgspec.Struct):
    modelSummaries: list[_Summary]


class _Details(msgspec.Struct):
    modelDetails: _Summary


class BedrockConverse:
    """Speak Converse on either side."""

    id = DIALECT
    routes: tuple[Route, ...] = tuple(
        Route("POST", f"{root}/model/{{model}}/{verb}", "chat", is_stream)
        for root in _ROOTS
        for verb, is_stream in (("converse", False), ("converse-stream", True))
    )
    stream_content_type = CONTENT_TYPE

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; its model and whether it streams are in the path."""
        return read_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of the proxy's own records; it needs no state."""
        return _CLIENT_STREAM

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error; its kind goes into a header, see ``error_headers``."""
        return exception_of(status, detail)[1], error_body(detail)

    def error_headers(self, status: int, detail: ErrorDetail) -> Mapping[str, str]:
        """Return the header that names the exception."""
        return {"x-amzn-errortype": exception_of(status, detail)[0]}

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models."""
        return msgspec.json.encode(
            _Summaries([_Summary(model, model) for model in models])
        )

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return msgspec.json.encode(_Details(_Summary(model, model)))

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below the runtime's host."""
        if op == "chat":
            return model_path(model, "converse-stream" if stream else "converse")
        return "/foundation-models"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the header of a Bedrock API key; SigV4 signs elsewhere."""
        return {"authorization": f"Bearer {secret}"}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return read_error_body(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay Converse; give Claude's own clients Claude's own body."""
        if op != "chat":
            return None
        if inbound == self.id:
            return _RELAY
        if inbound in _CLAUDES_CLIENTS and is_claude(model):
            # Loaded late: it stands on this module and on another dialect's package.
            from providers.formats.bedrock_converse import invoke

            return invoke.FORMAT.relay(inbound, op, model)
        return None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


class _Relayed:
    """Relay Converse: nothing in it names the model, so the bytes stay."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Take out what an upstream was learned to refuse, and the pool's envelopes."""
        dropped = [name for name in request.members.spans if name in target.drop]
        changes = dict.fromkeys(dropped, REMOVE)
        if _PACKED in request.body and "messages" not in changes:
            messages = bytes(request.members.values["messages"])
            changes["messages"] = without_packed(messages)
        body = patch(request.members, changes) if changes else request.body
        verb = "converse-stream" if request.stream else "converse"
        return UpstreamRequest(
            body=body,
            path=model_path(target.model, verb),
            model=target.model,
            losses=tuple(f"{name}:drop" for name in dropped),
            is_stream=request.stream,
        )

    def splitter(self) -> Splitter:
        """Start cutting a stream."""
        return EventStreamSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Return the record as it is."""
        return raw

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Return the answer as it is."""
        return body


_CLIENT_STREAM: Final = ConverseClientStream()
_CODEC: Final = ConverseCodec()
_RELAY: Final = RelayBridge(_CODEC, _Relayed())

FORMAT: Final[WireFormat] = BedrockConverse()
