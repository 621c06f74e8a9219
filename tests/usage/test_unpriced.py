"""What of the last day has no known cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories import call, make_provider, make_request, ship, try_at
from usage import unpriced

pytestmark = pytest.mark.django_db


def test_models_without_a_price_are_counted_busiest_first() -> None:
    acme = make_provider("acme", models=["made-up", "unheard-of", "gpt-5-mini"])
    other = make_provider("other", models=["made-up"])
    for provider, model in (
        (acme, "unheard-of"), (acme, "made-up"), (other, "made-up"),
        (acme, "gpt-5-mini"),
    ):  # fmt: skip
        make_request(None, try_at(provider, model))
    found = unpriced.last_day(with_providers=True)
    assert [(each.model, each.calls, each.providers) for each in found.models] == [
        ("made-up", 2, ("acme", "other")),
        ("unheard-of", 1, ("acme",)),
    ]
    assert (found.calls, found.names) == (3, "made-up, unheard-of")
    assert all(not each.providers for each in unpriced.last_day().models)


def test_more_models_than_are_named_are_counted() -> None:
    names = [f"made-up-{number}" for number in range(5)]
    acme = make_provider("acme", models=names)
    for name in names:
        make_request(None, try_at(acme, name))
    assert unpriced.last_day().names.endswith(" and 2 more")


def test_yesterdays_traffic_and_our_own_calls_do_not_count() -> None:
    acme = make_provider("acme", models=["made-up"])
    old = datetime.now(UTC) - timedelta(hours=25)
    ship(call(None, try_at(acme, "made-up"), at=old))
    ship(call(None, try_at(acme, "made-up"), purpose="probe"))
    assert not unpriced.last_day()


def test_a_quiet_day_costs_one_query(django_assert_num_queries: Any) -> None:
    acme = make_provider("acme", models=["gpt-5-mini"])
    make_request(None, try_at(acme, "gpt-5-mini"))
    with django_assert_num_queries(1):
        assert unpriced.last_day(with_providers=True).names == ""
