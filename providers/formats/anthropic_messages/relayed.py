"""Relay messages bytes for bytes; only the model's name is another.

Two things beside it change, both the pool's own doing: reasoning of another family that
the pool smuggled through the client's history is taken out again, since no Anthropic
upstream could check it, and the opening of a stream is left out where a keep-alive has
opened the client's stream already.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from providers.formats.anthropic_messages.client import MessagesClientStream
from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    FormatError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseSplitter, event_name, replace_payload
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.smuggle import PREFIX
from providers.formats.taps import ClientStream, StreamTap

VERSION: Final = "2023-06-01"
HEADERS: Final = {"anthropic-version": VERSION}
"""Beneath the client's own on relayed calls, the only one on translated calls."""

CHAT_PATH: Final = "/messages"
COUNT_PATH: Final = "/messages/count_tokens"
_PACKED: Final = PREFIX.encode()
_UNREADABLE_BLOCK: Final = (*UNREADABLE, KeyError)
_START: Final = b"message_start"


class _Block(msgspec.Struct):
    """Name where a block of a client's history keeps proof."""

    signature: str = ""
    data: str = ""


class _Count(msgspec.Struct):
    input_tokens: int


_BLOCKS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_BLOCK: Final = msgspec.json.Decoder(_Block)
_COUNT: Final = msgspec.json.Decoder(_Count)


class RelayedMessages:
    """Patch, cut and echo; see ``relay.Relayed`` for the contract."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Exchange the model's name, and leave out what the upstream refuses."""
        values = request.members.values
        changes = {key: REMOVE for key in target.drop if key in values}
        if target.model != request.model:
            changes["model"] = msgspec.json.encode(target.model)
        if "messages" not in changes and _PACKED in request.body:
            changes["messages"] = without_packed(bytes(values["messages"]))
        if target.is_account and "metadata" not in changes and "metadata" in values:
            changes["metadata"] = _disguised(bytes(values["metadata"]))
        is_count = request.arrival.op == "count_tokens"
        path = COUNT_PATH if is_count else CHAT_PATH
        if b"beta=true" in request.arrival.query.split(b"&"):
            path += "?beta=true"
        return UpstreamRequest(
            body=patch(request.members, changes) if changes else request.body,
            path=path,
            model=target.model,
            losses=tuple(sorted(key for key in target.drop if key in values)),
            headers=HEADERS,
            is_stream=request.stream and not is_count,
        )

    def splitter(self) -> SseSplitter:
        """Cut server-sent events."""
        return SseSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Exchange the model in the opening event."""
        if payload is None or _START not in payload:
            return raw
        try:
            members = read_members(payload)
            if bytes(members.values["type"]) != b'"message_start"':
                return raw
            message = bytes(members.values["message"])
        except _UNREADABLE_BLOCK:
            return raw
        echoed = self.echo_body(message, model)
        if echoed is message:
            return raw
        return replace_payload(raw, payload, patch(members, {"message": echoed}))

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Exchange the model at the top level, nowhere deeper."""
        wanted = msgspec.json.encode(model)
        try:
            members = read_members(body)
        except UNREADABLE:
            return body
        known = members.values.get("model")
        if known is None or bytes(known) == wanted:
            return body
        return patch(members, {"model": wanted})

    def resumed(self, data: bytes, stream: ClientStream) -> bytes:
        """Leave the opening out when a keep-alive has made one."""
        if not isinstance(stream, MessagesClientStream):
            return data
        if not stream.is_open:
            stream.is_open = True
            return data
        splitter = SseSplitter()
        frames = [*splitter.feed(data), *splitter.finish()]
        return b"".join(raw for raw, _ in frames if event_name(raw) != _START)


def _disguised(metadata: bytes) -> bytes:
    """Replace a person's id, so that one account shows nobody else's people.

    Shapes:  the same id is always the same hash; what holds no id stays as it is.
    """
    try:
        members = read_members(metadata)
        user = msgspec.json.decode(members.values["user_id"], type=str)
    except (*UNREADABLE, KeyError):
        return metadata
    name = hashlib.sha256(user.encode()).hexdigest()
    return patch(members, {"user_id": msgspec.json.encode(f"user_{name}")})


class CountRelay:
    """Relay a count of tokens: a question with a number for an answer."""

    def __init__(self, relayed: RelayedMessages) -> None:
        self._relayed = relayed

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch a request."""
        return self._relayed.patch(request, target)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Pass the answer on; it consumes nothing that is billed."""
        try:
            _COUNT.decode(body)
        except UNREADABLE:
            detail = ErrorDetail(
                message="The upstream's answer is not a count of tokens.",
                type="server_error",
                code="upstream_invalid_response",
            )
            return ResponseMeta(body=b"", error=detail)
        return ResponseMeta(body=body)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Refuse: a number is not streamed.

        Errors:  FormatError.
        """
        raise FormatError("A count of tokens is not streamed.", param="stream")


def count_tokens_body(estimate: int) -> bytes:
    """Answer a count of tokens from an estimate, where no upstream can be asked."""
    return msgspec.json.encode(_Count(max(0, estimate)))


def without_packed(messages: bytes) -> bytes:
    """Take the blocks out that hold another family's reasoning.

    Shapes:  ``messages`` is the JSON array; messages without such a block keep their
             bytes. One that has nothing else becomes a word, for roles must alternate.
    """
    kept = [
        _stripped(bytes(raw)) if _PACKED in bytes(raw) else bytes(raw)
        for raw in _BLOCKS.decode(messages)
    ]
    return b"[" + b",".join(kept) + b"]"


def _stripped(message: bytes) -> bytes:
    """Take such blocks out of one message."""
    try:
        members = read_members(message)
        blocks = _BLOCKS.decode(members.values["content"])
        kept = [bytes(block) for block in blocks if not _is_packed(block)]
    except _UNREADABLE_BLOCK:
        return message
    if len(kept) == len(blocks):
        return message
    kept = kept or [b'{"type":"text","text":"(empty)"}']
    return patch(members, {"content": b"[" + b",".join(kept) + b"]"})


def _is_packed(block: msgspec.Raw) -> bool:
    try:
        held = _BLOCK.decode(block)
    except UNREADABLE:
        return False
    return held.signature.startswith(PREFIX) or held.data.startswith(PREFIX)
