"""``pool key``: create, change, show, list, rotate and revoke client keys."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from poolsite.models import User
from poolsite.money import format_usd, nano_from_usd
from providers.management.base import (
    PoolCommand,
    action,
    get_client_key,
    get_team,
    read_usd,
)
from usage import selectors, services
from usage.models import Budget, ClientKey

_LONGEST_DAYS: Final = 36_500
_NUMBERS: Final = (
    "rpm", "tpm", "tpd", "concurrency", "window_requests", "window_s",
    "assumed_output_tokens",
)  # fmt: skip
_RENAMED: Final = {
    "ip": "ip_allow",
    "tag": "tags",
    "mode": "default_mode",
    "strategy": "default_strategy",
    "override": "overrides_allowed",
}
_CLEARED: Final[dict[str, dict[str, Any]]] = {
    "models": {"model_access": "all", "models_allowed": []},
    "providers": {"provider_access": "all", "providers_allowed": []},
    "ip": {"ip_allow": []},
    "tags": {"tags": []},
    "team": {"team": None},
    "owner": {"owner": None},
    "rpm": {"rpm": None},
    "tpm": {"tpm": None},
    "tpd": {"tpd": None},
    "concurrency": {"concurrency": None},
    "window": {"window_requests": None, "window_s": None},
    "expires": {"expires_at": None},
    "mode": {"default_mode": ""},
    "strategy": {"default_strategy": ""},
    "overrides": {"overrides_allowed": []},
}


class Command(PoolCommand):
    help = "Manage client keys: what clients of the pool present."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = action(sub, "create", self.create, "create a key and print it, once")
        create.add_argument("name")
        create.add_argument("--budget-usd", metavar="X")
        create.add_argument(
            "--window", choices=Budget.Window.values, default=Budget.Window.MONTH
        )
        _add_settings(create)
        change = action(sub, "set", self.set, "change what a key may do")
        change.add_argument("name")
        change.add_argument("--rename", metavar="NAME")
        change.add_argument(
            "--clear", nargs="+", action="extend", choices=_CLEARED, default=[],
            help="take settings away",
        )  # fmt: skip
        _add_settings(change)
        show = action(sub, "show", self.show, "show one key as JSON")
        show.add_argument("name")
        listing = action(sub, "list", self.list, "list keys")
        listing.add_argument("--json", action="store_true")
        rotate = action(sub, "rotate", self.rotate, "give a key a new text")
        rotate.add_argument("name")
        rotate.add_argument("--grace", choices=list(services.GRACES), default="now")
        action(sub, "revoke", self.revoke, "revoke a key").add_argument("name")

    def create(self, options: dict[str, Any]) -> None:
        values = _settings(options)
        terms = None
        if options["budget_usd"] is not None:
            amount = nano_from_usd(read_usd(options["budget_usd"], "an amount"))
            terms = services.BudgetTerms(amount, window=options["window"])
        with transaction.atomic():
            key, text = services.create_key(self.actor, options["name"], **values)
            if terms is not None:
                services.set_key_budget(self.actor, key, terms)
        self.say(text)  # only now: a key that was printed is a key that works

    def set(self, options: dict[str, Any]) -> None:
        values = _settings(options)
        for name in options["clear"]:
            values |= _CLEARED[name]
        if options["rename"] is not None:
            values["name"] = options["rename"]
        if not values:
            raise CommandError("Say what to change (see: pool key set --help).")
        key = get_client_key(options["name"])
        services.update_key(self.actor, key, **values)
        self.say(f"Changed {key.name}.")

    def show(self, options: dict[str, Any]) -> None:
        self.print_json(selectors.key_facts(get_client_key(options["name"])))

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.key_table()
        if not options["json"]:
            rows = [{**row, "budgets": _spent(row["budgets"])} for row in rows]
        self.table(rows, as_json=options["json"])

    def rotate(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["name"])
        self.say(services.rotate_key(self.actor, key, grace=options["grace"]))

    def revoke(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["name"])
        services.revoke_key(self.actor, key)
        self.say(f"Revoked {key.name}.")


def _add_settings(parser: ArgumentParser) -> None:
    """Add the options that create and change share."""
    for name, what in (("--models", "GLOB"), ("--providers", "GLOB")):
        parser.add_argument(name, nargs="+", action="extend", metavar=what)
    parser.add_argument("--ip", nargs="+", action="extend", metavar="NETWORK")
    parser.add_argument("--tag", nargs="+", action="extend", metavar="TAG")
    parser.add_argument("--team", metavar="ID")
    parser.add_argument("--owner", metavar="EMAIL")
    for name in _NUMBERS:
        parser.add_argument(_option(name), type=int, metavar="N")
    parser.add_argument("--expires", type=int, metavar="DAYS")
    parser.add_argument("--unpriced", choices=ClientKey.Unpriced.values)
    parser.add_argument("--mode", choices=services.MODES)
    parser.add_argument("--strategy", choices=services.STRATEGIES)
    parser.add_argument(
        "--override", nargs="+", action="extend", choices=services.OVERRIDES
    )
    parser.add_argument("--log-level", choices=("metadata", "bodies"))


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that the options name."""
    given = {name: options[name] for name in (*_NUMBERS, *_RENAMED, "log_level")}
    given["unpriced"] = options["unpriced"]
    found = {
        _RENAMED.get(name, name): value
        for name, value in given.items()
        if value is not None
    }
    for what in ("model", "provider"):
        if options[f"{what}s"]:
            found[f"{what}_access"] = ClientKey.Access.ONLY
            found[f"{what}s_allowed"] = options[f"{what}s"]
    if options["team"]:
        found["team"] = get_team(options["team"])
    if options["owner"]:
        found["owner"] = _owner(options["owner"])
    if options["expires"] is not None:
        if not 0 < options["expires"] <= _LONGEST_DAYS:
            raise CommandError(f"A key expires in 1 to {_LONGEST_DAYS} days.")
        found["expires_at"] = timezone.now() + timedelta(days=options["expires"])
    return found


def _owner(email: str) -> User:
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        raise CommandError(f"There is nobody called {email}.")
    return user


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _spent(budgets: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{format_usd(row['spent_nano_usd'])} of {format_usd(row['limit_nano_usd'])}"
        f" a {row['window']}"
        for row in budgets
    )
