"""Read budgets as the tree they are: the pool, its teams, their keys; agents, sessions.

The sums are the ledger's; what running calls hold is known to the workers alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Count, Max, Q, QuerySet

from usage.budgets.personal import SCOPES, Rules, window_id
from usage.limits.windows import window_at
from usage.models import Budget, BudgetWindow, ClientKey, Team
from usage.selectors import spending

_MOST_KEYS: Final = 200
"""Budgets of keys that one page shows."""


@dataclass
class Branch:
    """One subject with its budgets, and the subjects below it.

    Shapes:  ``kind`` pool | team | key | agent | session; the rows are ``spending``'s,
             those of agents and sessions with ``counted`` windows and the ``most`` one
             of them has spent.
    """

    kind: str
    name: str
    key: ClientKey | None = None
    team: Team | None = None
    budgets: list[dict[str, Any]] = field(default_factory=list)
    below: list[Branch] = field(default_factory=list)


@dataclass
class Tree:
    """Every budget; ``hidden`` budgets of keys are not shown."""

    pool: Branch
    personal: list[Branch]
    hidden: int = 0

    @property
    def is_empty(self) -> bool:
        """Say whether nobody has a budget."""
        teams = any(branch.budgets or branch.below for branch in self.pool.below)
        return not (self.pool.budgets or self.personal or teams)


def tree(*, now: datetime | None = None) -> Tree:
    """Return all budgets by whom they are for, widest first; six queries.

    Shapes:  teams without a budget are there when a key of theirs has one.
    Units:   nano-USD.
    """
    now = now or datetime.now(UTC)
    live, hidden = _live()
    rows = list(live.select_related("client_key__team", "team").order_by("pk"))
    by_id = {row.pk: row for row in rows}
    found = {row["id"]: row for row in spending(live.order_by("pk"), now=now)}
    for row_id, (count, most) in _counted(rows, now).items():
        found[row_id] |= {"counted": count, "most": most}
    pool = Branch("pool", "The whole pool")
    teams: dict[int, Branch] = {}
    keys: dict[int, Branch] = {}
    personal: dict[tuple[str, str, str, int | None], Branch] = {}
    for row_id, facts in found.items():
        row = by_id[row_id]
        if row.scope == Budget.Scope.POOL:
            pool.budgets.append(facts)
        elif row.scope == Budget.Scope.TEAM and row.team is not None:
            _team(teams, row.team).budgets.append(facts)
        elif row.scope == Budget.Scope.KEY and row.client_key is not None:
            _key(keys, row.client_key).budgets.append(facts)
        elif row.scope in SCOPES:
            place = (row.scope, row.applies_to, row.scope_value, row.client_key_id)
            branch = personal.setdefault(
                place, Branch(row.scope, words(row), row.client_key)
            )
            branch.budgets.append(facts)
    _hang(pool, teams, keys)
    ordered = sorted(personal.items(), key=lambda each: each[0][:3])
    return Tree(pool, [branch for _, branch in ordered], hidden)


def words(budget: Budget) -> str:
    """Say in words which agents or sessions a rule is for."""
    many = "agent" if budget.scope == Budget.Scope.AGENT else "session"
    value = budget.scope_value
    if budget.applies_to == Budget.AppliesTo.ONE:
        return f"{many.capitalize()} {value}"
    if budget.applies_to == Budget.AppliesTo.AGENT:
        return f"Each session of agent {value}"
    if budget.applies_to == Budget.AppliesTo.PROVIDER:
        return f"Each session last served by {value}"
    return f"Each {many}"


def of_key(key: ClientKey, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return every budget all calls of a key are held to, narrowest first; two queries.

    Shapes:  ``spending``'s rows; ``scope`` says whose each is.
    """
    where = Q(scope=Budget.Scope.POOL) | Q(scope=Budget.Scope.KEY, client_key=key)
    if key.team_id is not None:
        where |= Q(scope=Budget.Scope.TEAM, team=key.team_id)
    rows = spending(Budget.objects.filter(where, enabled=True).order_by("pk"), now=now)
    order = [Budget.Scope.KEY, Budget.Scope.TEAM, Budget.Scope.POOL]
    return sorted(rows, key=lambda row: order.index(row["scope"]))


