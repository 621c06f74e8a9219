"""``pool provider``: add, list, show, set, test, switch and remove providers."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from poolsite.ui import numbers
from providers import selectors, selectors_accounts
from providers.discovery import check
from providers.management.base import (
    PoolCommand,
    action,
    get_provider,
    read_secret,
)
from providers.services import account_status, credentials, models, providers

_SETTABLE = {
    "name": "name",
    "base_url": "base_url",
    "format": "api_format",
    "location": "location",
    "priority": "priority",
    "auth_scheme": "auth_scheme",
    "option": "options",
    "other_format": "other_formats",
}


class Command(PoolCommand):
    help = "Manage providers: who serves models, and our keys there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        add = action(sub, "add", self.add, "add a provider")
        add.add_argument("id")
        add.add_argument("--catalogue", default="", metavar="CID")
        _values(add)
        add.add_argument("--api-key-stdin", action="store_true")
        add.add_argument("--model", nargs="+", action="extend", default=[])
        add.add_argument("--disabled", action="store_true")
        listing = action(sub, "list", self.list, "list providers")
        listing.add_argument("--json", action="store_true")
        show = action(sub, "show", self.show, "show one provider")
        show.add_argument("id")
        show.add_argument("--json", action="store_true")
        change = action(sub, "set", self.set, "change a provider")
        change.add_argument("id")
        _values(change)
        test = action(sub, "test", self.test, "try the provider now")
        test.add_argument("id")
        test.add_argument("--json", action="store_true")
        account = action(sub, "account", self.account, "what is left on its accounts")
        account.add_argument("id")
        account.add_argument("--check", action="store_true", help="ask the vendor now")
        account.add_argument("--json", action="store_true")
        for name, handler in (("enable", self.enable), ("disable", self.disable)):
            action(sub, name, handler, f"{name} a provider").add_argument("id")
        action(sub, "remove", self.remove, "remove a provider").add_argument("id")
        key = action(sub, "key-add", self.key_add, "add an API key, read from stdin")
        key.add_argument("id")
        key.add_argument("--label", default="")

    def add(self, options: dict[str, Any]) -> None:
        secret = read_secret("API key") if options["api_key_stdin"] else ""
        with transaction.atomic():
            provider = providers.create_provider(
                self.actor,
                slug=options["id"],
                catalogue_id=options["catalogue"],
                enabled=not options["disabled"],
                **_chosen(options),
            )
            if secret:
                credentials.add_key(self.actor, provider, secret)
            if options["model"]:
                models.add_models(self.actor, provider, options["model"])
        self.say(f"Added {provider.slug}.")
        if not options["model"]:
            self.say(f"It serves no models yet: pool model sync {provider.slug}")

    def list(self, options: dict[str, Any]) -> None:
        self.table(selectors.provider_table(), as_json=options["json"])

    def show(self, options: dict[str, Any]) -> None:
        facts = selectors.provider_facts(get_provider(options["id"]))
        if options["json"]:
            self.print_json(facts)
            return
        for name, value in facts.items():
            self.say(f"{name}: {value}")

    def set(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        chosen = _chosen(options)
        if not chosen:
            raise CommandError("Say what to change, for example --priority 70.")
        providers.update_provider(self.actor, provider, **chosen)
        self.say(f"Changed {provider.slug}.")

    def test(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        result = check.check_provider(provider)
        providers.record_test(
            provider, error=result.error, tried_key=result.key_id, actor=self.actor
        )
        if options["json"]:
            self.print_json({"ok": result.ok, **dataclasses.asdict(result)})
        else:
            for stage in result.stages:
                mark = "ok" if stage.ok else "failed"
                self.say(f"{stage.name}: {mark} ({stage.latency_ms} ms) {stage.text}")
        if not result.ok:
            raise CommandError(result.error)

    def account(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        if options["check"]:
            account_status.refresh(provider, force=True)
        rows = selectors_accounts.table(provider)
        if options["json"]:
            self.print_json(rows)
            return
        for row in rows:
            left = numbers.left(row["left"], row["unit"]) if row["left"] else ""
            why = account_status.error_in_words(row["error"]) if row["error"] else ""
            self.say(f"{row['credential']}: {left or 'not reported'} {why}".rstrip())
        if not rows:
            self.say("Nothing was asked yet; --check does.")

    def enable(self, options: dict[str, Any]) -> None:
        self._switch(options["id"], enabled=True)

    def disable(self, options: dict[str, Any]) -> None:
        self._switch(options["id"], enabled=False)

    def remove(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        providers.remove_provider(self.actor, provider)
        self.say(f"Removed {provider.slug}.")

    def key_add(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        key = credentials.add_key(
            self.actor, provider, read_secret("API key"), label=options["label"]
        )
        self.say(f"Added {key.mask} to {provider.slug}.")

    def _switch(self, slug: str, *, enabled: bool) -> None:
        provider = get_provider(slug)
        providers.set_enabled(self.actor, provider, enabled=enabled)
        self.say(f"{'Enabled' if enabled else 'Disabled'} {provider.slug}.")


def _values(parser: ArgumentParser) -> None:
    parser.add_argument("--name")
    parser.add_argument("--base-url", metavar="URL")
    parser.add_argument("--format")
    parser.add_argument("--location", choices=["cloud", "local"])
    parser.add_argument("--priority", type=int)
    parser.add_argument("--allow-private", action="store_true", default=None)
    parser.add_argument(
        "--auth-scheme", help="how the credential is sent; default: by the format"
    )
    parser.add_argument(
        "--option",
        nargs="+",
        type=_setting,
        metavar="NAME=VALUE",
        help="what a cloud needs beside a key: region, project, location, api_version",
    )
    parser.add_argument(
        "--other-format",
        nargs="+",
        type=_pair,
        metavar="FORMAT[=URL]",
        help="a further format this provider speaks",
    )


def _setting(text: str) -> tuple[str, str]:
    if "=" not in text:
        raise ArgumentTypeError(f"write NAME=VALUE, not {text}")
    return _pair(text)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        field: dict(found) if isinstance(found := options[name], list) else found
        for name, field in _SETTABLE.items()
        if options[name] is not None
    }
    if options["allow_private"]:
        chosen["allow_private"] = True
    return chosen
