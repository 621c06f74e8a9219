"""What a buffered answer of a model usually comes to, learned from settled ones.

A killed process leaves no trace of how far a buffered answer had come: nothing of it
arrives before all of it does. The vendor was writing all the same, so an orphan is
billed the share of a usual answer that fits the time it had.
"""

from __future__ import annotations

from typing import Final

from usage.journal.records import OK, AttemptIntent, Settle, Target

_WEIGHT: Final = 1 / 8
_MOST_MODELS: Final = 10_000
_NANO_PER_MS: Final = 1_000_000
_NO_IDEA: Final = 0.5

_Key = tuple[int, str]


class Typical:
    """Moving averages of output and duration, for each provider and model.

    Cost:  under a microsecond a settled attempt.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[_Key, tuple[float, float]] = {}

    def learn(self, settle: Settle) -> None:
        """Take a settled attempt into account, if it says anything."""
        attempt = settle.attempt
        if attempt is None or settle.head.stream or attempt.outcome != OK:
            return
        usage, took_ms = attempt.usage, attempt.latency_ms
        if attempt.estimated or usage is None or took_ms is None:
            return
        tokens = usage.output_tokens
        if tokens is None:
            return
        key = _key(attempt.target)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_MODELS:
                self._known.clear()
            self._known[key] = float(tokens), float(took_ms)
            return
        self._known[key] = (
            known[0] + _WEIGHT * (tokens - known[0]),
            known[1] + _WEIGHT * (took_ms - known[1]),
        )

    def output_tokens(self, intent: AttemptIntent, seen_ns: int) -> int | None:
        """Return what an attempt had probably brought by a moment, None if unknown.

        Units:  ``seen_ns`` is when its process was last seen alive; not after the
                attempt's start means that nobody knows, and half is taken.
        """
        known = self._known.get(_key(intent.target))
        if known is None:
            return None
        tokens, usual_ms = known
        had_ms = (seen_ns - intent.started_at_ns) / _NANO_PER_MS
        share = min(1.0, had_ms / max(usual_ms, 1.0)) if had_ms > 0 else _NO_IDEA
        return round(tokens * share)


def _key(target: Target) -> _Key:
    return target.provider_id, target.upstream_model
