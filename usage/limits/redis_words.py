"""Spell requests for the Redis scripts, and word what they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from usage.limits.contract import (
    Budget,
    BudgetWarning,
    LimitStatus,
    LimitStoreError,
    Refusal,
    Scope,
)
from usage.limits.gcra import Rate
from usage.limits.refusals import MICRO, longest
from usage.limits.state import Moment, Spending, Subject

Counted = Mapping[tuple[int, str], int]
"""Nano-USD by budget id and window id."""


class Figures:
    """The counts a script call returned, in the shape the wording code reads."""

    def __init__(self, reply: Sequence[Any], scopes: Sequence[Scope]) -> None:
        us = int(reply[1])
        self.now = Moment(us, us / MICRO)
        self.subjects = [_subject(row) for row in reply[2 : 2 + len(scopes)]]
        self.scopes = scopes
        budgets = [(each.key, budget) for each in scopes for budget in each.budgets]
        rows = reply[2 + len(scopes) : 2 + len(scopes) + len(budgets)]
        self.money = [
            (key, budget, _spending(row))
            for (key, budget), row in zip(budgets, rows, strict=True)
        ]

    def refusals(self, tokens: int) -> list[Refusal]:
        """List the limits without room, money apart."""
        found: list[Refusal] = []
        for scope, subject in zip(self.scopes, self.subjects, strict=True):
            subject.check(scope, tokens, self.now, found)
        return found

    def money_answers(self, more: int, held: int) -> list[Refusal | BudgetWarning]:
        """List the budgets without room, and warnings of those that will be crossed."""
        answers = (
            spending.check(key, budget, more=more, held=held, now=self.now)
            for key, budget, spending in self.money
        )
        return [each for each in answers if each is not None]

    def statuses(self) -> tuple[LimitStatus, ...]:
        """Tell what remains of everything."""
        rates = [
            status
            for scope, subject in zip(self.scopes, self.subjects, strict=True)
            for status in subject.statuses(scope, self.now)
        ]
        money = [
            spending.status(key, budget, self.now)
            for key, budget, spending in self.money
        ]
        return (*rates, *money)


def answer_of(
    code: int, refusals: list[Refusal], money: list[Refusal | BudgetWarning]
) -> Refusal | tuple[BudgetWarning, ...]:
    """Turn a decision of the script into the caller's answer."""
    if code == 1:
        return tuple(each for each in money if isinstance(each, BudgetWarning))
    refusals += [each for each in money if isinstance(each, Refusal)]
    if not refusals:
        raise LimitStoreError("Redis refused where this release sees room.")
    return longest(refusals)


def scope_request(scope: Scope) -> dict[str, Any]:
    """Spell a scope for the script; what is unlimited is absent."""
    spelled: dict[str, Any] = {}
    if scope.rpm is not None:
        spelled["rpm"] = _rate_request(scope.rpm)
    if scope.tpm is not None:
        spelled["tpm"] = _rate_request(scope.tpm)
    if scope.concurrency is not None:
        spelled["slots"] = scope.concurrency
    if scope.requests is not None:
        spelled["count"] = {
            "id": scope.requests.window_id,
            "limit": scope.requests.limit,
            "used": scope.requests.used,
            "ends": _micro(scope.requests.ends_at),
        }
    return spelled


def _rate_request(rate: Rate) -> dict[str, int]:
    return {"limit": rate.limit, "burst": rate.burst, "period": rate.period_us}


def budget_request(budget: Budget, counted: Counted | None = None) -> dict[str, Any]:
    """Spell a budget, with what its origin counted of the window itself."""
    spelled: dict[str, Any] = {
        "limit": budget.limit_nano,
        "hard": budget.hard,
        "seed": budget.spent_nano,
        "ends": _micro(budget.ends_at),
    }
    if counted is not None:
        spelled["mine"] = counted.get((budget.budget_id, budget.window_id), 0)
    return spelled


def _micro(ends_at: float | None) -> int:
    """Spell the end of a window; 0 for one without end."""
    return 0 if ends_at is None else round(ends_at * MICRO)


def _subject(row: Sequence[Any]) -> Subject:
    subject = Subject()
    subject.rpm = (int(row[0]), int(row[1]))
    subject.tpm = (int(row[2]), int(row[3]))
    subject.leases = int(row[4])
    window = row[5]
    subject.window_id = window.decode() if isinstance(window, bytes) else window
    subject.window_used = int(row[6])
    return subject


def _spending(row: Sequence[Any]) -> Spending:
    spending = Spending(int(row[0]), 0)
    spending.reserved = int(row[1])
    return spending
