"""``pool recalculate``: price again what was billed; count, apply, undo."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.management.base import CommandError

from poolsite.money import format_usd
from providers.management.base import PoolCommand, action
from providers.services.recalculation import work_here
from usage.models import RecalculationRun
from usage.recalculation import selectors, services
from usage.recalculation.services import Choice

_LISTED = ("id", "label", "since", "until", "changed", "applied", "undone")


class Command(PoolCommand):
    help = "Price again what was billed, at the prices in force now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        count = action(sub, "count", self.count, "count what would change")
        count.add_argument("--since", required=True, metavar="YYYY-MM-DD")
        count.add_argument("--until", metavar="YYYY-MM-DD", help="the last day, UTC")
        count.add_argument("--provider", action="append", default=[], metavar="ID")
        count.add_argument("--models", default="", metavar="PATTERN")
        count.add_argument("--only-unpriced", action="store_true")
        count.add_argument("--with-reported", action="store_true")
        count.add_argument("--reason", default="")
        count.add_argument("--json", action="store_true")
        for name, handler, words in (
            ("apply", self.apply, "write the corrections, or go on writing them"),
            ("undo", self.undo, "take the corrections back"),
            ("cancel", self.cancel, "stop it where it is"),
            ("show", self.show, "show one with its figures"),
        ):
            change = action(sub, name, handler, words)
            change.add_argument("number", type=int)
            change.add_argument("--json", action="store_true")
        listing = action(sub, "list", self.list, "list the newest")
        listing.add_argument("--json", action="store_true")

    def count(self, options: dict[str, Any]) -> None:
        until = options["until"]
        last = _day(until) if until else datetime.now(UTC)
        choice = Choice(
            since=_day(options["since"]),
            until=last + timedelta(days=1),
            providers=tuple(options["provider"]),
            model_glob=options["models"],
            only_unpriced=options["only_unpriced"],
            with_reported=options["with_reported"],
            reason=options["reason"],
        )
        self._finish(services.start(self.actor, choice), options)

    def apply(self, options: dict[str, Any]) -> None:
        self._finish(services.apply(self.actor, _run(options)), options)

    def undo(self, options: dict[str, Any]) -> None:
        self._finish(services.undo(self.actor, _run(options)), options)

    def cancel(self, options: dict[str, Any]) -> None:
        services.cancel(self.actor, _run(options))
        self.say("It stops within two seconds.")

    def show(self, options: dict[str, Any]) -> None:
        self._tell(_run(options), options)

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.latest()
        if not options["json"]:
            rows = [{name: row[name] for name in _LISTED} for row in rows]
        self.table(rows, as_json=options["json"])

    def _finish(self, run: RecalculationRun, options: dict[str, Any]) -> None:
        """Do the work here, unless a worker was faster; then tell how it stands."""
        work_here(run)
        self._tell(_run({"number": run.pk}), options)

    def _tell(self, run: RecalculationRun, options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json(selectors.facts(run))
            return
        row = selectors.summary(run)
        self.say(f"Recalculation {run.pk} is {row['label']}.")
        found = run.found
        if found:
            self.say(
                f"{found['changed']:,} of {found['chosen']:,} attempts change: "
                f"{format_usd(found['before_nano_usd'])} becomes "
                f"{format_usd(found['after_nano_usd'])}."
            )
            if found["unpriceable"]:
                self.say(f"{found['unpriceable']:,} stay without a known price.")
        if run.applied:
            self.say(f"Applied: {run.applied:,}, undone: {run.undone:,}.")


def _run(options: dict[str, Any]) -> RecalculationRun:
    run = selectors.runs().filter(pk=options["number"]).first()
    if run is None:
        raise CommandError(f"There is no recalculation {options['number']}.")
    return run


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError as exc:
        raise CommandError(f"{text} is not a day such as 2026-01-31.") from exc
