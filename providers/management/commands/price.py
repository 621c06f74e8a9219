"""``pool price``: what models cost, and the prices you know better; in USD."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from pricing import selectors, services, units
from pricing.cost import PriceSpec
from pricing.units import PriceTextError
from providers.management.base import PoolCommand, action, get_provider
from providers.services import price_list, prices, unpriced
from providers.services.price_list import GROUPS, PriceFilters
from providers.services.prices import NewPrice, PriceDoubtError

_SHOWN = ("provider", "model", "input", "output", "cache_read", "cache_write")
_MOST = 10_000


class Command(PoolCommand):
    help = "Manage prices: USD per million tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        _add_set(
            action(
                sub,
                "set",
                self.set,
                "set the price of a model, a pattern or @default",
            )
        )
        listing = action(sub, "list", self.list, "list prices people set")
        listing.add_argument("--json", action="store_true")
        listing.add_argument(
            "--effective", action="store_true", help="what every model costs"
        )
        listing.add_argument("--provider", default="", metavar="ID")
        listing.add_argument("--source", default="", choices=["", *GROUPS])
        show = action(sub, "show", self.show, "show a model's price and its source")
        show.add_argument("model")
        show.add_argument("--provider", required=True, metavar="ID")
        show.add_argument("--json", action="store_true")
        remove = action(sub, "remove", self.remove, "go back to the book's price")
        remove.add_argument("model")
        remove.add_argument("--provider", default="", metavar="ID")
        open_ones = action(
            sub, "unpriced", self.unpriced, "list models used without a price"
        )
        open_ones.add_argument("--json", action="store_true")

    def set(self, options: dict[str, Any]) -> None:
        if options["provider"]:
            get_provider(options["provider"])
        new = NewPrice(
            model=options["model"],
            spec=_spec(options),
            provider=options["provider"],
            valid_from=_moment(options["valid_from"]),
            valid_to=_moment(options["valid_to"]),
            reason=options["reason"],
        )
        try:
            prices.set_price(self.actor, new, confirmed=options["confirm"])
        except PriceDoubtError as exc:
            raise CommandError(f"{exc} Say --confirm if it is.") from exc
        self.say(f"Set the price of {options['model']}.")

    def list(self, options: dict[str, Any]) -> None:
        if not (options["effective"] or options["source"]):
            rows = selectors.custom_price_table()
            if options["provider"]:
                rows = [row for row in rows if row["provider"] == options["provider"]]
            self.table(_even(rows), as_json=options["json"])
            return
        filters = PriceFilters(options["source"], options["provider"])
        page = price_list.page_of_prices(filters, size=_MOST)
        found = price_list.price_table(page.rows)
        if not options["json"]:
            found = [{name: row[name] for name in (*_SHOWN, "source")} for row in found]
        self.table(found, as_json=options["json"])

    def show(self, options: dict[str, Any]) -> None:
        row = price_list.price_of(options["provider"], options["model"])
        if row is None:
            raise CommandError(
                f"{options['provider']} serves no model {options['model']}."
            )
        facts = price_list.price_facts(row)
        if options["json"]:
            self.print_json(facts)
            return
        for name, value in facts.items():
            if name != "examples" and value not in (None, []):
                self.say(f"{name}: {value}")
        for each in units.examples(row.price) if row.price else []:
            self.say(f"{each.words} = {each.shown or 'not known'}")

    def remove(self, options: dict[str, Any]) -> None:
        model = options["model"]
        if not services.remove_prices(self.actor, model, options["provider"]):
            raise CommandError(f"No price was set for {model}.")
        self.say(f"Removed the price of {model}.")

    def unpriced(self, options: dict[str, Any]) -> None:
        self.table(unpriced.open_table(), as_json=options["json"])


def _add_set(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("--provider", default="", metavar="ID")
    parser.add_argument(
        "--unit", default=units.MILLION, choices=units.TOKEN_UNITS, help="of tokens"
    )
    for name in units.TOKENS:
        parser.add_argument(_option(name), metavar="X", help=units.LABELS[name])
    for name in units.PIECES:
        label = f"{units.LABELS[name]}, in USD"
        parser.add_argument(_option(name), metavar="U", help=label)
    parser.add_argument("--long-threshold", type=int, metavar="TOKENS")
    for name in ("--valid-from", "--valid-to"):
        parser.add_argument(name, metavar="TIME", help="2026-12-24T00:00Z")
    parser.add_argument("--reason", default="", metavar="TEXT")
    parser.add_argument(
        "--confirm", action="store_true", help="a price far off its source is meant"
    )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _spec(options: dict[str, Any]) -> PriceSpec:
    columns: dict[str, int | None] = {"long_threshold": options["long_threshold"]}
    for name in (*units.TOKENS, *units.PIECES):
        text = options[name]
        if text is None:
            continue
        per = units.ONE if name in units.PIECES else options["unit"]
        try:
            columns[name] = units.read_price(text, per=per)
        except PriceTextError as exc:
            raise CommandError(f"{_option(name)} {text[:40]}: {exc}") from exc
    return PriceSpec(**columns)


def _moment(text: str | None) -> datetime | None:
    """Read a time; without an offset it is one of the server's zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CommandError(f"{text[:40]} is no time such as 2026-12-24T00:00Z") from exc
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _even(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give rows the same columns, for a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]
