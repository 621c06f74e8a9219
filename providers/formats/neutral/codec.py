"""What a dialect must offer to be translated from and into.

A dialect that has a ``Codec`` can be joined with every other that has one; the join
itself is ``bridge.TranslationBridge``. Everything here is synchronous and free of I/O.

Source: reference wire 5.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from providers.formats.base import ChatRequest, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.types import Loss, Request
from providers.formats.taps import ClientStream


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a request worded for an upstream.

    Shapes:  ``path`` is appended to the base URL, query included. ``losses`` are only
             what this dialect could not say of a request that was fitted already.
    """

    body: bytes
    path: str
    losses: tuple[Loss, ...] = ()
    headers: Mapping[str, str] = {}
    is_stream: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Say what an upstream's answer answers, for its decoder.

    Shapes:  ``model`` is the upstream's id and ``scope`` the credential; both are
             written into opaque proof. Tool names are still those of the wire.
    """

    model: str
    scope: str = ""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a client's encoder must know of the call.

    Shapes:  ``model`` is the name the client asked for and sees again. ``request`` is
             its neutral request, ``asked`` its peeked one.
    Units:   ``created`` Unix seconds, ``input_estimate`` tokens, for dialects that
             state usage before it is known.
    """

    model: str
    request: Request
    asked: ChatRequest
    request_id: str = ""
    created: int = 0
    input_estimate: int | None = None


class Decoder(Protocol):
    """Make events of one upstream stream."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, cut anywhere, and return the events that became complete.

        Errors:  FramingError for an event above ``MAX_EVENT_BYTES``.
        Fails:   what the upstream reports as an error, and a frame that cannot be
                 read, is a ``Failed``; unknown events are skipped.
        """

    def eof(self) -> list[AnyEvent]:
        """Take the end of the body.

        Shapes:  ``End`` is among the events only when the answer ended as its dialect
                 ends (or ended well enough for this dialect's compatible servers); an
                 answer that broke off gets no ``End``.
        """


class Encoder(Protocol):
    """Make one client's stream of events."""

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """Return the bytes for some events; ``End`` brings the dialect's own ending.

        ``Failed`` brings nothing: the proxy words it with ``ClientStream``.
        """


class Codec(Protocol):
    """Take requests apart and put them together in one dialect."""

    id: str
    framing: Literal["sse", "ndjson", "eventstream"]

    def decode_request(self, request: ChatRequest) -> Request:
        """Take a client's request apart.

        Errors:  FormatError with the field at fault.
        """

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request for an upstream; what cannot be said is a loss.

        The request went through ``fit``: turns, tools, names, limits, reasoning and
        output already are what ``caps`` allows; only the spelling is left to do.

        Errors:  FormatError for what must not be dropped silently.
        """

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take a whole answer apart, into the events a stream of it would have had.

        Fails:   a ``Failed`` event for what is no answer.
        """

    def open_decoder(self, reply: Reply) -> Decoder:
        """Start reading an upstream's stream."""

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """Word a whole answer for the client."""

    def open_encoder(self, view: View, stream: ClientStream) -> Encoder:
        """Start writing a client's stream, going on from what ``stream`` opened."""
