"""``pool budget``: what the pool, a team or a client key may spend in a window."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from poolsite.money import format_usd, nano_from_usd
from providers.management.base import (
    PoolCommand,
    action,
    get_client_key,
    get_team,
    read_usd,
)
from usage import selectors, services
from usage.models import Budget


class Command(PoolCommand):
    help = "Manage budgets: USD for each window, of the pool, a team or a key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        change = action(sub, "set", self.set, "set a budget; without a name the pool's")
        whose = change.add_mutually_exclusive_group()
        whose.add_argument("--key", metavar="NAME")
        whose.add_argument("--team", metavar="ID")
        change.add_argument("--usd", required=True, metavar="X")
        change.add_argument(
            "--window", choices=Budget.Window.values, default=Budget.Window.MONTH
        )
        change.add_argument("--soft", action="store_true", help="warn, do not refuse")
        change.add_argument("--time-zone", default="UTC", metavar="ZONE")
        listing = action(sub, "list", self.list, "list budgets and what is spent")
        listing.add_argument("--json", action="store_true")
        remove = action(sub, "remove", self.remove, "remove a budget by its number")
        remove.add_argument("id", type=int)

    def set(self, options: dict[str, Any]) -> None:
        terms = services.BudgetTerms(
            nano_from_usd(read_usd(options["usd"], "an amount")),
            window=options["window"],
            hard=not options["soft"],
            time_zone=options["time_zone"],
        )
        if options["key"]:
            key = get_client_key(options["key"])
            services.set_key_budget(self.actor, key, terms)
            whose = key.name
        else:
            team = get_team(options["team"]) if options["team"] else None
            services.set_shared_budget(self.actor, terms, team=team)
            whose = f"team {team.slug}" if team else "the pool"
        amount = format_usd(terms.amount_nano_usd)
        self.say(f"Set {amount} a {terms.window} for {whose}.")

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.budget_table()
        if not options["json"]:
            rows = [_line(row) for row in rows]
        self.table(rows, as_json=options["json"])

    def remove(self, options: dict[str, Any]) -> None:
        budget = Budget.objects.filter(pk=options["id"]).first()
        if budget is None:
            raise CommandError(f"There is no budget {options['id']}.")
        services.remove_budget(self.actor, budget)
        self.say(f"Removed budget {options['id']}.")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "scope": row["scope"],
        "of": row["of"],
        "amount": format_usd(row["amount_nano_usd"]),
        "window": row["window"],
        "spent": format_usd(row["spent_nano_usd"]),
        "hard": row["hard"],
    }
