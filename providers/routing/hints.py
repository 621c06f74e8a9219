"""Read how long an upstream asks to be left alone.

Vendors say it in a header (seconds, milliseconds, a date, a Unix time, ``6m0s``), in
the error's JSON, or only in its text. The readers stand in a table; the first that
finds something wins.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from providers.routing.durations import UNIT_S, number, parse_duration
from providers.routing.vendor_errors import is_daily

LEAST_S: Final = 1.0
MOST_S: Final = 24 * 3600.0
MAX_TEXT: Final = 64 * 1024
_DAY_S: Final = 86_400.0
_PACIFIC_S: Final = 8 * 3600.0

_IN_TEXT: Final = re.compile(
    r"(?:try again|retry|retrying|available again|reset)\w{0,12}\s{1,5}(?:after|in)\s{1,5}"
    r"((?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|seconds?|minutes?|hours?|days?|[smhd])\b"
    r"[\s,]*)+|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)",
    re.IGNORECASE,
)
_WORDY: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(milliseconds?|ms|seconds?|minutes?|hours?|days?|[smhd])",
    re.IGNORECASE,
)
_REMAINING_RESET: Final = (
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
)

Headers = Mapping[str, str]
Reader = Callable[[Headers, str, float], float | None]


def read_hint(headers: Headers, text: str, *, now_s: float) -> float | None:
    """Return the wait an upstream asks for, None when it names none.

    Shapes:  header names in lower case; ``text`` is the error body.
    Units:   seconds from ``now_s`` (Unix time), at least 1 and at most 24 hours.
    Fails:   never; what cannot be read is no hint.
    """
    for reader in _READERS:
        found = reader(headers, text[:MAX_TEXT], now_s)
        if found is not None and math.isfinite(found):
            return min(max(found, LEAST_S), MOST_S)
    return None


def _retry_after_ms(headers: Headers, text: str, now_s: float) -> float | None:
    value = number(headers.get("retry-after-ms", ""))
    return None if value is None else value / 1000


def _retry_after(headers: Headers, text: str, now_s: float) -> float | None:
    raw = headers.get("retry-after", "")
    if not raw:
        return None
    value = number(raw)
    if value is not None:
        return value
    try:
        moment = parsedate_to_datetime(raw)
    except (ValueError, OverflowError):
        return parse_duration(raw)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - now_s


def _unified_reset(headers: Headers, text: str, now_s: float) -> float | None:
    value = number(headers.get("anthropic-ratelimit-unified-reset", ""))
    return None if value is None else value - now_s


def _exhausted_reset(headers: Headers, text: str, now_s: float) -> float | None:
    """Take the latest reset among the counters that stand at zero."""
    waits = []
    for remaining, reset in _REMAINING_RESET:
        if number(headers.get(remaining, "")) == 0 and reset in headers:
            waits.append(_moment_or_duration(headers[reset], now_s))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _moment_or_duration(text: str, now_s: float) -> float | None:
    if "T" not in text:
        return parse_duration(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - now_s


def _codex_header(headers: Headers, text: str, now_s: float) -> float | None:
    """Read the window that is used up: primary 5 hours, secondary a week."""
    waits = []
    for window in ("primary", "secondary"):
        used = number(headers.get(f"x-codex-{window}-used-percent", ""))
        if used is None or used < 100:
            continue
        after = number(headers.get(f"x-codex-{window}-reset-after-seconds", ""))
        at = number(headers.get(f"x-codex-{window}-reset-at", ""))
        if after is not None:
            waits.append(after)
        elif at is not None:
            waits.append(at - now_s)
    return max(waits) if waits else None


def _json_fields(headers: Headers, text: str, now_s: float) -> float | None:
    """Read resets_at, resets_in_seconds, retryDelay and quotaResetDelay."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for name, value in _members(document):
        if name == "resets_at" and (found := _as_number(value)) is not None:
            return found - now_s
        if name in ("resets_in_seconds", "retry_after") and (
            (found := _as_number(value)) is not None
        ):
            return found
        if name in ("retryDelay", "quotaResetDelay") and isinstance(value, str):
            return parse_duration(value)
    return None


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return number(str(value))


def _members(document: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > 6:
        return
    if isinstance(document, dict):
        for name, value in document.items():
            yield name, value
            yield from _members(value, depth + 1)
    elif isinstance(document, list):
        for value in document[:50]:
            yield from _members(value, depth + 1)


def _spend_limit(headers: Headers, text: str, now_s: float) -> float | None:
    """Wait for the next month, when a limit on spending that names no time is over."""
    if "enforced_spend_limit_reached" not in text:
        return None
    now = datetime.fromtimestamp(now_s, UTC)
    following = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    begins = following.replace(hour=0, minute=0, second=0, microsecond=0)
    return begins.timestamp() - now_s


def _daily_quota(headers: Headers, text: str, now_s: float) -> float | None:
    """Wait for midnight in California, where Google's days end.

    The delay beside such a failure is that of the minute, and misleads. Winter time is
    taken all year: an hour late rather than early.
    """
    if "QuotaFailure" not in text or not is_daily(text.encode()):
        return None
    return _DAY_S - (now_s - _PACIFIC_S) % _DAY_S


def _in_text(headers: Headers, text: str, now_s: float) -> float | None:
    match = _IN_TEXT.search(text)
    if match is None:
        return None
    total = 0.0
    for count, unit in _WORDY.findall(match[1]):
        short = "ms" if unit.lower().startswith(("ms", "mill")) else unit[0].lower()
        total += float(count) * UNIT_S[short]
    return total


_READERS: Final[tuple[Reader, ...]] = (
    _retry_after_ms,
    _retry_after,
    _unified_reset,
    _codex_header,
    _spend_limit,
    _daily_quota,
    _json_fields,
    _exhausted_reset,
    _in_text,
)
