"""A price version and a service tier, made ready for a million attempts.

Most attempts use text in, cached text in, and text out. Their rates do not depend on
what else was used, so they are looked up once; everything else goes the long way. Both
ways give the same number.
"""

from __future__ import annotations

from typing import Any

from poolsite.money import UNITS_PER_PRICE, ceil_div
from pricing.cost import PriceSpec, cost_lines, cost_nano_usd
from pricing.tokens import TokenUsage

_ONE_OF_EACH = TokenUsage(input_tokens=1, cache_read_tokens=1, output_tokens=1)


class Tariff:
    """What one price makes of one attempt after another."""

    __slots__ = ("_fixed", "_flags", "_input", "_is_odd", "_output", "_read", "_spec")

    def __init__(self, spec: PriceSpec, flags: str) -> None:
        self._spec = spec
        self._flags = flags or None
        self._is_odd = spec.long_threshold is not None
        lines = cost_lines(_ONE_OF_EACH, spec, service_tier=self._flags)
        rates = {line.kind: line.price for line in lines}
        self._input = rates["input_tokens"]
        self._read = rates["cache_read_tokens"]
        self._output = rates["output_tokens"]
        self._fixed = rates.get("requests") or 0

    def cost(self, used: tuple[Any, ...]) -> int | None:
        """Price what one attempt used, as ``cost_nano_usd`` does.

        Shapes:  ``used`` has the columns of TokenUsage in their order, something
                 among them; no unit is a blank text.
        Cost:    about 0.5 us for text in and out.
        """
        sent, read, write, write_1h, got, thought, *media, units, kind = used
        if (
            self._is_odd
            or write
            or write_1h
            or (thought and self._spec.reasoning is not None)
            or units is not None
            or any(media)
        ):
            values = [*used[:-1], kind or None]
            return cost_nano_usd(
                TokenUsage(*values), self._spec, service_tier=self._flags
            )
        total = self._fixed
        for count, rate in (
            (sent, self._input),
            (read, self._read),
            (got, self._output),
        ):
            if count:
                if rate is None:
                    return None
                total += count * rate
        return ceil_div(total, UNITS_PER_PRICE)