def of_session(
    key: ClientKey,
    session: str,
    agent: str,
    *,
    last_provider: str = "",
    now: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return what an agent and a session of a key are held to; two queries.

    Shapes:  ``scope``, ``rule`` in words, limit, warning, spent and reset of each.
    """
    now = now or datetime.now(UTC)
    rules = Rules(Budget.objects.filter(scope__in=SCOPES, enabled=True))
    bound = [(rule, agent) for rule in rules.of_agent(key.pk, agent)]
    for rule in rules.of_session(key.pk, session, agent, last_provider):
        bound.append((rule, session))
    windows = {
        rule.pk: window_at(rule.window, rule.time_zone, now) for rule, _ in bound
    }
    ids = {
        rule.pk: window_id(windows[rule.pk].id, rule, key_id=key.pk, name=name)
        for rule, name in bound
    }
    spent = BudgetWindow.objects.filter(budget__in=ids, window_id__in=ids.values())
    sums = {row.budget_id: row.spent_nano_usd for row in spent}
    return [
        {
            "id": rule.pk,
            "scope": rule.scope,
            "rule": words(rule),
            "limit_nano_usd": rule.amount_nano_usd or None,
            "warn_nano_usd": rule.warn_nano_usd,
            "spent_nano_usd": sums.get(rule.pk, 0),
            "hard": rule.hard,
            "resets_at": windows[rule.pk].ends_at,
        }
        for rule, _ in bound
    ]


def _counted(rows: Iterable[Budget], now: datetime) -> dict[int, tuple[int, int]]:
    """Say how many agents or sessions each rule counts now, and the most one spent."""
    where = Q()
    for row in rows:
        if row.scope in SCOPES:
            current = window_at(row.window, row.time_zone, now).id
            where |= Q(budget=row.pk, window_id__startswith=f"{current}@")
    if not where:
        return {}
    sums = BudgetWindow.objects.filter(where).values("budget_id").order_by()
    found = sums.annotate(count=Count("pk"), most=Max("spent_nano_usd"))
    return {row["budget_id"]: (row["count"], row["most"]) for row in found}


def _live() -> tuple[QuerySet[Budget], int]:
    """Return the budgets a page shows, and how many of keys it leaves out."""
    live = Budget.objects.filter(
        Q(client_key=None) | Q(client_key__revoked_at=None), enabled=True
    )
    of_keys = live.filter(scope=Budget.Scope.KEY).order_by("pk")
    shown = list(of_keys.values_list("pk", flat=True)[: _MOST_KEYS + 1])
    if len(shown) <= _MOST_KEYS:
        return live, 0
    shown.pop()
    others = ~Q(scope=Budget.Scope.KEY)
    return live.filter(others | Q(pk__in=shown)), of_keys.count() - _MOST_KEYS


def _team(teams: dict[int, Branch], team: Team) -> Branch:
    return teams.setdefault(team.pk, Branch("team", team.name, team=team))


def _key(keys: dict[int, Branch], key: ClientKey) -> Branch:
    return keys.setdefault(key.pk, Branch("key", key.name, key=key, team=key.team))


def _hang(pool: Branch, teams: dict[int, Branch], keys: dict[int, Branch]) -> None:
    """Hang keys below their teams, and all below the pool."""
    loose: list[Branch] = []
    for branch in sorted(keys.values(), key=_by_name):
        if branch.team is None:
            loose.append(branch)
        else:
            _team(teams, branch.team).below.append(branch)
    pool.below = [*sorted(teams.values(), key=_by_name), *loose]


def _by_name(branch: Branch) -> str:
    return branch.name.casefold()
