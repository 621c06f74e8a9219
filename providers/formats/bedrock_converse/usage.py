"""Read and word Bedrock's token counters; its input excludes what a cache served.

Source: reference wire 2.17.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE


class CacheDetail(msgspec.Struct):
    """What was written to the cache for one time to live."""

    ttl: Any = None
    inputTokens: Any = None


class WireUsage(msgspec.Struct):
    """The counters as Bedrock sends them."""

    inputTokens: Any = None
    outputTokens: Any = None
    cacheReadInputTokens: Any = None
    cacheWriteInputTokens: Any = None
    cacheDetails: list[CacheDetail] | None = None


_DECODER = msgspec.json.Decoder(WireUsage)


def read_usage(raw: bytes | msgspec.Raw) -> tuple[TokenUsage, tuple[str, ...]] | None:
    """Read a usage object: the disjoint counters and what was odd about them.

    Fails:   None for what is no usage object or reports nothing.
    """
    try:
        wire = _DECODER.decode(raw)
    except UNREADABLE:
        return None
    flags: list[str] = []
    written = count(wire.cacheWriteInputTokens, "cache_write", flags)
    hour = _written_for_an_hour(wire.cacheDetails, flags)
    if hour and written is not None:
        written = max(0, written - hour)
    usage = TokenUsage(
        input_tokens=count(wire.inputTokens, "prompt", flags),
        cache_read_tokens=count(wire.cacheReadInputTokens, "cached", flags),
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        output_tokens=count(wire.outputTokens, "completion", flags),
    )
    return None if usage.is_empty else (usage, tuple(flags))


def _written_for_an_hour(
    details: list[CacheDetail] | None, flags: list[str]
) -> int | None:
    found: int | None = None
    for detail in details or ():
        if detail.ttl == "1h":
            found = (found or 0) + (
                count(detail.inputTokens, "cache_write_1h", flags) or 0
            )
    return found


def worded_usage(usage: TokenUsage | None) -> dict[str, object]:
    """Word counters for a client; the three sums are always there."""
    if usage is None:
        return {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    # Sound and pictures have no counter here: they are input like any other.
    extra_in = (usage.audio_in_tokens or 0) + (usage.image_in_tokens or 0)
    told: dict[str, object] = {
        "inputTokens": (usage.input_tokens or 0) + extra_in,
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens,
    }
    if usage.cache_read_tokens is not None:
        told["cacheReadInputTokens"] = usage.cache_read_tokens
    short, hour = usage.cache_write_tokens, usage.cache_write_1h_tokens
    if short is not None or hour is not None:
        told["cacheWriteInputTokens"] = (short or 0) + (hour or 0)
    if hour:
        told["cacheDetails"] = [
            {"ttl": "5m", "inputTokens": short or 0},
            {"ttl": "1h", "inputTokens": hour},
        ]
    return told
