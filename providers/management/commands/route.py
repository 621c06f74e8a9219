"""``pool route explain``: where a request would go, and why; nothing is sent."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from providers.formats.base import NEED_NAMES
from providers.management.base import PoolCommand, action, get_client_key
from providers.proxy.explaining import Explanation, Verdict
from providers.routing.strategies import MODES, STRATEGIES
from providers.services.explain import explain


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
            help="what the request needs: tools, vision, json_schema ...",
        )
        why.add_argument(
            "--strategy", choices=STRATEGIES, help="instead of the one in force"
        )
        why.add_argument("--mode", choices=MODES, help="instead of the one in force")
        why.add_argument(
            "--down",
            action="append",
            default=[],
            metavar="NAME",
            help="count a provider, provider/model or key mask as down (repeat)",
        )
        why.add_argument("--json", action="store_true")

    def explain(self, options: dict[str, Any]) -> None:
        key = get_client_key(options["key"]) if options["key"] else None
        found = explain(
            options["model"],
            key=key,
            needs=_needs(options["needs"]),
            down=options["down"],
            strategy=options["strategy"],
            mode=options["mode"],
        )
        if options["json"]:
            self.print_json(dataclasses.asdict(found))
        elif found.candidates:
            self._show(found)
        if found.error:
            raise CommandError(found.error)

    def _show(self, found: Explanation) -> None:
        self.say(
            f"{found.asked or 'No name'} was found as {found.how}; "
            f"strategy {found.strategy}, mode {found.mode}."
        )
        self.table([_line(each) for each in found.candidates], as_json=False)


def _needs(text: str) -> list[str]:
    """Read the needs of a request.

    Errors:  CommandError for a word that routing does not know.
    """
    words = [part.strip() for part in text.split(",") if part.strip()]
    strange = [word for word in words if word not in NEED_NAMES]
    if strange:
        known = ", ".join(NEED_NAMES)
        raise CommandError(f"{strange[0]!r} is no need; known are {known}.")
    return words


def _line(each: Verdict) -> dict[str, Any]:
    wait = f" ({each.retry_after_s:.0f} s)" if each.retry_after_s else ""
    return {
        "turn": each.place,
        "tier": each.tier,
        "provider": each.provider,
        "model": each.model,
        "key": each.credential,
        "verdict": each.verdict,
        "reason": f"{each.reason}{wait}",
        "price": each.price,
        "lacks": ", ".join(each.lacks),
    }
