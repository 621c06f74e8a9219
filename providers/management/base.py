"""What every command of the product shares: one-line errors, JSON, look-ups."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from poolsite.actor import CLI, Actor
from poolsite.people import PeopleError
from pricing.services import PriceError
from providers.models import Provider
from providers.services.errors import ServiceError
from usage.models import ClientKey
from usage.services import UsageError

_REFUSALS = (ServiceError, UsageError, PriceError, PeopleError)
Handler = Callable[[dict[str, Any]], None]


class PoolCommand(BaseCommand):
    """A thin shell over services: parse, call, print."""

    requires_system_checks: Sequence[str] = ()
    actor: Actor = CLI

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the chosen action; a refusal becomes one line and exit 1."""
        try:
            options["handler"](options)
        except _REFUSALS as exc:
            raise CommandError(str(exc)) from exc

    def say(self, text: str = "") -> None:
        """Print a line to stdout."""
        self.stdout.write(text)

    def print_json(self, data: object) -> None:
        """Print data as indented JSON."""
        text = msgspec.json.format(msgspec.json.encode(data), indent=2)
        self.stdout.write(text.decode())

    def table(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        """Print rows as JSON, or as aligned columns for people."""
        if as_json:
            self.print_json(rows)
            return
        if not rows:
            self.say("Nothing yet.")
            return
        names = list(rows[0])
        lines = [names, *[[_text(row[name]) for name in names] for row in rows]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
        for line in lines:
            cells = [
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ]
            self.say("  ".join(cells).rstrip())


def action(
    subparsers: Any, name: str, handler: Handler, help_text: str
) -> ArgumentParser:
    """Add one action to a command and say what runs it."""
    parser: ArgumentParser = subparsers.add_parser(name, help=help_text)
    parser.set_defaults(handler=handler)
    return parser


def read_secret(name: str) -> str:
    """Read a secret from stdin: never from an argument, where others can see it."""
    if sys.stdin.isatty():
        raise CommandError(f"Give the {name} on stdin, for example: pool … < file")
    text = sys.stdin.read().strip()
    if not text:
        raise CommandError(f"No {name} came on stdin.")
    return text


def get_provider(slug: str) -> Provider:
    """Find a live provider by its id, or end with one line."""
    row = Provider.objects.filter(slug=slug, deleted_at=None).first()
    if row is None:
        raise CommandError(f"There is no provider {slug}.")
    return row


def get_client_key(name: str) -> ClientKey:
    """Find a live client key by name or public id, or end with one line."""
    keys = ClientKey.objects.filter(revoked_at=None)
    row = keys.filter(name=name).first() or keys.filter(public_id=name).first()
    if row is None:
        raise CommandError(f"There is no client key {name}.")
    return row


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
