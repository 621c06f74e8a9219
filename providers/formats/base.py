"""The types every wire format speaks, and the protocol the proxy rooms know.

A *format* (dialect) is how a client or a vendor talks: paths, request body, answer,
stream, errors. A *bridge* joins an inbound format with an upstream format; when both
are the same it relays bytes and only patches spans. Rooms see formats and bridges and
never a dialect's own field names.

All parts are synchronous and free of I/O, so that a test can feed recorded bytes cut
at every offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.jsonspans import Members

Op: TypeAlias = Literal["chat", "models", "model"]

NEED_TOOLS: Final = 1
NEED_VISION: Final = 2
NEED_JSON_SCHEMA: Final = 4
NEED_LOGPROBS: Final = 8
NEED_AUDIO: Final = 16
NEED_FILES: Final = 32
NEED_REASONING: Final = 64
NEED_CHOICES: Final = 128

NEED_NAMES: Final[dict[str, int]] = {
    "tools": NEED_TOOLS,
    "vision": NEED_VISION,
    "json_schema": NEED_JSON_SCHEMA,
    "logprobs": NEED_LOGPROBS,
    "audio": NEED_AUDIO,
    "files": NEED_FILES,
    "reasoning": NEED_REASONING,
    "choices": NEED_CHOICES,
}
"""What a request asks a model to be able to do, as bits of one stored integer."""

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""An upstream event above this is an attack or a bug; the stream ends in an error."""

MAX_LOOSE_ITEMS: Final = 500_000
"""Above this nothing is made into objects: it takes seconds and a hundredfold memory."""

UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""All a decoder raises for bytes it cannot read: text that is not UTF-8 is a
``UnicodeDecodeError``, a ValueError, and no ``DecodeError``.
"""


def is_bulky(body: bytes) -> bool:
    """Tell whether some JSON would become too many objects; every item has a comma."""
    return len(body) > MAX_LOOSE_ITEMS and body.count(b",") > MAX_LOOSE_ITEMS


class FormatError(Exception):
    """Refuse a client's request body; the client's fault, never retried.

    Shapes:  ``message`` is a sentence fit for the client, ``code`` a stable word,
             ``param`` the field at fault where one is.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_request",
        param: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.status = status


class FramingError(Exception):
    """Report bytes that cannot be framed: an event above the cap, a torn record."""


class Route(msgspec.Struct, frozen=True):
    """Name an inbound path of a format; ``{model}`` matches the rest of the path."""

    method: str
    path: str
    op: Op


class ErrorDetail(msgspec.Struct, frozen=True):
    """Hold an error as an upstream worded it.

    Shapes:  ``raw`` is the body or frame payload it was read from, for passing on
             verbatim where rule 10 of the design allows it.
    """

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    raw: bytes = b""


class ChatRequest(msgspec.Struct):
    """Hold what the rooms must know about a generation request, and its bytes.

    Shapes:  ``body`` is the client's body untouched; ``members`` its top-level
             values and where they are, for patching by span. ``max_output_tokens``
             is what the client asked, in either spelling, None when it did not.
             ``needs`` is a bit set of ``NEED_*``. ``content_spans`` are the
             parts of the body a model reads, for ``pricing.estimate``.
    """

    dialect: str
    body: bytes
    model: str
    members: Members
    content_spans: tuple[tuple[int, int], ...] = ()
    stream: bool = False
    include_usage: bool = False
    max_output_tokens: int | None = None
    n: int = 1
    needs: int = 0
    end_user: str | None = None
    session: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None

    def __repr__(self) -> str:
        # Prompts must not reach a log through a stray repr.
        return f"<ChatRequest {self.model!r} {len(self.body)} bytes>"


class UpstreamRequest(msgspec.Struct, frozen=True):
    """Hold one attempt's request as an upstream wants it.

    Shapes:  ``path`` is appended to the provider's base URL. ``usage_injected`` tells
             the answer's reader to take back out what was only asked for the meter.
             ``losses`` names what a translation had to leave behind.
    """

    body: bytes
    path: str
    model: str
    usage_injected: bool = False
    losses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<UpstreamRequest {self.model!r} {len(self.body)} bytes>"


