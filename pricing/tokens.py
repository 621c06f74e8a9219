"""Token counters of one upstream attempt, disjoint and vendor neutral.

Every vendor counts differently (cached tokens inside or beside the prompt, reasoning
inside or beside the answer). The wire formats normalise once, into this shape, and
everything behind them (prices, limits, ledger, rollups) reads only this shape.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

MAX_COUNT: Final = 1_000_000_000
"""Above this a counter is a vendor's bug: no model reads or writes so much at once."""

UNIT_KINDS: Final = frozenset(
    {"image", "second", "video_second", "character", "request", "tool_call"}
)

_COUNTERS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_in_tokens",
    "audio_out_tokens",
    "image_in_tokens",
    "image_out_tokens",
    "units",
)


class TokenUsage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Hold what one attempt consumed.

    Shapes:  all counters are disjoint and may be added, except ``reasoning_tokens``,
             which is a part of ``output_tokens`` kept beside it. ``input_tokens`` is
             uncached text input; ``cache_write_tokens`` lives five minutes.
    Units:   tokens; ``units`` counts what ``unit_kind`` names (see ``UNIT_KINDS``).
             None = not reported, 0 = reported as zero.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_in_tokens: int | None = None
    audio_out_tokens: int | None = None
    image_in_tokens: int | None = None
    image_out_tokens: int | None = None
    units: int | None = None
    unit_kind: str | None = None

    @property
    def prompt_tokens(self) -> int:
        """Sum everything the model read: what long-context prices are decided by."""
        return (
            (self.input_tokens or 0)
            + (self.cache_read_tokens or 0)
            + (self.cache_write_tokens or 0)
            + (self.cache_write_1h_tokens or 0)
            + (self.audio_in_tokens or 0)
            + (self.image_in_tokens or 0)
        )

    @property
    def completion_tokens(self) -> int:
        """Sum everything the model wrote, reasoning included once."""
        return (
            (self.output_tokens or 0)
            + (self.audio_out_tokens or 0)
            + (self.image_out_tokens or 0)
        )

    @property
    def total_tokens(self) -> int:
        """Sum both directions: what a tokens-per-minute limit settles with."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def states_prompt(self) -> bool:
        """Tell whether it was said how much the model read.

        A zero of one kind beside an unknown other says nothing.
        """
        return self.input_tokens is not None or self.prompt_tokens > 0

    @property
    def states_completion(self) -> bool:
        """Tell whether it was said how much the model wrote."""
        return self.output_tokens is not None or self.completion_tokens > 0

    @property
    def is_empty(self) -> bool:
        """Tell whether the vendor reported nothing at all."""
        return self == EMPTY


EMPTY: Final = TokenUsage()


def add(left: TokenUsage, right: TokenUsage) -> TokenUsage:
    """Add two usages; a counter stays None only when neither side reported it.

    Units of different kinds cannot be added: the sum then carries no units, because
    an unknown number is safer than a wrong one.
    """
    values: dict[str, int | None] = {}
    for name in _COUNTERS:
        values[name] = _sum(getattr(left, name), getattr(right, name))
    kind = left.unit_kind or right.unit_kind
    if left.unit_kind and right.unit_kind and left.unit_kind != right.unit_kind:
        kind = None
        values["units"] = None
    return TokenUsage(**values, unit_kind=kind)


def count(value: object, name: str, flags: list[str]) -> int | None:
    """Read one counter as a vendor sent it.

    Shapes:  an int, or a float or digit string that is a whole number.
    Errors:  none; what cannot be believed becomes None and is named in ``flags`` as
             ``<name>:type``, ``<name>:negative`` or ``<name>:absurd``.
    """
    if value is None:
        return None
    if type(value) is not int:
        number = _whole(value)
        if number is None:
            flags.append(f"{name}:type")
            return None
        value = number
    if value < 0:
        flags.append(f"{name}:negative")
        return None
    if value > MAX_COUNT:
        flags.append(f"{name}:absurd")
        return None
    return value


def clamp(usage: TokenUsage) -> tuple[TokenUsage, tuple[str, ...]]:
    """Return a usage that can be billed, and the names of what had to be dropped.

    Negative, absurd or mistyped counters become None, a reasoning count above the
    output it is part of is cut to it, units of an unknown kind are dropped.
    """
    flags: list[str] = []
    values: dict[str, int | None] = {
        name: count(getattr(usage, name), name, flags) for name in _COUNTERS
    }
    output, reasoning = values["output_tokens"], values["reasoning_tokens"]
    if reasoning is not None and output is not None and reasoning > output:
        values["reasoning_tokens"] = output
        flags.append("reasoning_tokens:above_output")
    kind = usage.unit_kind
    if kind is not None and kind not in UNIT_KINDS:
        flags.append("unit_kind:unknown")
        kind = values["units"] = None
    if not flags:
        return usage, ()
    return TokenUsage(**values, unit_kind=kind), tuple(flags)


def _sum(left: int | None, right: int | None) -> int | None:
    """Add where None means not reported."""
    if left is None:
        return right
    return left if right is None else left + right


def _whole(value: object) -> int | None:
    """Read a whole number out of the odd types vendors use for one."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str) and len(value) <= 20 and value.strip().isascii():
        text = value.strip()
        if text.lstrip("-").isdigit() and text.count("-") <= 1:
            return int(text)
    return None
