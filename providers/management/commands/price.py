"""``pool price``: set what a model costs, in USD per million tokens."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from poolsite.money import AmountError, per_million_nano_from_usd
from pricing import selectors, services
from pricing.cost import PriceSpec
from providers.management.base import PoolCommand, action, get_provider, read_usd

_COLUMNS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


class Command(PoolCommand):
    help = "Manage prices: USD per million tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        change = action(sub, "set", self.set, "set the price of a model or pattern")
        change.add_argument("model")
        change.add_argument("--provider", default="", metavar="ID")
        change.add_argument("--input", required=True, metavar="X")
        change.add_argument("--output", required=True, metavar="Y")
        for name in ("--cache-read", "--cache-write", "--cache-write-1h"):
            change.add_argument(name, metavar="Z")
        change.add_argument("--per-request", metavar="U", help="USD a request")
        listing = action(sub, "list", self.list, "list prices people set")
        listing.add_argument("--json", action="store_true")
        remove = action(sub, "remove", self.remove, "go back to the book's price")
        remove.add_argument("model")
        remove.add_argument("--provider", default="", metavar="ID")

    def set(self, options: dict[str, Any]) -> None:
        if options["provider"]:
            get_provider(options["provider"])
        values = {name: _price(options[name]) for name in _COLUMNS}
        # The column is per million units like every other: U a request.
        values["per_request"] = _price(options["per_request"], times=1_000_000)
        services.set_price(
            self.actor,
            options["model"],
            PriceSpec(**values),
            provider_slug=options["provider"],
        )
        self.say(f"Set the price of {options['model']}.")

    def list(self, options: dict[str, Any]) -> None:
        self.table(selectors.custom_price_table(), as_json=options["json"])

    def remove(self, options: dict[str, Any]) -> None:
        row = selectors.custom_price(options["model"], options["provider"])
        if row is None:
            raise CommandError(f"No price was set for {options['model']}.")
        services.remove_price(self.actor, row)
        self.say(f"Removed the price of {options['model']}.")


def _price(text: str | None, *, times: int = 1) -> int | None:
    if text is None:
        return None
    try:
        return per_million_nano_from_usd(read_usd(text, "a price") * times, exact=True)
    except AmountError as exc:
        raise CommandError(f"{text}: {exc}") from exc
