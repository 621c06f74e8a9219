from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.cost import (
    UNIT_COLUMNS,
    CostLine,
    PriceSpec,
    cost_lines,
    cost_nano_usd,
    parse_vendor_cost,
)
from pricing.tokens import EMPTY, TokenUsage

USD = 1_000_000_000
SONNET = PriceSpec(
    input=3 * USD,
    output=15 * USD,
    cache_read=3 * USD // 10,
    cache_write=3_750_000_000,
    cache_write_1h=6 * USD,
)

counts = st.none() | st.integers(0, 10_000_000)
rates = st.none() | st.integers(0, 200 * USD)
usages = st.builds(
    TokenUsage,
    input_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    cache_write_1h_tokens=counts,
    output_tokens=counts,
    reasoning_tokens=counts,
    audio_in_tokens=counts,
    audio_out_tokens=counts,
    image_in_tokens=counts,
    image_out_tokens=counts,
    units=counts,
    unit_kind=st.none() | st.sampled_from(sorted(UNIT_COLUMNS)),
)
prices = st.builds(
    PriceSpec,
    **dict.fromkeys(
        [name for name in PriceSpec.__struct_fields__ if name != "long_threshold"],
        rates,
    ),
    long_threshold=st.none() | st.integers(0, 20_000_000),
)
tiers = st.sampled_from([None, "default", "flex", "priority", "batch", "FLEX"])


@given(usages, prices, tiers)
def test_the_lines_add_up_to_the_cost_to_the_nano(usage, price, tier):
    cost = cost_nano_usd(usage, price, service_tier=tier)
    lines = cost_lines(usage, price, service_tier=tier)
    if cost is None:
        assert usage == EMPTY or any(line.price is None for line in lines)
    else:
        assert sum(line.cost_nano_usd for line in lines) == cost
        exact = sum(Fraction(line.count * line.price, 1_000_000) for line in lines)
        assert exact <= cost < exact + 1


@given(usages, prices)
def test_each_line_is_within_one_nano_of_its_own_product(usage, price):
    for line in cost_lines(usage, price):
        if line.cost_nano_usd is not None:
            exact = Fraction(line.count * line.price, 1_000_000)
            assert abs(line.cost_nano_usd - exact) < 1


@given(usages, prices)
def test_more_tokens_never_cost_less(usage, price):
    cost = cost_nano_usd(usage, price)
    grown = TokenUsage(
        **{
            name: getattr(usage, name)
            for name in usage.__struct_fields__
            if name not in ("output_tokens",)
        },
        output_tokens=(usage.output_tokens or 0) + 1000,
    )
    more = cost_nano_usd(grown, price)
    # A reasoning price below the output price makes the exchange of one for the other
    # cheaper; with the counts of reasoning kept, growth costs.
    if cost is not None and more is not None:
        reasoning_moved = min(grown.reasoning_tokens or 0, grown.output_tokens) != min(
            usage.reasoning_tokens or 0, usage.output_tokens or 0
        )
        assert more >= cost or reasoning_moved


def test_a_plain_call_costs_its_products_rounded_up_once():
    usage = TokenUsage(input_tokens=1, output_tokens=1)
    price = PriceSpec(input=1, output=1)
    assert cost_nano_usd(usage, price) == 1
    assert cost_nano_usd(TokenUsage(input_tokens=1000, output_tokens=100), SONNET) == (
        3_000_000 + 1_500_000
    )


def test_a_cost_agrees_with_decimal_arithmetic():
    usage = TokenUsage(input_tokens=1_234_567, cache_read_tokens=89, output_tokens=333)
    exact = (
        Decimal("3") * 1_234_567 + Decimal("0.3") * 89 + Decimal("15") * 333
    ) / 1_000_000
    nano = (exact * USD).to_integral_value(ROUND_CEILING)
    assert cost_nano_usd(usage, SONNET) == int(nano)


def test_zero_is_free_and_none_is_unknown():
    usage = TokenUsage(input_tokens=10, output_tokens=10)
    assert cost_nano_usd(usage, PriceSpec(input=0, output=0)) == 0
    assert cost_nano_usd(usage, PriceSpec(input=0)) is None
    assert cost_nano_usd(usage, PriceSpec(output=0)) is None
    assert cost_nano_usd(usage, None) is None


def test_an_unknown_price_of_nothing_used_does_not_matter():
    usage = TokenUsage(input_tokens=10, output_tokens=0)
    assert cost_nano_usd(usage, PriceSpec(input=USD)) == 10_000


def test_nothing_reported_has_no_cost():
    assert cost_nano_usd(EMPTY, SONNET) is None
    assert cost_lines(EMPTY, SONNET) == []
    assert cost_nano_usd(TokenUsage(input_tokens=0), SONNET) == 0


@pytest.mark.parametrize(
    ("usage", "price", "column"),
    [
        (TokenUsage(cache_read_tokens=5), PriceSpec(input=7), "input"),
        (TokenUsage(cache_write_tokens=5), PriceSpec(input=7), "input"),
        (TokenUsage(cache_write_1h_tokens=5), PriceSpec(input=7), "input"),
        (
            TokenUsage(cache_write_1h_tokens=5),
            PriceSpec(input=7, cache_write=9),
            "cache_write",
        ),
        (TokenUsage(audio_in_tokens=5), PriceSpec(input=7), "input"),
        (TokenUsage(image_in_tokens=5), PriceSpec(input=7), "input"),
        (TokenUsage(audio_out_tokens=5), PriceSpec(output=7), "output"),
        (TokenUsage(image_out_tokens=5), PriceSpec(output=7), "output"),
        (
            TokenUsage(cache_read_tokens=5),
            PriceSpec(input=7, cache_read=0),
            "cache_read",
        ),
    ],
)
def test_a_column_that_is_not_listed_falls_back(usage, price, column):
    (line,) = cost_lines(usage, price)
    assert line.column == column
    assert line.price == getattr(price, column)


