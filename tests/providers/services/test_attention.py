"""Prove that changes of state are noticed once, and bad credentials are alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from oauth import services as accounts
from oauth.models import Account
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.delivery import services
from poolsite.delivery.rows import AlertNews
from poolsite.models import Alert
from providers.models import ApiKey, Provider, StatusChange
from providers.services import attention
from providers.services.attention import watch
from providers.services.providers import set_enabled
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(timezone.now())


@pytest.fixture
def acme(clock: ManualClock) -> Provider:
    terms = services.Terms(
        name="M",
        addresses=["a@b.co"],
        events=[
            "provider.status_changed",
            "credential.status_changed",
            "provider.disabled",
            "provider.test_failed",
        ],
    )
    services.create_channel(SYSTEM, "mail", terms, clock=clock)
    return factories.make_provider("acme", keys=["sk-acme-1"])


def told() -> list[tuple[str, Any, Any]]:
    return [
        (row.event, row.data.get("before"), row.data.get("after"))
        for row in AlertNews.objects.order_by("pk")
    ]


def test_first_look_notes_and_tells_nothing(acme: Provider, clock: ManualClock) -> None:
    assert watch(clock=clock) == 0
    assert told() == []
    assert StatusChange.objects.get().before == ""
    assert watch(clock=clock) == 0
    assert StatusChange.objects.count() == 1


def test_change_of_a_provider_is_noted_and_told_once(
    acme: Provider, clock: ManualClock
) -> None:
    watch(clock=clock)
    before = StatusChange.objects.get().after
    values = {"status": Provider.Status.ERROR, "last_error": "It answered 500."}
    Provider.objects.filter(pk=acme.pk).update(**values)
    assert watch(clock=clock) == 1
    assert watch(clock=clock) == 0
    assert told() == [("provider.status_changed", before, "degraded")]
    assert StatusChange.objects.latest("pk").reason == "It answered 500."


def test_key_that_needs_attention_is_an_alert_until_it_works(
    acme: Provider, clock: ManualClock
) -> None:
    watch(clock=clock)
    ApiKey.objects.update(state="needs_attention", last_error="Refused (auth).")
    watch(clock=clock)
    watch(clock=clock)
    alert = Alert.objects.get()
    assert (alert.count, alert.detail, alert.resolved_at) == (
        1,
        "Refused (auth).",
        None,
    )
    assert "sk-acme-1" not in alert.title
    assert ("credential.status_changed", "ok", "needs_attention") in told()
    ApiKey.objects.update(state="ok", last_error="")
    watch(clock=clock)
    alert.refresh_from_db()
    assert alert.resolved_at is not None
    assert told()[-1][1:] in {("needs_attention", "ok"), ("invalid_key", "untested")}


@pytest.mark.parametrize("state", ["needs_login", "unreadable"])
def test_account_that_needs_a_person_is_an_alert(
    state: str, acme: Provider, clock: ManualClock
) -> None:
    place = accounts.Place("acme", acme.base_url)
    accounts.create_static_account(SYSTEM, place, token="tok", label="Team plan")
    Account.objects.update(state=state)
    watch(clock=clock)
    assert Alert.objects.get().title == "Account Team plan of acme needs attention"
    Account.objects.update(enabled=False)
    watch(clock=clock)
    assert Alert.objects.get().resolved_at is not None


def test_switched_off_and_removed_things_need_nobody(
    acme: Provider, clock: ManualClock
) -> None:
    ApiKey.objects.update(state="unreadable")
    watch(clock=clock)
    assert Alert.objects.filter(resolved_at=None).count() == 1
    set_enabled(SYSTEM, acme, enabled=False)
    watch(clock=clock)
    assert Alert.objects.filter(resolved_at=None).count() == 0
    [row] = AlertNews.objects.filter(event="provider.disabled")
    assert (row.data["provider"], row.data["by"]) == ("acme", "system")


def test_old_changes_go_but_the_state_in_force_stays(
    acme: Provider, clock: ManualClock
) -> None:
    watch(clock=clock)
    long_ago = clock.now() - timedelta(days=attention.KEPT_DAYS + 1)
    StatusChange.objects.update(at=long_ago)
    watch(clock=clock)
    assert StatusChange.objects.count() == 1
    Provider.objects.update(status="error", last_error="x")
    watch(clock=clock)
    assert StatusChange.objects.count() == 1


def test_quiet_look_costs_little(
    acme: Provider, clock: ManualClock, django_assert_max_num_queries: Any
) -> None:
    factories.make_provider("other", keys=["sk-1", "sk-2"])
    watch(clock=clock)
    with django_assert_max_num_queries(8):
        watch(clock=clock)
