"""``pool backup``: copy the database and the unshipped journal into one file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from poolsite import audit
from providers.management.base import PoolCommand
from providers.services import backups


class Command(PoolCommand):
    help = "Write a backup while the pool runs; without the keys unless asked."
    opens_database = False  # an older database is backed up as it is

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--with-keys", action="store_true")
        parser.set_defaults(handler=self.backup)

    def backup(self, options: dict[str, Any]) -> None:
        backups.make(options["file"], with_keys=options["with_keys"])
        audit.record(self.actor, "pool.backup", after={"keys": options["with_keys"]})
        self.say(f"Wrote {options['file']}.")
        if options["with_keys"]:
            self.say("It holds the keys: whoever has the file can read every secret.")
        else:
            self.say("It is without the keys: keep a copy of the keys directory apart.")
