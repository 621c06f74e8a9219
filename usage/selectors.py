"""Read usage for screens, commands and the admin API: rollups, never raw scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet, Sum

from poolsite.client_keys import mask_client_key
from usage import rollups, services
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
    Units:   nano-USD; ``until`` itself is not part of it. The span is widened to whole
             quarters of an hour (sessions and users: to whole UTC days).
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
    keys = list(
        ClientKey.objects.filter(revoked_at=None)
        .select_related("team")
        .order_by("name")
    )
    budgets: dict[int, list[dict[str, Any]]] = {}
    for row in spending(Budget.objects.filter(client_key__revoked_at=None)):
        budgets.setdefault(row["client_key_id"], []).append(row)
    return [
        {
            "name": key.name,
            "key": mask_client_key(key.public_id, key.last4),
            "team": key.team.slug if key.team else None,
            "models": key.model_access,
            "rpm": key.rpm,
            "tpm": key.tpm,
            "concurrency": key.concurrency,
            "budgets": budgets.get(key.pk, []),
            "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        }
        for key in keys
    ]


def key_facts(key: ClientKey) -> dict[str, Any]:
    """Return what there is to know about one client key; at most four queries.

    Shapes:  the names of ``services.EDITABLE`` as they are stored; no secret, no
             digest.
    """
    plain = {
        name: getattr(key, name)
        for name in sorted(services.EDITABLE - {"team", "owner", "expires_at"})
    }
    return {
        **plain,
        "key": mask_client_key(key.public_id, key.last4),
        "team": key.team.slug if key.team else None,
        "owner": key.owner.email if key.owner else None,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        "budgets": spending(Budget.objects.filter(client_key=key)),
    }


def budget_table() -> list[dict[str, Any]]:
    """Return every budget with whose it is and what it has spent; two queries."""
    budgets = Budget.objects.select_related("client_key", "team").order_by("pk")
    whose = {row.pk: _whose(row) for row in budgets}
    return [
        {"id": row["id"], "scope": row["scope"], "of": whose[row["id"]], **row}
        for row in spending(budgets)
    ]


def team_table() -> list[dict[str, Any]]:
    """Return teams with how many live keys they have; one query."""
    live = Count("clientkey", filter=Q(clientkey__revoked_at=None))
    rows = Team.objects.annotate(live_keys=live).order_by("slug")
    return [{"id": row.slug, "name": row.name, "keys": row.live_keys} for row in rows]


def spending(
    budgets: QuerySet[Budget], *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Return each budget with what its current window has spent and when it resets.

    Units:  nano-USD; ``resets_at`` None for a budget that never does;
            ``limit_nano_usd`` includes an increase that is in force.
    Shapes: of agents and sessions nothing is spent in common (see budgets.selectors).
    Cost:   two queries.
    """
    now = now or datetime.now(UTC)
    rows = list(budgets)
    extra = {row.pk: extra_now(row, now) for row in rows}
    spans = {
        terms: window_at(*terms, now)
        for terms in {(row.window, row.time_zone) for row in rows}
    }
    windows = {row.pk: spans[row.window, row.time_zone] for row in rows}
    found = BudgetWindow.objects.filter(
        budget__in=budgets.order_by().values("pk"),
        window_id__in={window.id for window in spans.values()},
    )
    spent = {
        row.budget_id: row.spent_nano_usd
        for row in found
        if row.budget_id in windows and row.window_id == windows[row.budget_id].id
    }
    return [
        {
            "id": row.pk,
            "client_key_id": row.client_key_id,
            "scope": row.scope,
            "amount_nano_usd": row.amount_nano_usd,
            "extra_nano_usd": extra[row.pk],
            "extra_until": row.extra_until if extra[row.pk] else None,
            "limit_nano_usd": row.amount_nano_usd + extra[row.pk],
            "left_nano_usd": max(
                0, row.amount_nano_usd + extra[row.pk] - spent.get(row.pk, 0)
            ),
            "warn_nano_usd": row.warn_nano_usd,
            "applies_to": row.applies_to,
            "scope_value": row.scope_value,
            "spent_nano_usd": spent.get(row.pk, 0),
            "window": row.window,
            "hard": row.hard,
            "time_zone": row.time_zone,
            "resets_at": windows[row.pk].ends_at,
        }
        for row in rows
    ]


def extra_now(budget: Budget, now: datetime) -> int:
    """Return what a budget allows on top of its amount at a moment, in nano-USD."""
    until = budget.extra_until
    return budget.extra_nano_usd if until is not None and now < until else 0


def _whose(budget: Budget) -> str:
    if budget.scope_value:
        return budget.scope_value
    if budget.client_key is not None:
        return budget.client_key.name
    return budget.team.slug if budget.team is not None else ""


def _sums(
    kind: str, since: datetime | None, until: datetime | None
) -> dict[int, dict[str, int]]:
    """Add rollup rows up by value: whole days from days, the edges from quarters."""
    found: dict[int, dict[str, int]] = {}
    start = rollups.quarter(since.astimezone(UTC)) if since else None
    end = _next_quarter(until.astimezone(UTC)) if until else None
    days = RollupDay.objects.filter(kind=kind)
    if kind in rollups.DAY_ONLY:
        start = _midnight(start) if start else None
        end = _next_midnight(end) if end else None
    first_day = _next_midnight(start) if start else None
    last_day = _midnight(end) if end else None
    quarters = Rollup15.objects.filter(kind=kind)
    if first_day and last_day and first_day > last_day:
        _add(found, quarters.filter(bucket__gte=start, bucket__lt=end))
        return found
    if start and first_day and start < first_day:
        _add(found, quarters.filter(bucket__gte=start, bucket__lt=first_day))
    if end and last_day and last_day < end:
        _add(found, quarters.filter(bucket__gte=last_day, bucket__lt=end))
    if first_day:
        days = days.filter(bucket__gte=first_day.date())
    if last_day:
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


def _next_quarter(moment: datetime) -> datetime:
    start = rollups.quarter(moment)
    return start if start == moment else start + rollups.QUARTER
