"""The keeper's files: published when something changed, and only then."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from django.db import transaction

from poolsite import tokens as api_tokens
from poolsite import version
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.models import ConfigVersion, Setting, User
from providers.keeper import publisher
from providers.keeper.publisher import Publisher
from providers.snapshot import codec
from providers.snapshot.store import SnapshotStore
from tests import factories
from usage import services

pytestmark = pytest.mark.django_db


def make(directory: Path, *, lineage: str = "one") -> Publisher:
    return Publisher(directory, lineage=lineage, clock=ManualClock())


def manifest(directory: Path) -> codec.Manifest:
    found = codec.read_manifest(directory)
    assert found is not None
    return found


async def load(directory: Path) -> SnapshotStore:
    store = SnapshotStore(directory, ManualClock())
    await store.poll()
    return store


def test_first_publication_is_a_base_even_of_nothing(tmp_path: Path) -> None:
    assert make(tmp_path).publish()
    found = manifest(tmp_path)
    assert (found.version, found.deltas) == (0, ())


def test_nothing_changed_means_nothing_written(tmp_path: Path) -> None:
    keeper = make(tmp_path)
    keeper.publish()
    before = sorted(os.listdir(tmp_path))
    assert not keeper.publish()
    assert sorted(os.listdir(tmp_path)) == before


def test_change_is_a_delta_and_a_restarted_keeper_goes_on(tmp_path: Path) -> None:
    make(tmp_path).publish()
    key, _ = factories.make_client_key("a")
    again = make(tmp_path)
    assert again.publish()
    found = manifest(tmp_path)
    assert len(found.deltas) == 1
    assert found.version == version.current() == again.version
    services.revoke_key(SYSTEM, key)
    again.publish()
    assert len(manifest(tmp_path).deltas) == 2


def test_long_chain_of_deltas_becomes_a_new_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "MOST_DELTAS", 5)
    keeper = make(tmp_path)
    keeper.publish()
    key, _ = factories.make_client_key("a")
    for rpm in range(1, 12):
        services.update_key(SYSTEM, key, rpm=rpm)
        assert keeper.publish()
    found = manifest(tmp_path)
    assert found.base.version > 0
    assert found.version == version.current()
    after_base = [d for d in found.deltas if d.version > found.base.version]
    assert len(after_base) <= 5
    # A worker that was a little behind still follows without a full load.
    assert len(found.deltas) > len(after_base)


def test_other_history_is_written_anew(tmp_path: Path) -> None:
    make(tmp_path).publish()
    factories.make_client_key("a")
    make(tmp_path).publish()
    assert make(tmp_path, lineage="two").publish()
    found = manifest(tmp_path)
    assert (found.lineage, found.deltas) == ("two", ())


def test_database_set_back_to_an_older_copy_gets_a_base(tmp_path: Path) -> None:
    factories.make_client_key("a")
    keeper = make(tmp_path)
    keeper.publish()
    ConfigVersion.objects.update(version=version.current() - 1)
    assert keeper.publish()
    assert manifest(tmp_path).version == version.current()


def test_damaged_files_are_written_anew(tmp_path: Path) -> None:
    make(tmp_path).publish()
    (tmp_path / manifest(tmp_path).base.name).write_bytes(b"{}")
    assert make(tmp_path).publish()
    codec.verify(tmp_path, manifest(tmp_path).base)


def test_setting_without_a_version_of_its_own_is_noticed(tmp_path: Path) -> None:
    keeper = make(tmp_path)
    keeper.publish()
    Setting.objects.create(key="proxy.max_attempts", value=3)
    assert keeper.publish()
    assert len(manifest(tmp_path).deltas) == 1
    assert not keeper.publish()


def test_manifest_is_touched_while_nothing_changes(tmp_path: Path) -> None:
    clock = ManualClock()
    keeper = Publisher(tmp_path, lineage="one", clock=clock)
    keeper.publish()
    path = tmp_path / codec.MANIFEST
    os.utime(path, (1, 1))
    keeper.publish()
    assert path.stat().st_mtime == 1
    clock.advance(2)
    keeper.publish()
    assert path.stat().st_mtime > 1


def test_removed_files_come_back(tmp_path: Path) -> None:
    clock = ManualClock()
    keeper = Publisher(tmp_path, lineage="one", clock=clock)
    keeper.publish()
    for path in tmp_path.iterdir():
        path.unlink()
    clock.advance(2)
    keeper.publish()
    assert keeper.publish()
    assert manifest(tmp_path).version == version.current()


def test_half_a_transaction_is_not_published(tmp_path: Path) -> None:
    keeper = make(tmp_path)
    keeper.publish()
    with transaction.atomic():
        factories.make_client_key("a")
        transaction.set_rollback(True)
    assert not keeper.publish()


def test_store_reads_what_the_keeper_writes(tmp_path: Path) -> None:
    provider = factories.make_provider("acme", models=["gpt-5-mini"], keys=["sk-a-1"])
    key, _ = factories.make_client_key("a", budget_usd="5")
    make(tmp_path).publish()
    snapshot = asyncio.run(load(tmp_path))()
    assert snapshot is not None
    assert snapshot.version == version.current()
    record = snapshot.client_key(key.public_id)
    assert record is not None
    assert record.budget_ids == (key.budget_set.get().pk,)
    found = snapshot.provider(provider.pk)
    assert found is not None
    assert [each.mask for each in found.credentials] == ["…"]


def test_metrics_tokens_come_and_go_without_a_version(
    tmp_path: Path, olivia: User
) -> None:
    keeper = make(tmp_path)
    keeper.publish()
    token, _ = api_tokens.create_token(
        SYSTEM, user=olivia, name="scrape", scopes=["metrics"]
    )
    assert keeper.publish()
    snapshot = asyncio.run(load(tmp_path))()
    assert snapshot is not None
    entry = f"{token.pepper_id}:{token.digest}"
    assert snapshot.settings.metrics_tokens == (entry,)
    api_tokens.revoke_token(SYSTEM, token)
    assert keeper.publish()
    snapshot = asyncio.run(load(tmp_path))()
    assert snapshot is not None
    assert snapshot.settings.metrics_tokens == ()
