"""``pool provider``: add, list, show, set, test, switch and remove providers."""

from __future__ import annotations

import dataclasses
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from poolsite.ui import numbers
from providers import selectors, selectors_accounts
from providers.discovery.roots import normalise
from providers.formats.cli_backed.command import is_program
from providers.management.base import (
    PoolCommand,
    action,
    get_provider,
    read_secret,
)
from providers.services import (
    account_status,
    credentials,
    models,
    providers,
    trials,
    verification,
)
from providers.services.values import is_out_of_reach

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
        test.add_argument(
            "--call", action="store_true", help="make three paid calls of about a token"
        )
        test.add_argument("--model", default="", help="the model to call")
        test.add_argument(
            "--other-sites",
            action="store_true",
            help="allow a refused key at the vendor's other sites",
        )
        verify = action(sub, "verify", self.verify, "find out which formats it speaks")
        verify.add_argument("id")
        verify.add_argument("--model", default="")
        verify.add_argument("--apply", action="store_true", help="store what was found")
        verify.add_argument("--json", action="store_true")
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
        chosen = _chosen(options)
        self._normalise(chosen)
        with transaction.atomic():
            provider = providers.create_provider(
                self.actor,
                slug=options["id"],
                catalogue_id=options["catalogue"],
                enabled=not options["disabled"],
                **chosen,
            )
            if secret:
                credentials.add_key(self.actor, provider, secret)
            if options["model"]:
                models.add_models(self.actor, provider, options["model"])
        self.say(f"Added {provider.slug}.")
        if is_out_of_reach(provider):
            self._note(
                "Warning: this is a private address and cannot be reached; allow it "
                f"with: pool provider set {provider.slug} --allow-private"
            )
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
        if notice := selectors.moved_notice(provider):
            self.say(notice)

    def test(self, options: dict[str, Any]) -> None:
        result = trials.try_stored(
            self.actor,
            get_provider(options["id"]),
            with_call=options["call"],
            model=options["model"],
            may_move=options["other_sites"],
        )
        if options["json"]:
            shown = dataclasses.asdict(dataclasses.replace(result, listed=[]))
            del shown["listed"]
            self.print_json({**shown, **result.verdict, "error": result.error})
        else:
            for stage in result.stages:
                words = f"{stage.text} {stage.cure}".strip()
                self.say(
                    f"{stage.name}: {stage.outcome} ({stage.latency_ms} ms) {words}"
                )
        if not result.ok:
            raise CommandError(result.error)

    def verify(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["id"])
        found = verification.verify_provider(provider, model=options["model"])
        shown = dataclasses.asdict(found)
        changes = verification.preview(provider, shown)
        if options["json"]:
            rows = [dataclasses.asdict(each) for each in changes]
            self.print_json({"ok": found.ok, **shown, "changes": rows})
        else:
            for name, probe in found.probes.items():
                state = "there" if probe.reachable else "not there"
                self.say(f"{name}: {state} ({probe.status_code or '-'}) {probe.error}")
            for change in changes:
                self.say(f"{change.label}: {change.before or '-'} -> {change.after}")
        if not found.ok:
            raise CommandError("No endpoint of a known wire format answers there.")
        if options["apply"]:
            verification.apply_verification(self.actor, provider)
            self.say("Applied.")

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

    def _note(self, text: str) -> None:
        """Say what is no result: stdout is for those."""
        sys.stderr.write(f"{text}\n")

    def _normalise(self, chosen: dict[str, Any]) -> None:
        """Cut a pasted endpoint back to its base URL, and say so."""
        url = chosen.get("base_url")
        if not url or is_program(str(chosen.get("api_format") or "")):
            return
        cut = normalise(url)
        if cut.note:
            chosen["base_url"] = cut.base_url
            self._note(f"{cut.note} The base URL is {cut.base_url}.")

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
