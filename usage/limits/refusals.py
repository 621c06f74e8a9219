"""Word a refusal from the figures of the check that failed.

Every store finds the same figures in its own way and words them here, so that a caller
reads the same answer whichever store refused. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from usage.limits.contract import (
    BUSY_RETRY_S,
    Budget,
    BudgetWarning,
    LimitKind,
    Refusal,
    RequestCount,
)
from usage.limits.gcra import Rate

MICRO: Final = 1_000_000


def rate_refusal(
    kind: LimitKind,
    scope: str,
    *,
    rate: Rate,
    backlog_us: int,
    wait_us: int | None,
    wall_s: float,
) -> Refusal:
    """Refuse what comes too fast.

    Units: ``backlog_us`` is how long what was taken takes to drain.
    """
    taken = -(-backlog_us * rate.limit // rate.period_us)
    return Refusal(
        limit=kind,
        scope=scope,
        allowed=rate.limit,
        used=taken,
        retry_after_s=None if wait_us is None else wait_us / MICRO,
        reset_at=wall_s + backlog_us / MICRO,
    )


def slots_refusal(scope: str, *, allowed: int, used: int) -> Refusal:
    """Refuse one call too many at the same time."""
    return Refusal(
        limit="concurrency",
        scope=scope,
        allowed=allowed,
        used=used,
        retry_after_s=BUSY_RETRY_S if allowed > 0 else None,
    )


def requests_refusal(
    scope: str, *, count: RequestCount, used: int, wall_s: float
) -> Refusal:
    """Refuse one request too many in a calendar window."""
    return Refusal(
        limit="requests",
        scope=scope,
        allowed=count.limit,
        used=used,
        retry_after_s=_until(count.ends_at, wall_s) if count.limit > 0 else None,
        reset_at=count.ends_at,
    )


def budget_fits(budget: Budget, *, committed_nano: int, more_nano: int) -> bool:
    """Tell whether a budget has room for one more reservation.

    Units: ``committed_nano`` is spent plus what other tickets hold. Nothing more to
        reserve always fits: free targets stay usable on an exhausted budget.
    """
    if more_nano <= 0:
        return True
    if budget.hard:
        return committed_nano + more_nano <= budget.limit_nano
    return committed_nano < budget.limit_nano


def budget_refusal(
    scope: str,
    budget: Budget,
    *,
    spent_nano: int,
    committed_nano: int,
    more_nano: int,
    wall_s: float,
) -> Refusal:
    """Refuse what the budget cannot pay.

    When only running calls are in the way, asking again soon makes sense: they settle
    below their reservation more often than not. Otherwise the window has to end.
    """
    is_only_busy = budget_fits(budget, committed_nano=spent_nano, more_nano=more_nano)
    is_hopeless = not budget_fits(budget, committed_nano=0, more_nano=more_nano)
    retry: float | None = BUSY_RETRY_S
    if not is_only_busy:
        retry = None if is_hopeless else _until(budget.ends_at, wall_s)
    return Refusal(
        limit="budget",
        scope=scope,
        allowed=budget.limit_nano,
        used=committed_nano,
        retry_after_s=retry,
        reset_at=budget.ends_at,
        budget_id=budget.budget_id,
    )


def soft_warning(
    budget: Budget, *, committed_nano: int, more_nano: int
) -> BudgetWarning | None:
    """Warn when this reservation carries a soft budget past its limit."""
    committed = committed_nano + more_nano
    if budget.hard or more_nano <= 0 or committed <= budget.limit_nano:
        return None
    return BudgetWarning(
        budget_id=budget.budget_id,
        window_id=budget.window_id,
        committed_nano=committed,
        limit_nano=budget.limit_nano,
    )


def longest(refusals: Sequence[Refusal]) -> Refusal:
    """Pick the refusal worth telling: before its time, another try is in vain."""
    return max(refusals, key=_patience)


def _patience(refusal: Refusal) -> float:
    return math.inf if refusal.retry_after_s is None else refusal.retry_after_s


def _until(ends_at: float | None, wall_s: float) -> float | None:
    """Count the seconds to a window's end; never so few that callers spin."""
    return None if ends_at is None else max(BUSY_RETRY_S, ends_at - wall_s)
