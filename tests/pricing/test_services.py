"""Prove that a price people set is a version of its own, and what a price may be."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite import version
from poolsite.actor import CLI
from poolsite.models import AuditEvent
from pricing import selectors, services, versions
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
