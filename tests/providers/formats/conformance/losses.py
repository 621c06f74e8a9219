"""What a dialect has no words for: the only differences a translation may make.

An answer goes through the upstream's dialect and then through the client's; what is
expected at the end is the answer of the script after ``worded`` in both.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.providers.formats.conformance.talk import Seen

REFUSAL_IS_A_PART = frozenset({"openai", "responses"})
"""Others have text, and tell a refusal by the reason they stop for."""

REFUSAL_IS_NO_REASON = frozenset({"responses", "ollama"})
"""Responses end completed with a refusal in them; Ollama ends as ever."""

UNTOLD = "The model refused to answer."
"""What a Responses client is told of a refusal without words."""

UNCOUNTED: dict[str, frozenset[str]] = {
    "openai": frozenset({"cache_write_1h_tokens"}),
    "responses": frozenset({"cache_write_1h_tokens"}),
    "google": frozenset({"cache_write_tokens", "cache_write_1h_tokens"}),
    "cloudcode": frozenset({"cache_write_tokens", "cache_write_1h_tokens"}),
    "anthropic": frozenset(),
    "bedrock-invoke": frozenset(),
    "bedrock": frozenset({"reasoning_tokens"}),
    "ollama": frozenset(
        {
            "cache_read_tokens",
            "cache_write_tokens",
            "cache_write_1h_tokens",
            "reasoning_tokens",
        }
    ),
}
"""The counters a dialect does not have; tokens of the prompt fold into the next."""

_FOLDS = {
    "cache_write_1h_tokens": ("cache_write_tokens", "input_tokens"),
    "cache_write_tokens": ("input_tokens",),
    "cache_read_tokens": ("input_tokens",),
    "reasoning_tokens": (),
}


def worded(seen: Seen, dialect: str) -> Seen:
    """Return what is left of an answer in a dialect."""
    if dialect not in REFUSAL_IS_A_PART:
        if seen.refusal and seen.finish == "end":
            seen = replace(seen, finish="refusal")
        seen = replace(seen, text=seen.text + seen.refusal, refusal="")
    if dialect == "responses" and seen.finish == "refusal":
        seen = replace(seen, refusal=seen.refusal or UNTOLD)
    if dialect in REFUSAL_IS_NO_REASON and seen.finish == "refusal":
        seen = replace(seen, finish="end")
    return seen


def counted(counters: dict[str, int], dialect: str) -> dict[str, int]:
    """Return what is left of a usage in a dialect: never more tokens, never fewer."""
    missing = UNCOUNTED[dialect]
    left = dict(counters)
    for name, folds in _FOLDS.items():
        if name in missing and name in left:
            count = left.pop(name)
            into = next((each for each in folds if each not in missing), None)
            if into:
                left[into] = left.get(into, 0) + count
    return left


def expected(case: dict[str, Any], dialect: str) -> tuple[Seen, dict[str, int]]:
    """Return what a fixture's answer and usage are, in its own dialect."""
    told, usage = case["expect"], case["expect"]["usage"]
    answer = Seen(
        text=told["text"],
        refusal=told["refusal"],
        reasoning=told["reasoning"],
        calls=tuple((name, value) for name, value in told["calls"]),
        finish="end" if dialect in REFUSAL_IS_A_PART else told["finish"],
        is_complete=True,
    )
    if told["finish"] != "refusal":
        answer = replace(answer, finish=told["finish"])
    counters = {
        "input_tokens": usage["prompt"] - usage["cached"],
        "cache_read_tokens": usage["cached"],
        "output_tokens": usage["output"],
        "reasoning_tokens": 0 if dialect in _SILENT else usage["reasoning"],
    }
    counters = {name: value for name, value in counters.items() if value}
    return worded(answer, dialect), counted(counters, dialect)


_SILENT = frozenset({"anthropic", "bedrock-invoke"})
"""Upstreams of these dialects seldom say how much of an answer was thought."""
