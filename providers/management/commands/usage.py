"""``pool usage``: what was used and what it cost, from the rollups."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils.dateparse import parse_date, parse_datetime

from poolsite.money import format_usd
from providers.management.base import PoolCommand
from usage import selectors


class Command(PoolCommand):
    help = "Show requests, tokens and cost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", metavar="T", help="date or time, ISO 8601")
        parser.add_argument("--until", metavar="T")
        parser.add_argument("--by", choices=list(selectors.GROUPS))
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(handler=self.show)

    def show(self, options: dict[str, Any]) -> None:
        summary = selectors.usage_summary(
            since=_time(options["since"]),
            until=_time(options["until"]),
            by=options["by"],
        )
        if options["json"]:
            self.print_json(summary)
            return
        self._totals(summary["totals"])
        if summary["groups"]:
            self.say()
            self.table(
                [
                    {
                        options["by"]: group["name"],
                        "requests": group["requests"],
                        "errors": group["errors"],
                        "cost": format_usd(group["cost_nano_usd"]),
                    }
                    for group in summary["groups"]
                ],
                as_json=False,
            )

    def _totals(self, totals: dict[str, int]) -> None:
        self.say(
            f"{totals['requests']} requests, {totals['attempts']} attempts, "
            f"{totals['errors']} errors, cost {format_usd(totals['cost_nano_usd'])}"
        )
        if totals["unpriced_requests"]:
            self.say(f"{totals['unpriced_requests']} requests have no known price.")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
        day = None if moment else parse_date(text)
    except ValueError:
        moment = day = None
    if moment is None and day is not None:
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment is None:
        raise CommandError(
            f"{text} is not a time; write 2026-11-20 or 2026-11-20T08:00."
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
