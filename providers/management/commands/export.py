"""``pool export``: the configuration as JSON on stdout, without secrets."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from providers.imports import pool
from providers.management.base import PoolCommand


class Command(PoolCommand):
    help = "Print the configuration; secrets are left out, masks say which."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.set_defaults(handler=self.export)

    def export(self, options: dict[str, Any]) -> None:
        self.say(pool.export_text(self.actor))
