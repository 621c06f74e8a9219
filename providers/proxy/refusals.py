"""Word a refusal by a limit: what is used up, when it resets, what would help."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from poolsite.money import format_usd
from providers.proxy.errors import LimitReachedError
from usage.limits.contract import Refusal

_WORTH_REPEATING_S: Final = 60.0

_WORDS: Final = {
    "rpm": "requests per minute",
    "tpm": "tokens per minute",
    "concurrency": "requests at the same time",
    "requests": "requests in this window",
}


_WHOSE: Final = {
    "pool": "the whole pool",
    "team": "the team of this API key",
    "agent": "this agent",
    "session": "this session",
}


def refused(refusal: Refusal, whose: str = "") -> LimitReachedError:
    """Word a refusal; the reset time stands in the message and the headers.

    Shapes:  ``whose`` is the scope of the budget that refused: pool, team, key ...
    """
    owner = _WHOSE.get(whose, "this API key")
    is_money = refusal.limit == "budget"
    if is_money:
        words = (
            f"The budget of {owner} is used up: {format_usd(refusal.used)} of "
            f"{format_usd(refusal.allowed)} are spent or reserved."
        )
    else:
        words = (
            f"The limit of {refusal.allowed} {_WORDS[refusal.limit]} is reached for "
            "this API key."
        )
    wait_s = refusal.retry_after_s
    if wait_s is None and is_money:
        words = (
            f"This request may cost more than the whole budget of {owner}, "
            f"{format_usd(refusal.allowed)}. Ask for fewer output tokens (max_tokens), "
            "or have the budget raised."
        )
    elif wait_s is None:
        words += " This request is larger than the whole limit."
    elif refusal.reset_at is not None:
        moment = datetime.fromtimestamp(math.ceil(refusal.reset_at), UTC)
        words += f" It resets at {moment:%Y-%m-%dT%H:%M:%SZ}."
    else:
        words += f" Try again in {max(1, math.ceil(wait_s))} s."
    error = LimitReachedError(
        words,
        code="insufficient_quota" if is_money else "rate_limit_exceeded",
        kind="insufficient_quota" if is_money else None,
        retry_after_s=wait_s,
    )
    error.limit = refusal.limit
    error.retryable = wait_s is not None and wait_s <= _WORTH_REPEATING_S
    if refusal.reset_at is not None:
        reset = b"%d" % math.ceil(refusal.reset_at)
        error.headers = ((b"x-pool-limit-reset", reset),)
    if is_money and whose:
        error.headers += ((b"x-pool-budget-scope", whose.encode("ascii")),)
    return error
