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
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import Members
from providers.formats.taps import ClientStream, StreamTap

if TYPE_CHECKING:
    from providers.formats.neutral.codec import Codec

Op: TypeAlias = Literal[
    "chat",
    "completions",
    "embeddings",
    "images",
    "speech",
    "transcription",
    "moderations",
    "rerank",
    "count_tokens",
    "models",
    "model",
    "local",
]
"""What a path asks for. ``chat`` is every generation of text, whatever the dialect calls
it; ``local`` is answered by the format itself, without an upstream.
"""

WRITING_OPS: Final[frozenset[Op]] = frozenset({"chat", "completions"})
"""What writes as much text as it is let; every other operation knows its bounds."""

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
    """Name an inbound path of a format; ``{model}`` matches the rest of the path.

    Shapes:  ``is_stream`` = the path itself asks for a stream, whatever the body says.
    """

    method: str
    path: str
    op: Op
    is_stream: bool = False


class Arrival(msgspec.Struct, frozen=True):
    """Hold what beside its body decides how a request is read.

    Shapes:  ``path`` is the matched route's, ``fields`` are the headers by lower-case
             name, ``query`` the raw query string.
    """

    op: Op = "chat"
    path: str = ""
    path_model: str | None = None
    is_stream: bool = False
    query: bytes = b""
    fields: Mapping[bytes, bytes] = {}


ARRIVED: Final = Arrival()
"""A plain generation call whose model is in its body."""


class Target(msgspec.Struct, frozen=True):
    """Say which upstream one attempt's request is built for.

    Shapes:  ``model`` is the upstream's own id. ``drop`` names top-level fields this
             upstream was learned to refuse. ``provider`` is the provider's slug and
             ``catalogue`` its entry in the catalogue, both blank when unknown; they
             and the model find its capabilities. ``options`` are the provider's own
             settings (``region``, ``project``, ``location``, ``api_version`` ...).
             ``scope`` names the credential, for state that is bound to an account;
             ``is_account`` = it is a sign-in many people may use together.
             ``max_output_tokens`` is the model's own ceiling.
    """

    model: str
    drop: frozenset[str] = frozenset()
    provider: str = ""
    catalogue: str = ""
    options: Mapping[str, str] = {}
    scope: str = ""
    is_account: bool = False
    max_output_tokens: int | None = None
    context_window: int | None = None


class Fetched(msgspec.Struct, frozen=True):
    """Hold a file fetched for an upstream that does not fetch; ``data`` is base64."""

    media_type: str
    data: str


class ChatRequest(msgspec.Struct):
    """Hold what the rooms must know about a generation request, and its bytes.

    Shapes:  ``body`` is the client's body untouched; ``members`` its top-level
             values and where they are, for patching by span. ``max_output_tokens``
             is what the client asked, in either spelling, None when it did not.
             ``needs`` is a bit set of ``NEED_*``. ``content_spans`` are the
             parts of the body a model reads, for ``pricing.estimate``. ``neutral``
             keeps the translated form, made once however many candidates are asked.
             ``fetched`` are pictures by URL, for upstreams that take none by URL.
             ``input_estimate_tokens`` is for dialects that state usage at the start.
             ``context_window`` is the model's, where a dialect answers by itself.
             ``units`` of ``unit_kind`` (see ``pricing.tokens``) are what it is billed
             in beside tokens, at most; None = nothing but tokens.
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
    arrival: Arrival = Arrival()
    neutral: object = None
    fetched: Mapping[str, Fetched] = {}
    input_estimate_tokens: int | None = None
    context_window: int | None = None
    units: int | None = None
    unit_kind: str | None = None

    def __repr__(self) -> str:
        # Prompts must not reach a log through a stray repr.
        return f"<ChatRequest {self.model!r} {len(self.body)} bytes>"


class UpstreamRequest(msgspec.Struct, frozen=True):
    """Hold one attempt's request as an upstream wants it.

    Shapes:  ``path`` is appended to the provider's base URL, query included.
             ``usage_injected`` tells the answer's reader to take back out what was
             only asked for the meter. ``losses`` names what a translation had to leave
             behind. ``headers`` are what this dialect needs beside the credential.
             ``is_stream`` = the upstream was asked to stream, which may differ from
             what the client asked. ``context`` is the bridge's own, for the answer.
    """

    body: bytes
    path: str
    model: str
    usage_injected: bool = False
    losses: tuple[str, ...] = ()
    method: str = "POST"
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    is_stream: bool = False
    context: object = None

    def __repr__(self) -> str:
        return f"<UpstreamRequest {self.model!r} {len(self.body)} bytes>"


class ResponseMeta(msgspec.Struct):
    """Hold what a buffered answer says, and the bytes for the client.

    Shapes:  ``usage`` is None when the upstream reported none. ``error`` is set when
             a 200 carries an error instead of an answer: ``body`` must then not be
             sent as a success. ``text_bytes`` counts the answer's text for estimates.
             ``content_type`` blank = JSON; ``keeps_type`` = the upstream's own is
             better, if it is one of text or media.
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
    content_type: str = ""
    keeps_type: bool = False


class Bridge(Protocol):
    """Join one inbound format with one upstream format."""

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Build one attempt's body.

        Errors:  FormatError when this upstream cannot express what was asked.
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

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
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

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Return the bridge from a client's dialect that needs no translation.

        Shapes:  bytes through where ``inbound`` is this dialect, an envelope where this
                 is one around it; None = it must be translated, or cannot be served.
                 ``model`` is the upstream's own id.
        """

    def codec(self, model: str) -> Codec | None:
        """Return what translates this dialect; None when nothing does."""
