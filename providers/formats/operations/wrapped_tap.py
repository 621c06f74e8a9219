"""A tap around another: what it meters is the other's, what it hands out is not."""

from __future__ import annotations

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.taps import StreamTap


class WrappedTap:
    """Hand out another tap's bytes, worded anew; see ``base.StreamTap``."""

    def __init__(self, inner: StreamTap) -> None:
        self._inner = inner
        self.out_bytes = 0

    @property
    def useful(self) -> bool:
        """Something was handed out."""
        return self._inner.useful

    @property
    def error(self) -> ErrorDetail | None:
        """The upstream's error."""
        return self._inner.error

    @property
    def finished(self) -> bool:
        """Every choice has its finish."""
        return self._inner.finished

    @property
    def done(self) -> bool:
        """The end was handed out."""
        return self._inner.done

    @property
    def complete(self) -> bool:
        """The answer ended as its dialect ends."""
        return self._inner.complete

    @property
    def usage(self) -> TokenUsage | None:
        """The last usage."""
        return self._inner.usage

    @property
    def flags(self) -> tuple[str, ...]:
        """What was odd about it."""
        return self._inner.flags

    @property
    def vendor_cost_nano_usd(self) -> int | None:
        """The cost the vendor stated."""
        return self._inner.vendor_cost_nano_usd

    @property
    def model(self) -> str | None:
        """The model the upstream says it served."""
        return self._inner.model

    @property
    def response_id(self) -> str | None:
        """The upstream's id."""
        return self._inner.response_id

    @property
    def service_tier(self) -> str | None:
        """The tier the upstream says it served."""
        return self._inner.service_tier

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The raw reasons."""
        return self._inner.finish_reasons

    @property
    def text_bytes(self) -> int:
        """Bytes of text so far."""
        return self._inner.text_bytes

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes, return what the client may have now."""
        return self._passed(self._inner.feed(data))

    def eof(self) -> bytes:
        """Take the end of the body, return the closing bytes."""
        return self._passed(self._inner.eof())

    def _passed(self, data: bytes) -> bytes:
        out = self.worded(data) if data else b""
        self.out_bytes += len(out)
        return out

    def worded(self, data: bytes) -> bytes:
        """Word what the other tap handed out."""
        return data
