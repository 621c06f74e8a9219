"""Read how long rows of each table are kept."""

from __future__ import annotations

from typing import Any, Final

from poolsite.models import Setting
from usage.retention.owners import OWNERS

PREFIX: Final = "retention."


def days_of() -> dict[str, int | None]:
    """Return the days each table's rows are kept; None = not by age. One query."""
    rows = Setting.objects.filter(key__startswith=PREFIX, secret=False)
    chosen = {row.key.removeprefix(PREFIX): row.value for row in rows}
    days = {
        owner.table: owner.days
        if owner.days is None
        else _days(chosen.get(owner.table), owner.days, owner.least)
        for owner in OWNERS
    }
    for owner in OWNERS:
        if owner.within:
            days[owner.table] = _least(days[owner.table], days[owner.within])
    return days


def table() -> list[dict[str, Any]]:
    """Return the rule of every table; one query."""
    days = days_of()
    return [
        {
            "table": owner.table,
            "days": days[owner.table],
            "default_days": owner.days,
            "least_days": owner.least if owner.days is not None else None,
            "removed": owner.way.value,
            "why": owner.why,
        }
        for owner in OWNERS
    ]


def _least(own: int | None, other: int | None) -> int | None:
    known = [each for each in (own, other) if each is not None]
    return min(known, default=None)


def _days(chosen: object, default: int, least: int) -> int:
    if isinstance(chosen, bool) or not isinstance(chosen, int):
        return default
    return max(chosen, least)
