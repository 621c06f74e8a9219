"""Join any client's dialect with any upstream's through the neutral form.

::

    client's body -> decode_request -> fit -> encode_request -> upstream
    upstream's bytes -> decoder -> Repair -> Restore -> encoder -> client's bytes

Whether the upstream streams and whether the client wants a stream are two questions:
all four answers go through the same events, so they are metered and worded alike.
"""

from __future__ import annotations

import time

import msgspec

from providers.formats.base import (
    MAX_EVENT_BYTES,
    ChatRequest,
    FormatError,
    FramingError,
    ResponseMeta,
    Target,
    UpstreamRequest,
    is_bulky,
)
from providers.formats.capabilities import Capabilities, capabilities
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.codec import Codec, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.fit.fitted import Fitted, fit
from providers.formats.neutral.fit.media import urls_to_fetch
from providers.formats.neutral.gather import Meter, gather
from providers.formats.neutral.metered import MeteredTap
from providers.formats.neutral.repair import Repair, failed
from providers.formats.neutral.restore import Restore
from providers.formats.neutral.types import Request
from providers.formats.taps import ClientStream, StreamTap

_MAX_STREAM_BYTES = 64 * 1024 * 1024
_MAX_BODY_BYTES = 40 * 1024 * 1024
_BROKEN = ErrorDetail(
    message="The upstream's answer broke off.",
    type="server_error",
    code="upstream_truncated",
)


class Translation(msgspec.Struct, frozen=True):
    """Keep what an attempt's answer needs to find its way back."""

    request: Request
    fitted: Fitted
    reply: Reply


