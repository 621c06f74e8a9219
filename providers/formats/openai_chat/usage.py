"""Read the usage object of chat completions into disjoint counters.

OpenAI counts cached, written and audio tokens inside ``prompt_tokens`` and reasoning
inside ``completion_tokens``; compatible servers differ in every one of these. What they
mean is decided by their own totals where those settle it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.cost import parse_vendor_cost
from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE

_NULL: Final = msgspec.Raw(b"null")


class _Usage(msgspec.Struct, gc=False):
    """Name the fields that are read, as loosely as vendors write them."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    prompt_cache_hit_tokens: Any = None
    cached_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    reasoning_tokens: Any = None
    cost: msgspec.Raw = _NULL
    is_byok: Any = None
    cost_details: Any = None


class ReadUsage(msgspec.Struct, gc=False):
    """Hold a usage object's reading.

    Shapes:  ``usage`` is None when nothing believable was reported. ``flags`` names
             every quirk that was repaired or dropped.
    """

    usage: TokenUsage | None = None
    flags: tuple[str, ...] = ()
    vendor_cost_nano_usd: int | None = None


_DECODER = msgspec.json.Decoder(_Usage)
_NOTHING: dict[str, Any] = {}


def read_usage(raw: msgspec.Raw | bytes | None) -> ReadUsage:
    """Read one usage object.

    Shapes:  input = prompt - cached - written - audio - image, never below zero; the
             parts always add up to what the vendor says it billed.
    Fails:   never; what is no usage object reads as not reported.
    Source:  reference wire 2.17 and 1.13; DeepSeek ``prompt_cache_hit_tokens``,
             Moonshot top-level ``cached_tokens``, xAI reasoning outside completion,
             OpenRouter ``cost``, Gemini's compatible endpoint (thoughts in the total).
    """
    if raw is None:
        return ReadUsage()
    try:
        wire = _DECODER.decode(raw)
    except UNREADABLE:
        return ReadUsage(flags=("usage:type",))
    flags: list[str] = []
    cost = _vendor_cost(wire)
    prompt = count(_first(wire.prompt_tokens, wire.input_tokens), "prompt", flags)
    completion = count(
        _first(wire.completion_tokens, wire.output_tokens), "completion", flags
    )
    total = count(wire.total_tokens, "total", flags)
    if prompt is None and completion is None and total:
        prompt = total
        flags.append("only_total")
    if prompt is None and completion is None:
        return ReadUsage(None, (*flags, "usage:empty"), cost)
    if not prompt and not completion:
        flags.append("usage:zero")  # a vendor's word, odd as it is: never estimated
    usage = _disjoint(wire, (prompt, completion, total), flags)
    return ReadUsage(usage, tuple(flags), cost)


