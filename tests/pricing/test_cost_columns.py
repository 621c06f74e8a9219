"""Prove that every column of a price is billed, alone and with all the others."""

from __future__ import annotations

import pytest

from pricing.cost import TIERS, UNIT_COLUMNS, PriceSpec, cost_lines, cost_nano_usd
from pricing.tokens import TokenUsage

MILLION = 1_000_000
# A price whose columns are all different, so that a line tells which one it took.
EVERY = PriceSpec(
    **{
        name: number * 1_000
        for number, name in enumerate(PriceSpec.__struct_fields__, 1)
        if name != "long_threshold"
    },
    long_threshold=5 * MILLION,
)
TOKENS = {
    "input_tokens": "input",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "audio_in_tokens": "audio_in",
    "audio_out_tokens": "audio_out",
    "image_in_tokens": "image_in",
    "image_out_tokens": "image_out",
}
LONG = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def used(kind: str, count: int = MILLION) -> TokenUsage:
    """Return a use of one kind alone; reasoning is a part of the output."""
    if kind == "reasoning_tokens":
        return TokenUsage(output_tokens=count, reasoning_tokens=count)
    return TokenUsage(**{kind: count})


@pytest.mark.parametrize(("kind", "column"), TOKENS.items())
def test_a_counter_is_billed_by_its_own_column(kind: str, column: str) -> None:
    (line,) = cost_lines(used(kind), EVERY, requests=0)
    assert (line.kind, line.column) == (kind, column)
    assert cost_nano_usd(used(kind), EVERY, requests=0) == getattr(EVERY, column)


@pytest.mark.parametrize(("kind", "column"), UNIT_COLUMNS.items())
def test_a_unit_is_billed_by_its_own_column(kind: str, column: str) -> None:
    usage = TokenUsage(units=MILLION, unit_kind=kind)
    (line,) = cost_lines(usage, EVERY, requests=0)
    assert line.column == column
    assert cost_nano_usd(usage, EVERY, requests=0) == getattr(EVERY, column)


@pytest.mark.parametrize("column", LONG)
def test_a_long_prompt_is_billed_by_the_long_column(column: str) -> None:
    kind = next(kind for kind, name in TOKENS.items() if name == column)
    prompt = TokenUsage(input_tokens=6 * MILLION)
    usage = TokenUsage(
        **{
            name: getattr(used(kind, 6 * MILLION), name) or getattr(prompt, name)
            for name in TokenUsage.__struct_fields__
        }
    )
    columns = {line.kind: line.column for line in cost_lines(usage, EVERY)}
    assert columns[kind] == f"long_{column}"


@pytest.mark.parametrize("tier", sorted(TIERS))
@pytest.mark.parametrize("column", ["input", "output", "cache_read"])
def test_a_tier_is_billed_by_its_column(tier: str, column: str) -> None:
    kind = next(kind for kind, name in TOKENS.items() if name == column)
    cost = cost_nano_usd(used(kind), EVERY, service_tier=tier, requests=0)
    assert cost == getattr(EVERY, f"{tier}_{column}")
    (line,) = cost_lines(used(kind), EVERY, service_tier=tier, requests=0)
    assert line.column == f"{tier}_{column}"


def test_no_column_of_a_price_is_left_unbilled() -> None:
    billed = {*TOKENS.values(), *UNIT_COLUMNS.values()}
    billed |= {f"long_{name}" for name in LONG}
    billed |= {
        f"{t}_{name}" for t in TIERS for name in ("input", "output", "cache_read")
    }
    assert billed == set(PriceSpec.__struct_fields__) - {"long_threshold"}


@pytest.mark.parametrize("word", ["batch", "BATCH", " Batch "])
def test_the_batch_tier_costs_what_the_batch_columns_say(word: str) -> None:
    price = PriceSpec(input=4_000_000, output=8_000_000, batch_input=2_000_000)
    usage = TokenUsage(input_tokens=10, output_tokens=10)
    assert cost_nano_usd(usage, price, service_tier=word) == 20 + 80
    assert cost_nano_usd(usage, price, service_tier="standard") == 40 + 80


@pytest.mark.parametrize(
    "word", [None, "", "default", "standard", "scale", "auto", "x"]
)
def test_every_other_tier_is_the_usual_price(word: str | None) -> None:
    usage = TokenUsage(input_tokens=MILLION, output_tokens=MILLION)
    (first, second) = cost_lines(usage, EVERY, service_tier=word, requests=0)
    assert (first.column, second.column) == ("input", "output")


def test_cache_writes_move_with_the_tier_s_input_and_reasoning_with_its_output() -> (
    None
):
    price = PriceSpec(
        input=4_000_000, output=8_000_000, reasoning=2_000_000,
        cache_write=5_000_000, cache_write_1h=8_000_000,
        batch_input=2_000_000, batch_output=4_000_000,
    )  # fmt: skip
    usage = TokenUsage(
        cache_write_tokens=1, cache_write_1h_tokens=1, output_tokens=2,
        reasoning_tokens=1,
    )  # fmt: skip
    lines = cost_lines(usage, price, service_tier="batch")
    assert [(line.column, line.price) for line in lines] == [
        ("batch_cache_write", 2_500_000),
        ("batch_cache_write_1h", 4_000_000),
        ("batch_output", 4_000_000),
        ("batch_reasoning", 1_000_000),
    ]


def test_a_tier_of_a_long_prompt_keeps_its_share() -> None:
    price = PriceSpec(
        input=4_000_000, output=1, cache_write=5_000_000, batch_input=2_000_000,
        long_threshold=1, long_input=8_000_000, long_cache_write=10_000_000,
    )  # fmt: skip
    usage = TokenUsage(input_tokens=1, cache_write_tokens=1)
    lines = cost_lines(usage, price, service_tier="batch")
    assert [(line.column, line.price) for line in lines] == [
        ("batch_long_input", 4_000_000),
        ("batch_long_cache_write", 5_000_000),
    ]


def test_a_tier_s_price_of_what_is_free_otherwise_is_taken_as_it_is() -> None:
    price = PriceSpec(input=0, output=0, cache_write=5, priority_input=7)
    usage = TokenUsage(input_tokens=MILLION, cache_write_tokens=MILLION)
    assert cost_nano_usd(usage, price, service_tier="priority") == 7 + 5


def test_an_unlisted_cache_price_is_the_input_price_and_the_line_says_so() -> None:
    (line,) = cost_lines(TokenUsage(cache_write_tokens=3), PriceSpec(input=MILLION))
    assert (line.kind, line.column, line.cost_nano_usd) == (
        "cache_write_tokens",
        "input",
        3,
    )


def test_a_web_search_is_billed_beside_the_tokens() -> None:
    price = PriceSpec(input=MILLION, output=MILLION, per_tool_call=10**13)
    usage = TokenUsage(input_tokens=5, output_tokens=5, units=2, unit_kind="tool_call")
    assert cost_nano_usd(usage, price) == 10 + 20_000_000  # 2 searches at 0.01 USD


def test_all_counters_at_once_add_up_line_by_line() -> None:
    usage = TokenUsage(
        **dict.fromkeys((kind for kind in TOKENS if kind != "reasoning_tokens"), 333),
        reasoning_tokens=111,
        units=7,
        unit_kind="image",
    )
    for tier in (None, *TIERS):
        lines = cost_lines(usage, EVERY, service_tier=tier)
        assert len(lines) == 12
        total = cost_nano_usd(usage, EVERY, service_tier=tier)
        assert sum(line.cost_nano_usd or 0 for line in lines) == total
