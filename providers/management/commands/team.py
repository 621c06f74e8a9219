"""``pool team``: groups of client keys that share budgets and reports."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from providers.management.base import PoolCommand, action
from usage import selectors, services


class Command(PoolCommand):
    help = "Manage teams: client keys that share budgets and reports."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = action(sub, "create", self.create, "create a team")
        create.add_argument("id")
        create.add_argument("--name", default="")
        listing = action(sub, "list", self.list, "list teams")
        listing.add_argument("--json", action="store_true")

    def create(self, options: dict[str, Any]) -> None:
        team = services.create_team(
            self.actor, slug=options["id"], name=options["name"]
        )
        self.say(f"Created team {team.slug}.")

    def list(self, options: dict[str, Any]) -> None:
        self.table(selectors.team_table(), as_json=options["json"])
