"""What is remembered of something that failed, and how it travels as a fact.

The same words go to the journal, to the rows the keeper makes of them, and to other
processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from poolsite.clock import NANOSECONDS_PER_SECOND
from providers.routing.subjects import parse
from usage.journal.records import Fact

COOLDOWN_FACT: Final = "cooldown"
"""A subject is left alone; ``until_s`` None = no longer."""

RECOVERY_FACT: Final = "recovery"
"""A subject is forgotten, or all of them: what happened before counts no more."""

FAILURES_FACT: Final = "failures"
"""How often a model failed since the last such fact, by kind."""

_LONGEST_ERROR: Final = 200
_MOST_COUNT: Final = 1_000_000


class Cooling(msgspec.Struct, frozen=True, gc=False):
    """Why a route is to be left alone, and for how long.

    Units:   ``left_s`` seconds, None = waiting does not help, a person must act.
    """

    reason: str
    left_s: float | None
    subject: str = ""


class State(msgspec.Struct):
    """What is remembered of one subject.

    Shapes:  ``is_event`` = diagnosed of many secrets, not done by this one alone.
             ``at_ns`` is the wall clock of the last change: the later one holds.
    Units:   monotonic seconds; ``until`` 0 = not cooling. ``probe_until`` is the end
             of a try in progress, ``lease_until`` the end of our right to make it.
    """

    reason: str
    count: int = 0
    transient_count: int = 0
    until: float = 0.0
    last: float = 0.0
    probe_until: float = 0.0
    lease_until: float = 0.0
    asked_at: float = 0.0
    at_ns: int = 0
    since_ns: int = 0
    error: str = ""
    is_event: bool = False
    counts: dict[str, int] = msgspec.field(default_factory=dict)


def fact_of(subject: str, state: State, *, at_ns: int, wait_s: float | None) -> Fact:
    """Word a change; without a ``wait_s`` it is over."""
    parts = parse(subject)
    until = None if wait_s is None else at_ns / NANOSECONDS_PER_SECOND + wait_s
    payload = {
        "reason": state.reason,
        "until_s": until,
        "at_ns": at_ns,
        "count": state.count,
        "provider_id": None if parts is None else parts.provider_id,
        "model_id": None if parts is None else parts.model_id,
        "credential_kind": None if parts is None else parts.credential_kind,
        "credential_id": None if parts is None else parts.credential_id,
        "since_s": state.since_ns / NANOSECONDS_PER_SECOND,
        "error": state.error[:_LONGEST_ERROR],
        "counts": dict(state.counts),
        "is_event": state.is_event,
    }
    return Fact(kind=COOLDOWN_FACT, key=subject, at_ns=at_ns, payload=payload)


def state_of(
    payload: Mapping[str, Any], *, at_ns: int, now_ns: int, now: float, most_s: float
) -> State | None:
    """Read what ``fact_of`` worded; None for what is over or cannot be read.

    Units:   a wait is cut at ``most_s``: a clock that was set wrong must not park
             anything for years.
    """
    try:
        left = float(payload["until_s"]) - now_ns / NANOSECONDS_PER_SECOND
        count = min(int(payload.get("count", 1)), _MOST_COUNT)
        state = State(str(payload["reason"]), count, count)
        since = float(payload.get("since_s", 0.0))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not left > 0:
        return None
    state.until = now + min(left, most_s)
    state.last = now
    state.at_ns = at_ns
    if math.isfinite(since) and since > 0:
        state.since_ns = int(since * NANOSECONDS_PER_SECOND)
    state.error = str(payload.get("error", ""))[:_LONGEST_ERROR]
    state.is_event = payload.get("is_event") is True
    counts = payload.get("counts")
    if isinstance(counts, dict):
        state.counts = {
            str(kind): number
            for kind, number in counts.items()
            if isinstance(number, int)
        }
    return state


class Failures(msgspec.Struct):
    """Failures of one model since they were last told."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    error: str = ""
    last_ns: int = 0


def failures_fact(provider_id: int, model_id: int, found: Failures) -> Fact:
    """Word the failures of one model."""
    payload = {
        "provider_id": provider_id,
        "model_id": model_id,
        "counts": found.counts,
        "error": found.error[:_LONGEST_ERROR],
    }
    key = f"model:{model_id}"
    return Fact(kind=FAILURES_FACT, key=key, at_ns=found.last_ns, payload=payload)
