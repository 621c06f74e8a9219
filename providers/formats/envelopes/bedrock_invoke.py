"""Claude on Bedrock for clients of Anthropic's dialect: their own body, enveloped.

The model and the wish to stream move into the path, beta flags from a header into the
body, and each record of the event stream that comes back holds one event of Claude's,
in base64. Source: reference wire 1.9, pitfall P117.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.anthropic_messages.dialect import CODEC
from providers.formats.anthropic_messages.relayed import RelayedMessages
from providers.formats.base import (
    UNREADABLE,
    Bridge,
    ChatRequest,
    FramingError,
    Target,
    UpstreamRequest,
)
from providers.formats.bedrock_converse.errors import read_error_body
from providers.formats.bedrock_converse.names import DIALECT, model_path
from providers.formats.capabilities import capabilities
from providers.formats.framing_eventstream import EventStreamSplitter, read_headers
from providers.formats.framings import SseFrame
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.relay import RelayBridge

VERSION: Final = "bedrock-2023-05-31"
BETAS: Final = "anthropic_beta"
_TYPES: Final = {
    400: "invalid_request_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class _Chunk(msgspec.Struct):
    bytes: str = ""


class _Typed(msgspec.Struct):
    type: str = ""


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_TYPED: Final = msgspec.json.Decoder(_Typed)
_BETAS: Final = msgspec.json.Decoder(list[str])


class InvokeSplitter(EventStreamSplitter):
    """Cut an event stream and unwrap each record to an event of Claude's own stream.

    Errors:  FramingError for a damaged record and for one that wraps no event.
    """

    def feed(self, data: bytes) -> list[SseFrame]:
        """Return the events that became complete, framed as server-sent ones."""
        return [_unwrapped(raw, record or b"") for raw, record in super().feed(data)]


class RelayedInvoke(RelayedMessages):
    """Envelop a client's messages; what comes back is relayed like Claude's own."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Take the client's body to Bedrock's path."""
        return enveloped(super().patch(request, target), request, target)

    def splitter(self) -> InvokeSplitter:  # type: ignore[override]
        """Cut an event stream."""
        return InvokeSplitter()


def enveloped(
    sent: UpstreamRequest, request: ChatRequest, target: Target
) -> UpstreamRequest:
    """Return a request for Claude as Bedrock takes it; unknown flags are a loss."""
    header = request.arrival.fields.get(b"anthropic-beta", b"").decode("latin-1")
    body, is_whole = invoke_body(sent.body, header.split(","), target)
    verb = "invoke-with-response-stream" if request.stream else "invoke"
    return replace(
        sent,
        body=body,
        path=model_path(target.model, verb),
        headers={},
        is_stream=request.stream,
        losses=sent.losses if is_whole else (*sent.losses, "anthropic-beta:drop"),
    )


def invoke_body(
    body: bytes, flags: Iterable[str], target: Target
) -> tuple[bytes, bool]:
    """Return a body without model and stream, with version and the flags it knows.

    Shapes:  the second value is False when a flag was left behind.
    """
    members = read_members(body)
    try:
        own = _BETAS.decode(members.values.get(BETAS, msgspec.Raw(b"[]")))
    except UNREADABLE:
        own = []
    asked = dict.fromkeys(flag.strip() for flag in (*flags, *own) if flag.strip())
    owner = target.catalogue or target.provider
    known = capabilities(DIALECT, owner, target.model).betas
    kept = [flag for flag in asked if flag in known]
    changes = {
        "model": REMOVE,
        "stream": REMOVE,
        BETAS: msgspec.json.encode(kept) if kept else REMOVE,
    }
    if "anthropic_version" not in members.values:
        changes["anthropic_version"] = msgspec.json.encode(VERSION)
    return patch(members, changes), len(kept) == len(asked)


def _unwrapped(raw: bytes, record: bytes) -> SseFrame:
    headers = read_headers(raw)
    if headers.get(":message-type", "event") != "event":
        name = headers.get(":exception-type") or headers.get(":error-code", "")
        detail = read_error_body(None, record, name)
        kind = _TYPES.get(detail.status or 0, "api_error")
        message = detail.message or headers.get(":error-message", "")
        told = {"type": "error", "error": {"type": kind, "message": message}}
        return _framed(b"error", msgspec.json.encode(told))
    try:
        event = b64decode(_CHUNK.decode(record).bytes, validate=True)
        return _framed(_TYPED.decode(event).type.encode(), event)
    except UNREADABLE as error:
        raise FramingError("a record wraps no event") from error


def _framed(name: bytes, event: bytes) -> SseFrame:
    return b"event: " + name + b"\ndata: " + event + b"\n\n", event


BRIDGE: Final[Bridge] = RelayBridge(CODEC, RelayedInvoke())
