"""Relay Responses between a client and an upstream that both speak it.

Source: reference wire R1, R2, 5.3; T7, T8, T69, P79.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    FormatError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.framings import SseSplitter, replace_payload
from providers.formats.jsonspans import REMOVE, Members, patch, read_members
from providers.formats.neutral import smuggle
from providers.formats.neutral.codec import Codec
from providers.formats.neutral.relay import RelayBridge, RelayTap
from providers.formats.openai_chat.errors import read_error_body
from providers.formats.openai_responses.build import PATH
from providers.formats.openai_responses.client import ResponsesStream
from providers.formats.openai_responses.edits import without_foreign_proof
from providers.formats.openai_responses.wire import UNSET
from providers.formats.taps import ClientStream, StreamTap

_TERMINALS: Final = frozenset({"response.completed", "response.incomplete"})
COUNT_PATH: Final = "/responses/input_tokens"
_PACKED: Final = smuggle.PREFIX.encode()


class ResponsesRelayed:
    """Patch and echo by span; see ``relay.Relayed`` for the contract."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch the model, and what only the pool itself could read.

        Shapes:  everything else stays as the client sent it; fields an upstream was
                 learned to refuse are taken out and named.
        """
        members = request.members
        changes = {key: REMOVE for key in target.drop if key in members.values}
        if target.model != request.model:
            changes["model"] = msgspec.json.encode(target.model)
        losses = sorted(changes.keys() - {"model"})
        if _PACKED in request.body and "input" in members.values:
            changes["input"] = without_foreign_proof(
                members.values["input"], target.scope
            )
            losses.append("reasoning:drop")
        return UpstreamRequest(
            body=patch(members, changes) if changes else request.body,
            path=PATH,
            model=target.model,
            losses=tuple(losses),
            is_stream=request.stream,
        )

    def splitter(self) -> SseSplitter:
        """Start cutting a stream."""
        return SseSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Exchange the model of the response an event carries.

        Shapes:  inside a text quotes are escaped, so a frame without the bare word has
                 no model at all.
        """
        if payload is None or b'"model"' not in payload:
            return raw
        try:
            members = read_members(payload)
            response = members.values.get("response")
            if response is None or memoryview(response)[0] != 0x7B:
                return raw
            inner = _renamed(read_members(bytes(response)), model)
        except UNREADABLE:
            return raw
        if inner is None:
            return raw
        return replace_payload(raw, payload, patch(members, {"response": inner}))

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Exchange the model of a response object."""
        try:
            return _renamed(read_members(body), model) or body
        except UNREADABLE:
            return body


_RELAYED: Final = ResponsesRelayed()


class Watched(ResponsesRelayed):
    """Relay one stream and tell the client's side of it what passed."""

    def __init__(self, stream: ResponsesStream) -> None:
        self._stream = stream

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Exchange the model, and the number where frames were added before."""
        made = super().echo_frame(raw, payload, model)
        if payload is not None and payload[:1] == b"{":
            if self._stream.shift:
                made = self._stream.passed(made)
            self._stream.seen(payload)
        return made

    def resumed(self, data: bytes, stream: ClientStream) -> bytes:
        """Follow on what a keep-alive opened."""
        return self._stream.resumed(data)


class ResponsesBridge(RelayBridge):
    """Relay Responses; a stream nobody asked for becomes the response it ends with."""

    def __init__(self, codec: Codec, relayed: ResponsesRelayed) -> None:
        super().__init__(codec, relayed)
        self._upstream_codec = codec

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Meter a whole answer."""
        if body.lstrip()[:1] not in (b"{", b"["):
            body = join_stream(body) or body
        return super().read_response(request, sent, body)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start relaying a stream."""
        if not isinstance(stream, ResponsesStream):
            return super().open_tap(request, sent, stream)
        return RelayTap(
            self._upstream_codec, Watched(stream), request, sent, stream=stream
        )


class CountBridge:
    """Ask an upstream that speaks the dialect how many tokens an input has."""

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch the model."""
        sent = _RELAYED.patch(request, target)
        return replace(sent, path=COUNT_PATH, is_stream=False)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Pass a count on; anything else is an error."""
        try:
            if msgspec.json.decode(body, type=_Count).input_tokens >= 0:
                return ResponseMeta(body=body)
        except UNREADABLE:
            pass
        return ResponseMeta(body=b"", error=read_error_body(None, body))

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Refuse to stream a number.

        Errors:  FormatError.
        """
        raise FormatError("A count of tokens is not streamed.", param="stream")


def count_tokens_body(estimate: int) -> bytes:
    """Answer a count from an estimate, where no upstream can be asked."""
    return msgspec.json.encode(_Count(max(0, estimate)))


class _Count(msgspec.Struct):
    input_tokens: int
    object: str = "response.input_tokens"


class _Event(msgspec.Struct):
    type: Any = None
    item: msgspec.Raw = UNSET
    output_index: Any = None
    response: msgspec.Raw = UNSET


_EVENT: Final = msgspec.json.Decoder(_Event)


def join_stream(body: bytes) -> bytes | None:
    """Return the response a stream ends with, as it was sent.

    Shapes:  an upstream that leaves the output out of its last event gets the items
             its events carried, in order.
    Fails:   None when it never ended well; the events then say what was wrong.
    """
    splitter = SseSplitter()
    items: dict[int, msgspec.Raw] = {}
    for _, payload in (*splitter.feed(body), *splitter.finish()):
        try:
            event = _EVENT.decode(payload or b"{}")
        except UNREADABLE:
            continue
        if event.type == "response.output_item.done" and event.item != UNSET:
            place = event.output_index
            items[place if isinstance(place, int) else len(items)] = event.item
        elif event.type in _TERMINALS:
            return _with_output(bytes(event.response), items)
    return None


def _with_output(response: bytes, items: dict[int, msgspec.Raw]) -> bytes | None:
    try:
        members = read_members(response)
    except UNREADABLE:
        return None
    if not items or bytes(members.values.get("output", b"")) not in (b"", b"[]"):
        return response
    output = [items[place] for place in sorted(items)]
    return patch(members, {"output": msgspec.json.encode(output)})


def _renamed(members: Members, model: str) -> bytes | None:
    """Exchange an object's model; None where it has none or the right one."""
    raw = members.values.get("model")
    name = msgspec.json.encode(model)
    if raw is None or memoryview(raw)[0] != 0x22 or bytes(raw) == name:
        return None
    return patch(members, {"model": name})
