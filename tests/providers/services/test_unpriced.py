"""The alert of unpriced traffic: raised once, over with the traffic or by a price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite import alerts
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from pricing import services
from pricing.cost import PriceSpec
from providers.models import Provider
from providers.services import models, unpriced
from tests.factories import make_provider, make_requests

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Provider:
    return make_provider("acme", models=["made-up", "<b>odd</b>"], keys=["sk-a"])


def test_unpriced_traffic_raises_one_alert(acme: Provider) -> None:
    assert not unpriced.watch()
    make_requests(acme, "made-up", 2)
    make_requests(acme, "<b>odd</b>", 1)
    assert unpriced.watch()
    assert unpriced.watch()
    [alert] = alerts.open_alerts()
    assert (alert.kind, alert.count) == ("unpriced_traffic", 2)
    assert "3 calls in the last 24 hours: made-up, <b>odd</b>." in alert.detail
    assert alert.link == "/pricing/?source=unknown"


def test_a_price_for_each_model_resolves_it(acme: Provider) -> None:
    make_requests(acme, "made-up", 2)
    unpriced.watch()
    services.set_price(CLI, "made-*", PriceSpec(input=1, output=1))
    assert not unpriced.watch()
    assert alerts.open_alerts() == []


def test_the_end_of_the_traffic_resolves_it(acme: Provider) -> None:
    make_requests(acme, "made-up", 2)
    unpriced.watch()
    later = ManualClock(datetime.now(UTC) + timedelta(hours=25))
    assert not unpriced.watch(clock=later)
    assert alerts.open_alerts() == []


def test_a_model_that_is_gone_stays_in_the_list_for_its_day(acme: Provider) -> None:
    make_requests(acme, "made-up", 1)
    [row] = acme.models.filter(model_id="made-up")
    models.remove_model(CLI, row)
    assert [each.provider for each in unpriced.open_traffic()] == ["acme"]


def test_a_priced_day_costs_one_query(
    acme: Provider, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert unpriced.open_traffic() == []
