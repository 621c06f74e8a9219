"""``pool doctor``: look at this installation and say what is wrong."""

from __future__ import annotations

import shutil
import stat
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from poolsite import roots, rotation
from poolsite.models import Node
from providers import selectors
from providers.management.base import PoolCommand
from providers.services import installation
from usage.models import ClientKey

_MIN_FREE: Final = 0.05
_ALIVE: Final = timedelta(seconds=15)
WRONG: Final = "wrong"
NOTE: Final = "note"
GOOD: Final = "ok"


class Finding(NamedTuple):
    """One thing looked at.

    Shapes:  ``level`` is ok | note | wrong; a note is no fault of the installation.
    """

    level: str
    text: str


class Command(PoolCommand):
    help = "Check keys, database, disk, processes and providers."
    opens_database = False  # it looks at what is there and makes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(handler=self.look)

    def look(self, options: dict[str, Any]) -> None:
        found = list(_findings())
        if options["json"]:
            self.print_json(
                [
                    {"ok": each.level != WRONG, "level": each.level, "text": each.text}
                    for each in found
                ]
            )
        else:
            for each in found:
                self.say(f"{each.level:<6} {each.text}")
        bad = sum(each.level == WRONG for each in found)
        if bad:
            raise CommandError(f"{bad} of {len(found)} checks failed.")


def _findings() -> Iterator[Finding]:
    yield from _key_files()
    usage = shutil.disk_usage(settings.DATA_DIR)
    free = usage.free / usage.total
    yield _judge(free > _MIN_FREE, f"{free:.0%} of the disk is free")
    try:
        yield from _database()
    except DatabaseError as exc:
        line = " ".join(str(exc).split())
        is_new = "no such table" in line or "does not exist" in line
        cure = "it is not set up yet: pool serve" if is_new else line
        yield Finding(WRONG, f"database: {cure}")


def _database() -> Iterator[Finding]:
    unreadable = sum(rotation.check_keys().unreadable.values())
    yield Finding(GOOD, f"database: {connection.vendor}")
    problems = installation.root_problems()
    for text in problems:
        yield Finding(WRONG, text)
    if not problems:
        yield Finding(GOOD, "encryption keys, peppers and audit chain fit the database")
    yield _judge(not unreadable, f"{unreadable} stored secrets cannot be read")
    since = timezone.now() - _ALIVE
    alive = Node.objects.filter(heartbeat_at__gte=since).count()
    yield _hint(alive > 0, f"{alive} nodes alive", "pool serve")
    states = [
        selectors.provider_state(row) for row in selectors.providers_with_counts()
    ]
    usable = sum(state in ("healthy", "untested") for state in states)
    text = f"{usable} of {len(states)} providers usable"
    if states and not usable:
        yield Finding(WRONG, text)
    else:
        yield _hint(usable > 0, text, "pool provider add")
    live = ClientKey.objects.filter(revoked_at=None).count()
    yield _hint(live > 0, f"{live} client keys", "pool key create")


def _key_files() -> Iterator[Finding]:
    directory = roots.key_directory(settings.DATA_DIR)
    for path in sorted(directory.glob("*")) if directory.exists() else []:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = f"{path.name} has mode {mode:04o}"
        yield _judge(
            not mode & 0o077, text if not mode & 0o077 else f"{text}: chmod 600"
        )


def _judge(is_good: bool, text: str) -> Finding:
    return Finding(GOOD if is_good else WRONG, text)


def _hint(is_good: bool, text: str, command: str) -> Finding:
    return Finding(GOOD, text) if is_good else Finding(NOTE, f"{text} ({command})")
