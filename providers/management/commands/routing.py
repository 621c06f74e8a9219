"""``pool routing``: how providers are chosen; edits go into the draft of ``pool rule``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError

from providers import selectors_routing as selectors
from providers.management.base import PoolCommand, action
from providers.services import routing, routing_replay
from providers.services.routing_words import MODES, STRATEGIES

_NUMBERS: Final = ("sticky_s", "first_token_s", "queue_wait_s", "wait_cap_s")


class Command(PoolCommand):
    help = "Show and set how providers are chosen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        show = action(sub, "show", self.show, "show what is in force")
        show.add_argument("--draft", action="store_true", help="the draft instead")
        change = action(sub, "set", self.set, "change the draft")
        change.add_argument("--strategy", choices=[each.word for each in STRATEGIES])
        change.add_argument("--mode", choices=[each.word for each in MODES])
        change.add_argument("--groups", nargs="*", metavar="GROUP")
        change.add_argument("--format-affinity", choices=["on", "off"])
        change.add_argument("--queue-length", type=int, metavar="N")
        for name in _NUMBERS:
            option = f"--{name.removesuffix('_s').replace('_', '-')}"
            change.add_argument(option, dest=name, type=float, metavar="SECONDS")
        change.add_argument(
            "--cooldown", nargs="*", metavar="NAME=N", help="all others are the usual"
        )
        default = action(sub, "default", self.default, "what and who, where unsaid")
        default.add_argument("--model", help="for requests that name none; '' = none")
        default.add_argument("--provider", help="asked first; '' = nobody")
        replay = action(sub, "replay", self.replay, "plan the last requests anew")
        replay.add_argument("--json", action="store_true")

    def show(self, options: dict[str, Any]) -> None:
        standing = selectors.standing()
        record = standing.edited if options["draft"] else standing.in_force
        self.print_json(selectors.routing_facts(record))

    def set(self, options: dict[str, Any]) -> None:
        names = ("strategy", "mode", "groups", "queue_length", *_NUMBERS)
        values = {n: options[n] for n in names if options[n] is not None}
        if options["format_affinity"]:
            values["format_affinity"] = options["format_affinity"] == "on"
        if options["cooldown"] is not None:
            values["cooldown"] = dict(_number(text) for text in options["cooldown"])
        if not values:
            raise CommandError("Say what to change, for example --strategy cost.")
        routing.change_settings(self.actor, values)
        self.say("Saved in the draft; `pool rule publish` puts it in force.")

    def default(self, options: dict[str, Any]) -> None:
        if options["model"] is not None:
            routing.set_default_model(self.actor, options["model"])
        if options["provider"] is not None:
            routing.set_default_provider(self.actor, options["provider"])
        found = selectors.defaults()
        self.say(f"Model: {found['default_model'] or 'one of a shortlist'}")
        self.say(f"Provider: {found['default_provider'] or 'nobody in particular'}")

    def replay(self, options: dict[str, Any]) -> None:
        standing = selectors.standing()
        found = routing_replay.replay(standing.in_force, standing.edited)
        facts = routing_replay.facts(found)
        if options["json"]:
            self.print_json(facts)
            return
        self.say(f"{facts['elsewhere']} of {facts['requests']} would go elsewhere.")
        if facts["changes"]:
            self.table(facts["changes"][:50], as_json=False)


def _number(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError as exc:
        raise CommandError(f"Write NAME=NUMBER, not {text}.") from exc
