"""``pool restore``: put a backup into an empty data directory."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseError

from poolsite import roots
from providers.management.base import PoolCommand
from providers.services import backups, installation


class Command(PoolCommand):
    help = "Put a backup into an empty data directory; the pool must not run."
    opens_database = False  # it would make the one that must not be there

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.set_defaults(handler=self.restore)

    def restore(self, options: dict[str, Any]) -> None:
        note = backups.restore(options["file"])
        self.say(f"Restored the backup of {note['at']}.")
        keys = roots.key_directory(settings.DATA_DIR)
        if note["with_keys"]:
            self.say("Its keys are in place: pool serve")
        elif not _are_all_at_hand():
            self.say(f"It holds no keys: put yours into {keys} before you start.")
        elif _problems():
            raise CommandError(
                f"The keys in {keys} or in the environment are not the ones of this "
                "backup: replace them before you start."
            )
        else:
            self.say("The keys at hand are the ones of this backup: pool serve")


def _are_all_at_hand() -> bool:
    """Tell whether each root is given, or a file that was there before."""
    directory = roots.key_directory(settings.DATA_DIR)
    names = ("secret_key", "encryption_keys", "peppers")
    return all(
        roots.is_from_environment(name) or (directory / name).exists() for name in names
    )


def _problems() -> list[str]:
    try:
        return installation.root_problems()
    except DatabaseError as exc:
        # The next start brings an older database up to date, and checks its keys.
        return [] if "no such" in str(exc) else [str(exc)]
