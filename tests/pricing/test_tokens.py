from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.tokens import EMPTY, MAX_COUNT, TokenUsage, add, clamp, count

counts = st.none() | st.integers(0, MAX_COUNT)
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
)


@given(usages, usages, usages)
def test_adding_is_associative_and_commutative(a, b, c):
    assert add(a, b) == add(b, a)
    assert add(add(a, b), c) == add(a, add(b, c))


@given(usages)
def test_the_empty_usage_adds_nothing(usage):
    assert add(usage, EMPTY) == usage


def test_not_reported_plus_zero_is_a_reported_zero():
    total = add(TokenUsage(input_tokens=0), EMPTY)
    assert total.input_tokens == 0
    assert total.output_tokens is None


def test_units_of_different_kinds_do_not_add():
    images = TokenUsage(units=2, unit_kind="image")
    seconds = TokenUsage(units=3, unit_kind="second")
    total = add(images, seconds)
    assert total.units is None
    assert total.unit_kind is None
    assert add(images, images) == TokenUsage(units=4, unit_kind="image")


def test_totals_count_every_token_once():
    usage = TokenUsage(
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_tokens=4,
        cache_write_1h_tokens=8,
        audio_in_tokens=16,
        image_in_tokens=32,
        output_tokens=64,
        reasoning_tokens=50,
        audio_out_tokens=128,
        image_out_tokens=256,
    )
    assert usage.prompt_tokens == 63
    assert usage.completion_tokens == 448
    assert usage.total_tokens == 511


@pytest.mark.parametrize("value", [7, 7.0, "7", " 7 "])
def test_whole_numbers_are_read_in_any_clothes(value):
    flags = []
    assert count(value, "x", flags) == 7
    assert flags == []


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (-1, "x:negative"),
        ("-3", "x:negative"),
        (MAX_COUNT + 1, "x:absurd"),
        (1e300, "x:absurd"),
        (True, "x:type"),
        (1.5, "x:type"),
        (math.nan, "x:type"),
        (math.inf, "x:type"),
        ("7 tokens", "x:type"),
        ("1" * 40, "x:type"),
        ("²", "x:type"),
        ([1], "x:type"),
        ({}, "x:type"),
    ],
)
def test_what_cannot_be_believed_is_dropped_and_named(value, flag):
    flags = []
    assert count(value, "x", flags) is None
    assert flags == [flag]


def test_clamp_leaves_a_sound_usage_alone():
    usage = TokenUsage(input_tokens=3, output_tokens=5, reasoning_tokens=5)
    assert clamp(usage) == (usage, ())


def test_clamp_repairs_and_names_what_it_repaired():
    usage = TokenUsage(
        input_tokens=-3,
        output_tokens=5,
        reasoning_tokens=9,
        units=1,
        unit_kind="banana",
    )
    repaired, flags = clamp(usage)
    assert repaired == TokenUsage(output_tokens=5, reasoning_tokens=5)
    assert flags == (
        "input_tokens:negative",
        "reasoning_tokens:above_output",
        "unit_kind:unknown",
    )


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        (TokenUsage(), False, False),
        (TokenUsage(input_tokens=0, output_tokens=0), True, True),
        (TokenUsage(cache_read_tokens=0, output_tokens=5), False, True),
        (TokenUsage(cache_read_tokens=7), True, False),
        (TokenUsage(image_out_tokens=9), False, True),
    ],
)
def test_zero_of_one_kind_states_nothing_about_the_other(usage, prompt, completion):
    assert (usage.states_prompt, usage.states_completion) == (prompt, completion)
