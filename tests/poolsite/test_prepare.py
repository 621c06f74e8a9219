"""What is done before anything is served, and that it is done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import override_settings

from poolsite import nodes, prepare, secrets
from poolsite.accounts import OWNER, role_of
from poolsite.clock import ManualClock
from poolsite.crypto import KeyRing
from poolsite.models import Canary, Node, User
from poolsite.prepare import LockedError, RefusedError

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def config(settings: Any, tmp_path: Path) -> Any:
    """Return a function that changes the configuration of this test."""
    settings.DATA_DIR = tmp_path

    def change(**values: Any) -> None:
        changed = msgspec.structs.replace(
            settings.CONFIG, data_dir=str(tmp_path), **values
        )
        settings.CONFIG = changed

    change(redis_url="")
    return change


def test_nothing_pending_means_nothing_done(config: Any, clock: ManualClock) -> None:
    assert not prepare.migrate(clock)


def test_every_migration_of_every_app_is_seen(config: Any) -> None:
    seen = prepare._on_disk()
    assert ("poolsite", "0001_initial") in seen
    assert ("usage", "0002_budgetshare") in seen
    assert ("sessions", "0001_initial") in seen
    assert seen <= prepare._applied()


def test_pending_migrations_wait_while_another_node_lives(
    config: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = {("usage", "9999_new")}
    monkeypatch.setattr(prepare, "_on_disk", lambda: pending | prepare._applied())
    ran: list[str] = []
    monkeypatch.setattr(prepare, "call_command", lambda name, **_: ran.append(name))
    Node.objects.create(
        id="00000000-0000-7000-8000-000000000001", name="blue", product_version="1",
        started_at=clock.now(), heartbeat_at=clock.now(),
    )  # fmt: skip
    with pytest.raises(RefusedError, match="blue"):
        prepare.migrate(clock)
    clock.advance(61)
    assert prepare.migrate(clock)
    assert ran == ["migrate"]


def test_canary_is_made_once_and_locks_out_other_keys(
    config: Any, clock: ManualClock, settings: Any
) -> None:
    prepare.check_keys(clock)
    prepare.check_keys(clock)
    assert Canary.objects.count() == 1
    foreign = "A" * 43 + "="
    settings.ROOTS = msgspec.structs.replace(settings.ROOTS, encryption_keys=(foreign,))
    assert KeyRing([foreign]).primary_kid == secrets.ring().primary_kid
    with pytest.raises(LockedError, match="encryption key"):
        prepare.check_keys(clock)


def test_static_files_are_collected_when_they_changed(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("body{}")
    settings.STATIC_ROOT = tmp_path / "out"
    with override_settings(
        STATICFILES_DIRS=[source],
        STATICFILES_FINDERS=["django.contrib.staticfiles.finders.FileSystemFinder"],
    ):
        from django.contrib.staticfiles import finders

        finders.get_finder.cache_clear()
        try:
            assert prepare.collect_static()
            assert not prepare.collect_static()
            (source / "a.css").write_text("body{margin:0}")
            assert prepare.collect_static()
        finally:
            finders.get_finder.cache_clear()
    assert (tmp_path / "out" / "a.css").read_text() == "body{margin:0}"


def test_groups_of_the_roles_exist() -> None:
    prepare.ensure_groups()
    prepare.ensure_groups()
    assert Group.objects.count() == 3


def test_owner_named_by_the_environment_is_made_once(
    config: Any, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    config(admin_email="Boss@Example.com", admin_password_file=str(path))
    assert prepare.ensure_owner()
    assert not prepare.ensure_owner()
    owner = User.objects.get()
    assert owner.email == "boss@example.com"
    assert owner.check_password(PASSWORD)
    assert role_of(owner) == OWNER


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), ("short", "POOL_ADMIN_EMAIL")]
)
def test_unusable_owner_is_refused_in_one_sentence(
    config: Any, tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    config(admin_email="boss@example.com", admin_password_file=str(path))
    with pytest.raises(RefusedError, match=says):
        prepare.ensure_owner()


def test_setup_token_is_there_until_somebody_is(
    clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    assert prepare.setup_token(clock)
    request.getfixturevalue("olivia")
    assert prepare.setup_token(clock) == ""


def test_history_of_a_database_keeps_its_name() -> None:
    assert prepare.lineage() == prepare.lineage()


# Nodes and the lease


def test_node_keeps_its_id(tmp_path: Path, clock: ManualClock) -> None:
    assert nodes.node_id(tmp_path, clock) == nodes.node_id(tmp_path, clock)


def test_second_data_plane_is_refused_until_the_lease_ends(
    config: Any, clock: ManualClock, settings: Any, tmp_path: Path
) -> None:
    first = prepare.register_node("all", clock)
    settings.DATA_DIR = tmp_path / "second"
    settings.DATA_DIR.mkdir()
    with pytest.raises(RefusedError, match="only one may"):
        prepare.register_node("all", clock)
    prepare.register_node("console", clock)
    nodes.heartbeat(first, snapshot_version=1, key_ids=(), has_lease=True, clock=clock)
    clock.advance(19)
    with pytest.raises(RefusedError):
        prepare.register_node("proxy", clock)
    nodes.release_lease(first)
    prepare.register_node("proxy", clock)


def test_own_lease_is_taken_again_after_a_crash(
    config: Any, clock: ManualClock
) -> None:
    assert prepare.register_node("all", clock) == prepare.register_node("all", clock)


def test_redis_makes_the_lease_needless(
    config: Any, clock: ManualClock, settings: Any, tmp_path: Path
) -> None:
    config(redis_url="redis://127.0.0.1:1/0")
    prepare.register_node("all", clock)
    settings.DATA_DIR = tmp_path / "second"
    settings.DATA_DIR.mkdir()
    prepare.register_node("all", clock)
    assert Node.objects.filter(data_lease_until=None).count() == 2


def test_command_prints_its_report(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("prepare", "--plane", "proxy")
    assert '"steps"' in capsys.readouterr().out
