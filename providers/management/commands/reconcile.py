"""``pool reconcile``: hold a vendor's statement against the ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError

from poolsite.money import format_usd, nano_from_usd
from providers.management.base import PoolCommand, action, read_usd
from usage.models import VendorStatement
from usage.reconciliation import selectors, services, shapes
from usage.reconciliation.compare import Limits
from usage.reconciliation.read import Reading
from usage.reconciliation.shapes import Columns
from usage.reconciliation.table import LARGEST
from usage.reconciliation.work import work_here

_LISTED: Final = ("id", "provider", "label", "first_day", "last_day", "named")


class Command(PoolCommand):
    help = "Hold a vendor's statement against the ledger; nothing there is changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        add = action(sub, "add", self.add, "take a statement in and compare it")
        add.add_argument("provider")
        add.add_argument("file")
        add.add_argument("--column", action="append", default=[], metavar="PART=NAME")
        add.add_argument("--input-has-cached", action="store_true")
        add.add_argument("--time-zone", default="UTC", metavar="ZONE")
        add.add_argument("--dates", default="", choices=["dmy", "mdy"])
        add.add_argument("--usd-per-unit", default="", metavar="RATE")
        add.add_argument("--threshold", default="1", metavar="PERCENT")
        add.add_argument("--floor", default="0.01", metavar="USD")
        add.add_argument("--json", action="store_true")
        for name, handler, words in (
            ("compare", self.compare, "compare one again"),
            ("show", self.show, "show what differs"),
            ("remove", self.remove, "remove one; the ledger stays as it is"),
        ):
            one = action(sub, name, handler, words)
            one.add_argument("number", type=int)
            one.add_argument("--json", action="store_true")
        listing = action(sub, "list", self.list, "list the newest")
        listing.add_argument("--json", action="store_true")

    def add(self, options: dict[str, Any]) -> None:
        percent = read_usd(options["threshold"], "a percentage")
        upload = services.Upload(
            provider=options["provider"],
            data=_content(options["file"]),
            file_name=Path(options["file"]).name,
            how=Reading(
                columns=_columns(options),
                time_zone=options["time_zone"],
                usd_per_unit=services.rate_of(options["usd_per_unit"]),
                date_order=options["dates"],
            ),
            limits=Limits(
                basis=int(percent * Decimal(100)),
                floor=nano_from_usd(read_usd(options["floor"], "an amount")),
            ),
        )
        self._finish(services.take_in(self.actor, upload), options)

    def compare(self, options: dict[str, Any]) -> None:
        self._finish(services.compare(self.actor, _statement(options)), options)

    def show(self, options: dict[str, Any]) -> None:
        self._tell(_statement(options), options)

    def remove(self, options: dict[str, Any]) -> None:
        services.remove(self.actor, _statement(options))
        self.say("Removed.")

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.latest()
        if not options["json"]:
            rows = [{name: row[name] for name in _LISTED} for row in rows]
        self.table(rows, as_json=options["json"])

    def _finish(self, row: VendorStatement, options: dict[str, Any]) -> None:
        """Compare here, unless a worker was faster."""
        work_here(row)
        self._tell(_statement({"number": row.pk}), options)

    def _tell(self, row: VendorStatement, options: dict[str, Any]) -> None:
        facts = selectors.facts(row)
        if options["json"]:
            self.print_json(facts)
            return
        self.say(f"Statement {row.pk} of {row.provider} is {facts['state_label']}.")
        if row.found is None:
            return
        self.say(
            f"{_usd(facts['billed_nano_usd'])} billed, "
            f"{_usd(facts['known_nano_usd'])} known; {facts['named']:,} of "
            f"{row.found['lines']:,} days and models are named."
        )
        for line in facts["differences"]:
            self.say(
                f"{line['day']} {line['model'] or 'all models'}: "
                f"{_usd(line['difference_nano_usd'])}, {line['cause_label']}. "
                f"{line['detail']}"
            )


def _usd(nano: int | None) -> str:
    return "no cost" if nano is None else format_usd(nano)


def _content(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as exc:
        raise CommandError(f"{name} cannot be read.") from exc


def _columns(options: dict[str, Any]) -> Columns | None:
    named: dict[str, str] = {}
    for each in options["column"]:
        part, _, name = each.partition("=")
        if part not in shapes.PARTS or not name:
            known = ", ".join(shapes.PARTS)
            raise CommandError(f"--column takes PART=NAME; a part is {known}.")
        named[part] = name
    return shapes.chosen(named, has_cached=options["input_has_cached"])


def _statement(options: dict[str, Any]) -> VendorStatement:
    row = selectors.statements().filter(pk=options["number"]).first()
    if row is None:
        raise CommandError(f"There is no statement {options['number']}.")
    return row
