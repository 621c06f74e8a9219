"""Answers in neutral words, to be put through every pair of dialects."""

from __future__ import annotations

from collections.abc import Sequence

from pricing.tokens import TokenUsage
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Finish,
    FinishReason,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)

USAGE = TokenUsage(
    input_tokens=120,
    cache_read_tokens=2000,
    cache_write_tokens=300,
    cache_write_1h_tokens=70,
    output_tokens=50,
    reasoning_tokens=20,
)


def said(pos: int, kind: str, *words: str, **fields: str) -> list[AnyEvent]:
    """Return a part of an answer."""
    return [
        PartOpen(pos=pos, kind=kind, **fields),  # type: ignore[arg-type]
        *(Delta(pos=pos, text=word) for word in words),
        PartClose(pos=pos),
    ]


def call(pos: int, call_id: str, name: str, *words: str) -> list[AnyEvent]:
    """Return a call of a tool."""
    return said(pos, "tool_call", *words, id=call_id, name=name)


def answer(
    *parts: Sequence[AnyEvent],
    reason: FinishReason = "end",
    usage: TokenUsage = USAGE,
    stop: str = "",
) -> list[AnyEvent]:
    """Return a whole answer."""
    return [
        Start(id="id_1", model="up", created=1_767_225_600),
        *(event for part in parts for event in part),
        Finish(reason=reason, stop_sequence=stop),
        UsageSeen(usage=usage),
        End(),
    ]


TEXT = said(0, "text", "Grüße", " 🚢\n", "\u2028line")
THOUGHT = said(0, "reasoning", "Hm, ", "let me see.")
PARALLEL = [
    *call(2, "call_a", "get_weather", '{"city":', '"Łódź"', ',"days":2}'),
    *call(3, "call_b", "get_time", '{"city":"Oslo"}'),
]
SCRIPTS: dict[str, list[AnyEvent]] = {
    "text": answer(TEXT),
    "one_call": answer(call(0, "call_a", "get_time", "{}"), reason="tool_calls"),
    "parallel_calls": answer(said(1, "text", "I look."), PARALLEL, reason="tool_calls"),
    "thinking": answer(THOUGHT, said(1, "text", "Rain.")),
    "thinking_and_calls": answer(
        THOUGHT, said(1, "text", "So:"), PARALLEL, reason="tool_calls"
    ),
    "refusal": answer(said(0, "refusal", "I ", "cannot."), reason="refusal"),
    "blocked": answer(said(0, "text", "I"), reason="refusal"),
    "max_tokens": answer(said(0, "text", "Once upon"), reason="max_tokens"),
    "blank": answer(said(0, "text", " ", "\n")),
    "blank_refusal": answer(said(0, "refusal", " ")),
    "nothing": answer(reason="end"),
    "plain_usage": answer(
        said(0, "text", "Hi"), usage=TokenUsage(input_tokens=7, output_tokens=3)
    ),
}
