"""Read usage for screens, commands and the admin API: rollups, never raw scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet, Sum

from usage import rollups
from usage.limits.windows import window_at
from usage.models import (
    Budget,
    BudgetWindow,
    ClientKey,
    Dimension,
    Rollup15,
    RollupDay,
    Team,
)

GROUPS: Final = {
    "provider": rollups.PROVIDER,
    "model": rollups.MODEL_SERVED,
    "key": rollups.CLIENT_KEY,
    "team": rollups.TEAM,
    "user": rollups.END_USER,
    "session": rollups.SESSION,
    "agent": rollups.AGENT,
    "status": rollups.STATUS,
}
SUMMED: Final = {
    "requests": "requests",
    "attempts": "attempts",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "cost_nano_usd": "cost_nano_usd",
    "unpriced_requests": "unpriced",
}
_KEY_KINDS: Final = (rollups.CLIENT_KEY,)
_NUMBER_KINDS: Final = (rollups.STATUS,)


def usage_summary(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: str | None = None,
) -> dict[str, Any]:
    """Sum requests, tokens and cost, in all and by one group.

    Shapes:  ``{"totals": {...}, "groups": [{"name", ...}]}`` with the names of SUMMED;
             groups are dearest first. ``by`` is a key of GROUPS.
    Units:   nano-USD; times are cut to the quarter of an hour before them (sessions and
             users: to the UTC day).
    Cost:    at most three queries for the totals and four for the groups.
    """
    totals = _sums(rollups.TOTAL, since, until)
    groups: list[dict[str, Any]] = []
    if by is not None:
        kind = GROUPS[by]
        sums = _sums(kind, since, until)
        names = names_of(kind, sums)
        groups = [
            {"name": names.get(ref, str(ref)), **row} for ref, row in sums.items()
        ]
        groups.sort(key=lambda row: (-row["cost_nano_usd"], -row["requests"]))
    empty = dict.fromkeys(SUMMED, 0)
    return {"totals": next(iter(totals.values()), empty), "groups": groups}


def names_of(kind: str, refs: Iterable[int]) -> dict[int, str]:
    """Return what people call the values of a rollup kind; one query."""
    wanted = list(refs)
    if kind in _NUMBER_KINDS:
        return {ref: str(ref) for ref in wanted}
    if kind == rollups.CLIENT_KEY:
        return dict(ClientKey.objects.filter(pk__in=wanted).values_list("pk", "name"))
    if kind == rollups.TEAM:
        return dict(Team.objects.filter(pk__in=wanted).values_list("pk", "name"))
    return strings(wanted)


def strings(ids: Iterable[int | None]) -> dict[int, str]:
    """Return the strings behind dimension ids; one query, none for no ids."""
    wanted = {number for number in ids if number is not None}
    if not wanted:
        return {}
    return dict(Dimension.objects.filter(pk__in=wanted).values_list("pk", "value"))


def key_table() -> list[dict[str, Any]]:
    """Return live client keys with budget and spending; three queries."""
    keys = list(ClientKey.objects.filter(revoked_at=None).order_by("name"))
    spent = spending(Budget.objects.filter(client_key__in=keys))
    return [
        {
            "name": key.name,
            "key": f"pp_{key.public_id[:4]}…{key.last4}",
            "models": key.model_access,
            "rpm": key.rpm,
            "tpm": key.tpm,
            "concurrency": key.concurrency,
            "budgets": [row for row in spent if row["client_key_id"] == key.pk],
            "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        }
        for key in keys
    ]


def spending(
    budgets: QuerySet[Budget], *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Return each budget with what its current window has spent and when it resets.

    Units:  nano-USD; ``resets_at`` None for a budget that never does.
    Cost:   two queries.
    """
    now = now or datetime.now(UTC)
    rows = list(budgets)
    windows = {row.pk: window_at(row.window, row.time_zone, now) for row in rows}
    where = Q(pk__in=[])
    for key, window in windows.items():
        where |= Q(budget_id=key, window_id=window.id)
    spent = {
        row.budget_id: row.spent_nano_usd for row in BudgetWindow.objects.filter(where)
    }
    return [
        {
            "id": row.pk,
            "client_key_id": row.client_key_id,
            "scope": row.scope,
            "amount_nano_usd": row.amount_nano_usd,
            "spent_nano_usd": spent.get(row.pk, 0),
            "window": row.window,
            "hard": row.hard,
            "time_zone": row.time_zone,
            "resets_at": windows[row.pk].ends_at,
        }
        for row in rows
    ]


def _sums(
    kind: str, since: datetime | None, until: datetime | None
) -> dict[int, dict[str, int]]:
    """Add rollup rows up by value: whole days from days, the edges from quarters."""
    found: dict[int, dict[str, int]] = {}
    days = RollupDay.objects.filter(kind=kind)
    if kind in rollups.DAY_ONLY or (since is None and until is None):
        if since is not None:
            days = days.filter(bucket__gte=since.astimezone(UTC).date())
        if until is not None:
            days = days.filter(bucket__lte=until.astimezone(UTC).date())
        _add(found, days)
        return found
    quarters = Rollup15.objects.filter(kind=kind)
    start = rollups.quarter(since.astimezone(UTC)) if since else None
    end = until.astimezone(UTC) if until else None
    first_day = _next_midnight(start) if start else None
    last_day = _midnight(end) if end else None
    if first_day and last_day and first_day > last_day:
        _add(found, quarters.filter(bucket__gte=start, bucket__lt=end))
        return found
    if start and first_day:
        _add(found, quarters.filter(bucket__gte=start, bucket__lt=first_day))
        days = days.filter(bucket__gte=first_day.date())
    if end and last_day:
        _add(found, quarters.filter(bucket__gte=last_day, bucket__lt=end))
        days = days.filter(bucket__lt=last_day.date())
    _add(found, days)
    return found


def _add(found: dict[int, dict[str, int]], rows: QuerySet[Any]) -> None:
    sums = rows.values("ref").annotate(
        **{f"sum_{name}": Sum(column) for name, column in SUMMED.items()}
    )
    for row in sums.order_by():
        _merge(found.setdefault(row["ref"], dict.fromkeys(SUMMED, 0)), row)


def _merge(into: dict[str, int], row: Mapping[str, Any]) -> None:
    for name in SUMMED:
        into[name] += row[f"sum_{name}"] or 0


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _next_midnight(moment: datetime) -> datetime:
    day = _midnight(moment)
    return day if day == moment else day + timedelta(days=1)
