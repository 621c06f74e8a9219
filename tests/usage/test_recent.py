"""The figures of the last hours agree with what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    make_request,
    ship,
    try_at,
)
from usage import recent

pytestmark = pytest.mark.django_db


def test_the_last_hours_add_up_and_know_the_day_before() -> None:
    provider = make_provider(models=["gpt-5-mini"], keys=["sk-1"])
    now = datetime.now(UTC)
    good = try_at(provider, "gpt-5-mini")
    ship(
        call(None, good, at=now - timedelta(minutes=5)),
        call(None, failed_at(provider, "gpt-5-mini"), at=now - timedelta(hours=3)),
        call(None, good, at=now - timedelta(hours=30)),
    )
    found = recent.last_hours(24, now=now)
    assert (found.current.requests, found.current.errors) == (2, 1)
    assert found.current.cost_nano_usd == good.cost_nano
    assert sum(found.current.requests_by_step) == 2
    assert found.current.error_share_by_step.count(None) == 22
    assert found.before.requests == 1


def test_a_provider_is_summed_hour_by_hour() -> None:
    provider = make_provider(models=["gpt-5-mini"], keys=["sk-1"])
    now = datetime.now(UTC).replace(minute=30)
    good = try_at(provider, "gpt-5-mini")
    ship(
        call(None, good, at=now - timedelta(minutes=5)),
        call(None, good, at=now - timedelta(hours=2)),
    )
    use = recent.last_day("provider", now=now)["acme"]
    assert use.requests == 2
    assert (use.by_hour[23], use.by_hour[21]) == (1, 1)
    assert use.latency_ms == 900
    assert use.ttft_ms == 240
    assert use.cost_nano_usd == 2 * (good.cost_nano or 0)


def test_nothing_happened_is_unknown_and_not_zero() -> None:
    found = recent.last_hours(24)
    assert found.current.p50_ms is None
    assert found.current.error_share is None
    assert recent.last_day("provider") == {}


def test_the_busiest_of_several_groups_come_in_order() -> None:
    busy = make_provider("busy", models=["a", "b"])
    ship(*[call(None, try_at(busy, "a")) for _ in range(3)])
    ship(call(None, try_at(busy, "b")))
    found = recent.top("provider", "model", count=1)
    assert [use.requests for _, use in found["provider"]] == [4]
    assert [use.requests for _, use in found["model"]] == [3]


def test_a_key_shows_its_last_thirty_days() -> None:
    key, _ = make_client_key()
    provider = make_provider(models=["gpt-5-mini"])
    make_request(key, try_at(provider, "gpt-5-mini"))
    month = recent.last_month("key", [key.pk])[key.pk]
    assert month.requests == 1
    assert month.by_day[-1] + month.by_day[-2] == 1