class TranslationBridge:
    """Translate between two dialects; one object for each pair."""

    def __init__(self, source: Codec, target: Codec, format_id: str) -> None:
        self._source = source
        self._target = target
        self._format = format_id

    def neutral(self, request: ChatRequest) -> Request:
        """Return the neutral form of a request, made once.

        Errors:  FormatError.
        """
        known = request.neutral
        if not isinstance(known, Request):
            # Raw values are kept unread, and are text somewhere later.
            if not _is_text(request.body):
                raise FormatError("The body is not UTF-8.", code="invalid_json")
            if is_bulky(request.body):
                raise FormatError(
                    "The request has too many items to be translated.",
                    code="request_too_large",
                    status=413,
                )
            known = request.neutral = self._source.decode_request(request)
        return known

    def urls_to_fetch(self, request: ChatRequest, target: Target) -> list[str]:
        """Return the addresses of files this upstream does not fetch itself.

        Errors:  FormatError.
        Cost:    a search for ``http`` in a body that names none.
        """
        if b"http" not in request.body:
            return []
        return urls_to_fetch(self.neutral(request), self._caps(target))

    def _caps(self, target: Target) -> Capabilities:
        owner = target.catalogue or target.provider
        return capabilities(self._format, owner, target.model)

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Translate a request.

        Errors:  FormatError.
        """
        neutral = self.neutral(request)
        caps = self._caps(target)
        fitted = fit(neutral, target, caps, request.fetched)
        encoded = self._target.encode_request(fitted.request, target, caps)
        losses = dict.fromkeys(
            loss.word for loss in (*neutral.losses, *fitted.losses, *encoded.losses)
        )
        return UpstreamRequest(
            body=encoded.body,
            path=encoded.path,
            model=target.model,
            losses=tuple(losses),
            headers=encoded.headers,
            is_stream=encoded.is_stream,
            context=Translation(
                neutral, fitted, Reply(model=target.model, scope=target.scope)
            ),
        )

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Translate a whole answer, or a stream nobody asked for."""
        made = _translation(sent)
        events = _whole_events(self._target, made.reply, body)
        events = Restore(made.fitted).feed(Repair().feed(events))
        answer = gather(events)
        error = answer.error
        if error is None and not answer.is_complete:
            error = _BROKEN
        if error is not None:
            # What failed may have cost something all the same.
            return ResponseMeta(
                body=b"",
                error=error,
                usage=answer.usage,
                flags=answer.flags,
                vendor_cost_nano_usd=answer.vendor_cost_nano_usd,
            )
        return _meta(answer, events, self._source, _view(request, made))

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start translating a stream."""
        made = _translation(sent)
        view = _view(request, made)
        return TranslationTap(self._source, self._target, made, view, stream=stream)


class TranslationTap(MeteredTap):
    """Translate one stream; see ``base.StreamTap`` for the contract."""

    def __init__(
        self,
        source: Codec,
        target: Codec,
        made: Translation,
        view: View,
        *,
        stream: ClientStream,
    ) -> None:
        self._target = target
        self._reply = made.reply
        self._decoder = target.open_decoder(made.reply)
        self._repair = Repair()
        self._restore = Restore(made.fitted)
        self._encoder = source.open_encoder(view, stream)
        super().__init__()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._whole: bytearray | None = None
        self._in_bytes = 0
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return the client's."""
        if self._closed:
            return b""
        self._in_bytes += len(data)
        if self._in_bytes > _MAX_STREAM_BYTES:
            # Repair keeps each part whole until it closes.
            raise FramingError("the answer is larger than the limit")
        if not self._started and not self._start(data):
            return b""
        return self._passed(self._decoder.feed(data))

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes."""
        if self._closed:
            return b""
        if self._whole is not None:
            events = self._target.decode_answer(bytes(self._whole), self._reply)
        else:
            events = self._decoder.eof()
        out = self._passed(events)
        self._closed = True
        return out

    def _start(self, data: bytes) -> bool:
        """Look at the first bytes: a whole answer is collected and split up later."""
        if self._whole is None:
            first = data.lstrip()[:1]
            if self._target.framing == "ndjson" or first not in (b"{", b"["):
                self._started = bool(first) or self._target.framing != "sse"
                return True
            self._whole = bytearray()
        self._whole += data
        if len(self._whole) > _MAX_BODY_BYTES:
            raise FramingError("the answer is larger than the limit")
        return False

    def _passed(self, events: list[AnyEvent]) -> bytes:
        """Word some events, or hold them until something useful was seen."""
        events = self._restore.feed(self._repair.feed(events))
        if not events:
            return b""
        meter = self._meter
        meter.take(events)
        if meter.is_ended or meter.error is not None:
            self._closed = True
        if meter.error is not None and not meter.useful:
            return b""
        out = self._encoder.encode(events)
        if not meter.useful:
            self._held.append(out)
            self._held_bytes += len(out)
            if self._held_bytes > MAX_EVENT_BYTES:
                raise FramingError("no content within the limit")
            return b""
        if self._held:
            out = b"".join(self._held) + out
            self._held = []
        self.out_bytes += len(out)
        return out


def _whole_events(codec: Codec, reply: Reply, body: bytes) -> list[AnyEvent]:
    """Take a whole answer apart, also where it came as a stream nobody asked for."""
    # Lines of JSON are taken apart by the same reader, one line or many.
    if codec.framing == "ndjson" or body.lstrip()[:1] in (b"{", b"["):
        return codec.decode_answer(body, reply)
    decoder = codec.open_decoder(reply)
    try:
        return [*decoder.feed(body), *decoder.eof()]
    except FramingError as error:
        return [failed(str(error))]


def _is_text(body: bytes) -> bool:
    """Tell whether some bytes are UTF-8; most are ASCII, which is told at once."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _translation(sent: UpstreamRequest) -> Translation:
    made = sent.context
    if not isinstance(made, Translation):  # pragma: no cover - build_request made it
        raise TypeError("This request was not built by a translation.")
    return made


def _view(request: ChatRequest, made: Translation) -> View:
    return View(
        model=request.model,
        request=made.request,
        asked=request,
        input_estimate=request.input_estimate_tokens,
        created=int(time.time()),
    )


def _meta(
    answer: Answer, events: list[AnyEvent], source: Codec, view: View
) -> ResponseMeta:
    meter = Meter()
    meter.take(events)
    return ResponseMeta(
        body=source.encode_answer(answer, view),
        usage=answer.usage,
        flags=answer.flags,
        vendor_cost_nano_usd=answer.vendor_cost_nano_usd,
        model=meter.model,
        response_id=meter.response_id,
        service_tier=meter.service_tier,
        finish_reasons=meter.finish_reasons,
        text_bytes=meter.text_bytes,
    )
