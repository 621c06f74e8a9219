"""The rate arithmetic against a simulator that knows nothing of arrival times."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage.limits.gcra import (
    FRESH,
    Rate,
    advance,
    drained_us,
    per_minute,
    remaining,
    wait_us,
)


class Bucket:
    """The reference: a bucket of exact fractions, refilled by the time gone by."""

    def __init__(self, rate):
        self.rate = rate
        self.level = Fraction(rate.burst)
        self.at = None

    def refill(self, now_us):
        if self.at is not None:
            gone = Fraction(now_us - self.at) * self.rate.limit / self.rate.period_us
            self.level = min(Fraction(self.rate.burst), self.level + gone)
        self.at = now_us

    def take(self, cost, now_us):
        self.refill(now_us)
        if cost > self.level:
            return False
        self.level -= cost
        return True


rates = st.builds(
    Rate,
    limit=st.integers(1, 100_000_000),
    burst=st.integers(1, 1_000),
    period_us=st.sampled_from([1_000_000, 60_000_000, 3_600_000_000, 999_983]),
)
arrivals = st.lists(
    st.tuples(st.integers(0, 2_000_000), st.integers(0, 1_200)), max_size=60
)


@settings(max_examples=200)
@given(rates, arrivals, st.integers(0, 2**53))
def test_every_decision_equals_the_reference(rate, steps, start_us):
    tat, now_us, bucket = FRESH, start_us, Bucket(rate)
    for gap, cost in steps:
        now_us += gap
        fits = wait_us(tat, rate, cost, now_us) == 0
        assert fits == bucket.take(cost, now_us)
        if fits:
            tat = advance(tat, rate, cost, now_us)
        assert remaining(tat, rate, now_us) == bucket.level // 1


@settings(max_examples=200)
@given(rates, arrivals, st.integers(1, 1_000))
def test_wait_is_exact_to_the_microsecond(rate, steps, cost):
    tat, now_us = FRESH, 10
    for gap, each in steps:
        now_us += gap
        tat = advance(tat, rate, each, now_us)
    wait = wait_us(tat, rate, cost, now_us)
    if wait is None:
        assert cost > rate.burst
    elif wait > 0:
        assert wait_us(tat, rate, cost, now_us + wait) == 0
        assert wait_us(tat, rate, cost, now_us + wait - 1) == 1


@settings(max_examples=200)
@given(rates, arrivals, st.integers(0, 1_200))
def test_giving_back_at_once_undoes_taking(rate, steps, cost):
    tat, now_us = FRESH, 10
    for gap, each in steps:
        now_us += gap
        tat = advance(tat, rate, each, now_us)
    back = advance(advance(tat, rate, cost, now_us), rate, -cost, now_us)
    assert remaining(back, rate, now_us) == remaining(tat, rate, now_us)
    assert drained_us(back, rate, now_us) == drained_us(tat, rate, now_us)


def test_giving_back_late_grants_no_second_burst():
    rate = per_minute(60)
    tat = advance(FRESH, rate, 60, 0)
    tat = advance(tat, rate, -60, 120_000_000)
    assert remaining(tat, rate, 120_000_000) == 60


def test_lowered_limit_adds_at_most_a_microsecond():
    tat = advance(FRESH, Rate(1_000_000, 10), 7, 0)
    assert drained_us(tat, Rate(1, 10), 0) <= 421


@pytest.mark.parametrize(
    "values", [(0, 1), (1, 0), (-5, 1), (1, 1, 0)], ids=lambda each: str(each)
)
def test_rate_that_means_nothing_is_refused(values):
    with pytest.raises(ValueError, match="above zero"):
        Rate(*values)


def simulate(count, seed):
    """Count admissions of random traffic by the product and by the reference."""
    pick = random.Random(seed)
    rate = per_minute(pick.choice([7, 60, 700_000, 999]), pick.randint(1, 1_000))
    mean_us = rate.period_us / rate.limit * pick.uniform(0.3, 1.5)
    tat, now_us, bucket = FRESH, 1_000, Bucket(rate)
    ours = theirs = 0
    for _ in range(count):
        now_us += int(pick.expovariate(1 / mean_us))
        if wait_us(tat, rate, 1, now_us) == 0:
            tat = advance(tat, rate, 1, now_us)
            ours += 1
        theirs += bucket.take(1, now_us)
    return ours, theirs


@pytest.mark.parametrize("seed", range(8))
def test_t50_admitted_counts_equal_the_reference(seed):
    ours, theirs = simulate(2_000, seed)
    assert ours == theirs


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_t50_many_admitted_counts_equal_the_reference(seed):
    ours, theirs = simulate(100_000, seed)
    print(f"gcra: 100,000 arrivals, {ours} admitted, reference {theirs}")
    assert abs(ours - theirs) <= 1
