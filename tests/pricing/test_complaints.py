"""Answer what users of other gateways complain of: prices stale, missing or mistaken."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from poolsite.actor import CLI
from poolsite.clock import ManualClock
from pricing import selectors, services
from pricing.cost import PriceSpec, cost_lines, cost_nano_usd
from pricing.matcher import CustomRule, Matcher
from pricing.models import PriceVersion
from pricing.tokens import TokenUsage
from pricing.versions import Priced, ensure, spec_of
from tests.pricing.listed import index, listing, spec

USAGE = TokenUsage(input_tokens=1_000_000, output_tokens=1_000_000)


def matcher(*rules: CustomRule, **providers: dict[str, PriceSpec | None]) -> Matcher:
    return Matcher(rules, index=index(listing(**providers)))


def test_18_an_unknown_model_is_unpriced_and_never_a_silent_zero() -> None:
    match = matcher(openai={"gpt-5": spec(1, 2)}).match("p", "gpt-6")
    assert match.price is None
    assert cost_nano_usd(USAGE, match.price) is None
    assert [line.cost_nano_usd for line in cost_lines(USAGE, None)] == [None, None]


@pytest.mark.parametrize("asked", ["claude-opus-4-7", "claude-opus-4.7-20260401"])
def test_19_opus_4_7_is_not_billed_as_opus_4_by_its_prefix(asked: str) -> None:
    older = {"claude-opus-4": spec(15, 75), "claude-opus-4-5": spec(5, 25)}
    assert matcher(anthropic=older).match("p", asked).source == "unknown"
    known = {**older, "claude-opus-4-7": spec(5, 25)}
    found = matcher(anthropic=known).match("p", asked)
    assert found.key == "anthropic/claude-opus-4-7"


def test_20_a_refreshed_list_replaces_the_shipped_price() -> None:
    shipped = listing("embedded", databricks={"dbrx": spec(8, 9)})
    fresh = listing("models_dev", databricks={"dbrx": spec(1, 2)})
    found = Matcher(index=index(fresh, shipped)).match(
        "d", "dbrx", listing_id="databricks"
    )
    assert (found.price, found.origin) == (spec(1, 2), "models_dev")


@pytest.mark.django_db
def test_20_every_price_says_of_which_day_it_is() -> None:
    price = Priced("databricks/dbrx", "book", spec(1, 2), stated_on=date(2026, 9, 1))
    row = PriceVersion.objects.get(pk=ensure([price])[price])
    assert row.stated_on == date(2026, 9, 1)


@pytest.mark.parametrize("price", [spec(3, 4), PriceSpec(input=0, output=0)])
def test_21_a_custom_price_is_the_one_that_is_billed(price: PriceSpec) -> None:
    table = matcher(CustomRule("gpt-5", price, "acme"), openai={"gpt-5": spec(1, 2)})
    assert table.match("acme", "gpt-5", listing_id="openai").price == price
    assert table.match("other", "gpt-5", listing_id="openai").price == spec(1, 2)


def test_21_a_custom_price_does_not_spread_to_other_models() -> None:
    table = matcher(CustomRule("gpt-5", spec(9, 9)), openai={"gpt-5-mini": spec(1, 2)})
    assert table.match("p", "gpt-5-mini").price == spec(1, 2)


def test_21_local_models_cost_nothing_whatever_is_listed() -> None:
    table = matcher(llama={"llama-3.3-70b": spec(1, 2)})
    found = table.match("ollama", "llama-3.3-70b", is_local=True)
    assert cost_nano_usd(USAGE, found.price) == 0


def test_22_a_wrong_list_price_is_outdone_by_a_person_s() -> None:
    table = matcher(CustomRule("gpt-5", spec(1, 2)), openai={"gpt-5": spec(1000, 2)})
    assert table.match("p", "gpt-5", listing_id="openai").price == spec(1, 2)


@pytest.mark.django_db
def test_24_a_mistyped_price_is_taken_back_in_one_step() -> None:
    row = services.set_price(CLI, "gpt-5", PriceSpec(input=10**15, output=10**15))
    services.remove_price(CLI, row)
    assert selectors.custom_price("gpt-5") is None
    assert selectors.prices_in_force() == []


@pytest.mark.django_db
def test_25_a_price_set_by_hand_outlives_the_process_and_its_time() -> None:
    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    services.set_price(CLI, "gpt-5", spec(1, 2), clock=clock)
    clock.advance(timedelta(days=400).total_seconds())
    (row,) = selectors.prices_in_force(clock.now())
    assert spec_of(row.version) == spec(1, 2)
