"""Turn a state into the pill every screen shows for it.

One function, ``pill``, used by lists, details, the simulator and the request log: the
word, the colour, the icon, what it means and what a person can do about it. A state
is never told by its colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from poolsite.ui import numbers

Tone = Literal["ok", "warn", "error", "info", "accent", "off", ""]


@dataclass(frozen=True, slots=True)
class Pill:
    """What a pill shows. ``detail`` is the moving part: until when, resets when."""

    state: str
    word: str
    tone: Tone
    icon: str
    explanation: str
    action: str = ""
    detail: str = ""

    @property
    def title(self) -> str:
        """Say explanation and next action in one tooltip."""
        return f"{self.explanation} {self.action}".strip()


def _table(*rows: tuple[str, str, Tone, str, str, str]) -> dict[str, Pill]:
    return {row[0]: Pill(*row) for row in rows}


_CREDENTIALS: Final = _table(
    (
        "healthy",
        "Healthy",
        "ok",
        "circle-check",
        "Recent requests succeeded.",
        "",
    ),
    (
        "degraded",
        "Degraded",
        "warn",
        "triangle-alert",
        "Some recent requests failed, or a part of it is out of use.",
        "Open it to see which part.",
    ),
    (
        "cooling",
        "Cooling down",
        "warn",
        "snowflake",
        "It failed and rests before it is tried again.",
        "Wait, or clear the cooldown to try at once.",
    ),
    (
        "rate_limited",
        "Rate limited",
        "warn",
        "gauge",
        "The provider asked for fewer requests.",
        "Wait, or add another key to share the load.",
    ),
    (
        "out_of_quota",
        "Out of quota",
        "error",
        "battery-warning",
        "The provider says that its quota or balance is used up.",
        "Top up at the provider, or wait for the reset.",
    ),
    (
        "signin_expired",
        "Sign-in expired",
        "error",
        "log-in",
        "The provider no longer accepts this sign-in.",
        "Reconnect the account.",
    ),
    (
        "invalid_key",
        "Invalid key",
        "error",
        "circle-x",
        "The provider refused this key.",
        "Replace the key, then test it.",
    ),
    (
        "origin_changed",
        "Address changed",
        "error",
        "lock",
        "The keys were entered for the provider's old address and are not sent to "
        "the new one.",
        "Enter the keys again.",
    ),
    (
        "unreadable",
        "Unreadable",
        "error",
        "lock",
        "The stored secret cannot be decrypted with the keys this server holds.",
        "Restore the encryption key, or enter the secret again.",
    ),
    (
        "down",
        "Down",
        "error",
        "circle-x",
        "No request reaches it.",
        "Test it to see the cause.",
    ),
    (
        "needs_attention",
        "Needs attention",
        "error",
        "circle-alert",
        "It will not get better by waiting.",
        "Open it to see what a person has to do.",
    ),
    (
        "unknown",
        "Unknown",
        "",
        "circle-question-mark",
        "Nothing tells how it is: nobody asked it lately.",
        "Test it.",
    ),
    (
        "disabled",
        "Disabled",
        "off",
        "pause",
        "Somebody switched it off; no request goes there.",
        "Enable it to use it again.",
    ),
    (
        "untested",
        "Untested",
        "",
        "circle-dashed",
        "No request and no test has told how it is.",
        "Test it.",
    ),
    (
        "not_supported",
        "Not supported",
        "off",
        "circle-slash",
        "The provider does not offer this.",
        "",
    ),
)

_CLIENT_KEYS: Final = _table(
    ("active", "Active", "ok", "circle-check", "Requests with it are served.", ""),
    (
        "revoked",
        "Revoked",
        "error",
        "ban",
        "It was revoked and is refused.",
        "Create a new key.",
    ),
    (
        "expired",
        "Expired",
        "warn",
        "clock",
        "Its expiry date has passed and it is refused.",
        "Create a new key or extend this one.",
    ),
    (
        "over_budget",
        "Over budget",
        "error",
        "coins",
        "Its budget is used up; requests are refused until the reset.",
        "Raise the budget or wait for the reset.",
    ),
    (
        "near_budget",
        "Near budget",
        "warn",
        "coins",
        "More than 80 % of its budget is used.",
        "Raise the budget if that is too little.",
    ),
)

_REQUESTS: Final = _table(
    ("ok", "OK", "ok", "check", "The client got a complete answer.", ""),
    ("fallback", "Fallback", "info", "shuffle", "A later candidate served it.", ""),
    ("refused", "Refused", "warn", "ban", "The pool refused it before any call.", ""),
    ("client_error", "Client error", "warn", "circle-alert", "The request was at fault.", ""),
    ("failed", "Failed", "error", "circle-x", "It did not succeed.", ""),
    ("cancelled", "Cancelled", "", "circle-slash", "It was stopped on purpose.", ""),
    ("cut", "Cut", "error", "circle-alert", "The answer ended before it was complete.", ""),
    ("estimated", "Estimated", "info", "info", "The usage never reached us; the figures are our estimate.", ""),
    ("unpriced", "Unpriced", "warn", "tag", "No price is known for this model, so its cost is unknown.", "Set a price."),
    ("quota_unknown", "Quota not reported", "", "circle-question-mark", "The provider does not report quota.", ""),
)  # fmt: skip

_JOBS: Final = _table(
    ("new", "Waiting", "", "clock", "It has not started yet.", ""),
    ("running", "Running", "info", "loader", "It is being worked on.", ""),
    ("done", "Done", "ok", "circle-check", "It finished.", ""),
    (
        "interrupted",
        "Interrupted",
        "warn",
        "triangle-alert",
        "The worker stopped before it was finished.",
        "Resume it.",
    ),
    ("enabled", "Enabled", "ok", "circle-check", "It is in use.", ""),
    (
        "missing",
        "Missing",
        "error",
        "circle-x",
        "Its provider says that it does not have it.",
        "",
    ),
    (
        "unproven",
        "Unproven",
        "warn",
        "circle-question-mark",
        "Nothing was proven: this is no evidence against it.",
        "Try again later.",
    ),
    ("skipped", "Skipped", "off", "circle-slash", "It was not asked.", ""),
    ("on", "On", "ok", "circle-check", "It is on.", ""),
    ("off", "Off", "off", "circle-slash", "It is off.", ""),
    ("locked", "Locked", "warn", "lock", "It is set by the environment.", ""),
)

STATES: Final[dict[str, Pill]] = _CREDENTIALS | _CLIENT_KEYS | _REQUESTS | _JOBS
_ALIASES: Final = {
    "cooling_down": "cooling",
    "cooldown": "cooling",
    "sign_in_expired": "signin_expired",
    "success": "ok",
    "error": "failed",
    "queued": "new",
}


def pill(
    state: str,
    *,
    until: datetime | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> Pill:
    """Return the pill of a state.

    Shapes: ``until`` is when a cooldown ends or a quota resets; ``reason`` replaces the
        general explanation by the particular one.
    Fails:  a state nobody has described becomes a neutral pill with its own name, since
        a page that shows it is more use than a page that breaks.
    """
    key = _ALIASES.get(state, state)
    known = STATES.get(key)
    if known is None:
        word = state.replace("_", " ").strip().capitalize() or "Unknown"
        known = Pill(key, word, "", "circle-question-mark", "")
    if reason:
        known = replace(known, explanation=reason)
    if until is not None:
        known = replace(known, detail=_until(key, until, now or until))
    return known


def _until(state: str, until: datetime, now: datetime) -> str:
    if state in ("out_of_quota", "over_budget"):
        return f"resets in {numbers.span((until - now).total_seconds())}"
    return f"until {until:%H:%M:%S}"
