"""Prove that changes of providers are told beside their audit, names only."""

from __future__ import annotations

import json

import pytest
from django.db import transaction

from poolsite.actor import SYSTEM
from poolsite.delivery import services as delivery
from poolsite.delivery.events import NAMES
from poolsite.delivery.rows import AlertNews
from poolsite.models import AuditEvent
from providers.services import providers
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def channel() -> None:
    terms = delivery.Terms(name="m", addresses=["a@b.co"], events=NAMES)
    delivery.create_channel(SYSTEM, "mail", terms)


def told() -> list[str]:
    return list(AlertNews.objects.order_by("pk").values_list("event", flat=True))


def test_life_of_a_provider_is_told_with_names_but_no_values() -> None:
    hostile = "Acme <b>\u202e"
    row = providers.create_provider(
        SYSTEM, slug="acme", name=hostile, base_url="https://canary-6e6e.example.com"
    )
    providers.update_provider(SYSTEM, row, headers={"x-team": "canary-7f7f"})
    providers.set_enabled(SYSTEM, row, enabled=False)
    providers.set_enabled(SYSTEM, row, enabled=True)
    providers.record_test(row, error="It answered 500.", actor=SYSTEM)
    providers.record_test(row, error="", actor=SYSTEM)
    providers.remove_provider(SYSTEM, row)
    assert told() == [
        "provider.created",
        "provider.updated",
        "provider.disabled",
        "provider.enabled",
        "provider.test_failed",
        "provider.removed",
    ]
    rows = AlertNews.objects.order_by("pk")
    assert {each.data["provider"] for each in rows} == {"acme"}
    assert rows[1].data["changed"] == ["headers"]
    assert rows[0].data["name"] == hostile
    assert "canary" not in json.dumps([each.data for each in rows])


def test_change_that_is_taken_back_is_not_told() -> None:
    row = factories.make_provider("acme")
    before = told()

    def change_and_fail() -> None:
        with transaction.atomic():
            providers.set_enabled(SYSTEM, row, enabled=False)
            raise LookupError

    with pytest.raises(LookupError):
        change_and_fail()
    assert told() == before
    assert not AuditEvent.objects.filter(action="provider.disable").exists()
