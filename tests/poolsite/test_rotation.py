"""Prove the boot check and the exchange of keys, also when it is cut off."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings as SettingsWrapper

from poolsite import key_files, rotation, secrets
from poolsite.clock import ManualClock
from poolsite.crypto import KeyRing
from poolsite.models import Alert, Canary, EncryptionKey, Node
from providers.models import ApiKey
from tests.poolsite.test_secrets import MARKER, make_account, make_key, make_provider

pytestmark = pytest.mark.django_db
OLD, NEW, FOREIGN = (Fernet.generate_key().decode() for _ in range(3))
OLD_KID, NEW_KID = (KeyRing([key]).primary_kid for key in (OLD, NEW))
CLOCK = ManualClock()


def configure(settings: SettingsWrapper, *keys: str) -> None:
    settings.ROOTS = msgspec.structs.replace(settings.ROOTS, encryption_keys=keys)


@pytest.fixture(autouse=True)
def first_boot(settings: SettingsWrapper) -> None:
    configure(settings, OLD)
    assert rotation.check_keys(clock=CLOCK).is_ok


def make_node(
    *, kids: list[str], snapshot: int = 0, age_s: int = 0, planes: str = "all"
) -> Node:
    return Node.objects.create(
        id=uuid.uuid4(),
        name=f"node-{Node.objects.count()}",
        planes=planes,
        product_version="1",
        key_ids=kids,
        snapshot_version=snapshot,
        started_at=CLOCK.now(),
        heartbeat_at=CLOCK.now() - timedelta(seconds=age_s),
    )


def test_first_boot_plants_a_canary_that_later_boots_find() -> None:
    assert Canary.objects.count() == 1
    assert rotation.check_keys(clock=CLOCK).is_ok
    assert Canary.objects.count() == 1
    assert EncryptionKey.objects.get().state == EncryptionKey.State.PRIMARY


def test_wrong_key_at_boot_is_refused_and_counts_what_is_lost(
    settings: SettingsWrapper,
) -> None:
    make_key(make_provider())
    configure(settings, FOREIGN)
    found = rotation.check_keys(clock=CLOCK)
    assert not found.is_ok
    assert "\n" not in found.reason
    assert found.unreadable == {
        "poolsite.Canary.token": 1,
        "providers.ApiKey.secret": 1,
    }


def test_lost_canary_is_not_replaced_over_unreadable_rows(
    settings: SettingsWrapper,
) -> None:
    make_key(make_provider())
    Canary.objects.all().delete()
    configure(settings, FOREIGN)
    assert not rotation.check_keys(clock=CLOCK).is_ok
    assert not Canary.objects.exists()


def test_damaged_canary_is_told_from_a_lost_key() -> None:
    Canary.objects.update(token="damage")
    assert "damaged" in rotation.check_keys(clock=CLOCK).reason


def test_survey_marks_only_the_damaged_row_and_heals_it() -> None:
    provider = make_provider()
    good, bad = make_key(provider, 1), make_key(provider, 2)
    text = bad.secret
    ApiKey.objects.filter(pk=bad.pk).update(secret="x" * 120)
    found = rotation.survey(clock=CLOCK)
    assert found == {"providers.ApiKey.secret": {"corrupt": 1}}
    states = dict(ApiKey.objects.values_list("pk", "state"))
    assert states == {good.pk: "ok", bad.pk: "unreadable"}
    assert Alert.objects.get(resolved_at=None).kind == "secret_unreadable"
    ApiKey.objects.filter(pk=bad.pk).update(secret=text)
    assert rotation.survey(clock=CLOCK) == {}
    bad.refresh_from_db()
    assert bad.state == "ok"
    assert bad.changed_at_version > 0
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_rotation_moves_everything_and_proves_it(settings: SettingsWrapper) -> None:
    provider = make_provider()
    keys = [make_key(provider, number) for number in range(7)]
    account = make_account()
    secrets.seal_for(account, "access_token", "access")
    account.save()
    configure(settings, NEW, OLD)
    seen: list[tuple[str, int]] = []
    report = rotation.rotate(clock=CLOCK, progress=lambda *step: seen.append(step))
    assert report.kid == NEW_KID
    assert report.rotated["providers.ApiKey.secret"] == 7
    assert ("providers.ApiKey.secret", 7) in seen
    assert not any(report.left.values())
    assert report.unreadable == {}
    assert rotation.counts_by_kid()["providers.ApiKey.secret"] == {NEW_KID: 7}
    assert rotation.finish(clock=CLOCK) == [OLD_KID]
    configure(settings, NEW)
    assert rotation.check_keys(clock=CLOCK).is_ok
    for number, key in enumerate(keys):
        key.refresh_from_db()
        assert secrets.open_for(key, "secret").reveal() == f"{MARKER}-{number}"
        assert key.changed_at_version > 0


def test_old_key_seals_until_every_live_node_holds_the_new_one(
    settings: SettingsWrapper,
) -> None:
    behind = make_node(kids=[OLD_KID])
    make_node(kids=[OLD_KID], age_s=rotation.NODE_ALIVE_S + 1)
    configure(settings, NEW, OLD)
    with pytest.raises(rotation.RotationError, match=behind.name):
        rotation.rotate(clock=CLOCK)
    assert secrets.primary_kid() == OLD_KID
    Node.objects.filter(pk=behind.pk).update(key_ids=[NEW_KID, OLD_KID])
    assert rotation.rotate(clock=CLOCK).kid == NEW_KID
    assert secrets.primary_kid() == NEW_KID


def test_finish_waits_for_rows_and_for_snapshots(settings: SettingsWrapper) -> None:
    key = make_key(make_provider())
    configure(settings, NEW, OLD)
    node = make_node(kids=[NEW_KID, OLD_KID])
    make_node(kids=[NEW_KID, OLD_KID], planes="console")
    old_text = key.secret
    rotation.rotate(clock=CLOCK)
    with pytest.raises(rotation.RotationError, match=node.name):
        rotation.finish(clock=CLOCK)
    Node.objects.update(snapshot_version=10**6)
    ApiKey.objects.update(secret=old_text, enc_kid=OLD_KID)
    with pytest.raises(rotation.RotationError, match=r"1 in providers\.ApiKey\.secret"):
        rotation.finish(clock=CLOCK)
    rotation.rotate(clock=CLOCK)
    assert rotation.finish(clock=CLOCK) == [OLD_KID]


def test_rotation_cut_off_at_random_points_ends_complete(
    settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make_provider()
    for number in range(60):
        make_key(provider, number)
    configure(settings, NEW, OLD)
    monkeypatch.setattr(rotation, "BATCH_ROWS", 5)
    chance = random.Random(7)

    def cut(*_: object) -> None:
        if chance.random() < 0.3:
            raise KeyboardInterrupt

    cuts = 0
    while True:
        try:
            report = rotation.rotate(clock=CLOCK, progress=cut)
            break
        except KeyboardInterrupt:
            cuts += 1
    assert cuts > 2
    assert report.kid == NEW_KID
    assert not any(report.left.values())
    configure(settings, NEW)
    for key in ApiKey.objects.all():
        assert secrets.open_for(key, "secret").reveal().startswith(MARKER)


def test_secret_written_during_the_rotation_wins(
    settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(make_provider())
    configure(settings, NEW, OLD)
    swap = rotation._swap

    def write_first(*args: object) -> int:
        if not ApiKey.objects.filter(enc_kid=NEW_KID).exists():
            row = ApiKey.objects.get(pk=key.pk)
            secrets.seal_for(row, "secret", "entered meanwhile")
            row.save()
        return swap(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(rotation, "_swap", write_first)
    report = rotation.rotate(clock=CLOCK)
    assert not any(report.left.values())
    key.refresh_from_db()
    assert secrets.open_for(key, "secret").reveal() == "entered meanwhile"


def test_unreadable_row_is_reported_and_does_not_stop_the_rest(
    settings: SettingsWrapper,
) -> None:
    provider = make_provider()
    make_key(provider, 1)
    bad = make_key(provider, 2)
    ApiKey.objects.filter(pk=bad.pk).update(secret="x" * 120)
    configure(settings, NEW, OLD)
    report = rotation.rotate(clock=CLOCK)
    assert report.rotated["providers.ApiKey.secret"] == 1
    assert report.unreadable == {"providers.ApiKey.secret": {"corrupt": 1}}
    assert report.left["providers.ApiKey.secret"] == 1


def test_keys_present_from_the_start_are_not_rotated_to(
    settings: SettingsWrapper,
) -> None:
    Canary.objects.all().delete()
    EncryptionKey.objects.all().delete()
    configure(settings, NEW, OLD)
    assert rotation.check_keys(clock=CLOCK).is_ok
    assert rotation.adopt(clock=CLOCK) is None
    assert rotation.rotate(clock=CLOCK).kid == NEW_KID


def test_key_file_gains_and_loses_keys_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "encryption_keys"
    path.write_text(OLD)
    kid = key_files.add_key(path)
    kids = KeyRing(path.read_text().split()).kids
    assert kids == (kid, OLD_KID)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_files.keep_only(path, [kid]) == [OLD_KID]
    assert KeyRing(path.read_text().split()).kids == (kid,)
    with pytest.raises(ValueError, match="empty"):
        key_files.keep_only(path, ["other"])
    assert KeyRing(path.read_text().split()).kids == (kid,)
