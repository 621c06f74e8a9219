"""Prove that the pool's pill counts what the list of providers shows."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import selectors
from providers.models import Fact, Provider
from providers.routing.remembered import COOLDOWN_FACT
from tests.factories import make_provider
from tests.providers.cooling import cool, key_subject

pytestmark = pytest.mark.django_db


def shown() -> Counter[str]:
    rows = selectors.providers_with_counts()
    return Counter(selectors.provider_state(row) for row in rows if row.enabled)


def test_the_count_of_states_is_what_each_provider_shows(
    django_assert_num_queries: Any,
) -> None:
    now = timezone.now()
    rows = [make_provider(f"p{n}", models=["m"], keys=[f"sk-{n}"]) for n in range(9)]
    live = Provider.objects.filter
    live(pk__in=[row.pk for row in rows]).update(tested_at=now)
    live(pk=rows[7].pk).update(tested_at=None)
    cool(f"provider:{rows[0].pk}")
    cool(key_subject(rows[1].api_keys.get()))
    cool(f"limit:{rows[2].pk}:api_key:5:7")
    cool(f"account:{rows[2].pk}:org:a:b")
    cool(f"model:{rows[3].pk}")
    cool("egress:-")
    cool(f"provider:{rows[3].pk}", for_s=-5)
    rows[4].api_keys.update(enabled=False)
    live(pk=rows[5].pk).update(last_error="500", status="error")
    live(pk=rows[6].pk).update(enabled=False)
    own = make_provider("own", models=["m"], location="local", allow_private=True)
    live(pk=own.pk).update(tested_at=None)
    with django_assert_num_queries(1):
        found = selectors.states_of_enabled()
    assert found == shown()
    assert found == {"degraded": 4, "healthy": 2, "invalid_key": 1, "untested": 2}
    assert {*selectors.reasons_to_rest()} == {row.pk for row in rows[:3]}


def test_an_empty_pool_has_no_states() -> None:
    assert selectors.states_of_enabled() == shown() == {}


def test_many_cooldowns_are_read_once_not_for_each_provider() -> None:
    first = make_provider("p0", models=["m"], keys=["sk-1"])
    keep = {
        name: getattr(first, name)
        for name in (
            "base_url",
            "api_format",
            "location",
            "priority",
            "weight",
            "created_at",
            "updated_at",
        )
    }
    rows = Provider.objects.bulk_create(
        [Provider(slug=f"q{n}", name=f"Q {n}", **keep) for n in range(500)]
    )
    until = timezone.now() + timedelta(hours=1)
    Fact.objects.bulk_create(
        [
            Fact(
                kind=COOLDOWN_FACT,
                key=f"credential:{row.pk}:api_key:{place}",
                payload={"reason": "quota"},
                at=timezone.now(),
                expires_at=until,
            )
            for row in rows[:250]
            for place in range(8)
        ]
    )
    began = time.process_time()
    found = selectors.states_of_enabled()
    listed: list[Any] = selectors.providers_with_counts()
    took_s = time.process_time() - began
    assert sum(found.values()) == len(listed) == 501
    assert sum(row.is_resting for row in listed) == 250
    assert [*selectors.reasons_to_rest().values()] == ["quota"] * 250
    assert took_s < 0.5, took_s