def test_reasoning_is_billed_as_output_unless_it_has_its_own_price():
    usage = TokenUsage(output_tokens=100, reasoning_tokens=40)
    assert [line.kind for line in cost_lines(usage, PriceSpec(output=5))] == [
        "output_tokens"
    ]
    own = PriceSpec(output=5_000_000, reasoning=1_000_000)
    assert cost_lines(usage, own) == [
        CostLine("output_tokens", 60, "output", 5_000_000, 300),
        CostLine("reasoning_tokens", 40, "reasoning", 1_000_000, 40),
    ]


def test_reasoning_beyond_the_output_is_not_billed_twice():
    usage = TokenUsage(output_tokens=100, reasoning_tokens=400)
    price = PriceSpec(output=1_000_000, reasoning=2_000_000)
    assert cost_nano_usd(usage, price) == 200


def test_a_long_prompt_changes_the_price_of_everything():
    price = PriceSpec(
        input=3 * USD,
        output=15 * USD,
        cache_read=USD,
        long_threshold=200_000,
        long_input=6 * USD,
        long_output=22 * USD,
    )
    short = TokenUsage(input_tokens=100_000, cache_read_tokens=100_000, output_tokens=1)
    long = TokenUsage(input_tokens=100_001, cache_read_tokens=100_000, output_tokens=1)
    assert [line.column for line in cost_lines(short, price)] == [
        "input",
        "cache_read",
        "output",
    ]
    assert [line.column for line in cost_lines(long, price)] == [
        "long_input",
        "cache_read",
        "long_output",
    ]


def test_a_service_tier_has_its_own_price_and_scales_a_long_one():
    price = PriceSpec(
        input=2 * USD,
        output=8 * USD,
        flex_input=1 * USD,
        long_threshold=10,
        long_input=4 * USD,
    )
    usage = TokenUsage(input_tokens=10, output_tokens=1)
    lines = cost_lines(usage, price, service_tier="flex")
    assert [(line.column, line.price) for line in lines] == [
        ("flex_input", 1 * USD),
        ("output", 8 * USD),
    ]
    usage = TokenUsage(input_tokens=11)
    (line,) = cost_lines(usage, price, service_tier="flex")
    assert (line.column, line.price) == ("flex_long_input", 2 * USD)
    (line,) = cost_lines(usage, price, service_tier="default")
    assert line.column == "long_input"


def test_requests_and_units_have_their_own_lines():
    price = PriceSpec(per_request=5_000_000, per_image=40_000_000_000_000)
    usage = TokenUsage(units=2, unit_kind="image")
    assert cost_lines(usage, price) == [
        CostLine("units:image", 2, "per_image", 40_000_000_000_000, 80_000_000),
        CostLine("requests", 1, "per_request", 5_000_000, 5),
    ]
    assert cost_nano_usd(usage, price, requests=0) == 80_000_000
    counted = TokenUsage(units=3, unit_kind="request")
    assert cost_nano_usd(counted, price) == 15


def test_units_without_a_price_are_unknown():
    usage = TokenUsage(input_tokens=1, units=2, unit_kind="second")
    assert cost_nano_usd(usage, SONNET) is None
    lines = cost_lines(usage, SONNET)
    assert lines[0].cost_nano_usd == 3000
    assert lines[1] == CostLine("units:second", 2, "per_second", None, None)


def test_lines_of_an_unpriced_model_show_counts_without_amounts():
    lines = cost_lines(TokenUsage(input_tokens=7, output_tokens=2), None)
    assert [(line.kind, line.count, line.cost_nano_usd) for line in lines] == [
        ("input_tokens", 7, None),
        ("output_tokens", 2, None),
    ]


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.000123", 123_000),
        (b"0.000123", 123_000),
        ("1.5e-05", 15_000),
        ("1.5E-5", 15_000),
        ("0", 0),
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ("0.00000000050000000000000000000000000001", 1),
        (0.25, 250_000_000),
        ('"0.5"', 500_000_000),
        ("1000000", 1_000_000 * USD),
    ],
)
def test_a_vendor_cost_is_read_and_rounded_half_to_even(text, nano):
    assert parse_vendor_cost(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-0.1",
        "NaN",
        "Infinity",
        "1e9999999",
        "1000000.01",
        "x",
        b"\xff",
        "1,5",
        "{}",
    ],
)
def test_a_vendor_cost_that_is_none_is_unknown(text):
    assert parse_vendor_cost(text) is None


@pytest.mark.parametrize(
    ("kind", "column"),
    [("image", "per_image"), ("second", "per_second"), ("character", "per_character")],
)
def test_what_is_billed_by_the_piece_costs_its_pieces(kind, column):
    usage = TokenUsage(units=3, unit_kind=kind)
    assert cost_nano_usd(usage, PriceSpec(**{column: 7_000_000})) == 21
    assert cost_nano_usd(usage, PriceSpec()) is None
    assert cost_nano_usd(usage, PriceSpec(input=0, output=0)) == 0


def test_a_request_without_a_price_for_it_is_unknown_unless_the_model_is_free():
    usage = TokenUsage(units=1, unit_kind="request")
    assert cost_nano_usd(usage, PriceSpec(input=2_000_000_000)) is None
    assert cost_nano_usd(usage, PriceSpec(input=0, output=0)) == 0
    assert cost_nano_usd(usage, PriceSpec(per_request=4_000_000)) == 4
    assert cost_lines(usage, PriceSpec(input=1)) == [
        CostLine("requests", 1, "per_request", None, None)
    ]
