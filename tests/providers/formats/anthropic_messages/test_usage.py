from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from providers.formats.anthropic_messages.usage import UsageReader, usage_object
from providers.formats.neutral.gather import gather
from tests.providers.formats.anthropic_messages.messages import (
    answer_of,
    ending,
    read_whole,
    start,
    stream,
    text_block,
)


def read(*objects):
    reader = UsageReader()
    usage = None
    for each in objects:
        usage = reader.take(json.dumps(each).encode())
    return usage, reader.flags


def test_bifrost_5355_the_delta_replaces_what_the_start_said():
    """Qwen's endpoint as captured there: the larger of both would bill 17,665."""
    opening = {"input_tokens": 8834, "output_tokens": 0}
    final = {
        "input_tokens": 18,
        "output_tokens": 426,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 8831,
        "cache_creation": {"ephemeral_5m_input_tokens": 0},
    }
    data = stream(start(opening), *text_block(0, "x"), *ending(usage=final))
    usage = answer_of(data).usage
    assert usage == TokenUsage(
        input_tokens=18,
        cache_read_tokens=8831,
        cache_write_tokens=0,
        output_tokens=426,
    )
    assert usage.prompt_tokens == 8849
    whole = {"type": "message", "content": [], "usage": final}
    assert gather(read_whole(whole)).usage == usage


def test_bifrost_3451_written_tokens_are_no_input():
    """6 new, 159,217 written, 2,745 answered: 1.06376125 USD there, never 1.86."""
    usage, _ = read(
        {"input_tokens": 6, "cache_creation_input_tokens": 159_217},
        {"output_tokens": 2_745},
    )
    nano = usage.input_tokens * 5_000 + usage.cache_write_tokens * 6_250
    nano += usage.output_tokens * 25_000
    assert nano == 1_063_761_250


def test_p106_cached_tokens_are_counted_by_age():
    usage, flags = read(
        {
            "input_tokens": 1,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 30,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 20,
                "ephemeral_1h_input_tokens": 10,
            },
            "output_tokens": 4,
        }
    )
    assert flags == ()
    assert usage == TokenUsage(
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_tokens=20,
        cache_write_1h_tokens=10,
        output_tokens=4,
    )


def test_null_and_missing_members_override_nothing():
    usage, _ = read(
        {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1},
        {"input_tokens": None, "output_tokens": 9},
    )
    assert usage == TokenUsage(input_tokens=7, cache_read_tokens=3, output_tokens=9)


@pytest.mark.parametrize(
    ("stated", "usage", "flag"),
    [
        (7, None, "usage:type"),
        ({}, None, None),
        ({"input_tokens": "5"}, TokenUsage(input_tokens=5), None),
        ({"input_tokens": -1}, None, "input:negative"),
        (
            {"cache_creation": {"ephemeral_1h_input_tokens": 4}},
            TokenUsage(cache_write_1h_tokens=4),
            None,
        ),
        (
            {
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_1h_input_tokens": 4},
            },
            TokenUsage(cache_write_tokens=0, cache_write_1h_tokens=3),
            "cache_1h:above_total",
        ),
        (
            {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}},
            TokenUsage(output_tokens=3, reasoning_tokens=3),
            "reasoning_above_output",
        ),
        ({"cache_creation": 7, "server_tool_use": []}, None, None),
    ],
)
def test_odd_usage_is_read_for_what_it_plainly_means(stated, usage, flag):
    got, flags = read(stated)
    assert got == usage
    assert flags == (() if flag is None else (flag,))


def test_the_tier_that_was_served_is_told():
    reader = UsageReader()
    reader.take(b'{"input_tokens":1,"service_tier":"priority"}')
    assert reader.tier == "priority"
    data = stream(
        start({"input_tokens": 1}),
        *text_block(0, "x"),
        *ending(usage={"output_tokens": 1, "service_tier": "batch"}),
    )
    assert answer_of(data).service_tier == "batch"


counts = st.one_of(st.none(), st.integers(0, 10_000))


@given(
    st.builds(
        TokenUsage,
        input_tokens=counts,
        cache_read_tokens=counts,
        cache_write_tokens=counts,
        cache_write_1h_tokens=counts,
        output_tokens=counts,
    )
)
def test_worded_usage_reads_back_to_the_same_sums(usage):
    got, flags = read(usage_object(usage))
    assert flags == ()
    assert got.prompt_tokens == usage.prompt_tokens
    assert got.completion_tokens == usage.completion_tokens
    assert (got.cache_read_tokens or 0) == (usage.cache_read_tokens or 0)
    assert (got.cache_write_1h_tokens or 0) == (usage.cache_write_1h_tokens or 0)


def test_other_counters_of_the_prompt_are_input_here():
    worded = usage_object(
        TokenUsage(
            input_tokens=1,
            audio_in_tokens=2,
            image_in_tokens=4,
            output_tokens=8,
            audio_out_tokens=16,
            reasoning_tokens=3,
            units=2,
            unit_kind="tool_call",
        )
    )
    assert (worded["input_tokens"], worded["output_tokens"]) == (7, 24)
    assert worded["output_tokens_details"] == {"thinking_tokens": 3}
    assert worded["server_tool_use"] == {"web_search_requests": 2}
