"""``pool rotate-secrets``: move every stored secret to a new encryption key."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from poolsite import audit, key_files, roots, rotation, secrets
from providers.management.base import PoolCommand

_KEYS = "encryption_keys"


class Command(PoolCommand):
    help = "Re-encrypt all stored secrets; run again with --finish afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--finish", action="store_true", help="drop the old keys")
        parser.set_defaults(handler=self.rotate)

    def rotate(self, options: dict[str, Any]) -> None:
        try:
            if options["finish"]:
                self._finish()
            else:
                self._rotate()
        except rotation.RotationError as exc:
            raise CommandError(str(exc)) from exc

    def _rotate(self) -> None:
        if not self._has_new_key():
            self._add_key()
            return
        report = rotation.rotate()
        for name, count in report.rotated.items():
            self.say(f"{name}: {count} re-encrypted, {report.left.get(name, 0)} left")
        for name, kinds in report.unreadable.items():
            if kinds:
                self.say(f"{name}: unreadable {dict(kinds)}")
        audit.record(self.actor, "secrets.rotate", after={"kid": report.kid})
        self.say("Done. When every node runs well: pool rotate-secrets --finish")

    def _finish(self) -> None:
        kids = rotation.finish()
        path = roots.key_directory(settings.DATA_DIR) / _KEYS
        if not path.exists():
            self.say(
                "Take the old keys out of POOL_ENCRYPTION_KEYS; keep: "
                + ", ".join(kids)
            )
            return
        dropped = key_files.keep_only(path, {secrets.primary_kid()})
        audit.record(self.actor, "secrets.rotate_finish", after={"dropped": dropped})
        self.say(f"Dropped {len(dropped)} old keys. Restart the pool.")

    def _has_new_key(self) -> bool:
        return rotation.adopt() is not None

    def _add_key(self) -> None:
        path = roots.key_directory(settings.DATA_DIR) / _KEYS
        if "POOL_ENCRYPTION_KEYS" in os.environ or not path.exists():
            raise CommandError(
                "Put a new key first in POOL_ENCRYPTION_KEYS on every node, restart "
                "them, then run this again."
            )
        kid = key_files.add_key(path)
        self.say(
            f"Added key {kid}. Restart the pool so that every process holds it, then "
            "run this again."
        )
