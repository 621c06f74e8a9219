"""``pool model``: find models, fetch a provider's list again, switch and probe."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError

from providers import selectors, selectors_models
from providers.discovery.differences import BACK, KINDS, NEW, differences
from providers.discovery.facts import WORDS
from providers.management.base import PoolCommand, action, get_provider
from providers.management.probing import add_probe
from providers.services import discovery, list_rounds, models

_KINDS: Final = {"none": (), "new": (NEW, BACK), "all": KINDS}
_LISTS: Final = ("providers", "capabilities", "aliases")
_MOST_FOUND: Final = 100


class Command(PoolCommand):
    help = "Manage the upstream models of a provider."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        listing = action(sub, "list", self.list, "list the models of a provider")
        listing.add_argument("provider")
        listing.add_argument("--json", action="store_true")
        add_probe(self, sub)
        sync = action(sub, "sync", self.sync, "fetch the list and add what is new")
        sync.add_argument("provider")
        sync.add_argument(
            "--apply",
            choices=["none", "new", "all"],
            default="new",
            help="what to apply: nothing, new models, or also changed and gone ones",
        )
        changes = action(sub, "changes", self.changes, "what the kept list changes")
        changes.add_argument("provider")
        changes.add_argument("--json", action="store_true")
        find = action(sub, "find", self.find, "find models across providers")
        find.add_argument("text", nargs="?", default="")
        find.add_argument("--capability", choices=WORDS, default="", metavar="WORD")
        find.add_argument("--provider", default="", metavar="ID")
        find.add_argument("--context-from", type=int, metavar="TOKENS")
        find.add_argument("--json", action="store_true")
        plan = action(sub, "schedule", self.schedule, "how often lists are fetched")
        plan.add_argument("--every", type=int, metavar="SECONDS", help="0 = never")
        plan.add_argument("--auto-add", choices=["on", "off"], help="add new models")
        change = action(sub, "set", self.set, "say what is known of a model")
        change.add_argument("provider")
        change.add_argument("model")
        for option, metavar in (
            ("--timeout", "SECONDS"),
            ("--context", "TOKENS"),
            ("--max-output", "TOKENS"),
        ):
            change.add_argument(option, type=int, metavar=metavar, help="0 = none")
        for name, words in (("enable", "offer a model"), ("disable", "hide a model")):
            switch = action(sub, name, self.switch, words)
            switch.add_argument("model")
            switch.add_argument("--provider", default="", metavar="ID")

    def list(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        self.table(selectors.model_table(provider), as_json=options["json"])

    def sync(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        diff, done = discovery.sync(
            self.actor, provider, kinds=_KINDS[options["apply"]]
        )
        told = [f"{diff.listed} models listed", f"{done[NEW]} new"]
        told += [f"{done[kind]} {kind}" for kind in KINDS[1:] if done[kind]]
        self.say(f"{', '.join(told)}.")
        if diff.lines:
            self.say(f"{len(diff.lines)} more wait: pool model changes {provider.slug}")

    def changes(self, options: dict[str, Any]) -> None:
        rows = [
            {
                "change": line.kind,
                "id": line.model_id,
                "fields": ", ".join(name for name, *_ in line.changes),
            }
            for line in differences(get_provider(options["provider"])).lines
        ]
        self.table(rows, as_json=options["json"])

    def find(self, options: dict[str, Any]) -> None:
        wanted = selectors_models.Wanted(
            text=options["text"],
            provider=options["provider"],
            capability=options["capability"],
            context_from=options["context_from"],
        )
        every = selectors.providers_with_counts()
        page = selectors_models.model_page(wanted, every, size=_MOST_FOUND)
        rows = selectors_models.table_of(page)
        if not options["json"]:
            for row in rows:
                row.update({name: " ".join(row[name]) for name in _LISTS})
        self.table(rows, as_json=options["json"])

    def schedule(self, options: dict[str, Any]) -> None:
        wish = options["auto_add"]
        plan = list_rounds.set_schedule(
            self.actor,
            every_s=options["every"],
            auto_add=None if wish is None else wish == "on",
        )
        rhythm = f"every {plan['every_s']} s" if plan["every_s"] else "never"
        added = "are added" if plan["auto_add"] else "wait for a person"
        self.say(f"Lists are fetched {rhythm}; new models {added}.")

    def set(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        rows = provider.models.filter(model_id=options["model"], deleted_at=None)
        row = rows.first()
        if row is None:
            raise CommandError(f"{provider.slug} has no model {options['model']}.")
        facts = {
            column: options[option] or None
            for option, column in (
                ("timeout", "timeout_s"),
                ("context", "context_window"),
                ("max_output", "max_output_tokens"),
            )
            if options[option] is not None
        }
        models.set_model_facts(self.actor, row, **facts)
        self.say(f"{row.model_id} at {provider.slug} is set.")

    def switch(self, options: dict[str, Any]) -> None:
        name, slug = options["model"], options["provider"]
        rows = selectors_models.rows_called([name], slug)
        if not rows:
            raise CommandError(f"There is no model {name}.")
        is_on = options["action"] == "enable"
        changed = models.switch_models(self.actor, rows, enabled=is_on)
        word = "provider" if len(changed) == 1 else "providers"
        self.say(f"{name} is {options['action']}d at {len(changed)} {word}.")
