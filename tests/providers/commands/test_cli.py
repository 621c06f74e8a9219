"""Prove the real ``pool`` on a fresh directory: statuses, one line, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.providers.commands.conftest import Ran

pytestmark = pytest.mark.process
PASSWORD = "correct horse battery\n"


class Shell:
    """``pool`` in a directory of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.environment: dict[str, str] = {}

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        environment = {
            "PATH": os.environ["PATH"],
            "POOL_DATA_DIR": str(self.data),
            **self.environment,
        }
        ran = subprocess.run(
            [sys.executable, "-m", "poolsite.cli", *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        ran = self(*arguments, stdin=stdin)
        assert (ran.status, ran.err) == (0, ""), ran
        return ran.out

    def refused(self, *arguments: str, stdin: str = "") -> str:
        ran = self(*arguments, stdin=stdin)
        assert ran.status in (1, 2), ran
        assert ran.err.startswith("pool: ")
        assert ran.err.count("\n") == 1, ran.err
        return ran.err


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A pool set up without a browser, once for all tests, and its client key."""
    shell = Shell(tmp_path_factory.mktemp("cli") / "data")
    shell.ok("user", "create", "me@example.com", stdin=PASSWORD)
    shell.ok(
        "provider", "add", "acme", "--base-url", "https://acme.example.com/v1",
        "--api-key-stdin", "--model", "m", stdin="sk-acme-0123456789\n",
    )  # fmt: skip
    return shell.data, shell.ok("key", "create", "ci").strip()


@pytest.fixture
def shell(tmp_path: Path, furnished: tuple[Path, str]) -> Shell:
    """A copy of that pool."""
    shutil.copytree(furnished[0], tmp_path / "data")
    return Shell(tmp_path / "data")


def test_pool_is_set_up_before_anything_was_served(
    shell: Shell, furnished: tuple[Path, str]
) -> None:
    key = furnished[1]
    assert key.startswith("pp_")
    [row] = json.loads(shell.ok("provider", "list", "--json"))
    assert (row["keys"], row["models"]) == (1, 1)
    for path in (shell.data / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database = (shell.data / "pool.sqlite3").read_bytes()
    assert b"sk-acme" not in database
    assert key[12:].encode() not in database


def test_failures_are_one_line_with_their_status(shell: Shell) -> None:
    assert shell("provider", "show", "nope").status == 1
    assert shell("key", "create").status == 2
    for call in (
        ("nope",),
        ("provider", "show", "nope"),
        ("key", "create"),
        ("key", "x"),
    ):
        shell.refused(*call)


def test_backup_comes_back_with_its_journal_but_without_keys(
    shell: Shell, tmp_path: Path
) -> None:
    journal = shell.data / "journal" / "0190-dead"
    journal.mkdir(parents=True)
    (journal / "00000000.seg").write_bytes(b"unshipped")
    (journal / "lock").write_bytes(b"")
    file = tmp_path / "pool.tar.gz"
    assert "without the keys" in shell.ok("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if name.startswith("keys")]
    other = Shell(tmp_path / "other")
    assert "put yours into" in other.ok("restore", str(file))
    segment = other.data / "journal" / "0190-dead" / "00000000.seg"
    assert segment.read_bytes() == b"unshipped"
    # No fresh key may look like the right one.
    assert not list((other.data / "keys").glob("*"))
    assert "is missing" in other.refused("provider", "list")
    assert not list((other.data / "keys").glob("*"))
    for path in (shell.data / "keys").iterdir():
        (other.data / "keys" / path.name).write_bytes(path.read_bytes())
        (other.data / "keys" / path.name).chmod(0o600)
    assert "encryption keys, peppers and audit chain fit" in other.ok("doctor")
    assert json.loads(other.ok("provider", "list", "--json"))[0]["id"] == "acme"
    assert "exists" in other.refused("restore", str(file))


def test_keys_of_another_pool_are_noticed_after_a_restore(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "pool.tar.gz"
    shell.ok("backup", str(file))
    other = Shell(tmp_path / "other")
    other("doctor")  # makes keys of its own
    (other.data / "pool.sqlite3").unlink()
    assert "not the ones of this backup" in other.refused("restore", str(file))
    assert "not loaded" in other.refused("provider", "list")


def test_backup_with_keys_is_whole(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "pool.tar.gz"
    assert "can read every secret" in shell.ok("backup", str(file), "--with-keys")
    other = Shell(tmp_path / "other")
    other.ok("restore", str(file))
    other.ok("doctor")
    [row] = json.loads(other.ok("provider", "list", "--json"))
    assert row["state"] == "untested"


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "foreign", "damaged"])
def test_bad_backup_changes_nothing(kind: str, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "pool.tar.gz"
    shell.ok("backup", str(file))
    raw = file.read_bytes()
    if kind == "damaged":
        (tmp_path / "pool.sqlite3").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
        (tmp_path / "backup.json").write_text('{"format":1,"with_keys":false}')
        with tarfile.open(file, "w:gz") as tar:
            for name in ("pool.sqlite3", "backup.json"):
                tar.add(tmp_path / name, arcname=name)
    elif kind == "foreign":
        with tarfile.open(file, "w:gz") as tar:
            tar.add(__file__, arcname="pool.sqlite3")
    else:
        file.write_bytes({"empty": b"", "text": b"hello", "cut": raw[:-200]}[kind])
    other = Shell(tmp_path / "other")
    other.refused("restore", str(file))
    assert not (other.data / "pool.sqlite3").exists()
    assert not list(other.data.glob(".restore*"))


def rows(shell: Shell, sql: str) -> list[tuple[str, ...]]:
    database = sqlite3.connect(shell.data / "pool.sqlite3")
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def test_secrets_rotate_through_the_key_file(shell: Shell) -> None:
    kids = "SELECT enc_kid FROM providers_apikey"
    [(old,)] = rows(shell, kids)
    keys = shell.data / "keys" / "encryption_keys"
    assert "There is no old key" in shell.ok("rotate-secrets", "--finish")
    assert "nothing is sealed with it yet" in shell.ok("rotate-secrets")
    assert len(keys.read_text().split()) == 2
    assert rows(shell, kids) == [(old,)]
    out = shell.ok("rotate-secrets")
    assert "providers.ApiKey.secret: 1 re-encrypted, 0 left" in out
    [(new,)] = rows(shell, kids)
    assert new != old
    assert "not finished" in shell.refused("rotate-secrets")
    assert f"Dropped key {old}" in shell.ok("rotate-secrets", "--finish")
    assert len(keys.read_text().split()) == 1
    assert "fit the database" in shell.ok("doctor")


def test_rotation_waits_for_processes_that_hold_the_old_keys(shell: Shell) -> None:
    [(old,)] = rows(shell, "SELECT enc_kid FROM providers_apikey")
    database = sqlite3.connect(shell.data / "pool.sqlite3")
    database.execute(
        "INSERT INTO poolsite_node (id, name, planes, product_version, key_ids,"
        " snapshot_version, started_at, heartbeat_at) VALUES ('0190ab00000070008000000000000000', 'node-1', 'all',"
        " '1', ?, 0, datetime('now'), datetime('now', '+1 hour'))",
        [json.dumps([old])],
    )
    database.commit()
    shell.ok("rotate-secrets")
    assert "Waiting for node-1" in shell.refused("rotate-secrets")
    assert rows(shell, "SELECT enc_kid FROM providers_apikey") == [(old,)]
    new = rows(
        shell, "SELECT kid FROM poolsite_encryptionkey WHERE state='decrypt_only'"
    )
    # Restarted: it holds both, but serves a snapshot from before.
    both = json.dumps([old, new[0][0]])
    database.execute("UPDATE poolsite_node SET key_ids = ?", [both])
    database.commit()
    shell.ok("rotate-secrets")
    assert "newest snapshot" in shell.refused("rotate-secrets", "--finish")
    database.execute("UPDATE poolsite_node SET snapshot_version = 1000")
    database.commit()
    database.close()
    out = shell.ok("rotate-secrets", "--finish")
    assert "until they are restarted" in out


def test_rotation_that_was_cut_off_is_completed_not_begun_anew(shell: Shell) -> None:
    [(old, secret)] = rows(shell, "SELECT enc_kid, secret FROM providers_apikey")
    shell.ok("rotate-secrets")
    shell.ok("rotate-secrets")
    database = sqlite3.connect(shell.data / "pool.sqlite3")
    database.execute(
        "UPDATE providers_apikey SET enc_kid = ?, secret = ?", [old, secret]
    )
    database.commit()
    database.close()
    assert "are left" in shell.refused("rotate-secrets", "--finish")
    assert "1 re-encrypted, 0 left" in shell.ok("rotate-secrets")
    keys = (shell.data / "keys" / "encryption_keys").read_text()
    assert len(keys.split()) == 2


def test_keys_of_the_environment_are_the_operators_to_change(shell: Shell) -> None:
    keys = shell.data / "keys" / "encryption_keys"
    shell.environment["POOL_ENCRYPTION_KEYS"] = keys.read_text().strip()
    before = keys.read_text()
    assert "POOL_ENCRYPTION_KEYS" in shell.refused("rotate-secrets")
    assert keys.read_text() == before
    line = shell.refused("backup", str(shell.data / "b.tar.gz"), "--with-keys")
    assert "come from the environment" in line


def test_wrong_key_seals_nothing(shell: Shell) -> None:
    keys = shell.data / "keys" / "encryption_keys"
    shell.environment["POOL_ENCRYPTION_KEYS"] = "A" * 43 + "="
    line = shell.refused("provider", "key-add", "acme", stdin="sk-second-0123456789")
    assert "not loaded" in line
    assert rows(shell, "SELECT count(*) FROM providers_apikey") == [(1,)]
    assert keys.exists()
