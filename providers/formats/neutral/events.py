"""The neutral answer: a row of events, the same for streamed and whole answers.

A decoder makes events of an upstream's bytes, an encoder makes the client's bytes of
events. Order: ``Start``, then for each part ``PartOpen``, deltas, ``PartClose``; one
``Finish`` for each choice; ``UsageSeen`` any time; ``End`` last, or ``Failed`` and
nothing after it. Decoders of sloppy upstreams may leave out opens, closes and finishes
they can: ``repair.Repair`` stands between them and every encoder and puts them right.

Source: reference wire 5.2.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.types import Citation, Opaque, Part

PartKind: TypeAlias = Literal[
    "text", "reasoning", "tool_call", "refusal", "media", "unknown"
]
FinishReason: TypeAlias = Literal[
    "end",
    "stop_sequence",
    "max_tokens",
    "context_full",
    "tool_calls",
    "pause",
    "refusal",
    "prompt_blocked",
    "malformed",
    "cancelled",
]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all events."""


class Start(Event, frozen=True, kw_only=True):
    """The upstream began to answer; ``usage`` is what it knew by then."""

    id: str = ""
    model: str = ""
    created: int = 0
    usage: TokenUsage | None = None
    service_tier: str = ""


class PartOpen(Event, frozen=True, kw_only=True):
    """A part begins.

    Shapes:  ``pos`` counts parts across the whole answer and never repeats. For a tool
             call ``id`` and ``name`` are complete here; ``tool_kind``, ``namespace``
             and ``item_id`` as in ``ToolCall``. ``detail`` is full | summary for
             reasoning.
    """

    pos: int
    kind: PartKind
    choice: int = 0
    id: str = ""
    name: str = ""
    tool_kind: str = "function"
    namespace: str = ""
    item_id: str = ""
    detail: str = ""


class Delta(Event, frozen=True, kw_only=True):
    """A piece of a part: text, reasoning, arguments or refusal, by the part's kind.

    Shapes:  ``logprobs`` is raw JSON of chat's ``content`` entries for this piece.
    """

    pos: int
    text: str
    logprobs: msgspec.Raw | None = None


class OpaqueSeen(Event, frozen=True, kw_only=True):
    """Proof for an open part."""

    pos: int
    opaque: Opaque


class CitationSeen(Event, frozen=True, kw_only=True):
    """A source of an open text part."""

    pos: int
    citation: Citation


class MediaSeen(Event, frozen=True, kw_only=True):
    """Bytes of an open media part, base64."""

    pos: int
    data: str
    media_type: str = ""


class UnknownSeen(Event, frozen=True, kw_only=True):
    """A vendor's own item or block in an open part of kind unknown, as raw JSON."""

    pos: int
    dialect: str
    type: str
    payload: msgspec.Raw


class PartClose(Event, frozen=True, kw_only=True):
    """A part is complete; ``Repair`` fills in what it became."""

    pos: int
    part: Part | None = None


class UsageSeen(Event, frozen=True, kw_only=True):
    """The usage so far; the last one counts.

    Shapes:  ``vendor_cost_nano_usd`` as the vendor stated it; ``flags`` name what was
             odd about the counters.
    """

    usage: TokenUsage
    flags: tuple[str, ...] = ()
    vendor_cost_nano_usd: int | None = None


class Finish(Event, frozen=True, kw_only=True):
    """A choice ended.

    Shapes:  ``raw`` is the vendor's word; ``detail`` its explanation of a refusal.
    """

    reason: FinishReason
    choice: int = 0
    raw: str = ""
    stop_sequence: str = ""
    detail: str = ""


class Meta(Event, frozen=True, kw_only=True):
    """Something about the answer that became known late."""

    service_tier: str = ""
    model: str = ""
    id: str = ""


class Failed(Event, frozen=True, kw_only=True):
    """The upstream reported an error, or broke its own format; nothing follows."""

    error: ErrorDetail


class End(Event, frozen=True, kw_only=True):
    """The answer ended as its dialect ends; nothing follows."""


AnyEvent: TypeAlias = (
    Start
    | PartOpen
    | Delta
    | OpaqueSeen
    | CitationSeen
    | MediaSeen
    | UnknownSeen
    | PartClose
    | UsageSeen
    | Finish
    | Meta
    | Failed
    | End
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one complete choice of a whole answer."""

    index: int = 0
    parts: tuple[Part, ...] = ()
    finish: Finish = Finish(reason="end")
    logprobs: tuple[msgspec.Raw, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a whole answer, gathered from its events.

    Shapes:  ``is_complete`` = ``End`` was seen; ``error`` = ``Failed`` was.
    """

    id: str = ""
    model: str = ""
    created: int = 0
    service_tier: str = ""
    choices: tuple[Choice, ...] = ()
    usage: TokenUsage | None = None
    flags: tuple[str, ...] = ()
    vendor_cost_nano_usd: int | None = None
    is_complete: bool = False
    error: ErrorDetail | None = None
