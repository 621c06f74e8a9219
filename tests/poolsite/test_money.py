"""Prove that money is exact from text to screen."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite import money

decimals = st.decimals(
    min_value=Decimal(-(10**9)),
    max_value=Decimal(10**9),
    allow_nan=False,
    allow_infinity=False,
)


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("0.000000001", 1),
        ("12.34", 12_340_000_000),
        ("-0.5", -500_000_000),
        (" 1 ", 1_000_000_000),
        ("1e-05", 10_000),
        ("2.5E+1", 25_000_000_000),
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ("0.00000000250000000001", 3),
        ("1e-500", 0),
        ("0e999999", 0),
    ],
)
def test_dollar_text_becomes_nano_dollars(text: str, nano: int) -> None:
    assert money.nano_from_usd(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "NaN",
        "inf",
        "-Infinity",
        "1_000",
        "1,5",
        "1e15",
        "1e999999",
        "٣",
        "0" * 81,
    ],
)
def test_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(money.AmountError):
        money.nano_from_usd(text)


def test_float_is_refused() -> None:
    with pytest.raises(TypeError):
        money.nano_from_usd(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0.0000000001", "1.0000000005", "1e-500"])
def test_exact_input_finer_than_a_nano_dollar_is_refused(text: str) -> None:
    with pytest.raises(money.AmountError):
        money.nano_from_usd(text, exact=True)


def test_exact_input_may_carry_trailing_zeros() -> None:
    assert money.nano_from_usd("1.1000000000000", exact=True) == 1_100_000_000


def test_prices_per_unit_and_per_million_agree() -> None:
    per_million = money.per_million_nano_from_usd("2.50")
    assert per_million == 2_500_000_000
    assert money.per_million_nano_from_usd_per_unit("0.0000025") == per_million
    assert money.per_million_nano_from_usd_per_unit("2.5e-06") == per_million


def test_negative_price_is_refused() -> None:
    with pytest.raises(money.AmountError):
        money.per_million_nano_from_usd("-1")


@given(decimals)
@settings(max_examples=200)
def test_conversion_equals_decimal_arithmetic(value: Decimal) -> None:
    with localcontext(prec=80):
        expected = (value * money.NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN)
    assert money.nano_from_usd(value) == int(expected)
    assert money.nano_from_usd(format(value, "f")[:80]) is not None


@given(st.integers(-(10**22), 10**22))
@settings(max_examples=200)
def test_nano_dollars_survive_the_way_through_decimal(nano: int) -> None:
    assert money.nano_from_usd(money.usd_from_nano(nano), exact=True) == nano


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
@settings(max_examples=200)
def test_ceil_div_is_the_smallest_whole_number_not_below(top: int, bottom: int) -> None:
    result = money.ceil_div(top, bottom)
    assert (result - 1) * bottom < top <= result * bottom


def test_ceil_div_refuses_a_negative_denominator() -> None:
    with pytest.raises(ValueError, match="positive"):
        money.ceil_div(1, -1)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "-"),
        (0, "$0.00"),
        (12_340_000_000, "$12.34"),
        (1_234_567_890_000_000, "$1,234,567.89"),
        (10_000_000, "$0.01"),
        (9_999_999, "$0.01"),
        (9_999_400, "$0.009999"),
        (4_213_000, "$0.004213"),
        (4_200_000, "$0.0042"),
        (412_345, "$0.0004123"),
        (11_539_000, "$0.011539"),
        (48_461_000, "$0.048461"),
        (123_456_789, "$0.123457"),
        (999_999_900, "$1.00"),
        (1_234_567_890, "$1.2346"),
        (99_999_990_000, "$100.00"),
        (123_456_789_000, "$123.46"),
        (12, "$0.000000012"),
        (1, "$0.000000001"),
        (-500_000_000, "-$0.50"),
        (-4_213_000, "-$0.004213"),
        (123_500, "$0.0001235"),
        (500_000_500, "$0.50"),
        (500_001_500, "$0.500002"),
        (100_015_000_000, "$100.02"),
        (100_025_000_000, "$100.02"),
    ],
)
def test_amounts_are_shown_as_the_interface_says(nano: int | None, text: str) -> None:
    assert money.format_usd(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "-"),
        (0, "$0.00"),
        (75_000_000, "$0.075"),
        (2_500_000_000, "$2.50"),
        (1_234_000_000_001, "$1,234.000000001"),
    ],
)
def test_prices_are_shown_exactly(nano: int | None, text: str) -> None:
    assert money.format_price(nano) == text
