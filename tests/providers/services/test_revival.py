from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from poolsite.actor import SYSTEM
from providers import selectors
from providers.models import ApiKey, Fact
from providers.services import credentials, providers
from tests import factories

pytestmark = pytest.mark.django_db


def _rest(key: ApiKey, reason: str = "auth") -> None:
    until = timezone.now() + timedelta(hours=1)
    Fact.objects.create(
        kind="cooldown",
        key=f"credential:{key.provider_id}:api_key:{key.pk}",
        payload={"reason": reason, "until_s": until.timestamp()},
        at=timezone.now(),
        expires_at=until,
    )


def test_switching_a_refused_key_on_gives_it_back() -> None:
    key = factories.make_api_key(factories.make_provider())
    key.state = ApiKey.State.NEEDS_ATTENTION
    key.save()
    _rest(key)
    credentials.set_key_enabled(SYSTEM, key, enabled=True)
    key.refresh_from_db()
    assert key.state == ApiKey.State.OK
    assert key.revived_at is not None
    assert not Fact.objects.exists()


def test_a_test_that_passed_revives_the_key_it_used() -> None:
    key = factories.make_api_key(factories.make_provider())
    providers.record_test(key.provider, error="", tried_key=key.pk)
    key.refresh_from_db()
    assert key.revived_at is not None


def test_a_provider_with_a_resting_key_does_not_look_healthy() -> None:
    key = factories.make_api_key(factories.make_provider())
    other = factories.make_api_key(factories.make_provider(slug="other"))
    for row in (key, other):
        providers.record_test(row.provider, error="")
    _rest(key, "server_error")
    states = {
        row.pk: selectors.provider_state(row)
        for row in selectors.providers_with_counts()
    }
    assert states == {key.provider_id: "degraded", other.provider_id: "healthy"}
