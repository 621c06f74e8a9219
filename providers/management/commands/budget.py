"""``pool budget``: what the pool, a team, a key, an agent or a session may spend."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError
from django.utils import timezone

from poolsite.money import format_usd, nano_from_usd
from providers.management.base import (
    PoolCommand,
    action,
    get_client_key,
    get_team,
    read_usd,
)
from usage import selectors, services
from usage.budgets import services as budget_services
from usage.budgets.services import Whose
from usage.models import Budget

_EVERY: Final = "*"
_LONGEST_HOURS: Final = 24 * 366


class Command(PoolCommand):
    help = "Manage budgets: USD for each window, of the pool down to a session."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        change = action(sub, "set", self.set, "set a budget; without a name the pool's")
        change.add_argument(
            "--key", metavar="NAME", help="the key's, or only its calls"
        )
        whose = change.add_mutually_exclusive_group()
        whose.add_argument("--team", metavar="ID")
        whose.add_argument("--agent", metavar="NAME|*", help="* is each agent")
        whose.add_argument("--session", metavar="ID|*", help="* is each session")
        whose.add_argument("--sessions-of-agent", metavar="NAME")
        whose.add_argument("--sessions-of-provider", metavar="ID")
        change.add_argument("--usd", required=True, metavar="X")
        change.add_argument("--warn-usd", metavar="X", help="warn from here on")
        change.add_argument(
            "--window", choices=Budget.Window.values, default=Budget.Window.MONTH
        )
        change.add_argument("--soft", action="store_true", help="warn, do not refuse")
        change.add_argument("--time-zone", default="UTC", metavar="ZONE")
        listing = action(sub, "list", self.list, "list budgets and what is spent")
        listing.add_argument("--json", action="store_true")
        more = action(sub, "raise", self.raise_, "allow more for some hours")
        more.add_argument("id", type=int)
        more.add_argument("--usd", required=True, metavar="X", help="0 ends it")
        more.add_argument("--hours", type=int, default=24, metavar="N")
        remove = action(sub, "remove", self.remove, "remove a budget by its number")
        remove.add_argument("id", type=int)

    def set(self, options: dict[str, Any]) -> None:
        warns = options["warn_usd"]
        terms = services.BudgetTerms(
            nano_from_usd(read_usd(options["usd"], "an amount")),
            window=options["window"],
            hard=not options["soft"],
            time_zone=options["time_zone"],
            warn_nano_usd=nano_from_usd(read_usd(warns, "an amount"))
            if warns is not None
            else None,
        )
        whose, name = _whose(options)
        if whose.scope == Budget.Scope.KEY and whose.key is not None:
            services.set_key_budget(self.actor, whose.key, terms)
        else:
            budget_services.add_budget(self.actor, whose, terms)
        amount = format_usd(terms.amount_nano_usd)
        self.say(f"Set {amount} a {terms.window} for {name}.")

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.budget_table()
        if not options["json"]:
            rows = [_line(row) for row in rows]
        self.table(rows, as_json=options["json"])

    def raise_(self, options: dict[str, Any]) -> None:
        if not 0 < options["hours"] <= _LONGEST_HOURS:
            raise CommandError(f"A budget is raised for 1 to {_LONGEST_HOURS} hours.")
        extra = nano_from_usd(read_usd(options["usd"], "an amount"))
        until = timezone.now() + timedelta(hours=options["hours"])
        budget = _find(options["id"])
        budget_services.increase_budget(self.actor, budget, extra, until)
        told = f"by {format_usd(extra)} until {until:%Y-%m-%dT%H:%M:%SZ}"
        self.say(f"Raised budget {budget.pk} {told}." if extra else "Raised no more.")

    def remove(self, options: dict[str, Any]) -> None:
        services.remove_budget(self.actor, _find(options["id"]))
        self.say(f"Removed budget {options['id']}.")


def _find(number: int) -> Budget:
    budget = Budget.objects.filter(pk=number).first()
    if budget is None:
        raise CommandError(f"There is no budget {number}.")
    return budget


def _whose(options: dict[str, Any]) -> tuple[Whose, str]:
    """Read whom a budget is for, and how to call them."""
    key = get_client_key(options["key"]) if options["key"] else None
    if options["team"]:
        if key is not None:
            raise CommandError("A budget is a team's or a key's, not both.")
        team = get_team(options["team"])
        return Whose("team", team=team), f"team {team.slug}"
    for scope in ("agent", "session"):
        name = options[scope]
        if name == _EVERY:
            return Whose(scope, key=key), f"each {scope}"
        if name:
            return Whose(scope, key=key, applies_to="one", value=name), name
    for kind in ("agent", "provider"):
        name = options[f"sessions_of_{kind}"]
        if name:
            whose = Whose("session", key=key, applies_to=kind, value=name)
            return whose, f"each session of {name}"
    if key is not None:
        return Whose("key", key=key), key.name
    return Whose("pool"), "the pool"


def _line(row: dict[str, Any]) -> dict[str, Any]:
    is_shared = row["scope"] not in ("agent", "session")
    return {
        "id": row["id"],
        "scope": row["scope"],
        "of": row["of"],
        "amount": format_usd(row["limit_nano_usd"]),
        "window": row["window"],
        "spent": format_usd(row["spent_nano_usd"]) if is_shared else None,
        "left": format_usd(row["left_nano_usd"]) if is_shared else None,
        "resets": row["resets_at"],
        "hard": row["hard"],
    }
