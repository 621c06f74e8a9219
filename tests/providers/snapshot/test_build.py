"""What configuration rows become in the snapshot, whole and by changes."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth.models import Account
from poolsite import secrets, version
from poolsite.actor import SYSTEM
from poolsite.crypto import KeyRing
from poolsite.models import Setting
from pricing import services as prices
from pricing.cost import PriceSpec
from pricing.models import PriceVersion
from providers.models import ApiKey
from providers.services import credentials, models, providers
from providers.snapshot import build, types
from tests import factories
from usage import services
from usage.models import Budget, ClientKey, Team

pytestmark = pytest.mark.django_db
CHEAP = PriceSpec(input=1_000_000_000, output=2_000_000_000)


def base() -> dict[tuple[str, str], Any]:
    built = build.build_base(timezone.now())
    return {(kind, key): record for kind, key, record in built.records}


def delta(since: int) -> dict[tuple[str, str], Any]:
    built = build.build_delta(since, timezone.now())
    assert built is not None
    found = {(kind, key): record for kind, key, record in built.records}
    found.pop((types.SETTINGS, "-"))
    return found


def of_kind(found: dict[tuple[str, str], Any], kind: str) -> dict[str, Any]:
    return {key: record for (each, key), record in found.items() if each == kind}


# Providers and models


def test_empty_installation_has_settings_only() -> None:
    assert list(base()) == [(types.SETTINGS, "-")]


def test_provider_carries_ciphertext_that_opens_with_its_context_only() -> None:
    provider = factories.make_provider("acme", keys=["sk-acme-secret-0001"])
    record = base()[types.PROVIDER, str(provider.pk)]
    credential = record.credentials[0]
    assert "secret-0001" not in credential.token
    ring: KeyRing = secrets.ring()
    opened = ring.open(
        credential.token, context=credential.context, origin=credential.origin
    )
    assert opened.reveal() == "sk-acme-secret-0001"
    assert credential.origin == record.origin == "https://api.acme.example.com:443"


def test_credentials_come_best_first_and_only_usable_ones() -> None:
    provider = factories.make_provider("acme")
    low = factories.make_api_key(provider, priority=10)
    high = factories.make_api_key(provider, priority=90)
    factories.make_api_key(provider, enabled=False)
    factories.make_api_key(provider, state=ApiKey.State.UNREADABLE)
    factories.make_api_key(provider, origin="https://elsewhere.example.com:443")
    past = timezone.now() - timedelta(hours=1)
    factories.make_api_key(provider, retire_at=past)
    tired = factories.make_api_key(
        provider, priority=5, state=ApiKey.State.NEEDS_ATTENTION
    )
    record = base()[types.PROVIDER, str(provider.pk)]
    assert [each.id for each in record.credentials] == [high.pk, low.pk, tired.pk]


def test_account_with_a_static_token_is_a_credential() -> None:
    provider = factories.make_provider("acme")
    account = Account(
        provider_slug="acme", vendor="static", label="team", token_version=3,
        origin="https://api.acme.example.com:443", created_at=timezone.now(),
    )  # fmt: skip
    account.save()
    secrets.seal_for(account, "access_token", "token-123")
    account.save()
    credential = base()[types.PROVIDER, str(provider.pk)].credentials[0]
    assert (credential.kind, credential.token_version) == ("account", 3)


def test_model_carries_price_and_the_version_a_bill_names() -> None:
    provider = factories.make_provider("acme", models=["gpt-5-mini", "in-house"])
    prices.set_price(SYSTEM, "in-house", CHEAP, provider_slug="acme")
    found = {each.model_id: each for each in of_kind(base(), types.MODEL).values()}
    own = found["in-house"]
    assert own.price == CHEAP
    assert own.price_source == "custom_provider"
    listed = found["gpt-5-mini"]
    assert listed.price_source == "book"
    version_row = PriceVersion.objects.get(pk=listed.price_version_id)
    assert version_row.input == listed.price.input
    again = {each.model_id: each for each in of_kind(base(), types.MODEL).values()}
    assert again == found
    assert provider.pk == own.provider_id


def test_local_models_are_free_and_unknown_ones_unpriced() -> None:
    factories.make_provider("acme", models=["never-heard-of-it"])
    factories.make_provider(
        "den", models=["never-heard-of-it"], location="local",
        base_url="http://127.0.0.1:11434/v1", allow_private=True,
    )  # fmt: skip
    by_source = {each.price_source: each for each in of_kind(base(), "model").values()}
    assert by_source["unknown"].price is None
    assert by_source["unknown"].price_version_id is None
    assert by_source["local"].price.input == 0


def test_disabled_provider_takes_its_models_along() -> None:
    provider = factories.make_provider("acme", models=["gpt-5-mini"])
    model = provider.models.get()
    since = version.current()
    providers.set_enabled(SYSTEM, provider, enabled=False)
    gone = delta(since)
    assert gone == {
        (types.PROVIDER, str(provider.pk)): None,
        (types.MODEL, str(model.pk)): None,
    }
    assert not of_kind(base(), types.PROVIDER)

    since = version.current()
    providers.set_enabled(SYSTEM, provider, enabled=True)
    back = delta(since)
    assert back[types.MODEL, str(model.pk)].model_id == "gpt-5-mini"


def test_changed_key_re_emits_its_provider_only() -> None:
    provider = factories.make_provider("acme", keys=["sk-acme-secret-0001"])
    factories.make_provider("other", models=["gpt-5-mini"])
    since = version.current()
    credentials.set_key_enabled(SYSTEM, provider.api_keys.get(), enabled=False)
    found = delta(since)
    assert found[types.PROVIDER, str(provider.pk)].credentials == ()
    assert len(of_kind(found, types.PROVIDER)) == 1


def test_changed_price_re_emits_models() -> None:
    provider = factories.make_provider("acme", models=["gpt-5-mini"])
    since = version.current()
    prices.set_price(SYSTEM, "gpt-5-mini", CHEAP)
    model = delta(since)[types.MODEL, str(provider.models.get().pk)]
    assert model.price == CHEAP


def test_alias_lives_and_dies_in_deltas() -> None:
    factories.make_provider("acme", models=["gpt-5-mini"])
    since = version.current()
    alias = models.set_alias(SYSTEM, "fast", ["acme/gpt-5-mini"])
    record = delta(since)[types.ALIAS, "fast"]
    assert record.targets == (types.TargetRecord("gpt-5-mini", "acme"),)
    since = version.current()
    models.remove_alias(SYSTEM, alias)
    assert delta(since) == {(types.ALIAS, "fast"): None}
    models.set_alias(SYSTEM, "fast", ["acme/gpt-5-mini"])
    assert delta(since)[types.ALIAS, "fast"] is not None


# Client keys and budgets


def test_one_changed_key_is_a_delta_of_one_record() -> None:
    key, _ = factories.make_client_key("a")
    factories.make_client_key("b")
    since = version.current()
    services.update_key(SYSTEM, key, rpm=7)
    assert list(delta(since)) == [(types.CLIENT_KEY, key.public_id)]
    assert delta(since)[types.CLIENT_KEY, key.public_id].rpm == 7


def test_revoked_key_becomes_a_tombstone() -> None:
    key, _ = factories.make_client_key("a")
    since = version.current()
    services.revoke_key(SYSTEM, key)
    assert delta(since) == {(types.CLIENT_KEY, key.public_id): None}
    assert not of_kind(base(), types.CLIENT_KEY)


def test_rotated_key_works_under_both_ids_until_the_grace_ends() -> None:
    key, _ = factories.make_client_key("a")
    old = key.public_id
    since = version.current()
    services.rotate_key(SYSTEM, key, grace="1h")
    found = delta(since)
    assert found[types.CLIENT_KEY, old].expires_at_s == key.grace_until.timestamp()
    assert found[types.CLIENT_KEY, old].id == key.pk
    assert found[types.CLIENT_KEY, key.public_id].expires_at_s is None

    ClientKey.objects.filter(pk=key.pk).update(grace_until=timezone.now())
    assert list(of_kind(base(), types.CLIENT_KEY)) == [key.public_id]


def test_key_of_a_switched_off_person_is_left_out(oskar: Any) -> None:
    factories.make_client_key("a", owner=oskar)
    oskar.is_active = False
    oskar.save()
    assert not of_kind(base(), types.CLIENT_KEY)


def test_budgets_of_key_team_and_pool_stand_above_a_key() -> None:
    team = Team.objects.create(slug="t", name="T", created_at=timezone.now())
    key, _ = factories.make_client_key("a", budget_usd="5", team=team)
    other, _ = factories.make_client_key("b")
    above = {
        scope: Budget.objects.create(
            scope=scope, team=team if scope == "team" else None, window="day",
            amount_nano_usd=1, created_at=timezone.now(),
        )
        for scope in ("team", "pool")
    }  # fmt: skip
    own = key.budget_set.get()
    found = of_kind(base(), types.CLIENT_KEY)
    ids = (own.pk, above["team"].pk, above["pool"].pk)
    assert found[key.public_id].budget_ids == ids
    assert found[other.public_id].budget_ids == (above["pool"].pk,)


def test_changed_budget_re_emits_the_keys_below_it() -> None:
    team = Team.objects.create(slug="t", name="T", created_at=timezone.now())
    inside, _ = factories.make_client_key("a", team=team)
    factories.make_client_key("b")
    since = version.current()
    with transaction.atomic():
        budget = Budget.objects.create(
            scope="team", team=team, window="day", amount_nano_usd=1,
            created_at=timezone.now(),
        )  # fmt: skip
        version.bump(budget)
    found = delta(since)
    assert found[types.BUDGET, str(budget.pk)].amount_nano_usd == 1
    assert list(of_kind(found, types.CLIENT_KEY)) == [inside.public_id]


def test_budget_of_the_whole_pool_asks_for_a_base() -> None:
    since = version.current()
    with transaction.atomic():
        budget = Budget.objects.create(
            scope="pool", window="day", amount_nano_usd=1, created_at=timezone.now()
        )
        version.bump(budget)
    assert build.build_delta(since, timezone.now()) is None


# Settings


def test_settings_rows_change_their_field_and_nonsense_is_ignored() -> None:
    Setting.objects.create(key="proxy.max_attempts", value=3)
    Setting.objects.create(key="proxy.keepalive_after_s", value="soon")
    Setting.objects.create(key="proxy.nonsense", value=1)
    record = base()[types.SETTINGS, "-"]
    assert record.max_attempts == 3
    assert record.keepalive_after_s == 8.0


# Cost


def test_number_of_queries_does_not_grow_with_the_rows() -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            base()
        return len(found)

    def grow(start: int) -> None:
        for n in range(start, start + 3):
            factories.make_provider(f"p{n}", models=["gpt-5-mini", f"m{n}"], keys=[""])
            factories.make_client_key(f"k{n}", budget_usd="1")
            models.set_alias(SYSTEM, f"a{n}", [f"p{n}/gpt-5-mini"])

    grow(0)
    base()  # makes the price versions once
    few = count()
    grow(3)
    base()
    assert count() == few


def test_delta_of_one_key_among_many_is_quick() -> None:
    now = timezone.now()
    ClientKey.objects.bulk_create(
        [
            ClientKey(
                name=f"k{n}", public_id=f"{n:08d}", digest="d" * 64, pepper_id="p",
                last4="wxyz", created_at=now, changed_at_version=1,
            )
            for n in range(5_000)
        ],
        batch_size=30,
    )  # fmt: skip
    since = max(version.current(), 1)
    key, _ = factories.make_client_key("one")
    if version.current() <= since:
        services.update_key(SYSTEM, key, rpm=5)
    best = 1.0
    for _ in range(5):
        begin = time.perf_counter()
        found = delta(since)
        best = min(best, time.perf_counter() - begin)
    assert len(found) == 1
    assert best < 0.05
