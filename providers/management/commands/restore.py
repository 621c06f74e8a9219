"""``pool restore``: put a backup into an empty data directory."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from providers.management.base import PoolCommand
from providers.services import backups


class Command(PoolCommand):
    help = "Put a backup back; the pool must not run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.set_defaults(handler=self.restore)

    def restore(self, options: dict[str, Any]) -> None:
        try:
            note = backups.restore(options["file"])
        except backups.BackupError as exc:
            raise CommandError(str(exc)) from exc
        self.say(f"Restored the backup of {note['at']}.")
        if not note["with_keys"]:
            self.say(
                "Put the keys directory back before you start: pool doctor checks it."
            )
