"""Prove that every secret column is known, bound to its row, and never moved."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import models

from oauth.models import Account
from poolsite import secrets
from poolsite.clock import ManualClock
from poolsite.crypto import Secret, UnreadableKind, UnreadableSecretError
from poolsite.models import Setting
from providers.models import ApiKey, Provider

ORIGIN = "https://api.example.com:443"
MARKER = "sk-canary-77aa55"
CLOCK = ManualClock()


def make_provider() -> Provider:
    return Provider.objects.create(
        slug="p",
        name="P",
        base_url="https://api.example.com",
        created_at=CLOCK.now(),
        updated_at=CLOCK.now(),
    )


def make_key(provider: Provider, number: int = 1) -> ApiKey:
    key = ApiKey.objects.create(
        provider=provider,
        mask="sk-…",
        digest=f"{number:064d}",
        pepper_id="x",
        origin=ORIGIN,
        created_at=CLOCK.now(),
    )
    secrets.seal_for(key, "secret", f"{MARKER}-{number}")
    key.save()
    return key


def make_account() -> Account:
    return Account.objects.create(
        provider_slug="p", vendor="v", origin=ORIGIN, created_at=CLOCK.now()
    )


@pytest.mark.django_db
def test_sealed_key_comes_back_with_its_origin() -> None:
    key = make_key(make_provider())
    key.refresh_from_db()
    assert MARKER not in key.secret
    assert key.enc_kid == secrets.ring().primary_kid
    opened = secrets.open_for(key, "secret")
    assert (opened.reveal(), opened.origin) == (f"{MARKER}-1", ORIGIN)


@pytest.mark.django_db
def test_ciphertext_moved_to_another_row_is_refused() -> None:
    provider = make_provider()
    first, second = make_key(provider, 1), make_key(provider, 2)
    ApiKey.objects.filter(pk=second.pk).update(secret=first.secret)
    second.refresh_from_db()
    with pytest.raises(UnreadableSecretError) as caught:
        secrets.open_for(second, "secret")
    assert caught.value.kind is UnreadableKind.CONTEXT_MISMATCH


@pytest.mark.django_db
def test_origin_changed_in_the_database_makes_the_secret_unreadable() -> None:
    key = make_key(make_provider())
    ApiKey.objects.update(origin="https://evil.example:443")
    key.refresh_from_db()
    with pytest.raises(UnreadableSecretError) as caught:
        secrets.open_for(key, "secret")
    assert caught.value.kind is UnreadableKind.ORIGIN_MISMATCH
    assert MARKER not in str(caught.value)


@pytest.mark.django_db
def test_columns_of_one_row_are_not_interchangeable() -> None:
    account = make_account()
    secrets.seal_for(account, "refresh_token", Secret("refresh"))
    account.previous_refresh_token = account.refresh_token
    account.previous_refresh_kid = account.refresh_kid
    assert secrets.open_for(account, "refresh_token").reveal() == "refresh"
    with pytest.raises(UnreadableSecretError):
        secrets.open_for(account, "previous_refresh_token")


@pytest.mark.django_db
def test_setting_binds_to_its_name_before_it_has_a_row() -> None:
    setting = Setting(key="smtp", secret=True)
    secrets.seal_for(setting, "ciphertext", "pw")
    setting.save()
    assert secrets.open_for(Setting.objects.get(), "ciphertext").reveal() == "pw"


def test_unsaved_row_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="Save the row"):
        secrets.field_of(ApiKey(), "secret").context(ApiKey())


def test_unregistered_column_is_named() -> None:
    with pytest.raises(LookupError, match=r"ApiKey\.label"):
        secrets.open_for(ApiKey(), "label")


def test_no_model_has_a_secret_column_outside_the_registry() -> None:
    assert secrets.check_registry() == []


def test_registered_columns_exist() -> None:
    assert {field.model_label for field in secrets.fields()} >= {
        "oauth.Account",
        "poolsite.Canary",
        "poolsite.Setting",
        "providers.ApiKey",
    }
    for field in secrets.fields():
        names = {column.name for column in field.model._meta.concrete_fields}
        assert {field.column, field.kid_column, field.state_column or "id"} <= names


def test_forgotten_secret_column_is_found() -> None:
    class Forgotten(models.Model):  # noqa: DJ008 - never shown
        webhook_secret = models.TextField()
        enc_kid = models.CharField(max_length=16)
        token_count = models.IntegerField()
        max_tokens = models.CharField(max_length=3)

        class Meta:
            app_label = "poolsite"

    try:
        found = set(secrets.unregistered_columns(Forgotten))
    finally:
        del apps.all_models["poolsite"]["forgotten"]
        apps.clear_cache()
    assert found == {"webhook_secret", "enc_kid"}


def test_exemption_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        secrets.exempt("poolsite.User", "password", because="")
