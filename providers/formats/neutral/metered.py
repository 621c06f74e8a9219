"""What every tap that meters by events tells the proxy."""

from __future__ import annotations

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.gather import Meter


class MeteredTap:
    """Answer for one stream from its meter; see ``base.StreamTap`` for the contract."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._closed = False
        self.out_bytes = 0

    @property
    def useful(self) -> bool:
        """Something was handed out."""
        return self._meter.useful

    @property
    def error(self) -> ErrorDetail | None:
        """The upstream's error."""
        return self._meter.error

    @property
    def finished(self) -> bool:
        """Every choice has its finish."""
        return self._meter.finished

    @property
    def done(self) -> bool:
        """The end was handed out."""
        return self._closed and self.useful and self.error is None

    @property
    def complete(self) -> bool:
        """The answer ended as its dialect ends."""
        return self._meter.is_ended and self.useful and self.error is None

    @property
    def usage(self) -> TokenUsage | None:
        """The last usage."""
        return self._meter.usage

    @property
    def flags(self) -> tuple[str, ...]:
        """What was odd about it."""
        return self._meter.flags

    @property
    def vendor_cost_nano_usd(self) -> int | None:
        """The cost the vendor stated."""
        return self._meter.vendor_cost_nano_usd

    @property
    def model(self) -> str | None:
        """The model the upstream says it served."""
        return self._meter.model

    @property
    def response_id(self) -> str | None:
        """The upstream's id."""
        return self._meter.response_id

    @property
    def service_tier(self) -> str | None:
        """The tier the upstream says it served."""
        return self._meter.service_tier

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """The raw reasons."""
        return self._meter.finish_reasons

    @property
    def text_bytes(self) -> int:
        """Bytes of text so far."""
        return self._meter.text_bytes
