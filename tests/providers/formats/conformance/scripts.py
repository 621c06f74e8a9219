"""Answers in neutral words, to be put through every pair of dialects."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Finish,
    FinishReason,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.types import Citation, Opaque

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

_PAYLOAD = msgspec.Raw(b'{"type":"odd","odd":{}}')
_CITED = Citation(url="https://a.example/", title="A", cited_text="rain")
_PROOFS = [
    Opaque(family="anthropic", slot="signature", data="c2ln"),
    Opaque(family="google", slot="thought_signature", data="c2ln"),
    Opaque(family="openai", slot="encrypted", data="ZW5j"),
    Opaque(family="bedrock", slot="redacted", data="ZW5j"),
]
ODD_SCRIPTS: dict[str, list[AnyEvent]] = {
    "picture": answer(
        [
            PartOpen(pos=0, kind="media"),
            MediaSeen(pos=0, data="iVBORw0KGgo=", media_type="image/png"),
            PartClose(pos=0),
        ],
        said(1, "text", "There."),
    ),
    "sound": answer(
        [
            PartOpen(pos=0, kind="media"),
            MediaSeen(pos=0, data="UklGRg==", media_type="audio/wav"),
            PartClose(pos=0),
        ],
        said(1, "text", "There."),
    ),
    "cited": answer(
        [
            PartOpen(pos=0, kind="text"),
            Delta(pos=0, text="There."),
            CitationSeen(pos=0, citation=_CITED),
            PartClose(pos=0),
        ]
    ),
    "two_choices": [
        Start(),
        *said(0, "text", "There."),
        PartOpen(pos=1, kind="text", choice=1),
        Delta(pos=1, text="Elsewhere."),
        PartClose(pos=1),
        Finish(reason="end"),
        Finish(reason="max_tokens", choice=1),
        End(),
    ],
    "late_usage": [
        Start(usage=TokenUsage(input_tokens=4)),
        *said(0, "text", "There."),
        Finish(reason="pause"),
        Meta(service_tier="flex", model="up-2", id="id_2"),
        End(),
    ],
    **{
        f"proof_of_{proof.family}": answer(
            [
                PartOpen(pos=0, kind="reasoning"),
                OpaqueSeen(pos=0, opaque=proof),
                PartClose(pos=0),
            ],
            said(1, "text", "There."),
        )
        for proof in _PROOFS
    },
    **{
        f"unknown_of_{dialect}": answer(
            [
                PartOpen(pos=0, kind="unknown"),
                UnknownSeen(pos=0, dialect=dialect, type="odd", payload=_PAYLOAD),
                PartClose(pos=0),
            ],
            said(1, "text", "There."),
        )
        for dialect in ("openai", "responses", "anthropic", "google", "bedrock")
    },
}
"""What few dialects have words for; all of them must get past it."""
