"""Set budgets of every scope, raise one for a while, take one away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns
from usage.budgets.personal import SCOPES
from usage.models import Budget, ClientKey, Team
from usage.services import BudgetTerms, UsageError, put_terms

_CLOCK: Final = SystemClock()
_RICHEST: Final = 10**18  # a billion dollars
_APPLIES: Final = {
    Budget.Scope.AGENT: (Budget.AppliesTo.EVERY, Budget.AppliesTo.ONE),
    Budget.Scope.SESSION: tuple(Budget.AppliesTo),
}


@dataclass(frozen=True)
class Whose:
    """Whom a budget is for.

    Shapes:  a key for scope key, a team for scope team. Agents and sessions are named
             by ``applies_to`` and ``value`` (see ``budgets.personal``); a key narrows
             them to its own calls.
    """

    scope: str
    key: ClientKey | None = None
    team: Team | None = None
    applies_to: str = ""
    value: str = ""


@one_change
def add_budget(
    actor: Actor, whose: Whose, terms: BudgetTerms, *, clock: Clock = _CLOCK
) -> Budget:
    """Set a budget; one of the same scope and window is changed instead.

    Of agents and sessions there is one rule for each of those it may be for, whatever
    its window: a narrower rule replaces a wider one whole.

    Errors:  UsageError naming the field.
    """
    _check_whose(whose)
    same = Budget.objects.filter(
        scope=whose.scope,
        client_key=whose.key,
        team=whose.team,
        applies_to=whose.applies_to,
        scope_value=whose.value,
    )
    if whose.scope not in SCOPES:
        same = same.filter(window=terms.window)
    budget = same.order_by("pk").first() or Budget(
        scope=whose.scope,
        client_key=whose.key,
        team=whose.team,
        applies_to=whose.applies_to,
        scope_value=whose.value,
        created_at=clock.now(),
    )
    return put_terms(actor, budget, terms)


@one_change
def change_budget(actor: Actor, budget: Budget, terms: BudgetTerms) -> Budget:
    """Change how much a budget allows; whose it is stays.

    Errors:  UsageError naming the field; for a budget that was removed meanwhile.
    """
    return put_terms(actor, _fresh(budget), terms)


@one_change
def increase_budget(
    actor: Actor,
    budget: Budget,
    extra_nano_usd: int,
    until: datetime | None,
    *,
    clock: Clock = _CLOCK,
) -> Budget:
    """Allow more until a moment; nothing more with 0.

    Units:   nano-USD on top of the amount, in each window that ends before.
    Errors:  UsageError for a negative amount, or a moment that is missing or past.
    """
    budget = _fresh(budget)
    if not 0 <= extra_nano_usd <= _RICHEST:
        raise UsageError("More is neither negative nor absurd.", field="extra")
    if extra_nano_usd and (until is None or until <= clock.now()):
        raise UsageError("Say until when, in the future.", field="until")
    before = {"extra_nano_usd": budget.extra_nano_usd, "until": _text(budget)}
    budget.extra_nano_usd = extra_nano_usd
    budget.extra_until = until if extra_nano_usd else None
    budget.save(update_fields=["extra_nano_usd", "extra_until"])
    version.bump(budget)
    after = {"extra_nano_usd": extra_nano_usd, "until": _text(budget)}
    audit.record(actor, "budget.increase", budget, before=before, after=after)
    return budget


def _fresh(budget: Budget) -> Budget:
    found = Budget.objects.filter(pk=budget.pk).first()
    if found is None:
        raise UsageError("This budget was removed.")
    return found


def _check_whose(whose: Whose) -> None:
    if whose.scope not in Budget.Scope.values:
        raise UsageError(
            f"The scope is one of {', '.join(Budget.Scope.values)}.", field="scope"
        )
    if (whose.scope == Budget.Scope.TEAM) != (whose.team is not None):
        raise UsageError("A team's budget needs a team.", field="team")
    if whose.scope == Budget.Scope.KEY and whose.key is None:
        raise UsageError("A key's budget needs a key.", field="key")
    if whose.scope == Budget.Scope.POOL and whose.key is not None:
        raise UsageError("The pool's budget is for every key.", field="key")
    if whose.applies_to not in _APPLIES.get(Budget.Scope(whose.scope), ("",)):
        raise UsageError("This scope has no such rule.", field="applies_to")
    if bool(whose.applies_to) != bool(whose.value):
        raise UsageError("Name whom the rule is for.", field="value")
    try:
        check_columns(Budget(scope_value=whose.value), ["scope_value"])
    except ColumnError as exc:
        raise UsageError(str(exc), field="value") from exc


def _text(budget: Budget) -> str | None:
    return None if budget.extra_until is None else budget.extra_until.isoformat()
