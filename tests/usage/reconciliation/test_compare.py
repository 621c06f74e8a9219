"""What differs is named with the cause that can be told; names mean one model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from usage.reconciliation import names
from usage.reconciliation.compare import Billed, Limits, compare, totals
from usage.reconciliation.ledger import Known

DAY = date(2026, 4, 2)
NEXT = DAY + timedelta(days=1)
USD = 1_000_000_000
KNOWN = Known(
    cost=10 * USD,
    input=500_000,
    cache_read=200_000,
    output=300_000,
    reasoning=100_000,
    requests=100,
    versions={7},
    names={"m"},
)
SAME = Billed(
    cost=10 * USD,
    input=500_000,
    cache_read=200_000,
    output=300_000,
    requests=100,
)


def _half(side: Billed) -> Billed:
    return Billed(side.cost // 2, 250_000, 100_000, None, 150_000, 50)  # type: ignore[operator] # it has a cost


CAUSES: dict[str, tuple[Billed, Known]] = {
    "price": (replace(SAME, cost=11 * USD), KNOWN),
    "fewer_calls": (_half(SAME), KNOWN),
    "more_calls": (
        SAME,
        replace(KNOWN, cost=5 * USD, input=250_000, output=150_000, requests=50),
    ),
    "repeated": (
        Billed(
            20 * USD, 1_000_000, 400_000, None, 600_000, 200,
            repeats=1, repeated=10 * USD, repeated_tokens=1_000_000,
        ),
        KNOWN,
    ),
    "unpriced": (SAME, replace(KNOWN, cost=4 * USD, unpriced=60)),
    "cached": (
        replace(SAME, cost=12 * USD, input=700_000, cache_read=0),
        KNOWN,
    ),
    "reasoning": (replace(SAME, output=200_000, cost=9 * USD), KNOWN),
    "counting": (replace(SAME, output=250_000, cost=9 * USD), KNOWN),
    "estimated": (
        Billed(cost=11 * USD),
        replace(KNOWN, estimated=3),
    ),
    "untold": (Billed(cost=11 * USD), KNOWN),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_cause(cause: str) -> None:
    billed, known = CAUSES[cause]
    [line] = compare({(DAY, "m"): billed}, {(DAY, "m"): known}).lines
    assert (line.is_named, line.cause) == (True, cause)


def test_price_names_the_version_and_the_implied_price() -> None:
    billed, known = CAUSES["price"]
    [line] = compare({(DAY, "m"): billed}, {(DAY, "m"): known}).lines
    assert line.detail == (
        "$11.00 per million tokens billed, $10.00 known (price version 7)."
    )


def test_one_side_alone_is_named_with_its_side() -> None:
    billed = {(DAY, "m"): SAME, (DAY, "elsewhere"): SAME}
    ledger = {(DAY, "m"): KNOWN, (DAY, "n"): replace(KNOWN, names={"n"})}
    found = {line.model: line.cause for line in compare(billed, ledger).named}
    assert found == {"elsewhere": "only_billed", "n": "only_known"}


def test_day_that_ends_elsewhere_is_told_from_its_neighbour() -> None:
    billed = {
        (DAY, "m"): replace(SAME, cost=8 * USD, input=400_000, output=240_000),
        (NEXT, "m"): replace(SAME, cost=12 * USD, input=600_000, output=360_000),
    }
    ledger = {(DAY, "m"): KNOWN, (NEXT, "m"): KNOWN}
    lines = compare(billed, ledger).lines
    assert [line.cause for line in lines] == ["neighbour", "neighbour"]


@pytest.mark.parametrize(
    ("gap", "is_named"), [(100_000_000, False), (100_000_001, True)]
)
def test_exactly_one_percent_is_not_over_it(gap: int, is_named: bool) -> None:
    billed = {(DAY, "m"): Billed(cost=10 * USD)}
    ledger = {(DAY, "m"): replace(KNOWN, cost=10 * USD - gap)}
    [line] = compare(billed, ledger).lines
    assert line.is_named is is_named


def test_less_than_the_floor_is_not_named() -> None:
    billed = {(DAY, "m"): Billed(cost=9_000_000)}
    ledger = {(DAY, "m"): Known(cost=1)}
    assert compare(billed, ledger).named == []
    assert len(compare(billed, ledger, Limits(floor=1_000)).named) == 1


def test_other_count_of_requests_alone_is_not_named() -> None:
    billed = {(DAY, "m"): replace(SAME, requests=150)}
    assert compare(billed, {(DAY, "m"): KNOWN}).named == []
    only_requests = {(DAY, "m"): Billed(requests=150)}
    assert len(compare(only_requests, {(DAY, "m"): KNOWN}).named) == 1


def test_statement_without_tokens_or_cost_claims_nothing_of_them() -> None:
    tokens = {(DAY, "m"): replace(SAME, cost=None)}
    ledger = {(DAY, "m"): replace(KNOWN, cost=0)}
    outcome = compare(tokens, ledger)
    assert outcome.named == []
    assert totals(outcome.lines)["billed_nano_usd"] is None


def test_statement_without_models_is_compared_by_day() -> None:
    ledger = {(DAY, "m"): KNOWN, (DAY, "n"): KNOWN}
    billed = {(DAY, ""): Billed(cost=20 * USD)}
    [line] = compare(billed, ledger).lines
    assert (line.model, line.is_named) == ("", False)


MEANT = [
    ("Claude Sonnet 4.5", "claude-sonnet-4-5-20250929"),
    ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet-20241022"),
    ("gpt-4o-2024-08-06", "gpt-4o"),
    ("openai/gpt-5-2025-08-07", "openai/gpt-5"),
    ("anthropic/claude-4.8-opus-20260528", "anthropic/claude-opus-4.8"),
    ("gpt-5", "GPT-5"),
]
OTHERS = [
    ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
    ("gpt-5-mini", "gpt-5"),
    ("openai/gpt-oss-120b:free", "openai/gpt-oss-120b"),
    ("claude-sonnet-4-5", "claude-sonnet-4"),
    ("ft:gpt-4o:org::id", "gpt-4o"),
]


@pytest.mark.parametrize(("billed", "known"), MEANT)
def test_spelling_of_the_same_model(billed: str, known: str) -> None:
    assert names.assign([known], [billed, "another"]) == {known: billed}


@pytest.mark.parametrize(("billed", "known"), OTHERS)
def test_different_models_are_not_put_together(billed: str, known: str) -> None:
    assert names.assign([known], [billed]) == {}


def test_alias_goes_to_what_was_billed_on_its_day() -> None:
    old, new = "gpt-4o-2024-05-13", "gpt-4o-2024-08-06"
    billed = {(DAY, old): SAME, (NEXT, new): SAME}
    ledger = {(DAY, "gpt-4o"): KNOWN, (NEXT, "gpt-4o"): KNOWN}
    outcome = compare(billed, ledger)
    assert [line.model for line in outcome.lines] == [old, new]
    assert outcome.named == []


def test_exact_name_leaves_the_alias_to_the_other_date() -> None:
    old, new = "gpt-4o-2024-05-13", "gpt-4o-2024-08-06"
    assert names.assign([old, "gpt-4o"], [old, new]) == {old: old, "gpt-4o": new}
