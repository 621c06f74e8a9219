"""What reads an upstream's stream, and what the proxy itself says in a client's."""

from __future__ import annotations

from typing import Protocol

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail


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
