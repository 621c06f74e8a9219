"""``pool doctor``: look at this installation and say what is wrong."""

from __future__ import annotations

import shutil
import stat
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from poolsite import audit, roots, rotation
from poolsite.models import Node
from providers import selectors
from providers.management.base import PoolCommand
from usage.models import ClientKey

_MIN_FREE = 0.05
_ALIVE = timedelta(seconds=15)
Finding = tuple[bool, str]


class Command(PoolCommand):
    help = "Check keys, database, disk, processes and providers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(handler=self.check)

    def check(self, options: dict[str, Any]) -> None:
        found = list(_findings())
        if options["json"]:
            self.print_json([{"ok": ok, "text": text} for ok, text in found])
        else:
            for ok, text in found:
                self.say(f"{'ok    ' if ok else 'wrong '} {text}")
        bad = sum(not ok for ok, _ in found)
        if bad:
            raise CommandError(f"{bad} of {len(found)} checks failed.")


def _findings() -> Iterator[Finding]:
    yield True, f"database: {connection.vendor}"
    keys = rotation.check_keys()
    yield keys.is_ok, keys.reason or "encryption keys open the canary"
    unreadable = sum(keys.unreadable.values())
    yield not unreadable, f"{unreadable} stored secrets cannot be read"
    yield from _key_files()
    usage = shutil.disk_usage(settings.DATA_DIR)
    free = usage.free / usage.total
    yield free > _MIN_FREE, f"{free:.0%} of the disk is free"
    broken = audit.verify_chain()
    yield (
        broken is None,
        "audit chain holds"
        if broken is None
        else f"audit chain breaks at event {broken}",
    )
    since = timezone.now() - _ALIVE
    alive = Node.objects.filter(heartbeat_at__gte=since).count()
    yield alive > 0, f"{alive} nodes alive (run: pool serve)"
    states = [
        selectors.provider_state(row) for row in selectors.providers_with_counts()
    ]
    usable = sum(state in ("healthy", "untested") for state in states)
    yield usable > 0, f"{usable} of {len(states)} providers usable"
    live = ClientKey.objects.filter(revoked_at=None).count()
    yield live > 0, f"{live} client keys"


def _key_files() -> Iterator[Finding]:
    directory = roots.key_directory(settings.DATA_DIR)
    for path in sorted(directory.glob("*")) if directory.exists() else []:
        mode = stat.S_IMODE(path.stat().st_mode)
        yield not mode & 0o077, f"{path.name} has mode {mode:04o} (0600 is right)"
