"""``pool account``: sign-ins at a provider whose token is not an API key."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError
from django.utils import timezone

from oauth import selectors, services
from oauth.models import Account
from providers.formats.cli_backed.command import origin_or_address
from providers.management.base import PoolCommand, action, get_provider, read_secret

_LONGEST_HOURS: Final = 24 * 3650


class Command(PoolCommand):
    help = "Manage accounts; this release holds static tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        add = action(sub, "add", self.add, "add an account, its token from stdin")
        add.add_argument("provider")
        add.add_argument("--label", default="")
        add.add_argument(
            "--expires", type=int, metavar="HOURS", help="when the token ends"
        )
        listing = action(sub, "list", self.list, "list accounts")
        listing.add_argument("provider", nargs="?", default="")
        listing.add_argument("--json", action="store_true")
        renew = action(sub, "renew", self.renew, "give an account a new token")
        renew.add_argument("id", type=int)
        renew.add_argument("--expires", type=int, metavar="HOURS")
        for name, handler in (("enable", self.enable), ("disable", self.disable)):
            switch = action(sub, name, handler, f"{name} an account")
            switch.add_argument("id", type=int)
        remove = action(sub, "remove", self.remove, "remove an account and its tokens")
        remove.add_argument("id", type=int)

    def add(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        account = services.create_static_account(
            self.actor,
            services.Place(provider.slug, origin_or_address(provider.base_url)),
            token=read_secret("token"),
            label=options["label"],
            expires_at=_moment(options["expires"]),
        )
        self.say(f"Added account {account.pk} to {provider.slug}.")

    def list(self, options: dict[str, Any]) -> None:
        if options["provider"]:
            get_provider(options["provider"])
        rows = selectors.account_table(options["provider"])
        self.table(rows, as_json=options["json"])

    def renew(self, options: dict[str, Any]) -> None:
        account = _account(options["id"])
        services.replace_token(
            self.actor,
            account,
            read_secret("token"),
            expires_at=_moment(options["expires"]),
        )
        self.say(f"Account {account.pk} has a new token.")

    def enable(self, options: dict[str, Any]) -> None:
        account = _account(options["id"])
        services.set_account_enabled(self.actor, account, enabled=True)
        self.say(f"Enabled account {account.pk}.")

    def disable(self, options: dict[str, Any]) -> None:
        account = _account(options["id"])
        services.set_account_enabled(self.actor, account, enabled=False)
        self.say(f"Disabled account {account.pk}.")

    def remove(self, options: dict[str, Any]) -> None:
        account = _account(options["id"])
        services.remove_account(self.actor, account)
        self.say(f"Removed account {account.pk}.")


def _account(number: int) -> Account:
    account = Account.objects.filter(pk=number, deleted_at=None).first()
    if account is None:
        raise CommandError(f"There is no account {number}.")
    return account


def _moment(hours: int | None) -> Any:
    if hours is None:
        return None
    if not 0 < hours <= _LONGEST_HOURS:
        raise CommandError(f"A token ends in 1 to {_LONGEST_HOURS} hours.")
    return timezone.now() + timedelta(hours=hours)
