"""What every command of the product shares: one-line errors, JSON, look-ups."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from oauth.services import AccountError
from poolsite import prepare, rotation
from poolsite.actor import CLI, Actor
from poolsite.clock import SystemClock
from poolsite.delivery.services import ChannelError
from poolsite.people import PeopleError
from poolsite.prepare import RefusedError
from poolsite.rotation import RotationError
from poolsite.setup import SetupError
from poolsite.tokens import TokenError
from pricing.feeds.services import FeedSettingError
from pricing.services import PriceError
from providers.imports.pool import ImportFileError
from providers.models import Provider
from providers.services.backups import BackupError
from providers.services.errors import ServiceError
from usage.models import ClientKey, Team
from usage.services import UsageError

_REFUSALS: Final = (
    AccountError,
    BackupError,
    ChannelError,
    ImportFileError,
    PeopleError,
    FeedSettingError,
    PriceError,
    RefusedError,
    RotationError,
    ServiceError,
    SetupError,
    TokenError,
    UsageError,
)
_LONGEST_SECRET: Final = 64 * 1024
_LONGEST_NUMBER: Final = 40
_DEAREST: Final = 10**9
Handler = Callable[[dict[str, Any]], None]


class OneLineParser(CommandParser):
    """Say what is wrong with a call in one line; ``--help`` shows the rest."""

    def error(self, message: str) -> NoReturn:
        """End with status 2, or raise when called from other code.

        Errors: CommandError.
        """
        line = f"{' '.join(message.split())} (see: {self.prog} --help)"
        if self.called_from_command_line:
            self.exit(2, f"pool: {line}\n")
        raise CommandError(line, returncode=2)


class PoolCommand(BaseCommand):
    """A thin shell over services: parse, call, print.

    Shapes:  ``opens_database`` is False for commands that must not touch it first.
    """

    requires_system_checks = ()
    actor: Actor = CLI
    opens_database = True

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Make the parser; Django's own options are left out of it."""
        parser = OneLineParser(
            prog=f"pool {subcommand.replace('_', '-')}",
            description=self.help,
            called_from_command_line=getattr(self, "_called_from_command_line", None),
            **kwargs,
        )
        parser.add_argument("--traceback", action="store_true", help=SUPPRESS)
        parser.set_defaults(
            settings=None,
            pythonpath=None,
            verbosity=1,
            no_color=True,
            force_color=False,
            skip_checks=True,
        )
        self.add_arguments(parser)
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the chosen action; a refusal becomes one line and exit 1."""
        try:
            if self.opens_database:
                _open_database()
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
    """Read a secret from stdin: never from an argument, where others can see it.

    The line's end does not belong to it, spaces do: a password may begin with one.
    """
    if sys.stdin.isatty():
        raise CommandError(f"Give the {name} on stdin, for example: pool … < file")
    try:
        text = sys.stdin.read(_LONGEST_SECRET).strip("\r\n")
    except UnicodeDecodeError as exc:
        raise CommandError(f"The {name} on stdin is not text.") from exc
    if not text.strip():
        raise CommandError(f"No {name} came on stdin.")
    return text


def read_usd(text: str, what: str) -> Decimal:
    """Read an amount in USD as people write it, or end with one line."""
    try:
        number = Decimal(text)
        is_good = number.is_finite() and 0 <= number <= _DEAREST
    except ArithmeticError:
        is_good = False
    if not is_good or len(text) > _LONGEST_NUMBER:
        raise CommandError(f"{text} is not {what} in USD.")
    return number


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


def get_team(slug: str) -> Team:
    """Find a team by its id, or end with one line."""
    row = Team.objects.filter(slug=slug).first()
    if row is None:
        raise CommandError(f"There is no team {slug}.")
    return row


def _open_database() -> None:
    """Make sure that there is one, and that this process holds its keys.

    A fresh data directory gets its database here, so that a pool can be set up before
    anything was served. A secret sealed with a wrong key would be lost.
    """
    clock = SystemClock()
    if prepare.migrate(clock):
        prepare.ensure_groups()
    keys = rotation.check_keys(clock=clock)
    if not keys.is_ok:
        raise CommandError(keys.reason)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
