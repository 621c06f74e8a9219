"""Prove that a price that billed anything stays, and that the next one closes it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from poolsite.clock import ManualClock
from pricing import versions
from pricing.cost import PriceSpec
from pricing.models import PriceVersion
from pricing.versions import Priced

pytestmark = pytest.mark.django_db
OLD, NEW = PriceSpec(input=1, output=2), PriceSpec(input=3, output=4)


def priced(spec: PriceSpec, source: str = "book", **more: Any) -> Priced:
    return Priced("openai/gpt-9", source, spec, **more)


def one(price: Priced, clock: ManualClock) -> int:
    return versions.ensure([price], clock=clock)[price]


def test_a_version_says_since_when_by_whom_and_of_which_day(clock: ManualClock) -> None:
    price = priced(
        OLD,
        origin="models.dev",
        origin_url="https://models.dev/api.json",
        stated_on=date(2026, 11, 1),
        reason="Follows from input: cache_write",
    )
    row = PriceVersion.objects.get(pk=one(price, clock))
    assert (row.origin, row.origin_url) == ("models.dev", "https://models.dev/api.json")
    assert (row.stated_on, row.reason) == (date(2026, 11, 1), price.reason)
    assert (row.valid_from, row.valid_to) == (clock.now(), None)
    assert (row.key, row.source, versions.spec_of(row)) == ("openai/gpt-9", "book", OLD)


def test_a_listed_price_that_changes_closes_the_row_before_it(
    clock: ManualClock,
) -> None:
    first = one(priced(OLD), clock)
    began = clock.now()
    clock.advance(3600)
    second = one(priced(NEW), clock)
    rows = {row.pk: row for row in PriceVersion.objects.all()}
    assert (rows[first].valid_from, rows[first].valid_to) == (began, clock.now())
    assert (rows[second].valid_from, rows[second].valid_to) == (clock.now(), None)
    assert versions.spec_of(rows[first]) == OLD  # what it billed stays as it was


def test_a_price_that_comes_back_begins_a_row_of_its_own(clock: ManualClock) -> None:
    ids = []
    for spec in (OLD, NEW, OLD, NEW, OLD):
        ids.append(one(priced(spec), clock))
        assert one(priced(spec), clock) == ids[-1]
        clock.advance(60)
    assert len(set(ids)) == 5
    rows = list(PriceVersion.objects.order_by("valid_from"))
    assert [row.pk for row in rows] == ids
    ends = [row.valid_to for row in rows]
    assert ends == [row.valid_from for row in rows[1:]] + [None]


def test_other_models_sources_and_providers_are_left_alone(clock: ManualClock) -> None:
    kept = [
        Priced("openai/gpt-8", "book", OLD),
        priced(OLD, "live"),
        priced(OLD, provider_slug="acme"),
    ]
    versions.ensure([*kept, priced(OLD)], clock=clock)
    one(priced(NEW), clock)
    assert set(versions.in_force([*kept, priced(OLD)])) == set(kept)


def test_a_person_s_price_set_again_is_the_same_row(clock: ManualClock) -> None:
    first = one(priced(OLD, "custom"), clock)
    second = one(priced(NEW, "custom"), clock)
    assert one(priced(OLD, "custom"), clock) == first != second
    assert not PriceVersion.objects.exclude(valid_to=None).exists()


def test_the_same_price_from_another_source_is_the_same_version(
    clock: ManualClock,
) -> None:
    first = one(priced(OLD, origin="models.dev"), clock)
    assert one(priced(OLD, origin="litellm"), clock) == first
    both = [priced(OLD, origin="models.dev"), priced(OLD, origin="litellm")]
    assert set(versions.ensure(both, clock=clock).values()) == {first}


def test_what_is_too_long_for_its_column_is_cut(clock: ManualClock) -> None:
    price = Priced(
        "m" * 300, "book", OLD, origin="o" * 99, origin_url="u" * 999, reason="r" * 999
    )
    row = PriceVersion.objects.get(pk=one(price, clock))
    assert len(row.key) == 200
    assert one(price, clock) == row.pk


def test_many_known_prices_take_one_query(
    clock: ManualClock, django_assert_max_num_queries: Any
) -> None:
    prices = [
        Priced(f"m{number}", "book", PriceSpec(input=number)) for number in range(600)
    ]
    versions.ensure(prices, clock=clock)
    with django_assert_max_num_queries(1):
        found = versions.ensure(prices, clock=clock)
    assert len(set(found.values())) == 600
    changed = [
        Priced(f"m{number}", "book", PriceSpec(input=number + 1))
        for number in range(600)
    ]
    with django_assert_max_num_queries(50):  # SQLite inserts twenty at once
        versions.ensure(changed, clock=clock)
    assert PriceVersion.objects.filter(valid_to=None).count() == 600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
