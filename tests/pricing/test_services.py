"""Prove that a price people set is a version of its own, and what a price may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite import version
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from poolsite.models import AuditEvent
from pricing import edges, selectors, services, versions
from pricing.cost import PriceSpec
from pricing.models import CustomPrice, PriceVersion

pytestmark = pytest.mark.django_db
SPEC = PriceSpec(input=1_000_000_000, output=2_500_000_000)


def test_new_price_leaves_the_old_version_for_old_bills() -> None:
    row = services.set_price(CLI, "gpt-5-mini", SPEC)
    first = row.version_id
    services.set_price(CLI, "gpt-5-mini", PriceSpec(input=1, output=2))
    services.set_price(CLI, "gpt-5-mini", SPEC)
    row.refresh_from_db()
    assert row.version_id == first  # the same content is the same version
    assert PriceVersion.objects.count() == 2
    assert CustomPrice.objects.count() == 1
    event = AuditEvent.objects.order_by("id")[1]
    assert event.before == {"price_version": first}
    assert event.after is not None
    assert event.after["input"] == 1


def test_provider_and_pattern_are_kept_apart() -> None:
    services.set_price(CLI, "gpt-*", SPEC)
    services.set_price(CLI, "gpt-*", SPEC, provider_slug="acme")
    rows = CustomPrice.objects.order_by("provider_slug")
    found = [(row.provider_slug, row.is_pattern) for row in rows]
    assert found == [("", True), ("acme", True)]
    assert str(rows[1]) == "acme:gpt-*"


def test_removed_price_is_gone_for_the_data_plane_and_may_come_back() -> None:
    row = services.set_price(CLI, "m", SPEC)
    before = version.current()
    services.remove_price(CLI, row)
    services.remove_price(CLI, row)
    assert list(version.changed_since(CustomPrice, before)) == [row]
    assert selectors.custom_price("m") is None
    assert AuditEvent.objects.filter(action="price.remove").count() == 1
    assert services.set_price(CLI, "m", SPEC).pk != row.pk


@pytest.mark.parametrize(
    ("model", "columns", "field"),
    [
        ("", {"input": 1, "output": 1}, "model"),
        ("  ", {"input": 1, "output": 1}, "model"),
        ("x" * 201, {"input": 1, "output": 1}, "model"),
        ("a\x00", {"input": 1, "output": 1}, "model"),
        ("m", {}, "input"),
        ("m", {"input": 1}, "input"),
        ("m", {"output": 1}, "input"),
        ("m", {"input": -1, "output": 1}, "input"),
        ("m", {"input": 1, "output": 1, "cache_read": -1}, "cache_read"),
        ("m", {"input": 10**18 + 1, "output": 1}, "input"),
    ],
)
def test_price_that_is_none_is_refused(
    model: str, columns: dict[str, int], field: str
) -> None:
    with pytest.raises(services.PriceError) as refusal:
        services.set_price(CLI, model, PriceSpec(**columns))
    assert refusal.value.field == field
    assert not PriceVersion.objects.exists()


def test_zero_is_a_price_and_unknown_is_none() -> None:
    services.set_price(CLI, "free", PriceSpec(input=0, output=0))
    [row] = selectors.custom_price_table()
    assert (row["input"], row["cache_read"], row["per_request"]) == ("0", None, None)


@pytest.mark.parametrize(
    ("nano", "text"),
    [(None, None), (0, "0"), (1, "0.000000001"), (250_000_000, "0.25"),
     (10**9, "1"), (10**18, "1000000000")],
)  # fmt: skip
def test_price_is_shown_exactly(nano: int | None, text: str | None) -> None:
    assert selectors.usd(nano) == text


def test_versions_come_with_their_price() -> None:
    row = services.set_price(CLI, "m", SPEC)
    [(found, spec)] = selectors.versions({row.version_id, 10**9}).values()
    assert (found.pk, spec) == (row.version_id, SPEC)
    assert versions.spec_of(row.version) == SPEC


def test_many_prices_are_ensured_in_three_queries(
    django_assert_max_num_queries: Any,
) -> None:
    prices = [
        versions.Priced(f"m{number}", "book", PriceSpec(input=number, output=1))
        for number in range(20)
    ]
    with django_assert_max_num_queries(3):
        made = versions.ensure(prices)
    with django_assert_max_num_queries(1):
        assert versions.ensure([*prices, *prices]) == made
    assert PriceVersion.objects.count() == 20


# The time a price holds for


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


def holding(clock: ManualClock, model: str = "m") -> int | None:
    row = selectors.custom_price(model, at=clock.now())
    return row.version.input if row else None


def test_a_future_price_leaves_the_one_in_force_until_then(clock: ManualClock) -> None:
    services.set_price(CLI, "m", PriceSpec(input=1, output=1), clock=clock)
    begins, ends = clock.now() + timedelta(days=1), clock.now() + timedelta(days=2)
    services.set_price(
        CLI, "m", PriceSpec(input=2, output=2),
        valid_from=begins, valid_to=ends, reason="a sale", clock=clock,
    )  # fmt: skip
    seen = []
    for _ in range(3):
        seen.append(holding(clock))
        clock.advance(24 * 3600)
    assert seen == [1, 2, 1]
    rows = selectors.prices_in_force(begins)
    assert [(row.version.input, row.reason) for row in rows] == [(2, "a sale")]


def test_a_price_without_a_time_replaces_the_one_in_force(clock: ManualClock) -> None:
    start = clock.now()
    row = services.set_price(
        CLI, "m", PriceSpec(input=1, output=1), valid_from=start, clock=clock
    )
    clock.advance(60)
    again = services.set_price(CLI, "m", PriceSpec(input=2, output=2), clock=clock)
    assert (again.pk, again.valid_from) == (row.pk, start)
    assert holding(clock) == 2


def test_price_that_has_ended_can_be_set_again(clock: ManualClock) -> None:
    ends, later = (clock.now() + timedelta(hours=hours) for hours in (1, 9))
    one, two = (PriceSpec(input=each, output=each) for each in (1, 2))
    services.set_price(CLI, "m", one, valid_to=ends, clock=clock)
    services.set_price(CLI, "m", two, valid_from=later, clock=clock)
    clock.advance(2 * 3600)
    assert holding(clock) is None
    services.set_price(CLI, "m", one, clock=clock)
    assert holding(clock) == 1
    clock.advance(7 * 3600)
    assert holding(clock) == 2


def test_each_price_says_whether_it_holds(clock: ManualClock) -> None:
    now, day = clock.now(), timedelta(days=1)
    for valid_from, valid_to in (
        (None, None), (now - day, None), (now + day, None), (now - 2 * day, now - day),
    ):  # fmt: skip
        services.set_price(
            CLI, "m", SPEC, valid_from=valid_from, valid_to=valid_to,
            clock=ManualClock(now - 3 * day),
        )  # fmt: skip
    holds = {row.pk for row in selectors.prices_in_force(now)}
    states = [selectors.state_of(row, holds, now) for row in selectors.custom_prices()]
    assert states == ["replaced", "ended", "in_force", "waiting"]


def test_two_prices_cannot_begin_at_once(clock: ManualClock) -> None:
    first = services.set_price(CLI, "m", SPEC, clock=clock)
    later = clock.now() + timedelta(days=1)
    second = services.set_price(CLI, "m", SPEC, valid_from=later, clock=clock)
    with pytest.raises(services.PriceError) as refusal:
        services.change_price(CLI, first, SPEC, valid_from=later, clock=clock)
    assert refusal.value.field == "valid_from"
    with pytest.raises(services.PriceError) as refusal:
        services.change_price(CLI, second, SPEC, valid_from=None, clock=clock)
    services.change_price(
        CLI, second, SPEC, valid_from=later, reason="checked", clock=clock
    )
    event = AuditEvent.objects.latest("id")
    assert event.after is not None
    assert event.after["reason"] == "checked"
    services.remove_price(CLI, second, clock=clock)
    with pytest.raises(services.PriceError):
        services.change_price(CLI, second, SPEC, clock=clock)


def test_what_ends_before_it_begins_is_refused(clock: ManualClock) -> None:
    now = clock.now()
    with pytest.raises(services.PriceError) as refusal:
        services.set_price(CLI, "m", SPEC, valid_from=now, valid_to=now, clock=clock)
    assert refusal.value.field == "valid_to"


@pytest.mark.parametrize("year", [1, 1999, 2101, 9999])
def test_time_no_screen_can_show_is_refused(year: int, clock: ManualClock) -> None:
    moment = datetime(year, 12, 31, 23, tzinfo=UTC)
    for name in ("valid_from", "valid_to"):
        with pytest.raises(services.PriceError) as refusal:
            services.set_price(CLI, "m", SPEC, clock=clock, **{name: moment})
        assert refusal.value.field == name


def test_every_edge_reaches_the_data_plane_once(clock: ManualClock) -> None:
    assert edges.pass_edges(clock=clock) == 0
    begins, ends = clock.now() + timedelta(hours=1), clock.now() + timedelta(hours=2)
    row = services.set_price(
        CLI, "m", SPEC, valid_from=begins, valid_to=ends, clock=clock
    )
    for expected in (0, 1, 1, 0):
        before = version.current()
        assert edges.pass_edges(clock=clock) == expected
        assert edges.pass_edges(clock=clock) == 0
        changed = version.changed_since(CustomPrice, before)
        assert [each.pk for each in changed] == [row.pk] * expected
        clock.advance(3600)


def test_removing_by_name_removes_every_time_of_it(clock: ManualClock) -> None:
    services.set_price(CLI, "m", SPEC, clock=clock)
    later = clock.now() + timedelta(days=1)
    services.set_price(CLI, "m", SPEC, valid_from=later, clock=clock)
    services.set_price(CLI, "m", SPEC, provider_slug="acme", clock=clock)
    assert services.remove_prices(CLI, "m", clock=clock) == 2
    assert services.remove_prices(CLI, "m", clock=clock) == 0
    assert [row.provider_slug for row in selectors.custom_prices()] == ["acme"]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"long_input": 5}, "long_threshold"),
        ({"long_threshold": 200_000}, "long_input"),
        ({"long_threshold": 10**10, "long_input": 5}, "long_threshold"),
    ],
)
def test_long_context_needs_both_its_threshold_and_its_price(
    columns: dict[str, int], field: str
) -> None:
    with pytest.raises(services.PriceError) as refusal:
        services.set_price(CLI, "m", PriceSpec(input=1, output=1, **columns))
    assert refusal.value.field == field


def test_a_price_by_the_piece_is_enough() -> None:
    row = services.set_price(CLI, "image-model", PriceSpec(per_image=40_000 * 10**9))
    [shown] = selectors.custom_price_table()
    assert (row.version.per_image, shown["per_image"]) == (40_000 * 10**9, "0.04")


def test_the_default_is_one_for_all_and_no_pattern() -> None:
    row = services.set_price(CLI, "@default", SPEC)
    assert not row.is_pattern
    with pytest.raises(services.PriceError):
        services.set_price(CLI, "@default", SPEC, provider_slug="acme")


def test_price_without_output_says_what_to_write_for_embeddings() -> None:
    with pytest.raises(services.PriceError, match="0 where there is none"):
        services.set_price(CLI, "text-embedding-9", PriceSpec(input=20_000_000))
    free_output = PriceSpec(input=20_000_000, output=0)
    row = services.set_price(CLI, "text-embedding-9", free_output)
    assert (row.version.input, row.version.output) == (20_000_000, 0)
