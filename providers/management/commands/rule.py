"""``pool rule``: edit the fallback rules of the draft, publish it, go back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

import msgspec

from poolsite.money import nano_from_usd
from providers import selectors_routing as selectors
from providers.management.base import PoolCommand, action, read_usd
from providers.selectors_routing import PoolNames, Standing
from providers.services import routing, routing_checks, routing_rules
from providers.services.routing_words import differences, rule_in_words

_LISTS: Final = ("models", "agents", "keys")
_SAVED: Final = "Saved in the draft; `pool rule publish` puts it in force."


class Command(PoolCommand):
    help = "Manage fallback rules: they are edited in a draft, then published."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        listing = action(sub, "list", self.list, "list the rules of the draft")
        listing.add_argument(
            "--in-force", action="store_true", help="those in force instead"
        )
        listing.add_argument("--json", action="store_true")
        add = action(sub, "add", self.add, "add a rule")
        add.add_argument("trigger", help="error, rate_limit, low_funds or cost_limit")
        add.add_argument("then", help="switch_provider, switch_model or wait_and_retry")
        add.add_argument("--place", type=int, help="at the end by default")
        _add_values(add)
        change = action(sub, "set", self.set, "change values of a rule")
        change.add_argument("place", type=int)
        change.add_argument("--trigger")
        change.add_argument("--then")
        _add_values(change)
        move = action(sub, "move", self.move, "move a rule to another place")
        move.add_argument("place", type=int)
        move.add_argument("to", type=int)
        for name, handler, words in (
            ("enable", self.enable, "switch a rule on"),
            ("disable", self.disable, "switch a rule off, keeping its place"),
            ("remove", self.remove, "take a rule out"),
        ):
            action(sub, name, handler, words).add_argument("place", type=int)
        action(sub, "diff", self.diff, "show what the draft changes")
        publish = action(sub, "publish", self.publish, "put the draft in force")
        publish.add_argument("--note", default="")
        action(sub, "discard", self.discard, "throw the draft away")
        action(sub, "history", self.history, "list what was published").add_argument(
            "--json", action="store_true"
        )
        back = action(sub, "revert", self.revert, "put an older routing in force")
        back.add_argument("number", type=int)
        back.add_argument("--note", default="")

    def list(self, options: dict[str, Any]) -> None:
        standing = selectors.standing()
        record = standing.in_force if options["in_force"] else standing.edited
        if options["json"]:
            self.print_json(selectors.rule_table(record))
            return
        flags = routing_checks.flags(record, PoolNames())
        rows = [
            {
                "place": place,
                "name": rule.name,
                "enabled": rule.enabled,
                "rule": rule_in_words(rule),
                "but": " ".join(f.reason for f in flags if f.place == place),
            }
            for place, rule in enumerate(record.rules, start=1)
        ]
        self.table(rows, as_json=False)

    def add(self, options: dict[str, Any]) -> None:
        values = {"trigger": options["trigger"], "action": options["then"]}
        rule = routing_rules.rule_of({**values, **_values(options)})
        made = routing_rules.add_rule(self.actor, rule, place=options["place"])
        self._saved(made)
        self._warn(made, options["place"] or len(made.edited.rules))

    def set(self, options: dict[str, Any]) -> None:
        place = options["place"]
        old = routing_rules.rule_at(selectors.standing().edited, place)
        values = {**msgspec.to_builtins(old), **_values(options)}
        for name, option in (("trigger", "trigger"), ("action", "then")):
            if options[option]:
                values[name] = options[option]
        rule = routing_rules.rule_of(values)
        made = routing_rules.set_rule(self.actor, place, rule)
        self._saved(made)
        self._warn(made, place)

    def move(self, options: dict[str, Any]) -> None:
        place, to = options["place"], options["to"]
        self._saved(routing_rules.move_rule(self.actor, place, to))

    def enable(self, options: dict[str, Any]) -> None:
        place = options["place"]
        self._saved(routing_rules.switch_rule(self.actor, place, enabled=True))

    def disable(self, options: dict[str, Any]) -> None:
        place = options["place"]
        self._saved(routing_rules.switch_rule(self.actor, place, enabled=False))

    def remove(self, options: dict[str, Any]) -> None:
        self._saved(routing_rules.remove_rule(self.actor, options["place"]))

    def diff(self, options: dict[str, Any]) -> None:
        standing = selectors.standing()
        lines = differences(standing.in_force, standing.edited)
        if not lines:
            self.say("The draft changes nothing.")
        for line in lines:
            ends = " -> ".join(filter(None, (line.before, line.after)))
            self.say(f"{line.what} {line.kind}: {ends}")
        self._warn(standing)

    def publish(self, options: dict[str, Any]) -> None:
        row = routing.publish(self.actor, note=options["note"])
        self.say(f"Routing {row.number} is in force.")

    def discard(self, options: dict[str, Any]) -> None:
        routing.discard(self.actor)
        self.say("There is no draft any more.")

    def history(self, options: dict[str, Any]) -> None:
        rows = [selectors.revision_facts(row) for row in selectors.history()]
        self.table(rows, as_json=options["json"])

    def revert(self, options: dict[str, Any]) -> None:
        row = routing.revert(self.actor, options["number"], note=options["note"])
        self.say(f"Routing {row.number} is in force, as {options['number']} was.")

    def _saved(self, standing: Standing) -> None:
        count = len(standing.edited.rules)
        self.say(f"{_SAVED} {count} rule{'' if count == 1 else 's'}.")

    def _warn(self, standing: Standing, place: int | None = None) -> None:
        """Say which rules would do nothing, as the page of the draft does."""
        for flag in routing_checks.flags(standing.edited, PoolNames()):
            if place in (None, flag.place):
                self.say(f"Rule {flag.place}, but: {flag.reason}")


def _add_values(parser: ArgumentParser) -> None:
    parser.add_argument("--name")
    parser.add_argument("--provider", metavar="ID")
    parser.add_argument("--model")
    parser.add_argument("--retries", type=int, metavar="N")
    parser.add_argument("--backoff", choices=["exponential", "constant"])
    parser.add_argument("--below-usd", metavar="X", help="for low_funds")
    parser.add_argument("--limit", choices=["soft", "hard"], help="for cost_limit")
    for name in _LISTS:
        parser.add_argument(f"--{name}", nargs="*", metavar="GLOB")


def _values(options: dict[str, Any]) -> dict[str, Any]:
    values = {
        name: options[name]
        for name in ("name", "provider", "model", "backoff", "limit", *_LISTS)
        if options[name] is not None
    }
    if options["retries"] is not None:
        values["max_retries"] = options["retries"]
    if options["below_usd"] is not None:
        amount = read_usd(options["below_usd"], "a balance")
        values["below_nano_usd"] = nano_from_usd(amount)
    return values
