"""``pool rotate-secrets``: move every stored secret to a new encryption key."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError

from poolsite import audit, key_files, roots, rotation, secrets
from poolsite.models import EncryptionKey
from providers.management.base import PoolCommand

_KEYS: Final = "encryption_keys"


class Command(PoolCommand):
    help = "Re-encrypt all stored secrets; run again with --finish afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--finish", action="store_true", help="drop the old keys")
        parser.set_defaults(handler=self.rotate)

    def rotate(self, options: dict[str, Any]) -> None:
        if options["finish"]:
            self._finish()
        elif rotation.adopt() is not None or _is_unfinished():
            self._rotate()
        elif _retired():
            raise CommandError(
                "The rotation before is not finished: pool rotate-secrets --finish"
            )
        else:
            self._add_key()

    def _rotate(self) -> None:
        report = rotation.rotate()
        for name, count in report.rotated.items():
            self.say(f"{name}: {count} re-encrypted, {report.left.get(name, 0)} left")
        for name, kinds in report.unreadable.items():
            if kinds:
                counts = ", ".join(f"{rows} {kind}" for kind, rows in kinds.items())
                self.say(f"{name}: not readable, left as they are: {counts}")
        audit.record(self.actor, "secrets.rotate", after={"kid": report.kid})
        self.say(
            f"Everything is sealed with key {report.kid}. When every node runs well:"
        )
        self.say("pool rotate-secrets --finish")

    def _finish(self) -> None:
        old = rotation.finish()
        if not old:
            self.say("There is no old key to drop.")
            return
        path = _key_file()
        if path is None:
            kept = [kid for kid in secrets.ring().kids if kid not in old]
            self.say(
                f"Nothing needs key {', '.join(old)} any more: take it out of "
                f"POOL_ENCRYPTION_KEYS on every node and restart them. Keep "
                f"{', '.join(kept)}."
            )
            return
        dropped = key_files.keep_only(path, set(secrets.ring().kids) - set(old))
        audit.record(self.actor, "secrets.rotate_finish", after={"dropped": dropped})
        self.say(
            f"Dropped key {', '.join(dropped)} from {path}. Processes that run hold it "
            "in memory until they are restarted."
        )

    def _add_key(self) -> None:
        path = _key_file()
        if path is None:
            raise CommandError(
                "Put a new key first in POOL_ENCRYPTION_KEYS on every node, restart "
                "them, then run this again."
            )
        kid = key_files.add_key(path)
        audit.record(self.actor, "secrets.add_key", after={"kid": kid})
        self.say(
            f"Added key {kid} to {path}; nothing is sealed with it yet. Restart the "
            "pool if it runs, so that every process holds it, then run this again."
        )


def _key_file() -> Path | None:
    """Return the file the keys come from, None when the environment gives them."""
    path = roots.key_directory(settings.DATA_DIR) / _KEYS
    if roots.is_from_environment(_KEYS) or not path.exists():
        return None
    return path


def _is_unfinished() -> bool:
    """Tell whether a rotation was cut off: rows an older, loaded key still opens."""
    target, loaded = secrets.primary_kid(), set(secrets.ring().kids)
    return any(
        kid != target and kid in loaded and rows
        for kids in rotation.counts_by_kid().values()
        for kid, rows in kids.items()
    )


def _retired() -> bool:
    """Tell whether a key that was rotated away from is still configured."""
    return EncryptionKey.objects.filter(
        state=EncryptionKey.State.RETIRED, kid__in=secrets.ring().kids
    ).exists()
