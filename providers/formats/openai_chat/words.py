"""The words of chat completions: finish reasons, ids, usage, in both directions.

Source: reference wire 2.14, 2.17, 2.20.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

from pricing.tokens import TokenUsage
from providers.formats.neutral.events import FinishReason

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "end",
    "end_turn": "end",
    "eos": "end",
    "eos_token": "end",
    "complete": "end",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "context_full",
    "context_length_exceeded": "context_full",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
    "refusal": "refusal",
    "safety": "refusal",
    "sensitive": "refusal",
    "recitation": "refusal",
    "abort": "cancelled",
    "cancelled": "cancelled",
    "malformed_function_call": "malformed",
    "pause_turn": "pause",
}
BROKEN: Final = frozenset({"error", "network_error", "insufficient_system_resource"})
"""Words some servers end an answer with that is none (OpenRouter, Z.ai, DeepSeek)."""

_WORDS: Final[dict[FinishReason, str]] = {
    "max_tokens": "length",
    "context_full": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
    "prompt_blocked": "content_filter",
}
_PREFIX: Final = re.compile(r"[A-Za-z]{2,10}[-_](?=[^-_])")
_NO_ANSWER: Final = {
    "refusal": "The model declined to answer.",
    "prompt_blocked": "The prompt was blocked by the model's provider.",
    "malformed": "The model's answer could not be read by its provider.",
}


def reason_of(word: str) -> FinishReason:
    """Return the neutral reason of a finish; unknown words end an answer."""
    return _REASONS.get(word) or _REASONS.get(word.lower(), "end")


def word_of(reason: FinishReason, *, is_legacy: bool = False) -> str:
    """Return the word of a neutral reason."""
    if is_legacy and reason == "tool_calls":
        return "function_call"
    return _WORDS.get(reason, "stop")


def excuse_of(reason: FinishReason, detail: str) -> str:
    """Return what to say where a model ended without an answer, blank otherwise."""
    return detail or _NO_ANSWER[reason] if reason in _NO_ANSWER else ""


def answer_id(upstream: str) -> str:
    """Return the id a chat client sees: its own prefix before the upstream's tail."""
    if upstream.startswith("chatcmpl-"):
        return upstream
    tail = _PREFIX.sub("", upstream, count=1)
    return f"chatcmpl-{tail or secrets.token_hex(12)}"


def write_usage(usage: TokenUsage) -> dict[str, Any]:
    """Word disjoint counters the way OpenAI counts: parts inside their sums.

    Shapes:  ``usage.read_usage`` reads the same sums back; the two lives of a written
             cache are one number here, and a part nobody reported is a zero.
    """
    known = (usage.cache_write_tokens, usage.cache_write_1h_tokens)
    written = sum(count or 0 for count in known)
    prompt_details = {
        "cached_tokens": usage.cache_read_tokens or 0,
        "audio_tokens": usage.audio_in_tokens or 0,
    }
    if any(count is not None for count in known):
        prompt_details["cache_write_tokens"] = written
    if usage.image_in_tokens:
        prompt_details["image_tokens"] = usage.image_in_tokens
    completion_details = {
        "reasoning_tokens": usage.reasoning_tokens or 0,
        "audio_tokens": usage.audio_out_tokens or 0,
    }
    if usage.image_out_tokens:
        completion_details["image_tokens"] = usage.image_out_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": completion_details,
    }
