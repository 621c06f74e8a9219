"""Read and word the usage object of the Responses dialect.

It counts as chat does and only names things otherwise, so chat's reading, quirks of
compatible servers included, is used for both.

Source: reference wire 2.17; P109 (Codex needs ``total_tokens`` and both details).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import UNREADABLE
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.openai_chat.usage import read_usage as read_chat_usage

_NAMES: Final = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}


def read_usage(raw: bytes) -> ReadUsage:
    """Read one usage object into disjoint counters.

    Fails:   never; what is no usage object reads as not reported.
    """
    if raw in (b"", b"null"):
        return ReadUsage()
    try:
        wire = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return ReadUsage(flags=("usage:type",))
    named = {_NAMES.get(key, key): value for key, value in wire.items()}
    return read_chat_usage(msgspec.json.encode(named))


def usage_body(usage: TokenUsage | None) -> dict[str, Any] | None:
    """Word some usage, None for none; every counter a client may look for is there."""
    if usage is None:
        return None
    written = (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": written,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }
