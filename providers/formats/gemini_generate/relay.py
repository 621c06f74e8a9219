"""Relay Gemini's bytes, in and out of Code Assist's envelope where one side has it.

The body stays as it is: the model stands in the path. Frames leave as they came but for
the model's name, the envelope, and the framing the client asked for: an upstream is
always asked for events, a client may want one JSON array.

Source: reference wire 1.5, 1.6, 5.3, R1, R2, P94.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    Bridge,
    ChatRequest,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.codec import GeminiCodec
from providers.formats.gemini_generate.embedded import rename_embedded
from providers.formats.gemini_generate.encoder import GeminiClientStream, flat
from providers.formats.gemini_generate.errors import is_error, read_error_body
from providers.formats.gemini_generate.fields import camel
from providers.formats.gemini_generate.frames import DECODER, NULL
from providers.formats.gemini_generate.incoming import SKIP_SIGNATURE
from providers.formats.gemini_generate.peek import (
    WRAPPED,
    inner_members,
    wants_array,
)
from providers.formats.gemini_generate.platform import Platform, resource
from providers.formats.gemini_generate.splitting import CrlfSplitter
from providers.formats.gemini_generate.usage import UsageReader
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.relay import RelayBridge, RelayTap
from providers.formats.neutral.smuggle import PREFIX
from providers.formats.taps import ClientStream, StreamTap

# The last brace closes the top-level object, so what stands before it is top-level too.
_VERSION: Final = re.compile(
    rb'"modelVersion"\s*:\s*("(?:[^"\\]|\\.)*")'
    rb'(?:\s*,\s*"responseId"\s*:\s*"[^"\\]*")?\s*\}\s*\Z'
)
_PACKED: Final = PREFIX.encode()
_PACKED_PROOF: Final = re.compile(
    rb'("thought_?[sS]ignature"\s*:\s*")' + re.escape(_PACKED) + rb'(?:[^"\\]|\\.)*'
)
_ENVELOPE_ONLY: Final = ("session_id", "sessionId", "model")
_COMMA: Final = b",\r\n"


class GeminiRelayed:
    """Patch requests and echo frames between one kind of client and one platform."""

    def __init__(self, inbound: str, platform: Platform, *, is_array: bool) -> None:
        self._wraps = platform.wraps
        self._wrapped = inbound == WRAPPED
        self._platform = platform
        self._is_array = is_array

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch a client's body for an upstream.

        Errors:  FormatError.
        """
        op = request.arrival.op
        is_batch = request.arrival.path.endswith(":batchEmbedContents")
        body, losses = self._body(request, target)
        if _PACKED in body:
            # Another family's proof is none to Google, which has a word for that.
            body = _PACKED_PROOF.sub(rb"\1" + SKIP_SIGNATURE.encode(), body)
        return UpstreamRequest(
            body=body,
            path=self._platform.path(op, target, stream=request.stream, batch=is_batch),
            model=target.model,
            losses=losses,
            is_stream=request.stream,
        )

    def splitter(self) -> CrlfSplitter:
        """Start cutting a stream."""
        return CrlfSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Return a frame as this client may have it: no comments, no names, no ends."""
        if payload is None:
            return b""
        text = payload.strip()
        if text[:1] not in (b"{", b"[") or text == b"[DONE]":
            return b""
        echoed = self.echo_body(text, model)
        if self._is_array:
            return _COMMA + echoed
        if echoed is text and raw[:5] == b"data:" and raw.count(b"\n") <= 2:
            return raw
        return b"data: " + flat(echoed) + b"\r\n\r\n"

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Return an answer under the name the client asked for, in its envelope."""
        if self._wraps and self._wrapped:
            return _renamed_inside(body, model)
        if self._wraps:
            body = _unwrapped(body)
        body = _renamed(body, model)
        return _enveloped(body) if self._wrapped else body

    def _body(
        self, request: ChatRequest, target: Target
    ) -> tuple[bytes, tuple[str, ...]]:
        inner, _ = inner_members(request.members, request.dialect)
        dropped = {name for name in inner.values if camel(name) in target.drop}
        changes = dict.fromkeys(dropped, REMOVE)
        losses = tuple(sorted(f"{name}:drop" for name in dropped))
        name = msgspec.json.encode(target.model)
        project = target.options.get("project", "")
        if self._wrapped and self._wraps:
            outer: dict[str, bytes] = {}
            if "model" in request.members.values:
                outer["model"] = name
            if project:
                outer["project"] = msgspec.json.encode(project)
            changes.update(self._embedded(request, inner.values, target))
            if changes:
                outer["request"] = patch(inner, changes)
            return patch(request.members, outer), losses
        if self._wrapped:
            changes.update(
                {each: REMOVE for each in _ENVELOPE_ONLY if each in inner.values}
            )
        else:
            changes.update(self._embedded(request, inner.values, target))
        body = patch(inner, changes) if changes else inner.body
        if not self._wraps:
            return body, losses
        if request.arrival.op == "count_tokens":
            return _counted(body, target), losses
        head = b'{"model":' + name
        if project:
            head += b',"project":' + msgspec.json.encode(project)
        return head + b',"request":' + body + b"}", losses

    def _embedded(
        self, request: ChatRequest, values: dict[str, msgspec.Raw], target: Target
    ) -> dict[str, bytes]:
        """Rename the model where the body repeats it."""
        if target.model == request.model:
            return {}
        return rename_embedded(values, resource(target.model))


