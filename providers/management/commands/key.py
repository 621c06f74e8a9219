"""``pool key``: create, list, rotate and revoke client keys."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import transaction
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
from usage.models import Budget

_LONGEST_DAYS: Final = 36_500


class Command(PoolCommand):
    help = "Manage client keys: what clients of the pool present."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = action(sub, "create", self.create, "create a key and print it, once")
        create.add_argument("name")
        create.add_argument("--models", nargs="+", action="extend", metavar="GLOB")
        create.add_argument("--team", metavar="ID")
        create.add_argument("--budget-usd", metavar="X")
        create.add_argument(
            "--window", choices=Budget.Window.values, default=Budget.Window.MONTH
        )
        for name in ("--rpm", "--tpm", "--concurrency"):
            create.add_argument(name, type=int, metavar="N")
        create.add_argument("--expires", type=int, metavar="DAYS")
        listing = action(sub, "list", self.list, "list keys")
        listing.add_argument("--json", action="store_true")
        rotate = action(sub, "rotate", self.rotate, "give a key a new text")
        rotate.add_argument("name")
        rotate.add_argument("--grace", choices=list(services.GRACES), default="now")
        action(sub, "revoke", self.revoke, "revoke a key").add_argument("name")

    def create(self, options: dict[str, Any]) -> None:
        values = {name: options[name] for name in ("rpm", "tpm", "concurrency")}
        if options["models"]:
            values["model_access"] = "only"
            values["models_allowed"] = options["models"]
        if options["team"]:
            values["team"] = get_team(options["team"])
        if options["expires"] is not None:
            if not 0 < options["expires"] <= _LONGEST_DAYS:
                raise CommandError(f"A key expires in 1 to {_LONGEST_DAYS} days.")
            values["expires_at"] = timezone.now() + timedelta(days=options["expires"])
        terms = None
        if options["budget_usd"] is not None:
            amount = nano_from_usd(read_usd(options["budget_usd"], "an amount"))
            terms = services.BudgetTerms(amount, window=options["window"])
        with transaction.atomic():
            key, text = services.create_key(self.actor, options["name"], **values)
            if terms is not None:
                services.set_key_budget(self.actor, key, terms)
        self.say(text)  # only now: a key that was printed is a key that works

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.key_table()
        if not options["json"]:
            rows = [{**row, "budgets": _spent(row["budgets"])} for row in rows]
        self.table(rows, as_json=options["json"])

    def rotate(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["name"])
        self.say(services.rotate_key(self.actor, key, grace=options["grace"]))

    def revoke(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["name"])
        services.revoke_key(self.actor, key)
        self.say(f"Revoked {key.name}.")


def _spent(budgets: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{format_usd(row['spent_nano_usd'])} of {format_usd(row['amount_nano_usd'])}"
        f" a {row['window']}"
        for row in budgets
    )
