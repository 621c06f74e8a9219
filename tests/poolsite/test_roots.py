"""Prove that roots are made once, kept private, and never in place of lost ones."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from poolsite import key_files, roots
from poolsite.config import Roots
from poolsite.crypto import KeyRing, Peppers

NAMES = {"secret_key", "encryption_keys", "peppers"}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process loaded before, and put it back afterwards."""
    monkeypatch.setattr(roots, "_cached", None)
    monkeypatch.setattr(roots, "_made", [])
    monkeypatch.setattr(roots, "_from_environment", set())
    for name in ("POOL_SECRET_KEY", "POOL_ENCRYPTION_KEYS", "POOL_PEPPERS"):
        monkeypatch.delenv(name, raising=False)


def again() -> None:
    roots._cached = None
    roots._made.clear()


def test_first_start_makes_private_files_that_later_starts_read(tmp_path: Path) -> None:
    first = roots.load(tmp_path)
    files = list(roots.key_directory(tmp_path).iterdir())
    assert {path.name for path in files} == NAMES
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(roots.key_directory(tmp_path).stat().st_mode) == 0o700
    again()
    assert roots.load(tmp_path, may_create=False) == first
    KeyRing(first.encryption_keys)
    Peppers(first.peppers)


@pytest.mark.parametrize("lost", sorted(NAMES))
def test_lost_file_is_named_and_not_replaced(lost: str, tmp_path: Path) -> None:
    roots.load(tmp_path)
    path = roots.key_directory(tmp_path) / lost
    path.unlink()
    again()
    with pytest.raises(roots.MissingRootError) as refusal:
        roots.load(tmp_path, may_create=False)
    assert str(path) in str(refusal.value)
    assert not path.exists()


def test_environment_wins_and_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = roots.load(tmp_path)
    again()
    monkeypatch.setenv("POOL_PEPPERS", f"{'ab' * 32},\n{made.peppers[0]}")
    found = roots.load(tmp_path)
    assert found.peppers == ("ab" * 32, made.peppers[0])
    assert found.secret_key == made.secret_key
    assert "POOL_PEPPERS" not in os.environ
    assert roots.is_from_environment("peppers")
    assert not roots.is_from_environment("secret_key")


def test_parent_hands_roots_over_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Roots(secret_key="s", encryption_keys=("k",), peppers=("p",))
    monkeypatch.setenv(roots.PIPE_VARIABLE, str(roots.send(given)))
    assert roots.load(tmp_path) == given
    assert not roots.key_directory(tmp_path).exists()
    assert roots.PIPE_VARIABLE not in os.environ


def test_only_files_made_by_this_process_are_taken_back(tmp_path: Path) -> None:
    directory = roots.key_directory(tmp_path)
    directory.mkdir()
    (directory / "peppers").write_text("ab" * 32)
    roots.load(tmp_path)
    assert set(roots.take_back()) == NAMES - {"peppers"}
    assert [path.name for path in directory.iterdir()] == ["peppers"]
    assert roots.take_back() == []


def test_roots_show_nothing_of_themselves(tmp_path: Path) -> None:
    found = roots.load(tmp_path)
    assert found.secret_key not in f"{found!r} {found}"


def test_key_file_grows_and_shrinks_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "encryption_keys"
    again()
    path.write_text(roots.load(tmp_path).encryption_keys[0])
    old = KeyRing([path.read_text()]).primary_kid
    new = key_files.add_key(path)
    assert KeyRing(path.read_text().split()).kids == (new, old)
    with pytest.raises(ValueError, match="empty"):
        key_files.keep_only(path, set())
    assert key_files.keep_only(path, {new}) == [old]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
