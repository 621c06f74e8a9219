"""What decides whether a kept ledger can be used again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts import seed_usage_store as store


@pytest.fixture
def migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one migration of the ledger; returns its file."""
    monkeypatch.setattr(store, "ROOT", tmp_path)
    path = tmp_path / "usage" / "migrations" / "0001_initial.py"
    path.parent.mkdir(parents=True)
    path.write_text("one")
    return path


def known() -> dict[str, Any]:
    return {"seconds": 1, "migrations": store._migrations(("usage",))}


def test_a_ledger_is_used_again_while_migrations_are_only_added(
    migration: Path,
) -> None:
    before = known()
    assert store._holds(before, ("usage",))
    migration.with_name("0002_more.py").write_text("two")
    assert store._holds(before, ("usage",))


@pytest.mark.parametrize("change", ["edited", "gone", "never written"])
def test_a_ledger_is_made_anew_when_what_was_run_is_another_today(
    migration: Path, change: str
) -> None:
    before = known()
    if change == "edited":
        migration.write_text("other")
    elif change == "gone":
        migration.unlink()
    else:
        before = {}
    assert not store._holds(before, ("usage",))
