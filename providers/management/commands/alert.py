"""``pool alert``: what needs attention, and who is told of it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from poolsite.delivery import events, selectors, services
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.models import Alert
from providers.management.base import PoolCommand, action, read_secret


class Command(PoolCommand):
    help = "List alerts, and manage the channels that are told of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        listing = action(sub, "list", self.list, "list open alerts, worst first")
        listing.add_argument("--resolved", action="store_true", help="those that ended")
        listing.add_argument("--json", action="store_true")
        for name, handler, text in (
            ("resolve", self.resolve, "close an alert by its number"),
            ("acknowledge", self.acknowledge, "note that somebody has seen it"),
        ):
            action(sub, name, handler, text).add_argument("id", type=int)
        hook = action(
            sub, "add-webhook", self.add_webhook, "add a webhook; its URL on stdin"
        )
        mail = action(sub, "add-mail", self.add_mail, "add a mail channel")
        for each in (hook, mail):
            each.add_argument("name")
            each.add_argument("--events", metavar="E,E", default="")
            each.add_argument("--severity", choices=Alert.Severity.values)
            each.add_argument("--gather-s", type=int, metavar="N")
        mail.add_argument("--to", action="append", required=True, metavar="ADDRESS")
        for name, handler, text in (
            ("channels", self.channels, "list the channels"),
            ("deliveries", self.deliveries, "list the newest messages"),
        ):
            action(sub, name, handler, text).add_argument("--json", action="store_true")
        for name, handler, text in (
            ("test", self.test, "send a test through the real path"),
            ("enable", self.enable, "switch a channel on"),
            ("disable", self.disable, "switch a channel off"),
            ("rotate", self.rotate, "give a webhook a new signing secret"),
            ("remove", self.remove, "remove a channel"),
        ):
            action(sub, name, handler, text).add_argument("name")
        action(sub, "send", self.send, "send what waits without waiting")

    def list(self, options: dict[str, Any]) -> None:
        rows = selectors.alert_table(resolved=options["resolved"])
        if not options["json"]:
            names = ("id", "severity", "kind", "title", "count", "last_at")
            rows = [{name: row[name] for name in names} for row in rows]
        self.table(rows, as_json=options["json"])

    def resolve(self, options: dict[str, Any]) -> None:
        if not services.resolve_alert(self.actor, _alert(options["id"])):
            raise CommandError("It was over already.")
        self.say(f"Closed alert {options['id']}.")

    def acknowledge(self, options: dict[str, Any]) -> None:
        if not services.acknowledge_alert(self.actor, _alert(options["id"])):
            raise CommandError("Somebody has seen it, or it is over.")
        self.say(f"Alert {options['id']} is seen; it stays until it is over.")

    def add_webhook(self, options: dict[str, Any]) -> None:
        terms = _terms(options, url=read_secret("webhook's URL"))
        row, secret = services.create_channel(self.actor, "webhook", terms)
        self.say(f"Added {row.name}. Its signing secret, shown only now:")
        self.say(secret)

    def add_mail(self, options: dict[str, Any]) -> None:
        terms = _terms(options, addresses=options["to"])
        row, _ = services.create_channel(self.actor, "mail", terms)
        self.say(f"Added {row.name}.")

    def channels(self, options: dict[str, Any]) -> None:
        rows = [selectors.channel_data(row) for row in selectors.channels()]
        if not options["json"]:
            rows = [_line(row) for row in rows]
        self.table(rows, as_json=options["json"])

    def deliveries(self, options: dict[str, Any]) -> None:
        rows = [selectors.delivery_data(row) for row in selectors.deliveries()]
        self.table(rows, as_json=options["json"])

    def test(self, options: dict[str, Any]) -> None:
        sent = services.send_test(self.actor, _channel(options["name"]))
        if sent.state != AlertDelivery.State.DELIVERED:
            raise CommandError(f"The test did not arrive. {sent.last_error}")
        self.say("The test arrived.")

    def enable(self, options: dict[str, Any]) -> None:
        row = _channel(options["name"])
        services.set_channel_enabled(self.actor, row, enabled=True)
        self.say(f"{row.name} is on.")

    def disable(self, options: dict[str, Any]) -> None:
        row = _channel(options["name"])
        services.set_channel_enabled(self.actor, row, enabled=False)
        self.say(f"{row.name} is off.")

    def rotate(self, options: dict[str, Any]) -> None:
        secret = services.rotate_secret(self.actor, _channel(options["name"]))
        self.say("The new signing secret, shown only now:")
        self.say(secret)

    def remove(self, options: dict[str, Any]) -> None:
        services.remove_channel(self.actor, _channel(options["name"]))
        self.say(f"Removed {options['name']}.")

    def send(self, options: dict[str, Any]) -> None:
        self.say(f"Delivered {services.send_now(self.actor)}.")


def _terms(options: dict[str, Any], **values: Any) -> services.Terms:
    chosen = [part.strip() for part in options["events"].split(",") if part.strip()]
    unknown = sorted(set(chosen) - set(events.NAMES))
    if unknown:
        raise CommandError(
            f"There is no event {unknown[0]}. There are: {', '.join(events.NAMES)}."
        )
    return services.Terms(
        name=options["name"],
        events=chosen or None,
        least_severity=options["severity"],
        digest_s=options["gather_s"],
        **values,
    )


def _alert(number: int) -> Alert:
    row = Alert.objects.filter(pk=number).first()
    if row is None:
        raise CommandError(f"There is no alert {number}.")
    return row


def _channel(name: str) -> AlertChannel:
    row = AlertChannel.objects.filter(name=name).first()
    if row is None:
        raise CommandError(f"There is no channel {name}.")
    return row


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "kind": row["kind"],
        "to": row["origin"] or ", ".join(row["addresses"]),
        "enabled": row["enabled"],
        "delivered": row["delivered_at"],
        "error": row["last_error"],
    }
