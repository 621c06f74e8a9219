"""OpenAI Responses as a wire format: what Codex and newer SDKs speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    Route,
    WireFormat,
)
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import Codec
from providers.formats.openai_chat.dialect import FORMAT as CHAT
from providers.formats.openai_chat.errors import build_error_body, read_error_body
from providers.formats.openai_responses.build import PATH
from providers.formats.openai_responses.client import ResponsesStream
from providers.formats.openai_responses.codec import ResponsesCodec
from providers.formats.openai_responses.peek import DIALECT, read_responses_request
from providers.formats.openai_responses.relay import (
    COUNT_PATH,
    CountBridge,
    ResponsesBridge,
    ResponsesRelayed,
    count_tokens_body,
)
from providers.formats.taps import ClientStream


class OpenAIResponses:
    """Speak OpenAI's Responses on either side.

    Shapes:  what an upstream keeps under an id (a stored response, its items) is not
             served: which account keeps it is known to the pool only while it answers.
    """

    id = DIALECT
    routes: tuple[Route, ...] = (
        Route("POST", "/v1/responses", "chat"),
        Route("POST", "/v1/responses/input_tokens", "count_tokens"),
    )
    stream_content_type = "text/event-stream; charset=utf-8"
    version_root = "/v1"

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; this dialect names its model in the body only."""
        if arrival.path_model is not None:
            raise FormatError("This path takes no model.", code="wrong_endpoint")
        return read_responses_request(body, arrival)

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Start counting one client's frames."""
        return ResponsesStream(request, request_id)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error; the status stays what it is."""
        return status, build_error_body(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models, as chat does."""
        return CHAT.models_list(models, created=created)

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model, as chat does."""
        return CHAT.model_body(model, created=created)

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below a base URL that ends in the API's version."""
        if op == "count_tokens":
            return COUNT_PATH
        return (
            PATH if op == "chat" else CHAT.upstream_path(op, model=model, stream=stream)
        )

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header."""
        return CHAT.auth_headers(secret)

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body."""
        return read_error_body(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay the bytes of clients that speak this dialect too."""
        if inbound != self.id:
            return None
        if op == "count_tokens":
            return _COUNT
        return _RELAY if op == "chat" else None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC

    def count_tokens_body(self, estimate: int) -> bytes:
        """Answer a count where no upstream can be asked."""
        return count_tokens_body(estimate)


_CODEC: Final = ResponsesCodec()
_COUNT: Final = CountBridge()
_RELAY: Final = ResponsesBridge(ResponsesCodec(is_relayed=True), ResponsesRelayed())

FORMAT: Final[WireFormat] = OpenAIResponses()
