"""Read and write prices as people state them: per million, per thousand, for one.

Columns are kept in one unit, nano-USD per million; people copy a price from a page that
has its own. Here a text becomes a column and a column a text again, with errors that
say what to write instead.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NamedTuple

from poolsite.money import (
    NANO_PER_USD,
    AmountError,
    per_million_nano_from_usd,
    per_million_nano_from_usd_per_unit,
)
from pricing.cost import UNIT_COLUMNS, PriceSpec, cost_nano_usd
from pricing.tokens import TokenUsage

MILLION: Final = "million"
THOUSAND: Final = "thousand"
ONE: Final = "one"

TOKEN_UNITS: Final = {
    MILLION: "USD per million tokens",
    THOUSAND: "USD per thousand tokens",
    ONE: "USD per token",
}
"""What a price by the token may be stated per."""

MAIN: Final = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Cache read",
    "cache_write": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
}
MORE_TOKENS: Final = {
    "reasoning": "Reasoning",
    "audio_in": "Audio in",
    "audio_out": "Audio out",
    "image_in": "Image in",
    "image_out": "Image out",
}
LONG: Final = {
    "long_input": "Long context, input",
    "long_output": "Long context, output",
    "long_cache_read": "Long context, cache read",
    "long_cache_write": "Long context, cache write, 5 min",
    "long_cache_write_1h": "Long context, cache write, 1 h",
}
TIERS: Final = {
    "flex_input": "Flex, input",
    "flex_output": "Flex, output",
    "flex_cache_read": "Flex, cache read",
    "priority_input": "Priority, input",
    "priority_output": "Priority, output",
    "priority_cache_read": "Priority, cache read",
    "batch_input": "Batch, input",
    "batch_output": "Batch, output",
    "batch_cache_read": "Batch, cache read",
}
PIECES: Final = {
    "per_request": "Per request",
    "per_image": "Per image",
    "per_second": "Per second of audio",
    "per_video_second": "Per second of video",
    "per_character": "Per character",
    "per_tool_call": "Per tool call",
}
THRESHOLD: Final = "long_threshold"

TOKENS: Final = {**MAIN, **MORE_TOKENS, **LONG, **TIERS}
"""Columns billed by the token, with what people call them."""

LABELS: Final = {**TOKENS, **PIECES, THRESHOLD: "Long context above"}
"""What people call each column."""

_PLAIN: Final = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_LONGEST: Final = 25
_NANO_PLACES: Final = 9
_EXAMPLE: Final = TokenUsage(input_tokens=10_000, output_tokens=1_000)
_CACHED: Final = TokenUsage(
    input_tokens=2_000, cache_read_tokens=8_000, output_tokens=1_000
)
_SHIFTS: Final = {MILLION: 0, THOUSAND: 3, ONE: 6}
_PIECE_WORDS: Final = {
    "per_request": "1 request alone",
    "per_image": "1 image",
    "per_second": "60 seconds of audio",
    "per_video_second": "10 seconds of video",
    "per_character": "1,000 characters",
    "per_tool_call": "1 tool call",
}
_PIECE_COUNTS: Final = {
    "per_second": 60,
    "per_video_second": 10,
    "per_character": 1_000,
}


class PriceTextError(ValueError):
    """A text is no price; the message says what to write instead."""


class Example(NamedTuple):
    """One line of a worked example.

    Units:   nano-USD; None where a price it needs is not known.
    """

    words: str
    nano_usd: int | None

    @property
    def shown(self) -> str:
        """Write the amount in full, with four decimals at least."""
        if self.nano_usd is None:
            return ""
        whole, rest = divmod(self.nano_usd, NANO_PER_USD)
        return f"${whole:,}.{f'{rest:09d}'.rstrip('0').ljust(4, '0')}"


def read_price(text: str, *, per: str = MILLION) -> int:
    """Read a price in USD per million, per thousand or for one.

    Units:   nano-USD per million units out.
    Errors:  PriceTextError for anything but a plain decimal number that is kept
             exactly.
    """
    text = text.strip()
    _refuse_signs(text)
    if len(text) > _LONGEST or not _PLAIN.fullmatch(text):
        raise PriceTextError("Write a plain decimal number, such as 0.25.")
    return nano_of(Decimal(text), per=per)


def nano_of(number: Decimal, *, per: str = MILLION) -> int:
    """Turn an amount in USD per million, per thousand or for one into a column.

    Units:   nano-USD per million units out.
    Errors:  PriceTextError for an amount that is negative, absurd or not kept exactly.
    """
    if len(number.as_tuple().digits) > _LONGEST:
        raise PriceTextError("Write a plain decimal number, such as 0.25.")
    try:
        if per == ONE:
            return per_million_nano_from_usd_per_unit(number, exact=True)
        shift = Decimal(1000) if per == THOUSAND else Decimal(1)
        return per_million_nano_from_usd(number * shift, exact=True)
    except AmountError as exc:
        raise PriceTextError(str(exc)) from exc


def write_price(nano: int | None, *, per: str = MILLION) -> str:
    """Write a column in plain digits, as ``read_price`` reads it; None is blank."""
    if nano is None:
        return ""
    digits = tuple(int(digit) for digit in str(nano))
    text = f"{Decimal((0, digits, -_NANO_PLACES - _SHIFTS[per])):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit_of(column: str) -> str:
    """Say in short what one price of a column is for."""
    if column in PIECES:
        return PIECES[column].removeprefix("Per ")
    return "1 M tokens"


def examples(spec: PriceSpec) -> list[Example]:
    """Work out what a price means: the usual call first, then what else it prices."""
    found = []
    if spec.input is not None or spec.output is not None:
        found.append(Example("10 k in + 1 k out", cost_nano_usd(_EXAMPLE, spec)))
    if spec.cache_read is not None:
        cost = cost_nano_usd(_CACHED, spec)
        found.append(Example("the same with 8 k of it read from cache", cost))
    if spec.long_threshold is not None and spec.long_input is not None:
        tokens = spec.long_threshold * 2
        usage = TokenUsage(input_tokens=tokens, output_tokens=1_000)
        words = f"{tokens:,} in + 1 k out, long context"
        found.append(Example(words, cost_nano_usd(usage, spec)))
    for kind, column in UNIT_COLUMNS.items():
        if getattr(spec, column) is None:
            continue
        count = _PIECE_COUNTS.get(column, 1)
        cost = cost_nano_usd(TokenUsage(units=count, unit_kind=kind), spec, requests=0)
        found.append(Example(_PIECE_WORDS[column], cost))
    return found


def _refuse_signs(text: str) -> None:
    """Say what is wrong with the usual ways to write an amount."""
    if not text:
        raise PriceTextError("Write a number; leave it empty for unknown.")
    if any(sign in text for sign in "$€£"):
        raise PriceTextError("Leave the currency sign out: prices are in USD.")
    if "," in text:
        raise PriceTextError("Write a point for decimals and no separators: 1234.5.")
    if text.startswith("-"):
        raise PriceTextError("A price is not negative.")
    if "e" in text.lower() and any(sign.isdigit() for sign in text):
        raise PriceTextError("Write it without an exponent, such as 0.0000025.")
