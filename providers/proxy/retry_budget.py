"""Allow repeating a call on the same candidate, within a share of a provider's calls.

Without a budget, an upstream in trouble is asked twice as often as one in health.
"""

from __future__ import annotations

from typing import Final

_START: Final = 2.0
_MOST: Final = 20.0


class RetryBudget:
    """A token bucket per provider: each call pays in a share, each retry takes one.

    A provider starts with two, so that a quiet pool can retry at all.
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: dict[int, float] = {}

    def pay_in(self, provider_id: int, percent: int) -> None:
        """Count one call that is no retry."""
        level = self._levels.get(provider_id, _START) + percent / 100.0
        self._levels[provider_id] = level if level < _MOST else _MOST

    def take(self, provider_id: int) -> bool:
        """Take one retry, if there is one."""
        level = self._levels.get(provider_id, _START)
        if level < 1.0:
            return False
        self._levels[provider_id] = level - 1.0
        return True
