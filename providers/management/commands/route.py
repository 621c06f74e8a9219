"""``pool route explain``: where a request would go, and why; nothing is sent."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from providers.management.base import PoolCommand, action, get_client_key
from providers.services.explain import Explanation, Verdict, explain


class Command(PoolCommand):
    help = "Explain routing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        why = action(sub, "explain", self.explain, "show candidates and verdicts")
        why.add_argument("model")
        why.add_argument("--key", metavar="NAME", help="as this client key")
        why.add_argument(
            "--needs",
            default="",
            metavar="A,B",
            help="show what a model is not known to have; routing does not ask yet",
        )
        why.add_argument("--json", action="store_true")

    def explain(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["key"]) if options["key"] else None
        needs = [part.strip() for part in options["needs"].split(",") if part.strip()]
        found = explain(options["model"], key=key, needs=needs)
        if options["json"]:
            self.print_json(dataclasses.asdict(found))
        elif found.candidates:
            self._show(found)
        if found.error:
            raise CommandError(found.error)

    def _show(self, found: Explanation) -> None:
        self.say(f"{found.asked} was found as {found.how}.")
        self.table([_line(each) for each in found.candidates], as_json=False)


def _line(each: Verdict) -> dict[str, Any]:
    wait = f" ({each.retry_after_s:.0f} s)" if each.retry_after_s else ""
    return {
        "turn": each.place,
        "provider": each.provider,
        "model": each.model,
        "key": each.credential,
        "verdict": each.verdict,
        "reason": f"{each.reason}{wait}",
        "price": each.price,
        "lacks": ", ".join(each.lacks),
    }
