"""``pool cooldown``: what is left alone and why, and letting it be tried again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from providers import selectors_cooldowns, selectors_health
from providers.management.base import PoolCommand, action
from providers.services import cooldowns


class Command(PoolCommand):
    help = "Show what failed and rests, and let it be tried again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        show = action(sub, "list", self.show, "list what is cooling down")
        show.add_argument("--json", action="store_true")
        clear = action(sub, "clear", self.clear, "let one subject, or all, be tried")
        which = clear.add_mutually_exclusive_group(required=True)
        which.add_argument("subject", nargs="?", help="as the list names it")
        which.add_argument("--all", action="store_true")
        health = action(sub, "health", self.health, "show how providers are")
        health.add_argument("--json", action="store_true")

    def show(self, options: dict[str, Any]) -> None:
        rows = selectors_cooldowns.table(now=timezone.now())
        if not options["json"]:
            names = ("subject", "title", "reason", "left_s", "error")
            rows = [{name: row[name] for name in names} for row in rows]
        self.table(rows, as_json=options["json"])

    def clear(self, options: dict[str, Any]) -> None:
        if options["all"]:
            count = cooldowns.clear_all(self.actor)
            noun = "cooldown" if count == 1 else "cooldowns"
            self.say(f"{count:,} {noun} cleared.")
            return
        cooldowns.clear(self.actor, options["subject"])
        self.say(f"{options['subject']} is tried again within two seconds.")

    def health(self, options: dict[str, Any]) -> None:
        found = selectors_health.table(now=timezone.now())
        if options["json"]:
            self.table([*found["providers"], *found["models"]], as_json=True)
            return
        rows = [
            {
                "provider": row["provider"],
                "state": row["state"],
                "why": "; ".join(row["reasons"]),
                "served": row["requests"],
            }
            for row in found["providers"]
        ]
        self.table(rows, as_json=False)
