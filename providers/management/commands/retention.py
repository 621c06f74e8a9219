"""``pool retention``: how long rows of each table are kept."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from providers.management.base import PoolCommand, action
from usage.retention import selectors, services, sweep

_NO_END: Final = 86_400.0


class Command(PoolCommand):
    help = "Show and set how long rows of each table are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        show = action(sub, "show", self.show, "show the rule of every table")
        show.add_argument("--json", action="store_true")
        keep = action(sub, "set", self.keep, "keep a table's rows for so many days")
        keep.add_argument("table")
        keep.add_argument("days", type=int, nargs="?", help="without: the default")
        run = action(sub, "run", self.run_now, "remove what is too old now")
        run.add_argument("--json", action="store_true")

    def show(self, options: dict[str, Any]) -> None:
        rows = selectors.table()
        if not options["json"]:
            names = ("table", "days", "removed", "why")
            rows = [{name: row[name] for name in names} for row in rows]
        self.table(rows, as_json=options["json"])

    def keep(self, options: dict[str, Any]) -> None:
        services.set_days(self.actor, options["table"], options["days"])
        days = selectors.days_of()[options["table"]]
        self.say(f"{options['table']} is kept for {days:,} days.")

    def run_now(self, options: dict[str, Any]) -> None:
        removed = sweep.run(longest_s=_NO_END)
        rows = [{"table": name, "removed": n} for name, n in removed.items()]
        self.table(rows, as_json=options["json"])
