"""Read what only some vendors say: Google's error details, Anthropic's spend limits.

Google answers a short rate limit, an empty day and a model without capacity with the
same 429; the difference stands in typed details. Anthropic hides a limit on spending
behind the code inside its details.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from providers.routing.durations import parse_duration

MAX_RAW: Final = 64 * 1024
LONGEST_RATE_S: Final = 300.0
"""Google asks for more than this only where waiting inside the hour is pointless."""

_Kind = Literal["auth", "quota", "rate_limit", "overloaded", "model"]
_LIMITED: Final = frozenset({429, 499, 503})
_EMPTY: Final = frozenset({"QUOTA_EXHAUSTED", "INSUFFICIENT_G1_CREDITS_BALANCE"})
_FULL: Final = frozenset({"MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"})
_LONGEST_LINK: Final = 150
_SPENT: Final = b"enforced_spend_limit_reached"


def vendor_kind(status: int, raw: bytes) -> _Kind | None:
    """Return the class only a vendor's own details tell, None without such.

    Fails:   never; what cannot be read says nothing.
    """
    if _SPENT in raw and status in (400, 403, 429):
        return "quota"
    if b"@type" not in raw and b"limit: 0" not in raw:
        return None
    error = google_error(raw)
    if error is None:
        return None
    details = list(_details(error))
    if status == 403 and _needs_a_person(details):
        return "auth"
    return (
        _limited(str(error.get("message", "")), details)
        if (status in _LIMITED)
        else None
    )


def google_error(raw: bytes) -> dict[str, Any] | None:
    """Return the error object of a Google answer, None when it is none."""
    if len(raw) > MAX_RAW:
        return None
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(document, list):
        document = document[0] if document else None
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else None


def is_daily(raw: bytes) -> bool:
    """Tell whether a quota that counts by the day is used up."""
    if b"QuotaFailure" not in raw:
        return False
    error = google_error(raw)
    if error is None:
        return False
    return any(_is_of_a_day(name) for name in _quota_ids(list(_details(error))))


def verification_link(raw: bytes) -> str:
    """Return where a person must confirm a Google account, blank when not asked to.

    Shapes:  Google's own pages only: whoever pretends to be Google sends nobody
             anywhere. A long query is left out.
    """
    if b"VALIDATION_REQUIRED" not in raw:
        return ""
    error = google_error(raw)
    details = [] if error is None else list(_details(error))
    if not _needs_a_person(details):
        return ""
    for detail in details:
        links = detail.get("links")
        if isinstance(links, list) and links and isinstance(links[0], dict):
            return _own_page(str(links[0].get("url", "")))
    for detail in details:
        metadata = detail.get("metadata")
        if isinstance(metadata, dict) and "validation_link" in metadata:
            return _own_page(str(metadata["validation_link"]))
    return ""


def _own_page(link: str) -> str:
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme != "https" or not host.endswith(".google.com"):
        return ""
    if len(link) <= _LONGEST_LINK and link.isprintable():
        return link
    return f"https://{host}/"


def _limited(message: str, details: list[dict[str, Any]]) -> _Kind | None:
    reasons = {str(detail.get("reason", "")) for detail in details}
    names = _quota_ids(details)
    if any(_is_of_a_day(name) for name in names) or "limit: 0" in message:
        # A day of one model leaves the other models of that key alone.
        of_model = any("permodel" in name.lower() for name in names)
        return "rate_limit" if of_model else "quota"
    if reasons & _FULL:
        return "overloaded"
    if reasons & _EMPTY:
        return "quota"
    delay = _delay(details)
    if "RATE_LIMIT_EXCEEDED" in reasons:
        is_short = delay is not None and delay <= LONGEST_RATE_S
        return "rate_limit" if is_short else "quota"
    return "rate_limit" if delay is not None and delay <= LONGEST_RATE_S else None


def _needs_a_person(details: list[dict[str, Any]]) -> bool:
    return any(
        detail.get("reason") == "VALIDATION_REQUIRED"
        and "cloudcode-pa" in str(detail.get("domain", ""))
        for detail in details
    )


def _delay(details: list[dict[str, Any]]) -> float | None:
    for detail in details:
        metadata = detail.get("metadata")
        found = detail.get("retryDelay")
        if found is None and isinstance(metadata, dict):
            found = metadata.get("quotaResetDelay")
        if isinstance(found, str) and (seconds := parse_duration(found)) is not None:
            return seconds
    return None


def _quota_ids(details: list[dict[str, Any]]) -> list[str]:
    found = []
    for detail in details:
        violations = detail.get("violations")
        if isinstance(violations, list):
            named = [each for each in violations[:50] if isinstance(each, dict)]
            found += [str(each.get("quotaId", "")) for each in named]
    return found


def _is_of_a_day(quota_id: str) -> bool:
    return "PerDay" in quota_id or "Daily" in quota_id


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    listed = error.get("details")
    if isinstance(listed, list):
        yield from (each for each in listed[:50] if isinstance(each, dict))
