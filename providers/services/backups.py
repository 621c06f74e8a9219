"""Copy the database and what is not yet in it; put such a copy back.

A backup is a tar archive: the database, the journals not shipped yet, and a note of
what it is. The root keys are left out unless asked for, and the note says so: without
them the secrets in the backup cannot be read.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections

from poolsite.roots import key_directory

NOTE: Final = "backup.json"
DATABASE: Final = "pool.sqlite3"
_FORMAT: Final = 1


class BackupError(Exception):
    """The backup cannot be made or put back; the message says why."""


def make(target: Path, *, with_keys: bool = False) -> None:
    """Write a backup of the embedded database while it is in use.

    Errors:  BackupError on PostgreSQL, whose own tools know better, and when the
             file cannot be written. An unfinished file never takes the target's name.
    """
    if not settings.IS_SQLITE:
        raise BackupError(
            "This pool uses PostgreSQL: back it up with pg_dump, and copy the data "
            "directory's journal and keys beside it."
        )
    partial = target.with_name(target.name + ".partial")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(fd, "wb") as stream,
            tarfile.open(mode="w:gz", fileobj=stream) as tar,
        ):
            _add_database(tar)
            _add_tree(tar, settings.CONFIG.journal_path, "journal")
            if with_keys:
                _add_tree(tar, key_directory(settings.DATA_DIR), "keys")
            _add_note(tar, with_keys=with_keys)
        partial.replace(target)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise BackupError(f"{target}: {exc.strerror}") from exc


def restore(source: Path) -> dict[str, object]:
    """Put a backup into this (stopped, empty) data directory; return its note.

    Errors:  BackupError when the file is no backup or the directory holds a database.
    """
    database = settings.DATA_DIR / DATABASE
    connections.close_all()
    if database.exists() and database.stat().st_size:
        raise BackupError(
            f"{database} exists. Restore into an empty data directory (POOL_DATA_DIR)."
        )
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            note = _note(tar)
            tar.extractall(settings.DATA_DIR, filter="data")
    except (OSError, tarfile.TarError, ValueError, KeyError) as exc:
        raise BackupError(f"{source} is not a backup of this product: {exc}") from exc
    for path in key_directory(settings.DATA_DIR).glob("*"):
        path.chmod(0o600)
    return note


def _add_database(tar: tarfile.TarFile) -> None:
    with tempfile.TemporaryDirectory(dir=settings.DATA_DIR) as folder:
        copy = Path(folder) / DATABASE
        live = sqlite3.connect(settings.DATA_DIR / DATABASE)
        try:
            target = sqlite3.connect(copy)
            try:
                live.backup(target)  # consistent while others write
            finally:
                target.close()
        finally:
            live.close()
        tar.add(copy, arcname=DATABASE)


def _add_tree(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    # The journal after the database: a record in both is recorded once, by its id;
    # a record in neither would be lost.
    if folder.exists():
        tar.add(folder, arcname=name)


def _add_note(tar: tarfile.TarFile, *, with_keys: bool) -> None:
    note = {
        "format": _FORMAT,
        "at": datetime.now(UTC).isoformat(),
        "with_keys": with_keys,
    }
    raw = json.dumps(note).encode()
    info = tarfile.TarInfo(NOTE)
    info.size = len(raw)
    tar.addfile(info, io.BytesIO(raw))


def _note(tar: tarfile.TarFile) -> dict[str, object]:
    member = tar.extractfile(NOTE)
    if member is None:
        raise ValueError("no note inside")
    note: dict[str, object] = json.loads(member.read())
    if note.get("format") != _FORMAT:
        raise ValueError(f"format {note.get('format')}")
    return note
