"""Read and word the usage object of Anthropic's messages.

Input counts exclude what was read from and written to the cache. A stream states usage
twice: what ``message_delta`` says replaces what ``message_start`` said, member by
member. Compatible servers put the whole prompt into the first and the split into the
second, so that adding them, or keeping the larger ones, bills the prompt twice.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE


class _Usage(msgspec.Struct, gc=False):
    """Name the members that are read, as loosely as servers write them."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_creation: Any = None
    output_tokens_details: Any = None
    server_tool_use: Any = None
    service_tier: Any = None


_DECODER: Final = msgspec.json.Decoder(_Usage)
_FIELDS: Final = _Usage.__struct_fields__
_OUTPUT: Final = frozenset({"output_tokens", "output_tokens_details"})


class UsageReader:
    """Join the usage objects of one answer.

    Shapes:  ``flags`` names what could not be believed; ``tier`` is the served one.
    """

    __slots__ = ("_seen", "flags", "tier")

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}
        self.flags: tuple[str, ...] = ()
        self.tier = ""

    def take(
        self, raw: msgspec.Raw | bytes, *, is_opening: bool = False
    ) -> TokenUsage | None:
        """Take one usage object and return the usage so far.

        Shapes:  the output an opening states is a placeholder, not a count.
        Fails:   never; None when nothing believable was reported yet.
        """
        try:
            wire = _DECODER.decode(raw)
        except UNREADABLE:
            self.flags = ("usage:type",)
            return None
        for name in _FIELDS:
            value = getattr(wire, name)
            if is_opening and name in _OUTPUT:
                continue
            if value is not None:
                self._seen[name] = value
        tier = self._seen.get("service_tier")
        self.tier = tier if isinstance(tier, str) else ""
        return self._usage()

    def _usage(self) -> TokenUsage | None:
        flags: list[str] = []

        def counter(name: str, short: str) -> int | None:
            return count(self._seen.get(name), short, flags)

        written, written_1h = self._written(flags)
        output = counter("output_tokens", "output")
        reasoning = count(
            _member(self._seen.get("output_tokens_details"), "thinking_tokens"),
            "reasoning",
            flags,
        )
        if reasoning is not None and output is not None and reasoning > output:
            flags.append("reasoning_above_output")
            reasoning = output
        searches = count(
            _member(self._seen.get("server_tool_use"), "web_search_requests"),
            "web_search",
            flags,
        )
        usage = TokenUsage(
            input_tokens=counter("input_tokens", "input"),
            cache_read_tokens=counter("cache_read_input_tokens", "cache_read"),
            cache_write_tokens=written,
            cache_write_1h_tokens=written_1h,
            output_tokens=output,
            reasoning_tokens=reasoning,
            units=searches or None,
            unit_kind="tool_call" if searches else None,
        )
        self.flags = tuple(flags)
        return None if usage.is_empty else usage

    def _written(self, flags: list[str]) -> tuple[int | None, int | None]:
        """Return what was written to the cache for five minutes, and for an hour.

        The sum is what is billed; the split may be older than it, or missing.
        """
        total = count(
            self._seen.get("cache_creation_input_tokens"), "cache_write", flags
        )
        split = self._seen.get("cache_creation")
        short = count(_member(split, "ephemeral_5m_input_tokens"), "cache_5m", flags)
        long = count(_member(split, "ephemeral_1h_input_tokens"), "cache_1h", flags)
        if total is None:
            return short, long
        if long is None:
            return total, None
        if long > total:
            flags.append("cache_1h:above_total")
            long = total
        return total - long, long


def usage_object(usage: TokenUsage | None, *, estimate: int = 0) -> dict[str, Any]:
    """Word a usage as a whole answer and a stream's last delta state it.

    Shapes:  ``estimate`` stands for the input where nothing is known.
    """
    usage = usage or TokenUsage()
    short, long = usage.cache_write_tokens or 0, usage.cache_write_1h_tokens or 0
    cached = short + long + (usage.cache_read_tokens or 0)
    prompt = usage.prompt_tokens - cached
    if usage.input_tokens is None and not usage.prompt_tokens:
        prompt = estimate
    worded: dict[str, Any] = {
        "input_tokens": prompt,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": usage.cache_read_tokens or 0,
        "cache_creation": {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens is not None:
        worded["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.units and usage.unit_kind == "tool_call":
        worded["server_tool_use"] = {"web_search_requests": usage.units}
    return worded


def _member(value: Any, name: str) -> Any:
    """Return a member of what should be an object."""
    return value.get(name) if isinstance(value, dict) else None
