"""Read how much of a credential's allowance the vendor says is left.

Vendors tell it with every answer, also with good ones: what runs out is seen before it
has. Nothing is told for certain: another process may be using the same account.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from providers.routing.durations import number, parse_duration

_PAIRS: Final = tuple(
    (f"{prefix}-remaining{kind}", f"{prefix}-limit{kind}", f"{prefix}-reset{kind}")
    for prefix, kind in (("x-ratelimit", "-requests"), ("x-ratelimit", "-tokens"))
) + tuple(
    (f"{prefix}-remaining", f"{prefix}-limit", f"{prefix}-reset")
    for prefix in (
        "anthropic-ratelimit-requests",
        "anthropic-ratelimit-tokens",
        "anthropic-ratelimit-input-tokens",
        "anthropic-ratelimit-output-tokens",
    )
)
_UNIFIED: Final = "anthropic-ratelimit-unified"
_UNIFIED_STATUS: Final = (f"{_UNIFIED}-5h-status", f"{_UNIFIED}-status")
_CODEX: Final = tuple(
    (f"{prefix}-used-percent", f"{prefix}-reset-after-seconds", f"{prefix}-reset-at")
    for prefix in ("x-codex-primary", "x-codex-secondary")
)
_OF_STATUS: Final = {"allowed": 1.0, "allowed_warning": 0.1, "rejected": 0.0}
_EPOCH_S: Final = 1_000_000_000.0
_LONGEST_S: Final = 31 * 86_400.0


class QuotaSignal(msgspec.Struct, frozen=True, gc=False):
    """What is left of the scarcest allowance.

    Shapes:  ``remaining`` is a fraction from 0 to 1.
    Units:   ``reset_s`` seconds until it is whole again, at most 31 days; None = not
             told.
    """

    remaining: float
    reset_s: float | None = None


def quota_signal(
    headers: Mapping[str, str], *, now_s: float | None = None
) -> QuotaSignal | None:
    """Return what an answer's headers tell of the allowance, None when nothing.

    Shapes:  header names in lower case.
    Units:   ``now_s`` Unix seconds; without it moments are not turned into waits.
    Fails:   never; what cannot be read is not told.
    Cost:    under a microsecond where nothing is told, about four otherwise.
    """
    found: list[tuple[float, str | None]] = []
    get = headers.get
    for left, limit, reset in _PAIRS:
        told = get(left)
        if told is not None:
            share = _share(told, get(limit))
            if share is not None:
                found.append((share, get(reset)))
    status = get(_UNIFIED_STATUS[0]) or get(_UNIFIED_STATUS[1])
    if status is not None and status in _OF_STATUS:
        found.append((_OF_STATUS[status], get(f"{_UNIFIED}-reset")))
    for percent, after, at in _CODEX:
        told = get(percent)
        used = None if told is None else number(told)
        if used is not None:
            found.append((_bounded(1.0 - used / 100.0), get(after) or get(at)))
    if not found:
        return None
    share, when = min(found, key=_scarcest)
    return QuotaSignal(share, None if when is None else _wait_s(when, now_s))


def _scarcest(each: tuple[float, str | None]) -> float:
    return each[0]


def _share(left: str, limit: str | None) -> float | None:
    """Return the fraction left; without a known limit only an empty one tells."""
    remaining = number(left)
    if remaining is None:
        return None
    whole = None if limit is None else number(limit)
    if whole is None or whole <= 0:
        return 0.0 if remaining <= 0 else None
    return _bounded(remaining / whole)


def _bounded(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _wait_s(text: str, now_s: float | None) -> float | None:
    """Read a duration, a Unix time or a date as seconds from now."""
    moment: float | None = None
    if "T" in text:
        try:
            parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        moment = parsed.timestamp()
    else:
        seconds = parse_duration(text)
        if seconds is None or seconds < _EPOCH_S:
            return None if seconds is None else _waited(seconds)
        moment = seconds
    return None if now_s is None else _waited(moment - now_s)


def _waited(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_S)
