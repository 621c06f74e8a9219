"""Raise an alert when a budget's window has spent half, most, nearly all, all of it.

Looked at once a minute, from the sums the shipper keeps: a request pays nothing for it.
Each step is told once in a window; the next window begins anew, and so does a budget
that was given another amount. Only the highest step reached is open: it says all that
the lower ones said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet

from poolsite import alerts
from poolsite.clock import Clock, SystemClock
from poolsite.models import Alert
from poolsite.money import format_usd
from poolsite.ui.shell import url_or_empty
from usage.budgets.personal import SCOPES
from usage.budgets.selectors import words
from usage.limits.windows import Window, window_at
from usage.models import Budget, BudgetWindow
from usage.selectors import extra_now

KIND: Final = "budget"
PERCENTS: Final = (50, 80, 95, 100)
WARNS: Final = "warn"
_LOUD: Final = 80
_ASKED_AT_ONCE: Final = 500
_CLOCK: Final = SystemClock()


@dataclass(frozen=True)
class Step:
    """A share of a budget that is told, or the amount that warns.

    Shapes:  ``name`` is a percentage as text, or ``warn``.
    """

    nano: int
    name: str


@dataclass
class Reached:
    """The highest step one budget reached in one window.

    Shapes:  of a rule for many agents or sessions ``count`` says how many reached it,
             and ``spent`` is the most any of them spent.
    """

    budget: Budget
    window: Window
    limit: int
    step: Step
    spent: int
    count: int = 1

    @property
    def place(self) -> str:
        """Name the budget, its window and its amount."""
        return f"{self.budget.pk}:{self.window.id}:{self.limit}"

    @property
    def key(self) -> str:
        """Name the alert."""
        return f"{self.place}:{self.step.name}"


def watch(*, clock: Clock = _CLOCK) -> int:
    """Raise and resolve the alerts of all budgets; return how many were raised.

    Cost:    one query for the kinds of windows there are, one or two for each, two for
             the alerts; then one change for each step newly reached or over.
    """
    standing = {each.key: each for each in _reached(clock.now())}
    told = _told(standing)
    _end(standing, clock)
    for key in sorted(standing.keys() - told):
        _raise(standing[key], clock)
    return len(standing.keys() - told)


def steps_of(budget: Budget, limit: int) -> list[Step]:
    """Return what is told about a budget, lowest first.

    Shapes:  ``warn_percents`` replaces the usual shares; a budget without an amount
             has none.
    """
    percents = sorted(
        {each for each in budget.warn_percents if isinstance(each, int) and each > 0}
    )
    found = [
        # Rounded up: a step is reached when it is, not just before.
        Step(-(-limit * each // 100), str(each))
        for each in percents or PERCENTS
        if limit > 0
    ]
    if budget.warn_nano_usd:
        found.append(Step(budget.warn_nano_usd, WARNS))
    return sorted(found, key=lambda step: step.nano)


def _reached(now: datetime) -> Iterator[Reached]:
    """Return the highest step of each budget that reached any in its window now."""
    found: dict[str, Reached] = {}
    for kind, zone in _live().values_list("window", "time_zone").order_by().distinct():
        window = window_at(kind, zone, now)
        for row in _spent(kind, zone, window.id):
            limit = row.budget.amount_nano_usd
            limit += extra_now(row.budget, now)
            best = None
            for step in steps_of(row.budget, limit):
                if row.spent_nano_usd >= step.nano:
                    best = step
            if best is not None:
                made = Reached(row.budget, window, limit, best, row.spent_nano_usd)
                found[made.place] = _higher(found.get(made.place), made)
    return iter(found.values())


def _higher(old: Reached | None, new: Reached) -> Reached:
    """Return the higher of two steps of one rule, with how many reached it."""
    if old is None or new.step.nano > old.step.nano:
        return new
    if new.step == old.step:
        old.count += 1
        old.spent = max(old.spent, new.spent)
    return old


def _live() -> QuerySet[Budget]:
    live = Budget.objects.filter(enabled=True)
    return live.exclude(client_key__revoked_at__isnull=False)


def _spent(kind: str, zone: str, window: str) -> Iterable[BudgetWindow]:
    """Return the windows of now that spent something worth looking at.

    Cost:    two queries: shared windows by their index, and those of the few rules for
             agents and sessions.
    """
    rows = (
        BudgetWindow.objects.filter(
            Q(spent_nano_usd__gte=F("budget__amount_nano_usd") / 100)
            | Q(spent_nano_usd__gte=F("budget__warn_nano_usd")),
            budget__in=_live().filter(window=kind, time_zone=zone),
            spent_nano_usd__gt=0,
        )
        .select_related("budget__client_key", "budget__team")
        .order_by("pk")
    )
    yield from rows.filter(window_id=window).exclude(budget__scope__in=SCOPES)
    yield from rows.filter(
        window_id__startswith=f"{window}@", budget__scope__in=SCOPES
    ).iterator()


def _told(standing: dict[str, Reached]) -> set[str]:
    """Return which of these alerts exist, open or over: those were told."""
    found: set[str] = set()
    keys = sorted(standing)
    for start in range(0, len(keys), _ASKED_AT_ONCE):
        part = keys[start : start + _ASKED_AT_ONCE]
        rows = Alert.objects.filter(kind=KIND, key__in=part)
        found.update(rows.values_list("key", flat=True))
    return found


def _end(standing: dict[str, Reached], clock: Clock) -> None:
    """Resolve what no longer stands, silently where a higher step takes its place."""
    places = {each.place for each in standing.values()}
    open_ones = Alert.objects.filter(kind=KIND, resolved_at=None)
    for key in list(open_ones.values_list("key", flat=True)):
        if key not in standing:
            is_followed = key.rpartition(":")[0] in places
            alerts.resolve(KIND, key, quiet=is_followed, clock=clock)


def _raise(reached: Reached, clock: Clock) -> None:
    budget, name = reached.budget, reached.step.name
    whose = _whose(budget)
    is_amount = name == WARNS
    share = format_usd(reached.step.nano) if is_amount else f"{name} %"
    alerts.raise_alert(
        KIND,
        reached.key,
        title=f"{whose}: {share} of the budget is spent",
        severity=_severity(budget, name),
        detail=_detail(reached),
        link=_link(budget),
        clock=clock,
    )


def _severity(budget: Budget, name: str) -> str:
    if name == WARNS:
        return Alert.Severity.WARNING
    if int(name) >= 100 and budget.hard:
        return Alert.Severity.ERROR
    return Alert.Severity.WARNING if int(name) >= _LOUD else Alert.Severity.INFO


def _detail(reached: Reached) -> str:
    budget, spent = reached.budget, format_usd(reached.spent)
    if reached.count > 1:
        spent = f"{reached.count:,} reached it, one with {spent}"
    of = f" of {format_usd(reached.limit)}" if reached.limit > 0 else ""
    what = "in total" if budget.window == "total" else f"this {budget.window}"
    return f"{spent}{of} spent {what}. {_reset(reached.window, budget.time_zone)}"


def _reset(window: Window, zone: str) -> str:
    if window.ends_at is None:
        return "It never resets."
    local = window.ends_at.astimezone(ZoneInfo(zone))
    return f"Resets {local:%Y-%m-%d %H:%M} ({zone})."


def _whose(budget: Budget) -> str:
    if budget.client_key is not None and budget.scope == Budget.Scope.KEY:
        return f"Key {budget.client_key.name}"
    if budget.team is not None and budget.scope == Budget.Scope.TEAM:
        return f"Team {budget.team.name}"
    return words(budget) if budget.scope in SCOPES else "The pool"


def _link(budget: Budget) -> str:
    if budget.client_key_id is not None:
        return url_or_empty("providers:key-edit", budget.client_key_id)
    return url_or_empty("providers:budget-list") or "/"
