"""Read and word Gemini's usage: cached inside the prompt, thoughts beside the answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE

_NAMES: Final = (
    "promptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
)
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class UsageReader:
    """Join the usage of one answer's frames; the last value of each counter counts.

    Cost:  nothing for a frame that repeats the usage of the one before.
    """

    __slots__ = ("_counters", "_raw", "flags")

    def __init__(self) -> None:
        self._raw: msgspec.Raw | None = None
        self._counters: dict[str, Any] = {}
        self.flags: tuple[str, ...] = ()

    def take(self, raw: msgspec.Raw) -> TokenUsage | None:
        """Return the usage so far, None when a frame says nothing new."""
        if raw == self._raw:
            return None
        self._raw = raw
        try:
            said = _DECODER.decode(raw)
        except UNREADABLE:
            self.flags = ("usage:type",)
            return None
        for name in _NAMES:
            if said.get(name) is not None:
                self._counters[name] = said[name]
        if not self._counters:
            return None
        usage, self.flags = read_usage(self._counters)
        return usage


def read_usage(said: dict[str, Any]) -> tuple[TokenUsage, tuple[str, ...]]:
    """Take the counters apart so that each token is counted once.

    Shapes:  the tokens of server tools count as input; what the total has above its
             parts is thought where thoughts are not stated.
    Source:  reference wire 2.17.
    """
    flags: list[str] = []
    numbers = [count(said.get(name), name, flags) for name in _NAMES[:6]]
    prompt, cached, answer, thoughts, tools, total = numbers
    if total is not None and prompt is None and answer is None:
        prompt = total
        flags.append("only_total")
    if thoughts is None and total is not None:
        rest = total - (prompt or 0) - (answer or 0) - (tools or 0)
        if rest > 0 and answer is not None:
            thoughts = rest
            flags.append("thoughts_in_total")
    read, kept = _modal(said, "promptTokensDetails"), _modal(said, "cacheTokensDetails")
    written = _modal(said, "candidatesTokensDetails")
    plain = None if prompt is None else max(prompt - (cached or 0), 0)
    plain, audio_in = _split(plain, read, kept, "AUDIO")
    plain, image_in = _split(plain, read, kept, "IMAGE")
    answer, audio_out = _split(answer, written, {}, "AUDIO")
    answer, image_out = _split(answer, written, {}, "IMAGE")
    if tools:
        plain = (plain or 0) + tools
    # A count that is absent is none; one that cannot be believed is unknown.
    is_odd = answer is None and said.get("candidatesTokenCount") is not None
    if thoughts is not None and not is_odd:
        answer = (answer or 0) + thoughts
    return TokenUsage(
        input_tokens=plain,
        cache_read_tokens=cached,
        output_tokens=answer,
        reasoning_tokens=thoughts,
        audio_in_tokens=audio_in,
        audio_out_tokens=audio_out,
        image_in_tokens=image_in,
        image_out_tokens=image_out,
    ), tuple(flags)


def usage_body(usage: TokenUsage) -> dict[str, Any]:
    """Word a usage as Gemini does."""
    thoughts = usage.reasoning_tokens or 0
    out: dict[str, Any] = {"promptTokenCount": usage.prompt_tokens}
    if usage.cache_read_tokens is not None:
        out["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.completion_tokens or usage.output_tokens is not None:
        out["candidatesTokenCount"] = max(usage.completion_tokens - thoughts, 0)
    if usage.reasoning_tokens is not None:
        out["thoughtsTokenCount"] = thoughts
    out["totalTokenCount"] = usage.total_tokens
    read = _details(usage.audio_in_tokens, usage.image_in_tokens)
    if read:
        out["promptTokensDetails"] = read
    written = _details(usage.audio_out_tokens, usage.image_out_tokens)
    if written:
        out["candidatesTokensDetails"] = written
    return out


def _modal(said: dict[str, Any], name: str) -> dict[str, int]:
    """Return counts by modality."""
    out: dict[str, int] = {}
    details = said.get(name)
    for each in details if isinstance(details, list) else ():
        if isinstance(each, dict) and isinstance(each.get("modality"), str):
            number = count(each.get("tokenCount"), name, [])
            out[each["modality"]] = out.get(each["modality"], 0) + (number or 0)
    return out


def _split(
    whole: int | None, parts: dict[str, int], cached: dict[str, int], name: str
) -> tuple[int | None, int | None]:
    """Take one modality out of the whole; its cached part is counted already."""
    if whole is None or name not in parts:
        return whole, None
    part = min(max(parts[name] - cached.get(name, 0), 0), whole)
    return whole - part, part


def _details(audio: int | None, image: int | None) -> list[dict[str, Any]]:
    return [
        {"modality": name, "tokenCount": number}
        for name, number in (("AUDIO", audio), ("IMAGE", image))
        if number
    ]
