"""Prices as people state them: every unit, no guessing, and slips that are seen."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pricing import guard, units
from pricing.cost import PriceSpec
from pricing.guard import Reference
from pricing.units import PriceTextError

USD = 10**9


@pytest.mark.parametrize(
    ("text", "per", "nano"),
    [
        ("3", "million", 3 * USD),
        (" 0.25 ", "million", 250_000_000),
        (".5", "million", 500_000_000),
        ("5.", "million", 5 * USD),
        ("0", "million", 0),
        ("0.000000001", "million", 1),
        ("0.003", "thousand", 3 * USD),
        ("0.000003", "one", 3 * USD),
        ("0.04", "one", 40_000 * USD),
    ],
)
def test_a_price_is_read_exactly_in_its_unit(text: str, per: str, nano: int) -> None:
    assert units.read_price(text, per=per) == nano
    assert units.read_price(units.write_price(nano, per=per), per=per) == nano


@pytest.mark.parametrize(
    "text",
    ["", " ", "$3", "3 €", "1,5", "1.000,5", "-1", "+1", "3e-6", "1E3", "x", "nan", "٣",
     "inf", "1_000", "0x1", "0.0000000001", "9" * 26, "9" * 17, "1 2", "."],
)  # fmt: skip
def test_what_is_no_plain_price_is_refused_in_words(text: str) -> None:
    with pytest.raises(PriceTextError) as refusal:
        units.read_price(text)
    assert str(refusal.value).endswith(".")


def test_more_digits_than_are_kept_are_refused() -> None:
    with pytest.raises(PriceTextError):
        units.nano_of(Decimal("0.1234567890123456789012345678"), per="thousand")


def test_unknown_is_blank_and_zero_is_a_price() -> None:
    assert units.write_price(None) == ""
    assert units.write_price(0) == "0"


def test_every_column_has_its_words() -> None:
    assert set(units.LABELS) == set(PriceSpec.__struct_fields__)


def test_the_worked_example_says_what_a_price_means() -> None:
    spec = PriceSpec(
        input=2 * USD,
        output=25 * USD,
        cache_read=200_000_000,
        long_threshold=200_000,
        long_input=4 * USD,
        per_request=5_000 * USD,
        per_image=40_000 * USD,
        per_second=100 * USD,
    )
    found = {each.words: each.shown for each in units.examples(spec)}
    assert found == {
        # Each call also costs the half cent of a request.
        "10 k in + 1 k out": "$0.0500",
        "the same with 8 k of it read from cache": "$0.0356",
        "400,000 in + 1 k out, long context": "$1.6300",
        "1 request alone": "$0.0050",
        "1 image": "$0.0400",
        "60 seconds of audio": "$0.0060",
    }
    plain = units.examples(PriceSpec(input=2 * USD, output=25 * USD))
    assert [each.shown for each in plain] == ["$0.0450"]
    assert units.examples(PriceSpec(input=USD))[0].shown == ""
    assert units.examples(PriceSpec()) == []


BOOK = Reference(PriceSpec(input=2_500_000_000, output=10 * USD), "the price book")


@pytest.mark.parametrize(
    ("new", "times", "hint"),
    [
        (2_500_000_000, 0, ""),
        (250 * USD - 1, 0, ""),
        (250 * USD, 100, "between cents and dollars"),
        (25_000_000, 100, "between cents and dollars"),
        (2_500 * USD, 1_000, "per million tokens entered as a price per thousand"),
        (2_500_000, 1_000, "per thousand entered as a price per million tokens"),
        (2_500_000 * USD, 10**6, "per million tokens entered as a price per token"),
        (2_500, 10**6, "per token entered as a price per million tokens"),
        (0, 0, ""),
    ],
)
def test_a_slip_of_the_unit_is_seen_and_named(new: int, times: int, hint: str) -> None:
    found = guard.slips(PriceSpec(input=new, output=10 * USD), [BOOK])
    assert [slip.times for slip in found] == ([times] if times else [])
    for slip in found:
        assert hint in slip.words
        assert "$2.50 per million tokens the price book says" in slip.words


def test_the_nearest_of_several_references_counts() -> None:
    cheap = Reference(PriceSpec(input=50_000_000, output=400_000_000), "the nano")
    spec = PriceSpec(input=5 * USD, output=40 * USD)
    assert guard.slips(spec, [cheap])
    assert not guard.slips(spec, [cheap, BOOK])


def test_without_a_reference_only_what_no_model_costs_is_asked() -> None:
    assert not guard.slips(PriceSpec(input=600 * USD, output=600 * USD), [])
    [slip] = guard.slips(PriceSpec(input=20_000 * USD, output=1 * USD), [])
    assert "beyond what any model costs" in slip.words
    assert guard.slips(PriceSpec(input=3_000, output=1 * USD), [])


def test_pieces_are_compared_in_their_own_unit() -> None:
    known = Reference(PriceSpec(per_image=40_000 * USD), "the price set before")
    [slip] = guard.slips(PriceSpec(per_image=4_000_000 * USD), [known])
    assert "$4.00 per image is 100 times the $0.04 per image" in slip.words
