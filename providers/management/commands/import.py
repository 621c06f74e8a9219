"""``pool import``: read an export back; a bad file changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from providers.imports import pool
from providers.management.base import PoolCommand


class Command(PoolCommand):
    help = "Create or change what a file of `pool export` names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--from",
            choices=["auto", "pool"],
            default="auto",
            help="whose file it is; this release reads its own",
        )
        parser.add_argument("--dry-run", action="store_true")
        parser.set_defaults(handler=self.load)

    def load(self, options: dict[str, Any]) -> None:
        try:
            raw = options["file"].read_bytes()
        except OSError as exc:
            raise CommandError(f"{options['file']}: {exc.strerror}") from exc
        report = pool.import_bytes(self.actor, raw, dry_run=options["dry_run"])
        created, changed = len(report.created), len(report.updated)
        if options["dry_run"]:
            self.say(f"Would create {created} and change {changed}.")
        else:
            self.say(f"Created {created}, changed {changed}.")
        for slug in report.need_keys:
            self.say(f"{slug} needs its keys again: pool provider key-add {slug} < key")