class ResponseMeta(msgspec.Struct):
    """Hold what a buffered answer says, and the bytes for the client.

    Shapes:  ``usage`` is None when the upstream reported none. ``error`` is set when
             a 200 carries an error instead of an answer: ``body`` must then not be
             sent as a success. ``text_bytes`` counts the answer's text for estimates.
    Units:   ``vendor_cost_nano_usd`` is the cost the vendor stated, if any.
    """

    body: bytes
    usage: TokenUsage | None = None
    flags: tuple[str, ...] = ()
    vendor_cost_nano_usd: int | None = None
    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str, ...] = ()
    text_bytes: int = 0
    error: ErrorDetail | None = None


class StreamTap(Protocol):
    """Turn one attempt's upstream bytes into the client's bytes, metering a copy.

    A tap holds everything back until the first useful event, so that the caller may
    still throw it away and try the next candidate. The caller feeds it, forwards what
    it returns, and reads its attributes after each call.
    """

    @property
    def useful(self) -> bool:
        """A useful event was seen: bytes have been handed out, failover is over."""

    @property
    def error(self) -> ErrorDetail | None:
        """The upstream reported an error in the stream; nothing is handed out after."""

    @property
    def finished(self) -> bool:
        """Every choice the stream opened has a finish reason."""

    @property
    def done(self) -> bool:
        """The terminator was handed out; whatever follows is discarded."""

    @property
    def complete(self) -> bool:
        """The answer ended as the dialect ends, without an error."""

    @property
    def usage(self) -> TokenUsage | None:
        """The last usage the stream carried; None when it carried none."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What was odd about the usage, by short names."""

    @property
    def vendor_cost_nano_usd(self) -> int | None:
        """The cost the vendor stated."""

    @property
    def model(self) -> str | None:
        """The model the upstream says it served."""

    @property
    def response_id(self) -> str | None:
        """The upstream's id of the answer."""

    @property
    def service_tier(self) -> str | None:
        """The tier the upstream says it served."""

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The raw finish reasons, in order of arrival."""

    @property
    def text_bytes(self) -> int:
        """Bytes of text, reasoning and arguments seen so far, for estimates."""

    @property
    def out_bytes(self) -> int:
        """Bytes handed out so far."""

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes and return what the client may have now.

        Errors:  FramingError when an event passes ``MAX_EVENT_BYTES``.
        """

    def eof(self) -> bytes:
        """Take the end of the upstream body and return the closing bytes.

        Only afterwards ``complete`` is final.
        """


class ClientStream(Protocol):
    """Write what the proxy itself has to say inside one client's stream.

    Some dialects need state for that (a keep-alive may only follow an opening), so
    there is one per client call; a tap learns from it what was already opened.
    """

    def keepalive(self) -> bytes:
        """Return a content-free frame that resets the client's idle timer."""

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return the dialect's in-stream error: the last bytes of a broken answer."""


class Bridge(Protocol):
    """Join one inbound format with one upstream format."""

    def build_request(
        self,
        request: ChatRequest,
        *,
        model: str,
        drop: frozenset[str] = frozenset(),
    ) -> UpstreamRequest:
        """Build one attempt's body.

        Shapes:  ``model`` is the upstream's own id. ``drop`` names top-level fields
                 this upstream was learned to refuse.
        """

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a buffered 2xx answer and make the client's body of it.

        Fails:   never on odd content: what is no answer comes back with ``error``.
        """

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start reading one attempt's streamed 2xx answer."""


class WireFormat(Protocol):
    """Describe one dialect, on the client's side and on the upstream's side."""

    id: str
    routes: tuple[Route, ...]
    stream_content_type: str

    def read_request(
        self, body: bytes, *, path_model: str | None = None
    ) -> ChatRequest:
        """Peek into a request body, parsing only what the rooms need.

        Errors:  FormatError.
        Cost:    linear in the body at memory speed; nothing nested becomes objects.
        """

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Start the proxy's own side of a client's stream."""

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error in this dialect: (HTTP status, JSON body)."""

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of names a client key may ask for."""

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one entry of the list of models."""

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below a provider's base URL."""

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the headers that carry an API key to this upstream."""

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error body; tolerates anything, JSON or not."""

    def passthrough(self) -> Bridge:
        """Return the bridge for a client and an upstream that both speak this."""
