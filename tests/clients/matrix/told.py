"""What is asked of every SDK, and what each made of the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

HELLO = "Tell me about the harbour."
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = {"get_weather": WEATHER, "get_time": WEATHER}


@dataclass(frozen=True)
class Call:
    """A tool call as an SDK showed it."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Told:
    """An answer as an SDK showed it.

    Shapes: raw is what the SDK needs to go on with the conversation.
    Units:  tokens; cached is a part of prompt, thought a part of completion. None =
            the SDK has no place for it.
    """

    text: str = ""
    thought: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""
    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None
    reasoned: int | None = None
    raw: Any = None


@dataclass(frozen=True)
class Question:
    """A question in words every SDK can put.

    Shapes: results answer the calls of `before`, by call id or name.
    """

    model: str
    text: str = HELLO
    image: bool = False
    tools: bool = False
    forced: str = ""
    schema: dict[str, Any] | None = None
    think: bool = False
    before: Told | None = None
    results: tuple[str, ...] = ()


class Speaker(Protocol):
    """One official SDK."""

    name: str
    cannot: dict[str, str]
    """Features this client's dialect has no words for, with the reason."""

    def ask(self, question: Question) -> Told:
        """Ask for a whole answer."""

    def stream(self, question: Question) -> Told:
        """Ask for a stream and read it to its end."""

    def status_of(self, error: Exception) -> int | None:
        """Return the HTTP status of an SDK's error, None for one without."""

    def close(self) -> None:
        """Close connections."""
