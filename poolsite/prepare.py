"""Bring database, files and first rows up to date before anything is served.

Every step looks first and does nothing when nothing changed: an installed product
starts in seconds. Every step may be repeated, and may be cut off anywhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection

from poolsite import nodes, people, rotation, secrets
from poolsite.accounts import OWNER, ROLES
from poolsite.actor import SYSTEM
from poolsite.clock import Clock
from poolsite.models import Node, Setting, User
from poolsite.setup import is_first_run, new_token

LINEAGE: Final = "instance.lineage"
_ALIVE: Final = timedelta(seconds=60)
_ADVISORY_LOCK: Final = 0x706F6F6C  # "pool"
_STATIC_DIGEST: Final = ".digest"


class RefusedError(Exception):
    """Nothing can be started; the message says why and what to do."""


class LockedError(Exception):
    """Only the locked console can be started; the message says why."""


def migrate(clock: Clock) -> bool:
    """Bring the schema up to date; tell whether there was anything to do.

    Errors: RefusedError when other nodes are running: they would meet a schema they
        do not know.
    Cost:   one query when nothing is pending; no migration file is imported then.
    """
    with _migration_lock():
        applied = _applied()
        if _on_disk() <= applied:
            return False
        if applied:
            _require_alone(clock)
        call_command("migrate", interactive=False, verbosity=0)
    return True


def check_keys(clock: Clock) -> None:
    """Prove that the encryption keys are this database's keys.

    Errors: LockedError.
    """
    check = rotation.check_keys(clock=clock)
    if not check.is_ok:
        raise LockedError(check.reason)
    rotation.adopt(clock=clock)


def collect_static() -> bool:
    """Copy style sheets and scripts to the data directory when they changed.

    Cost: a directory walk when nothing changed.
    """
    root = Path(settings.STATIC_ROOT)
    digest = _static_digest()
    mark = root / _STATIC_DIGEST
    with contextlib.suppress(FileNotFoundError):
        if mark.read_text(encoding="ascii") == digest:
            return False
    # Cleared, because a copy that looks newer than its source would be kept.
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    mark.write_text(digest, encoding="ascii")
    return True


def ensure_groups() -> None:
    """Make the groups that stand for roles; one query when they exist."""
    known = set(Group.objects.filter(name__in=ROLES).values_list("name", flat=True))
    for name in ROLES:
        if name not in known:
            Group.objects.get_or_create(name=name)


def lineage() -> str:
    """Return the name of this database's history, making it once."""
    row, _ = Setting.objects.get_or_create(
        key=LINEAGE, defaults={"value": str(uuid.uuid4())}
    )
    return str(row.value)


def register_node(plane: str, clock: Clock) -> uuid.UUID:
    """Write this node's row and take the data plane's lease where one is needed.

    Errors: RefusedError when another node holds the lease.
    """
    me = nodes.node_id(settings.DATA_DIR, clock)
    nodes.register(me, planes=plane, key_ids=secrets.ring().kids, clock=clock)
    if plane != "console" and needs_lease():
        holder = nodes.take_lease(me, clock)
        if holder:
            raise RefusedError(
                f"the node {holder} serves clients of this database already; without "
                "REDIS_URL only one may, because limits and budgets live in it. Stop "
                "it, set REDIS_URL on both, or use --plane console here."
            )
    return me


def needs_lease() -> bool:
    """Tell whether this database bears only one data plane."""
    return not settings.CONFIG.redis_url


def ensure_owner() -> bool:
    """Create the owner the environment names, as long as nobody exists.

    Errors: RefusedError for a missing password file or a refused password.
    """
    config = settings.CONFIG
    if not config.admin_email or User.objects.exists():
        return False
    if not config.admin_password_file:
        raise RefusedError("POOL_ADMIN_EMAIL is set without POOL_ADMIN_PASSWORD_FILE.")
    try:
        text = Path(config.admin_password_file).read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError(
            f"POOL_ADMIN_PASSWORD_FILE cannot be read: {error.strerror}."
        ) from error
    try:
        people.create_user(
            SYSTEM,
            email=config.admin_email,
            password=text.strip("\r\n"),
            role=OWNER,
        )
    except people.PeopleError as error:
        raise RefusedError(f"POOL_ADMIN_EMAIL: {error}") from error
    return True


def setup_token(clock: Clock) -> str:
    """Return a fresh one-time setup token, blank once somebody exists."""
    return new_token(clock=clock) if is_first_run() else ""


@contextlib.contextmanager
def _migration_lock() -> Iterator[None]:
    """Let one process at a time look and migrate."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])
        return
    run: Path = settings.CONFIG.run_path
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(run / "migrate.lock", "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _applied() -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        if "django_migrations" not in connection.introspection.table_names(cursor):
            return set()
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


def _on_disk() -> set[tuple[str, str]]:
    """List migrations by file name: importing them would cost half a second."""
    found = set()
    for config in apps.get_app_configs():
        directory = Path(config.path) / "migrations"
        for path in directory.glob("[0-9]*.py"):
            found.add((config.label, path.stem))
    return found


def _require_alone(clock: Clock) -> None:
    me = nodes.node_id(settings.DATA_DIR, clock)
    since = clock.now() - _ALIVE
    others = Node.objects.filter(heartbeat_at__gte=since).exclude(pk=me)
    try:
        names = list(others.values_list("name", flat=True))
    except Exception:  # noqa: BLE001 - the nodes' own table may be what is migrated
        return
    if names:
        raise RefusedError(
            f"migrations are pending while {', '.join(names)} is running; stop it, or "
            "run `pool migrate` when the release notes allow it."
        )


def _static_digest() -> str:
    digest = hashlib.sha256(str(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        storage: Any
        for path, storage in sorted(finder.list([]), key=_by_path):
            stat = os.stat(storage.path(path))
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _by_path(item: tuple[str, Any]) -> str:
    return item[0]
