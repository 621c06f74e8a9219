"""``pool price``: any unit, any time, asked again, shown, missing."""

from __future__ import annotations

import pytest

from pricing.models import CustomPrice
from providers.models import Provider
from tests.factories import make_provider, make_requests
from tests.providers.commands.conftest import Pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(pool: Pool) -> Provider:
    return make_provider("acme", models=["gpt-5-mini", "made-up"], keys=["sk-a"])


def test_a_price_is_set_with_all_that_belongs_to_it(pool: Pool, acme: Provider) -> None:
    pool.ok(
        "price", "set", "made-up", "--unit", "thousand", "--input", "0.003",
        "--output", "0.015", "--cache-write-1h", "0.006", "--reasoning", "0.02",
        "--long-threshold", "200000", "--long-input", "0.006", "--per-image", "0.04",
        "--valid-from", "2026-01-01T00:00Z", "--valid-to", "2099-01-01T00:00Z",
        "--reason", "contract 7",
    )  # fmt: skip
    row = CustomPrice.objects.get()
    assert (row.version.input, row.version.reasoning) == (3 * 10**9, 20 * 10**9)
    assert (row.version.long_input, row.version.per_image) == (6 * 10**9, 4 * 10**13)
    assert row.valid_from is not None
    assert (row.valid_from.year, row.reason) == (2026, "contract 7")
    [listed] = pool.ok("price", "list", "--json").json
    assert (listed["state"], listed["long_input"]) == ("in_force", "6")
    shown = pool.ok("price", "show", "made-up", "--provider", "acme").out
    assert "source: custom_model" in shown
    assert "10 k in + 1 k out = $0.0450" in shown


def test_a_slip_wants_to_be_confirmed(pool: Pool, acme: Provider) -> None:
    call = ("price", "set", "gpt-5-mini", "--input", "250", "--output", "2")
    line = pool.refused(*call)
    assert "1,000 times the $0.25 per million tokens the price book says" in line
    assert "--confirm" in line
    assert not CustomPrice.objects.exists()
    pool.ok(*call, "--confirm")
    assert CustomPrice.objects.count() == 1


def test_effective_prices_are_listed_by_source(pool: Pool, acme: Provider) -> None:
    rows = pool.ok("price", "list", "--effective", "--json").json
    assert [(row["model"], row["source"]) for row in rows] == [
        ("gpt-5-mini", "book"),
        ("made-up", "unknown"),
    ]
    [row] = pool.ok("price", "list", "--source", "unknown", "--json").json
    assert row["model"] == "made-up"
    assert "gpt-5-mini" in pool.ok("price", "list", "--effective").out
    one = pool.ok("price", "show", "gpt-5-mini", "--provider", "acme", "--json").json
    assert one["input"] == "0.25"
    assert "serves no model" in pool.refused("price", "show", "x", "--provider", "acme")


def test_the_default_prices_the_unknown(pool: Pool, acme: Provider) -> None:
    pool.ok("price", "set", "@default", "--input", "10", "--output", "30")
    [row] = pool.ok("price", "list", "--source", "default", "--json").json
    assert (row["model"], row["input"]) == ("made-up", "10")


def test_models_used_without_a_price_are_listed(pool: Pool, acme: Provider) -> None:
    assert pool.ok("price", "unpriced").out == "Nothing yet.\n"
    make_requests(acme, "made-up", 2)
    [row] = pool.ok("price", "unpriced", "--json").json
    assert (row["model"], row["provider"], row["calls"]) == ("made-up", "acme", 2)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--input", "$3", "currency sign"),
        ("--input", "1,5", "Write a point"),
        ("--cache-write-1h", "1e3", "without an exponent"),
        ("--valid-from", "tomorrow", "is no time"),
    ],
)
def test_a_mistake_is_one_line(
    option: str, text: str, words: str, pool: Pool, acme: Provider
) -> None:
    line = pool.refused("price", "set", "m", "--input=1", "--output=1", option, text)
    assert words in line
    assert not CustomPrice.objects.exists()


def test_removing_what_was_not_set_is_said(pool: Pool) -> None:
    assert "No price was set" in pool.refused("price", "remove", "m")
