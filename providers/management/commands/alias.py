"""``pool alias``: give a name clients may ask for its ordered targets."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from providers import selectors
from providers.management.base import PoolCommand, action
from providers.models import Alias
from providers.services import models

_FAMILIES = ("opus", "sonnet", "haiku")


class Command(PoolCommand):
    help = "Manage aliases: names or patterns that lead to models, in order."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        change = action(sub, "set", self.set, "create or replace an alias")
        change.add_argument("name")
        change.add_argument("targets", nargs="+", metavar="provider/model")
        claude = action(
            sub,
            "claude-code",
            self.claude_code,
            "lead the names Claude Code insists on to models of your own",
        )
        for family in _FAMILIES:
            claude.add_argument(f"--{family}", nargs="+", metavar="provider/model")
        listing = action(sub, "list", self.list, "list aliases")
        listing.add_argument("--json", action="store_true")
        action(sub, "remove", self.remove, "remove an alias").add_argument("name")

    def set(self, options: dict[str, Any]) -> None:
        alias = models.set_alias(self.actor, options["name"], options["targets"])
        self.say(f"{alias.name} leads to {', '.join(options['targets'])}.")

    def claude_code(self, options: dict[str, Any]) -> None:
        chosen = {name: options[name] for name in _FAMILIES if options[name]}
        if not chosen:
            raise CommandError("Name a model for --opus, --sonnet or --haiku.")
        for family, targets in chosen.items():
            # Claude Code asks by full names of any release: claude-opus-4-8, ...
            alias = models.set_alias(self.actor, f"claude-*{family}*", targets)
            self.say(f"{alias.name} leads to {', '.join(targets)}.")

    def list(self, options: dict[str, Any]) -> None:
        self.table(selectors.alias_table(), as_json=options["json"])

    def remove(self, options: dict[str, Any]) -> None:
        alias = Alias.objects.filter(name=options["name"], deleted_at=None).first()
        if alias is None:
            raise CommandError(f"There is no alias {options['name']}.")
        models.remove_alias(self.actor, alias)
        self.say(f"Removed {alias.name}.")
