"""Prove what a family is believed to say, and that it prices no version."""

from __future__ import annotations

import pytest

from pricing.cost import PriceSpec
from pricing.families import completed, family_book, family_of, tier_of, tier_price
from tests.pricing.listed import spec


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o", "gpt"),
        ("chatgpt-4o-latest", "gpt"),
        ("openai/o3-mini", "o-series"),
        ("turbo1", None),
        ("meta-llama/Llama-3", "llama"),
        ("qwen3-32b", "qwen"),
        ("mixtral-8x7b", "mistral"),
        ("kimi-k2", None),
    ],
)
def test_a_family_is_known_by_a_word_of_the_id(model, family):
    assert family_of(model) == family


def test_every_default_tier_is_one_of_its_family_s():
    for name, family in family_book().families.items():
        assert family.default_tier in family.tiers or not family.tiers, name
        assert 2000 < family.bytes_per_1000_tokens < 6000


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        ("claude", "claude:sonnet"),
        ("claude-opus", "claude:opus"),
        ("haiku-claude", "claude:haiku"),
        ("gemini-flash-lite", "gemini:flash-lite"),
        ("gpt-mini", "gpt:mini"),
        ("qwen-max", "qwen:max"),
        ("mistral", "mistral:large"),
        ("llama-70b", "llama:70b"),
        ("deepseek-coder", "deepseek:coder"),
        ("grok", "grok:3"),
    ],
)
def test_an_id_without_a_version_has_a_tier(model, tier):
    assert ":".join(tier_of(model)) == tier


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-9", "claude-fable", "claude-opus-fast", "gpt-7", "gpt-4o", "gpt-5",
        "gemini-4-pro", "grok-4", "grok-3", "o3", "o9", "o5-mini", "llama3-70b",
        "llama-4-70b", "qwen4-max", "qwen-vl-max", "deepseek-v9", "mistral-embed",
        "gemini-flash-image", "gemini-live", "gpt-realtime", "kimi", "foo", "",
    ],
)  # fmt: skip
def test_a_version_or_an_unknown_word_has_none(model):
    assert tier_of(model) is None


def test_a_tier_s_price_is_its_listed_one():
    assert tier_price("claude", "opus") == spec(5, 25, cache_read=500_000_000)


CLAUDE = spec(4, 20)


def test_claude_reads_cost_a_tenth_and_writes_a_quarter_more_or_twice():
    price, added = completed("claude-opus-9", CLAUDE)
    assert price.cache_read * 10 == price.input
    assert price.cache_write * 4 == price.input * 5
    assert price.cache_write_1h == price.input * 2
    assert price.per_tool_call == 10_000 * 1_000_000_000  # 10 USD per 1,000 searches
    assert added == ("cache_read", "cache_write", "cache_write_1h", "per_tool_call")


def test_claude_s_long_prompts_keep_the_same_shares():
    price, _ = completed("claude-x", spec(4, 20, long_threshold=9, long_input=800))
    assert (price.long_cache_read, price.long_cache_write) == (80, 1000)
    assert price.long_cache_write_1h == 1600


def test_gpt_5_6_writes_cost_a_quarter_more_and_earlier_ones_nothing_more():
    price, added = completed("gpt-5-6-luna", spec(4, 20))
    assert price.cache_write * 4 == price.input * 5
    assert added == ("cache_write",)
    assert completed("gpt-5-5", spec(4, 20)) == (spec(4, 20), ())


@pytest.mark.parametrize("model", ["gemini-3-pro", "grok-4", "glm-5", "kimi-k3", "m"])
def test_other_families_invent_no_cache_price(model):
    assert completed(model, spec(4, 20)) == (spec(4, 20), ())


def test_what_a_source_states_is_never_changed():
    stated = spec(4, 20, cache_read=1, cache_write=2, cache_write_1h=3, per_tool_call=0)
    assert completed("claude-opus-9", stated) == (stated, ())


def test_a_free_or_unknown_input_has_nothing_to_follow_from():
    for price in (PriceSpec(input=0, output=0), PriceSpec(output=1), PriceSpec()):
        assert completed("claude-opus-9", price) == (price, ())
