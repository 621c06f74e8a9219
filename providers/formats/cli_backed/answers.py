"""Make events of what a program said, however it printed it."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import UNREADABLE
from providers.formats.cli_backed.command import Printed
from providers.formats.cli_backed.toolcalls import take_calls
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Failed,
    Finish,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)

_LONGEST_MESSAGE: Final = 2000
_KINDS: Final = (
    (
        r"prompt is too long|context window|context.length",
        400,
        "context_length_exceeded",
    ),
    (r"credit balance|insufficient|quota", 402, "insufficient_quota"),
    (r"rate.?limit|usage limit|limit reached|too many requests|\b429\b", 429,
     "rate_limit_exceeded"),
    (r"overloaded|\b529\b", 529, "server_is_overloaded"),
    (r"/login|log ?in\b|logged in|api key|unauthori[sz]ed|authenticat|\b401\b", 401,
     "invalid_api_key"),
    (r"model.{0,80}(not found|not exist|not supported)", 404, "model_not_found"),
)  # fmt: skip
"""What the words of a failure mean: a program has no status to say it with."""

_PATTERNS: Final = tuple(
    (re.compile(words, re.IGNORECASE), status, code) for words, status, code in _KINDS
)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a program's answer.

    Shapes:  ``reasoning`` are summaries of what it thought.
    Units:   ``cost_nano_usd`` is what the program says the call cost.
    """

    id: str
    text: str
    reasoning: tuple[str, ...] = ()
    usage: TokenUsage | None = None
    flags: tuple[str, ...] = ()
    cost_nano_usd: int | None = None
    tools: tuple[str, ...] = ()


def read_printed(body: bytes) -> Printed | None:
    """Read what the runner of programs noted, None for anything else."""
    try:
        return msgspec.json.decode(body, type=Printed)
    except (*UNREADABLE, msgspec.ValidationError):
        return None


def answered(said: Said, *, model: str) -> list[AnyEvent]:
    """Return the events of an answer."""
    text, calls = take_calls(said.text, said.tools)
    events: list[AnyEvent] = [Start(id=said.id, model=model)]
    pos = 0
    for thought in said.reasoning:
        events.append(PartOpen(pos=pos, kind="reasoning", detail="summary"))
        events += (Delta(pos=pos, text=thought), PartClose(pos=pos))
        pos += 1
    if text:
        events.append(PartOpen(pos=pos, kind="text"))
        events += (Delta(pos=pos, text=text), PartClose(pos=pos))
        pos += 1
    for call in calls:
        events.append(PartOpen(pos=pos, kind="tool_call", id=call.id, name=call.name))
        events += (Delta(pos=pos, text=call.arguments), PartClose(pos=pos))
        pos += 1
    events.append(Finish(reason="tool_calls" if calls else "end"))
    events += _counted(said)
    events.append(End())
    return events


def failed(
    message: str, said: Said | None = None, *, status: int | None = None
) -> list[AnyEvent]:
    """Return the events of a failure; what it used is billed all the same.

    Shapes:  ``status`` is the one the vendor answered the program with, if it says so.
    """
    error = _detail(message.strip() or "the program said nothing", status)
    # Zeros are what a program says that never asked anybody.
    has_used = said is not None and said.usage is not None and said.usage.total_tokens
    return [
        *(_counted(said) if said is not None and has_used else ()),
        Failed(error=error),
    ]


def complaint(printed: Printed) -> str:
    """Return what a program that failed left behind: its errors, else its output."""
    said = printed.stderr.strip() or printed.stdout.strip()
    ending = (
        f"ended with status {printed.exit}"
        if printed.exit >= 0
        else f"was ended by signal {-printed.exit}"
    )
    return f"the program {ending}: {said}" if said else f"the program {ending}"


def _counted(said: Said) -> list[AnyEvent]:
    if said.usage is None:
        return []
    return [
        UsageSeen(
            usage=said.usage,
            flags=said.flags,
            vendor_cost_nano_usd=said.cost_nano_usd,
        )
    ]


def _detail(message: str, status: int | None) -> ErrorDetail:
    message = message[:_LONGEST_MESSAGE]
    for pattern, meant, code in _PATTERNS:
        if pattern.search(message):
            return ErrorDetail(message=message, code=code, status=status or meant)
    return ErrorDetail(
        message=message, type="server_error", code="program_failed", status=status
    )
