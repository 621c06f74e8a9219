"""``pool catalogue``: the public sources of models and prices."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from pricing.feeds import selectors, services
from pricing.feeds.refresh import FAILED, refresh_now
from pricing.feeds.sources import SOURCES
from providers.management.base import PoolCommand, action


class Command(PoolCommand):
    help = "Manage the public sources of models and prices."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        status = action(sub, "status", self.status, "show every source")
        status.add_argument("--json", action="store_true")
        refresh = action(sub, "refresh", self.refresh, "ask the sources now")
        _add_name(refresh, nargs="?", default="", choices=("", *SOURCES))
        change = action(sub, "set", self.set, "change how a source is asked")
        _add_name(change)
        change.add_argument("--url", help="its address; '' is the source's own")
        switch = change.add_mutually_exclusive_group()
        switch.add_argument("--on", dest="enabled", action="store_true", default=None)
        switch.add_argument("--off", dest="enabled", action="store_false")
        clear = action(sub, "clear", self.clear, "forget what a source said")
        _add_name(clear)
        held = action(sub, "held", self.held, "list prices that wait for a decision")
        _add_name(held)
        held.add_argument("--json", action="store_true")
        decide = action(sub, "decide", self.decide, "accept or decline such prices")
        _add_name(decide)
        decide.add_argument("decision", choices=("accept", "decline"))
        decide.add_argument("keys", nargs="+", metavar="KEY", help="as held lists them")

    def status(self, options: dict[str, Any]) -> None:
        rows = selectors.feed_table()
        embedded = selectors.embedded_state()
        if options["json"]:
            is_on = selectors.is_automatic()
            self.print_json({"automatic": is_on, "embedded": embedded, "feeds": rows})
            return
        self.say(f"Embedded: {embedded['models']:,} models of {embedded['date']}.")
        if not selectors.is_automatic():
            self.say("POOL_CATALOGUE_REFRESH is off: sources are asked only by hand.")
        shown = (
            "name",
            "state",
            "enabled",
            "models",
            "fetched_at",
            "held",
            "last_error",
        )
        self.table([{name: row[name] for name in shown} for row in rows], as_json=False)

    def refresh(self, options: dict[str, Any]) -> None:
        outcomes = refresh_now(options["name"])
        for each in outcomes:
            self.say(f"{each.feed}: {each.state}. {each.message}")
        if outcomes and all(each.state == FAILED for each in outcomes):
            raise CommandError("Nothing was read; what was known keeps serving.")

    def set(self, options: dict[str, Any]) -> None:
        name, url, enabled = options["name"], options["url"], options["enabled"]
        if url is None and enabled is None:
            raise CommandError("Say what to change: --url, --on or --off.")
        services.set_feed(self.actor, name, url=url, enabled=enabled)
        self.say(f"Changed {name}.")

    def clear(self, options: dict[str, Any]) -> None:
        services.clear_feed(self.actor, options["name"])
        self.say(f"Cleared {options['name']}; the embedded catalogue serves.")

    def held(self, options: dict[str, Any]) -> None:
        found = selectors.all_held(options["name"])
        if options["json"]:
            self.print_json([selectors.line_data(row.line) for row in found])
            return
        rows = [
            {
                "key": row.line.key,
                "model": f"{row.line.provider}/{row.line.model}",
                "price": row.column,
                "in_force": row.before,
                "stated_now": row.after,
            }
            for row in found
        ]
        self.table(rows, as_json=False)

    def decide(self, options: dict[str, Any]) -> None:
        accept = options["decision"] == "accept"
        name, keys = options["name"], options["keys"]
        count = services.decide(self.actor, name, keys, accept=accept)
        if not count:
            raise CommandError(f"No such price of {name} waits.")
        self.say(f"{count} {'accepted' if accept else 'declined'}.")


def _add_name(parser: ArgumentParser, **more: Any) -> None:
    more = {"choices": tuple(SOURCES), **more}
    parser.add_argument("name", metavar="SOURCE", help=", ".join(SOURCES), **more)
