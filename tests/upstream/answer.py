"""The neutral shape of an answer, between a dialect and the wire.

A dialect says what is to be answered (`Answer`); `faults` bends the bytes; `server`
delivers them and keeps count. Nothing here knows a dialect.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.upstream.scenario import Scenario


@dataclass(frozen=True)
class Segment:
    """A piece of the body, and what has been delivered once it has left.

    Shapes: event says the piece is one event of a stream, which `cut` and `stall`
            count; usage says the piece carries the complete usage figure.
    """

    data: bytes
    tokens: int = 0
    reasoning_tokens: int = 0
    usage: bool = False
    event: bool = True


@dataclass
class Answer:
    """A whole answer as the dialect meant it."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    stream: bool = False
    usage: dict[str, Any] | None = None

    def with_status(self, status: int) -> Answer:
        """Return the same answer under another status."""
        return replace(self, status=status)


@dataclass(frozen=True)
class Ask:
    """What a dialect read from a request.

    Units: prompt_tokens by this upstream's own rule.
    """

    model: str
    stream: bool
    prompt_tokens: int
    payload: dict[str, Any]


class Dialect(Protocol):
    """One wire format. A module in `dialects/` holds one and registers it."""

    name: str

    def matches(self, method: str, path: str) -> bool:
        """Say whether this dialect serves the path."""
        ...

    def parse(self, path: str, body: bytes) -> Ask:
        """Read the request. Errors: ValueError for what the dialect refuses."""
        ...

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer to a call, with the faults of content and shape."""
        ...

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error answer in the dialect's shape."""
        ...

    def stream_error(self) -> Segment:
        """Build the event of a failure in the middle of a stream."""
        ...


def document(
    body: bytes, *, status: int = 200, content_type: str = "application/json"
) -> Answer:
    """Return an answer of one body."""
    return Answer(
        status=status,
        headers=[("content-type", content_type)],
        segments=[Segment(body)],
    )
