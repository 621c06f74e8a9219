"""What an attempt costs: one price, one usage, one rounding.

The same arithmetic serves the ledger (a number), the console (a line per counter) and
recalculation, so a bill can always be explained by the lines under it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from poolsite.money import (
    NANO_PER_USD,
    UNITS_PER_PRICE,
    AmountError,
    ceil_div,
    nano_from_usd,
)
from pricing.tokens import EMPTY, TokenUsage

_MAX_VENDOR_COST: Final = 1_000_000 * NANO_PER_USD
"""A single call above this is a vendor's bug, not a bill."""


class PriceSpec(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Hold one price version's columns.

    Units:   integer nano-USD per million units (tokens, requests, images, seconds,
             characters, calls); USD 3 per million tokens is 3_000_000_000.
             None = unknown or not listed, 0 = free.
    Shapes:  ``long_*`` replaces its base column when the prompt has more than
             ``long_threshold`` tokens; ``flex_*``, ``priority_*`` and ``batch_*`` when
             the vendor served that tier. What a tier leaves None is billed at the base
             column, but for what vendors price by another column: ``FOLLOWED``.

    A None column with tokens to bill falls back as ``FALLBACKS`` says: a vendor that
    lists no cached rate bills the plain input rate. Unknown input or output prices
    have no fallback: the cost is then unknown, never zero.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    per_request: int | None = None
    per_image: int | None = None
    per_second: int | None = None
    per_video_second: int | None = None
    per_character: int | None = None
    per_tool_call: int | None = None
    long_threshold: int | None = None
    long_input: int | None = None
    long_output: int | None = None
    long_cache_read: int | None = None
    long_cache_write: int | None = None
    long_cache_write_1h: int | None = None
    flex_input: int | None = None
    flex_output: int | None = None
    flex_cache_read: int | None = None
    priority_input: int | None = None
    priority_output: int | None = None
    priority_cache_read: int | None = None
    batch_input: int | None = None
    batch_output: int | None = None
    batch_cache_read: int | None = None


class CostLine(msgspec.Struct, frozen=True, gc=False):
    """Explain one part of a cost.

    Units:   ``count`` in tokens or units; ``price`` in nano-USD per million of them,
             None when unknown; ``cost_nano_usd`` is this line's share of the total
             (shares add up to the attempt's cost exactly), None when unknown.
    Shapes:  ``kind`` is the counter; ``column`` the price column that was applied,
             so ``cache_read_tokens`` billed by ``input`` shows as such.
    """

    kind: str
    count: int
    column: str
    price: int | None
    cost_nano_usd: int | None


FALLBACKS: Final[dict[str, tuple[str, ...]]] = {
    "input": ("input",),
    "cache_read": ("cache_read", "input"),
    "cache_write": ("cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "audio_in": ("audio_in", "input"),
    "image_in": ("image_in", "input"),
    "output": ("output",),
    "reasoning": ("reasoning", "output"),
    "audio_out": ("audio_out", "output"),
    "image_out": ("image_out", "output"),
}
"""Columns tried in order for each counter; the first that is not None is billed."""

FOLLOWED: Final[dict[str, str]] = {
    "cache_write": "input",
    "cache_write_1h": "input",
    "reasoning": "output",
}
"""Columns that move with another one in a tier: a write is a multiple of the input."""

TIERS: Final = frozenset({"flex", "priority", "batch"})
"""Service tiers with columns of their own; every other word is the usual price."""

UNIT_COLUMNS: Final[dict[str, str]] = {
    "image": "per_image",
    "second": "per_second",
    "video_second": "per_video_second",
    "character": "per_character",
    "tool_call": "per_tool_call",
    "request": "per_request",
}

_INPUT_COUNTERS: Final = (
    ("input_tokens", "input"),
    ("cache_read_tokens", "cache_read"),
    ("cache_write_tokens", "cache_write"),
    ("cache_write_1h_tokens", "cache_write_1h"),
    ("audio_in_tokens", "audio_in"),
    ("image_in_tokens", "image_in"),
)
_MEDIA_OUT_COUNTERS: Final = (
    ("audio_out_tokens", "audio_out"),
    ("image_out_tokens", "image_out"),
)


def cost_nano_usd(
    usage: TokenUsage,
    price: PriceSpec | None,
    *,
    service_tier: str | None = None,
    requests: int = 1,
) -> int | None:
    """Price one attempt.

    Shapes:  ``service_tier`` is the tier the vendor says it served, in its own
             letters (``flex``, ``PRIORITY``, ``batch``); others are billed at the base
             price. ``requests`` is 0 for an attempt the vendor does not count as one.
    Units:   nano-USD, one rounding up over the sum of all lines.
    Fails:   None when there is no price, when nothing was reported, or when a counter
             above zero meets a price that is unknown.
    """
    if price is None or usage == EMPTY:
        return None
    tier = _tier(service_tier)
    if _is_plain(usage, price, tier):
        return _plain_cost(usage, price, requests)
    total = 0
    for _, count, _, rate in _billed(usage, price, tier, requests):
        if rate is None:
            return None
        total += count * rate
    return ceil_div(total, UNITS_PER_PRICE)


def cost_lines(
    usage: TokenUsage,
    price: PriceSpec | None,
    *,
    service_tier: str | None = None,
    requests: int = 1,
) -> list[CostLine]:
    """Break a cost into its lines, by the arithmetic of ``cost_nano_usd``.

    Shapes:  one line per counter above zero. Each line carries the growth of the
             rounded running total, so that the lines of a known cost add up to it to
             the nano-dollar. From the first unknown price on, shares are None.
    """
    lines: list[CostLine] = []
    if usage.is_empty:
        return lines
    total = 0
    rounded = 0
    known = price is not None
    spec = price or PriceSpec()
    tier = _tier(service_tier)
    for kind, count, column, rate in _billed(usage, spec, tier, requests):
        share: int | None = None
        known = known and rate is not None
        if known and rate is not None:
            total += count * rate
            share = ceil_div(total, UNITS_PER_PRICE) - rounded
            rounded += share
        lines.append(CostLine(kind, count, column, rate, share))
    return lines


def parse_vendor_cost(text: str | bytes | float) -> int | None:
    """Read a cost the vendor reported, as nano-USD.

    Shapes:  decimal text exactly as on the wire, exponents included; a float is read
             by its shortest text.
    Units:   USD in, nano-USD out, rounded half to even.
    Fails:   None for anything that is not a finite amount from 0 to 1,000,000 USD.
    """
    try:
        raw = text.decode("ascii") if isinstance(text, bytes) else str(text)
        cost = nano_from_usd(raw.strip().strip('"'))
    except (AmountError, UnicodeDecodeError):
        return None
    return cost if 0 <= cost <= _MAX_VENDOR_COST else None


def _tier(service_tier: str | None) -> str:
    """Return a tier that has columns of its own, blank for every other."""
    if not service_tier:
        return ""
    word = service_tier.strip().lower()
    return word if word in TIERS else ""


def _is_plain(usage: TokenUsage, price: PriceSpec, tier: str) -> bool:
    """Tell the usual case: text in, text out, and no rule that changes a rate."""
    return not (
        usage.cache_read_tokens
        or usage.cache_write_tokens
        or usage.cache_write_1h_tokens
        or usage.audio_in_tokens
        or usage.audio_out_tokens
        or usage.image_in_tokens
        or usage.image_out_tokens
        or usage.units is not None
        or (usage.reasoning_tokens and price.reasoning is not None)
        or price.long_threshold is not None
        or tier
    )


def _plain_cost(usage: TokenUsage, price: PriceSpec, requests: int) -> int | None:
    """Price the usual case: what ``_billed`` would find, without looking."""
    total = requests * (price.per_request or 0)
    for count, rate in (
        (usage.input_tokens, price.input),
        (usage.output_tokens, price.output),
    ):
        if count:
            if rate is None:
                return None
            total += count * rate
    return ceil_div(total, UNITS_PER_PRICE)


def _billed(
    usage: TokenUsage, price: PriceSpec, tier: str, requests: int
) -> list[tuple[str, int, str, int | None]]:
    """List (counter, count, column, rate) for everything above zero."""
    is_long = (
        price.long_threshold is not None and usage.prompt_tokens > price.long_threshold
    )
    rows: list[tuple[str, int, str, int | None]] = []

    def bill(kind: str, count: int | None, column: str) -> None:
        if count:
            name, rate = _rate(price, column, is_long, tier)
            rows.append((kind, count, name, rate))

    for kind, column in _INPUT_COUNTERS:
        bill(kind, getattr(usage, kind), column)
    output = usage.output_tokens or 0
    reasoning = min(usage.reasoning_tokens or 0, output)
    if price.reasoning is None:
        reasoning = 0
    bill("output_tokens", output - reasoning, "output")
    bill("reasoning_tokens", reasoning, "reasoning")
    for kind, column in _MEDIA_OUT_COUNTERS:
        bill(kind, getattr(usage, kind), column)
    _bill_units(rows, usage, price, requests)
    return rows


def _bill_units(
    rows: list[tuple[str, int, str, int | None]],
    usage: TokenUsage,
    price: PriceSpec,
    requests: int,
) -> None:
    """Add the lines that are not counted in tokens."""
    kind = usage.unit_kind or ""
    column = UNIT_COLUMNS.get(kind, "")
    rate = getattr(price, column) if column else None
    if rate is None and price.input == 0 and price.output == 0:
        rate = 0  # What is free by the token is not dear by the piece.
    if usage.units and kind and kind != "request":
        rows.append((f"units:{kind}", usage.units, column, rate))
    elif usage.units is not None and kind == "request":
        requests = usage.units
        if rate is None and usage.units and not usage.total_tokens:
            rows.append(("requests", usage.units, column, None))
    if requests and price.per_request is not None:
        rows.append(("requests", requests, "per_request", price.per_request))


def _rate(
    price: PriceSpec, column: str, is_long: bool, tier: str
) -> tuple[str, int | None]:
    """Find the rate of a counter: fallback column, then long context, then tier."""
    for name in FALLBACKS[column]:
        base: int | None = getattr(price, name)
        if base is not None:
            break
    else:
        return FALLBACKS[column][-1], None
    label, rate = name, base
    if is_long:
        long: int | None = getattr(price, f"long_{name}", None)
        if long is not None:
            label, rate = f"long_{name}", long
    if tier:
        # Vendors state tiers for short prompts: on a long one the same discount or
        # surcharge applies to the long price, rounded up to a whole rate.
        for known in (name, FOLLOWED.get(name, name)):
            usual: int | None = getattr(price, known)
            tiered: int | None = getattr(price, f"{tier}_{known}", None)
            if tiered is not None and usual:
                is_plain = label == name == known
                scaled = tiered if is_plain else ceil_div(rate * tiered, usual)
                return f"{tier}_{label}", scaled
            if tiered is not None and known == name:
                return f"{tier}_{label}", tiered  # of what is free otherwise
    return label, rate
