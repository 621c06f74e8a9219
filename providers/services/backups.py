"""Copy the database and what is not yet in it; put such a copy back.

A backup is a tar archive: the database, the journals not shipped yet, and a note of
what it is. The root keys are left out unless asked for, and the note says so: without
them the secrets in the backup cannot be read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection, connections

from poolsite import roots

NOTE: Final = "backup.json"
DATABASE: Final = "pool.sqlite3"
JOURNAL: Final = "journal"
KEYS: Final = "keys"
_FORMAT: Final = 1
_BESIDE: Final = ("-wal", "-shm", "-journal")


class BackupError(Exception):
    """The backup cannot be made or put back; the message says why."""


def make(target: Path, *, with_keys: bool = False) -> None:
    """Write a backup of the embedded database while it is in use.

    Everything recorded before the call is in it; of what happens meanwhile some is.

    Errors:  BackupError on PostgreSQL, whose own tools know better; when the file
             cannot be written, or the keys to include are not files. An unfinished
             file never takes the target's name.
    """
    if not settings.IS_SQLITE:
        raise BackupError(
            "This pool uses PostgreSQL: back it up with pg_dump, and copy the data "
            "directory's journal and keys beside it."
        )
    if with_keys and _given_keys():
        raise BackupError(
            f"{', '.join(_given_keys())} come from the environment: a backup cannot "
            "hold them. Keep them where they are, and leave out --with-keys."
        )
    partial = target.with_name(target.name + ".partial")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            with tarfile.open(mode="w:gz", fileobj=stream) as tar:
                _fill(tar, with_keys=with_keys)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except (OSError, sqlite3.Error) as exc:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise BackupError(f"{target}: {reason}") from exc


def restore(source: Path) -> dict[str, Any]:
    """Put a backup into this (stopped, empty) data directory; return its note.

    The file is unpacked and its database checked beside the place it goes to, so a
    bad file changes nothing. Keys this process made for the empty directory go away.

    Shapes:  the note's ``at`` and ``with_keys``.
    Errors:  BackupError when the file is no backup, when the directory holds a
             database or a journal, and on PostgreSQL.
    """
    if not settings.IS_SQLITE:
        raise BackupError(
            "This pool uses PostgreSQL: put its data back with pg_restore."
        )
    data: Path = settings.DATA_DIR
    database = _database_path()
    if database.exists() and database.stat().st_size:
        raise BackupError(
            f"{database} exists. Restore into an empty data directory (POOL_DATA_DIR)."
        )
    journal: Path = settings.CONFIG.journal_path
    if journal.exists() and any(journal.iterdir()):
        raise BackupError(
            f"{journal} holds records that are not in any database yet. Restore into "
            "an empty data directory (POOL_DATA_DIR)."
        )
    with tempfile.TemporaryDirectory(dir=data, prefix=".restore-") as folder:
        unpacked = Path(folder)
        note = _unpack(source, unpacked)
        connections.close_all()
        _check_database(source, unpacked / DATABASE)
        _put_keys(unpacked / KEYS, roots.key_directory(data))
        if (unpacked / JOURNAL).exists():
            shutil.rmtree(journal, ignore_errors=True)
            (unpacked / JOURNAL).rename(journal)
        for ending in _BESIDE:
            database.with_name(database.name + ending).unlink(missing_ok=True)
        (unpacked / DATABASE).replace(database)
    return note


def _fill(tar: tarfile.TarFile, *, with_keys: bool) -> None:
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(dir=settings.DATA_DIR) as folder:
        held = Path(folder) / JOURNAL
        # Segments are linked first: the keeper may ship one after the database was
        # copied and delete it before it is packed; the link keeps its records.
        _hold(settings.CONFIG.journal_path, held)
        copy = Path(folder) / DATABASE
        _copy_database(copy)
        tar.add(copy, arcname=DATABASE)
        _hold(settings.CONFIG.journal_path, held)
        if held.exists():
            tar.add(held, arcname=JOURNAL)
    if with_keys:
        tar.add(roots.key_directory(settings.DATA_DIR), arcname=KEYS)
    _add_note(tar, at=started, with_keys=with_keys)


def _hold(journal: Path, held: Path) -> None:
    """Link the journal's files; what the keeper deletes meanwhile is skipped."""
    for folder in sorted(journal.glob("[!.]*")) if journal.exists() else []:
        (held / folder.name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.glob("*.seg"):
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                os.link(path, held / folder.name / path.name)


def _copy_database(copy: Path) -> None:
    live = sqlite3.connect(_database_path())
    try:
        target = sqlite3.connect(copy)
        try:
            live.backup(target)  # consistent while others write
        finally:
            target.close()
    finally:
        live.close()


def _database_path() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def _given_keys() -> list[str]:
    names = ("secret_key", "encryption_keys", "peppers")
    return [name for name in names if roots.is_from_environment(name)]


def _add_note(tar: tarfile.TarFile, *, at: datetime, with_keys: bool) -> None:
    note = {"format": _FORMAT, "at": at.isoformat(), "with_keys": with_keys}
    raw = json.dumps(note).encode()
    info = tarfile.TarInfo(NOTE)
    info.size = len(raw)
    tar.addfile(info, io.BytesIO(raw))


def _unpack(source: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            note = _note(tar)
            tar.extractall(folder, members=_members(tar), filter="data")
    except OSError as exc:
        if exc.strerror and exc.filename:
            raise BackupError(f"{source}: {exc.strerror}") from exc
        raise BackupError(f"{source} is not a backup of this product.") from exc
    except (tarfile.TarError, EOFError, ValueError, KeyError) as exc:
        raise BackupError(f"{source} is not a whole backup of this product.") from exc
    return note


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield what belongs into a data directory, and nothing else."""
    for member in tar.getmembers():
        top = member.name.partition("/")[0]
        is_ours = top in (JOURNAL, KEYS) or member.name == DATABASE
        if is_ours and (member.isfile() or member.isdir()):
            member.mode = 0o700 if member.isdir() else 0o600
            yield member


def _note(tar: tarfile.TarFile) -> dict[str, Any]:
    member = tar.extractfile(NOTE)
    if member is None:
        raise ValueError("no note inside")
    note = json.loads(member.read())
    if not isinstance(note, dict) or note.get("format") != _FORMAT:
        raise ValueError("another format")
    return {"at": str(note.get("at")), "with_keys": bool(note.get("with_keys"))}


def _check_database(source: Path, database: Path) -> None:
    try:
        copy = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            [(verdict,)] = copy.execute("PRAGMA quick_check(1)")
            copy.execute("SELECT 1 FROM django_migrations LIMIT 1")
        finally:
            copy.close()
    except (sqlite3.Error, ValueError) as exc:
        raise BackupError(f"The database in {source} is damaged: {exc}.") from exc
    if verdict != "ok":
        raise BackupError(f"The database in {source} is damaged: {verdict}.")


def _put_keys(found: Path, keys: Path) -> None:
    # Made when this command started, for a directory that looked new.
    roots.take_back()
    if not found.exists():
        return
    keys.mkdir(mode=0o700, exist_ok=True)
    for path in found.iterdir():
        (keys / path.name).unlink(missing_ok=True)
        path.rename(keys / path.name)
