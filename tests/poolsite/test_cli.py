"""The command line: one line on stderr, a status, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from poolsite import cli
from poolsite.roots import MissingRootError
from tests.rig.processes import ROOT


def run(tmp_path: Path, *arguments: str, **env: str) -> tuple[int, str]:
    # A database of its own: the suite may run beside a server others use.
    database = f"sqlite:///{tmp_path}/var/pool.sqlite3"
    ours = {"POOL_DATA_DIR": str(tmp_path / "var"), "DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **ours, **env},
    )  # fmt: skip
    return done.returncode, done.stderr


def test_refusal_is_one_line_without_a_class_name(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "--skip-checks", "-v", "0")[0] == 0
    status, error = run(tmp_path, "provider", "show", "nobody")
    assert status == 1
    assert error.count("\n") == 1
    assert error.startswith("pool: ")
    assert "CommandError" not in error


def test_missing_key_is_one_line(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "--skip-checks", "-v", "0")[0] == 0
    (tmp_path / "var" / "keys" / "encryption_keys").unlink()
    status, error = run(tmp_path, "provider", "list")
    assert status == 1
    assert error.count("\n") == 1
    assert "POOL_ENCRYPTION_KEYS" in error


def test_bad_variable_is_one_line(tmp_path: Path) -> None:
    status, error = run(tmp_path, "provider", "list", POOL_DURABILITY="maybe")
    assert status == 1
    assert error.count("\n") == 1
    assert "POOL_DURABILITY" in error
    status, error = run(tmp_path, "serve", POOL_PORT="99999")
    assert status == 1
    assert error.count("\n") == 1


def test_unknown_command_is_refused(tmp_path: Path) -> None:
    status, error = run(tmp_path, "nonsense")
    assert status == 2
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (SystemExit(2), 2),
        (SystemExit(None), 0),
        (SystemExit("no"), 1),
        (OperationalError("connection\nrefused"), 1),
        (ImproperlyConfigured("POOL_PORT"), 1),
        (MissingRootError("gone"), 1),
        (RuntimeError(), 1),
    ],
)
def test_every_end_is_a_status_and_at_most_one_line(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_django", fail)
    assert cli.main(["anything"]) == status
    assert capsys.readouterr().err.count("\n") <= 1


def test_traceback_is_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise RuntimeError("deep")

    monkeypatch.setattr(cli, "_django", fail)
    with pytest.raises(RuntimeError, match="deep"):
        cli.main(["anything", "--traceback"])