def _disjoint(
    wire: _Usage,
    counts: tuple[int | None, int | None, int | None],
    flags: list[str],
) -> TokenUsage:
    """Take the counters apart so that each token is counted once."""
    prompt, completion, total = counts
    details = _object(wire.prompt_tokens_details)
    out_details = _object(wire.completion_tokens_details)
    if not details and not out_details and _is_bare(wire):
        completion, reasoning = _inclusive_completion(
            completion, None, prompt, total, flags
        )
        return TokenUsage(
            input_tokens=prompt, output_tokens=completion, reasoning_tokens=reasoning
        )
    cached = count(
        _first(
            details.get("cached_tokens"),
            wire.prompt_cache_hit_tokens,
            wire.cached_tokens,
            wire.cache_read_input_tokens,
        ),
        "cached",
        flags,
    )
    written = count(
        _first(
            details.get("cache_write_tokens"),
            details.get("cache_creation_tokens"),
            wire.cache_creation_input_tokens,
        ),
        "cache_write",
        flags,
    )
    audio_in = count(details.get("audio_tokens"), "audio_in", flags)
    image_in = count(details.get("image_tokens"), "image_in", flags)
    reasoning = count(
        _first(out_details.get("reasoning_tokens"), wire.reasoning_tokens),
        "reasoning",
        flags,
    )
    audio_out = count(out_details.get("audio_tokens"), "audio_out", flags)
    image_out = count(out_details.get("image_tokens"), "image_out", flags)

    prompt = _inclusive_prompt(prompt, (cached or 0) + (written or 0), counts, flags)
    completion, reasoning = _inclusive_completion(
        completion, reasoning, prompt, total, flags
    )
    rest = prompt
    if prompt is not None:
        rest = prompt - (cached or 0) - (written or 0)
        rest, audio_in = _take(rest, audio_in, "audio_in", flags)
        rest, image_in = _take(rest, image_in, "image_in", flags)
    if completion is not None:
        completion, audio_out = _take(completion, audio_out, "audio_out", flags)
        completion, image_out = _take(completion, image_out, "image_out", flags)
        if reasoning is not None and reasoning > completion:
            reasoning = completion
            flags.append("reasoning_above_output")
    return TokenUsage(
        input_tokens=rest,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=completion,
        reasoning_tokens=reasoning,
        audio_in_tokens=audio_in,
        audio_out_tokens=audio_out,
        image_in_tokens=image_in,
        image_out_tokens=image_out,
    )


def _is_bare(wire: _Usage) -> bool:
    """Tell whether nothing but the two sums and their total was sent."""
    return (
        wire.prompt_cache_hit_tokens is None
        and wire.cached_tokens is None
        and wire.cache_read_input_tokens is None
        and wire.cache_creation_input_tokens is None
        and wire.reasoning_tokens is None
    )


def _inclusive_prompt(
    prompt: int | None,
    cache: int,
    counts: tuple[int | None, int | None, int | None],
    flags: list[str],
) -> int | None:
    """Return the prompt with its cached part inside, as OpenAI counts it."""
    if prompt is None or not cache:
        return prompt
    completion, total = counts[1] or 0, counts[2]
    outside = total is not None and total == prompt + cache + completion
    if outside or cache > prompt:
        flags.append("cache_outside_prompt")
        return prompt + cache
    return prompt


def _inclusive_completion(
    completion: int | None,
    reasoning: int | None,
    prompt: int | None,
    total: int | None,
    flags: list[str],
) -> tuple[int | None, int | None]:
    """Return the completion with its reasoning inside, as OpenAI counts it."""
    if total is None:
        return completion, reasoning
    missing = total - (prompt or 0) - (completion or 0)
    if missing <= 0:
        return completion, reasoning
    if reasoning is None or reasoning == missing:
        flags.append("reasoning_outside_completion")
        return (completion or 0) + missing, missing
    flags.append("total_above_parts")
    return completion, reasoning


def _take(
    whole: int, part: int | None, name: str, flags: list[str]
) -> tuple[int, int | None]:
    """Move a part out of the whole; it cannot be larger than what is left."""
    if not part:
        return whole, part
    if part > whole:
        flags.append(f"{name}:overlap")
        part = whole
    return whole - part, part


def _vendor_cost(wire: _Usage) -> int | None:
    """Read the cost a vendor states, from its text on the wire."""
    if wire.cost == _NULL:
        return None
    raw = bytes(wire.cost)
    if raw[:1] == b"{":
        # Perplexity itemises; its total is what it bills.
        try:
            parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except UNREADABLE:
            return None
        raw = bytes(parts.get("total_cost", b""))
    cost = parse_vendor_cost(raw)
    upstream = _object(wire.cost_details).get("upstream_inference_cost")
    if cost is not None and wire.is_byok is True and isinstance(upstream, int | float):
        # With the owner's own key OpenRouter states only its fee as the cost.
        return cost + (parse_vendor_cost(upstream) or 0)
    return cost


def _first(*values: Any) -> Any:
    """Return the first value that was sent."""
    for value in values:
        if value is not None:
            return value
    return None


def _object(value: Any) -> dict[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else _NOTHING
