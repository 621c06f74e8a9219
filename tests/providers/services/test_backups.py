"""Prove that a backup taken while the keeper ships loses no record."""

from __future__ import annotations

import contextlib
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from providers.services import backups

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="pg_dump does it there"),
]


@pytest.fixture
def journal(settings: Any, tmp_path: Path) -> Path:
    """A data directory of its own; returns a journal directory in it."""
    import msgspec

    settings.DATA_DIR = tmp_path
    settings.CONFIG = msgspec.structs.replace(settings.CONFIG, data_dir=str(tmp_path))
    folder = Path(settings.CONFIG.journal_path) / "0190-live"
    folder.mkdir(parents=True)
    return folder


def names(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return sorted(member.name for member in tar.getmembers() if member.isfile())


def test_segment_shipped_and_deleted_meanwhile_is_in_it(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (journal / "00000000.seg").write_bytes(b"old")
    copy = backups._copy_database

    def keeper_at_work(target: Path) -> None:
        copy(target)
        (journal / "00000000.seg").unlink()  # shipped after the database was copied
        (journal / "00000001.seg").write_bytes(b"new")

    monkeypatch.setattr(backups, "_copy_database", keeper_at_work)
    file = tmp_path / "backup.tar.gz"
    backups.make(file)
    assert names(file) == [
        "backup.json",
        "journal/0190-live/00000000.seg",
        "journal/0190-live/00000001.seg",
        "pool.sqlite3",
    ]
    assert list(tmp_path.glob("tmp*")) == []


def test_what_is_appended_meanwhile_is_packed_as_it_is_then(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = journal / "00000000.seg"
    segment.write_bytes(b"a")
    copy = backups._copy_database

    def writer_at_work(target: Path) -> None:
        copy(target)
        with segment.open("ab") as stream:
            stream.write(b"b")

    monkeypatch.setattr(backups, "_copy_database", writer_at_work)
    file = tmp_path / "backup.tar.gz"
    backups.make(file)
    with tarfile.open(file) as tar:
        packed = tar.extractfile("journal/0190-live/00000000.seg")
        assert packed is not None
        assert packed.read() == b"ab"


def test_backup_that_fails_leaves_the_one_before(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    backups.make(file)
    before = file.read_bytes()

    def fail(target: Path) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(backups, "_copy_database", fail)
    with pytest.raises(backups.BackupError, match="disk I/O error"):
        backups.make(file)
    assert file.read_bytes() == before
    assert not file.with_name("backup.tar.gz.partial").exists()


def test_backup_into_no_directory_is_a_sentence(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(backups.BackupError, match="No such file"):
        backups.make(tmp_path / "nowhere" / "backup.tar.gz")


def test_restore_over_records_nobody_shipped_is_refused(
    journal: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    backups.make(file)
    monkeypatch.setattr(backups, "_database_path", lambda: tmp_path / "none.sqlite3")
    with pytest.raises(backups.BackupError, match="not in any database"):
        backups.restore(file)


def test_postgresql_is_sent_to_its_own_tools(settings: Any, tmp_path: Path) -> None:
    settings.IS_SQLITE = False
    with pytest.raises(backups.BackupError, match="pg_dump"):
        backups.make(tmp_path / "x")
    with pytest.raises(backups.BackupError, match="pg_restore"):
        backups.restore(tmp_path / "x")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "run/evil", "keys/../../evil", "node_id"]
)
def test_member_that_does_not_belong_is_not_unpacked(
    name: str, journal: Path, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    backups.make(file)
    source = tmp_path / "source"
    source.mkdir()
    with tarfile.open(file) as tar:
        tar.extractall(source, filter="data")
    (tmp_path / "evil").write_text("evil")
    with tarfile.open(file, "w:gz") as tar:
        for path in source.iterdir():
            tar.add(path, arcname=path.name)
        tar.add(tmp_path / "evil", arcname=name)
    target = tmp_path / "target" / "data"
    target.mkdir(parents=True)
    with contextlib.suppress(backups.BackupError):
        backups._unpack(file, target)
    found = {path.name for path in (tmp_path / "target").rglob("*")}
    assert not found & {"evil", "node_id"}