class GeminiRelay(RelayBridge):
    """Join a client of Gemini's with a platform that serves it."""

    def __init__(self, inbound: str, platform: Platform) -> None:
        self._own = GeminiCodec(platform)
        self._inbound = inbound
        self._platform = platform
        super().__init__(self._own, GeminiRelayed(inbound, platform, is_array=False))

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start relaying a stream, in the framing the client asked for."""
        if not isinstance(stream, GeminiClientStream):
            stream = GeminiClientStream(request)
        is_array = wants_array(request.arrival)
        relayed = GeminiRelayed(self._inbound, self._platform, is_array=is_array)
        return GeminiTap(self._own, relayed, request, sent, stream=stream)


class GeminiTap(RelayTap):
    """Relay one stream; what leaves as an array is opened and closed as one."""

    def __init__(
        self,
        codec: GeminiCodec,
        relayed: GeminiRelayed,
        request: ChatRequest,
        sent: UpstreamRequest,
        *,
        stream: GeminiClientStream,
    ) -> None:
        super().__init__(codec, relayed, request, sent, stream=stream)
        self._client = stream

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        return self._framed(super().feed(data))

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes."""
        if self._whole is not None:
            # An answer that came whole was framed by the encoder.
            return super().eof()
        out = self._framed(super().eof())
        if self.complete and self._client.is_array:
            self.out_bytes += 1
            out += self._client.closing()
        return out

    def _framed(self, out: bytes) -> bytes:
        client = self._client
        if not out or not client.is_array or client.is_open:
            return out
        client.is_open = True
        self.out_bytes += 1 - len(_COMMA)
        return b"[" + out.removeprefix(_COMMA)


class GeminiCallRelay(GeminiRelay):
    """Relay what is no generation: counts of tokens, embeddings."""

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Pass an answer on; what is no answer comes back with ``error``."""
        if is_error(body):
            return ResponseMeta(body=body, error=read_error_body(None, body))
        try:
            frame = DECODER.decode(body)
        except UNREADABLE:
            detail = ErrorDetail(
                message="The upstream's answer is not Gemini's.",
                type="server_error",
                code="upstream_invalid_response",
                raw=body[:1000],
            )
            return ResponseMeta(body=body, error=detail)
        usage = None
        if frame.usage_metadata != NULL:
            usage = UsageReader().take(frame.usage_metadata)
        return ResponseMeta(body=body, usage=usage)


def relays_of(platform: Platform) -> dict[tuple[str, bool], Bridge]:
    """Return a platform's bridges: by the client's dialect, and whether it generates."""
    made: dict[tuple[str, bool], Bridge] = {}
    for inbound in ("google", WRAPPED):
        made[inbound, True] = GeminiRelay(inbound, platform)
        made[inbound, False] = GeminiCallRelay(inbound, platform)
    return made


def _counted(body: bytes, target: Target) -> bytes:
    """Word a count of tokens in the envelope, where the model stands inside."""
    name = msgspec.json.encode(resource(target.model))
    members = read_members(body)
    inner = members.values.get("generateContentRequest")
    if inner is not None:
        members = read_members(bytes(inner))
    kept = {"model": name}
    return b'{"request":' + patch(members, kept) + b"}"


def _renamed(body: bytes, model: str) -> bytes:
    """Return an answer under another name; the same object where it is its own."""
    at = body.rfind(b'"modelVersion"')
    if at < 0:
        return body
    name = msgspec.json.encode(model)
    match = _VERSION.match(body, at)
    if match is not None:
        if match[1] == name:
            return body
        start, end = match.span(1)
        return body[:start] + name + body[end:]
    try:
        members = read_members(body)
    except UNREADABLE:
        return body
    if members.values.get("modelVersion", name) == name:
        return body
    return patch(members, {"modelVersion": name})


def _renamed_inside(body: bytes, model: str) -> bytes:
    """Return an enveloped answer under another name."""
    try:
        members = read_members(body)
        inner = bytes(members.values["response"])
    except (*UNREADABLE, KeyError):
        return body
    renamed = _renamed(inner, model)
    return body if renamed is inner else patch(members, {"response": renamed})


def _unwrapped(body: bytes) -> bytes:
    """Return an answer without its envelope; its trace becomes the id it lacks."""
    try:
        members = read_members(body)
        inner = read_members(bytes(members.values["response"]))
    except (*UNREADABLE, KeyError):
        return body
    trace = members.values.get("traceId")
    if trace is not None and "responseId" not in inner.values:
        return patch(inner, {"responseId": bytes(trace)})
    return inner.body


def _enveloped(body: bytes) -> bytes:
    """Put an answer into the envelope, its id beside it."""
    try:
        members = read_members(body)
    except UNREADABLE:
        return body
    if "error" in members.values or "totalTokens" in members.values:
        return body
    trace = bytes(members.values.get("responseId", b""))
    tail = b',"traceId":' + trace if trace else b""
    return b'{"response":' + body + tail + b"}"
