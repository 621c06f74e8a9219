"""Prove that LiteLLM's table is read exactly, its variants and tiers apart."""

from __future__ import annotations

import json

import pytest

from pricing.feeds import litellm
from pricing.feeds.feed_errors import FeedError

DAY = "2026-11-20"


def chat(provider="openai", **changes):
    return {
        "litellm_provider": provider,
        "mode": "chat",
        "max_input_tokens": 272000,
        "max_output_tokens": 128000,
        "input_cost_per_token": 1.25e-06,
        "output_cost_per_token": 1e-05,
        "supports_vision": True,
        "supports_function_calling": True,
        "supports_pdf_input": False,
        **changes,
    }


def read(**rows):
    return read_rows(rows)


def read_rows(rows):
    raw = json.dumps({"sample_spec": {"mode": "one of"}, **rows}).encode()
    return litellm.read(raw, date=DAY).providers


def only(**changes):
    return read(model=chat(**changes))["openai"].models["model"]


def test_prices_per_token_become_exact_prices_per_million():
    found = only(cache_read_input_token_cost=1.25e-07)
    assert (found.price.input, found.price.output) == (1_250_000_000, 10_000_000_000)
    assert found.price.cache_read == 125_000_000
    assert (found.context_window, found.max_output) == (272_000, 128_000)
    assert found.capabilities == ("tools", "vision")
    assert found.lacks == ("pdf",)


def test_binary_dust_of_a_float_is_rounded_away():
    assert only(input_cost_per_token=2.4999999999999998e-07).price.input == 250_000_000


def test_every_tier_has_its_column():
    found = only(
        input_cost_per_token_flex=6.25e-07,
        output_cost_per_token_priority=2e-05,
        input_cost_per_token_batches=6.25e-07,
        output_cost_per_token_batches=5e-06,
        cache_creation_input_token_cost=1.5e-06,
        cache_creation_input_token_cost_above_1hr=2.5e-06,
        input_cost_per_token_above_200k_tokens=2.5e-06,
        input_cost_per_token_above_400k_tokens=9e-06,
        cache_creation_input_token_cost_above_1hr_above_200k_tokens=5e-06,
    ).price
    assert found.flex_input == found.batch_input == 625_000_000
    assert (found.priority_output, found.batch_output) == (
        20_000_000_000,
        5_000_000_000,
    )
    assert (found.cache_write, found.cache_write_1h) == (1_500_000_000, 2_500_000_000)
    assert (found.long_threshold, found.long_input) == (200_000, 2_500_000_000)
    assert found.long_cache_write_1h == 5_000_000_000
    assert found.long_output is None


def test_steps_by_prompt_length_are_a_base_and_a_long_price():
    steps = [
        {"range": [32000, 128000], "input_cost_per_token": 3e-06},
        {
            "range": [0, 32000],
            "input_cost_per_token": 1e-06,
            "output_cost_per_token": 5e-06,
        },
        "junk",
        {"range": "junk"},
    ]
    price = only(tiered_pricing=steps).price
    assert (price.input, price.output) == (1_000_000_000, 5_000_000_000)
    assert (price.long_threshold, price.long_input) == (32_000, 3_000_000_000)


@pytest.mark.parametrize(
    ("mode", "column", "given", "kind"),
    [
        ("image_generation", "per_image", {"output_cost_per_image": 0.04}, "image"),
        ("audio_transcription", "per_second", {"input_cost_per_second": 0.04}, "transcription"),
        ("audio_speech", "per_character", {"input_cost_per_character": 0.04}, "speech"),
        ("video_generation", "per_video_second", {"output_cost_per_second": 0.04}, "video"),
        ("rerank", "per_request", {"input_cost_per_query": 0.04}, "rerank"),
    ],
)  # fmt: skip
def test_pieces_are_priced_by_the_million_of_them(mode, column, given, kind):
    row = {"litellm_provider": "openai", "mode": mode, **given}
    found = read(model=row)["openai"].models["model"]
    assert getattr(found.price, column) == 40_000_000_000_000
    assert found.kind == kind
    assert found.price.input is None


@pytest.mark.parametrize(
    ("key", "theirs", "ours", "model"),
    [
        ("gpt-5", "openai", "openai", "gpt-5"),
        ("azure/gpt-5", "azure", "azure-openai", "gpt-5"),
        ("gemini/gemini-3", "gemini", "google", "gemini-3"),
        ("groq/openai/gpt-oss-20b", "groq", "groq", "openai/gpt-oss-20b"),
        ("deepinfra/Qwen/QwQ-32B", "deepinfra", "deepinfra", "Qwen/QwQ-32B"),
        ("us.anthropic.claude-5", "bedrock_converse", "bedrock", "us.anthropic.claude-5"),
        ("vertex_ai/claude-5@1", "vertex_ai-anthropic_models", "vertex", "claude-5@1"),
        ("together_ai/x/y", "together_ai", "together", "x/y"),
        ("xiaomi_mimo/mimo-v3", "xiaomi_mimo", "mimo", "mimo-v3"),
    ],
)  # fmt: skip
def test_key_becomes_the_providers_own_id(key, theirs, ours, model):
    found = read_rows({key: chat(theirs)})
    assert list(found[ours].models) == [model]


@pytest.mark.parametrize(
    "key",
    [
        "bedrock/us-east-1/anthropic.claude-5",
        "bedrock/us-gov-west-1/1-month-commitment/anthropic.claude-5",
        "1024-x-1024/50-steps/nova",
        "azure/eu/gpt-5",
        "bedrock/*/1-month-commitment/cohere",
    ],
)
def test_variant_of_a_region_or_a_size_is_no_model(key):
    provider = "azure" if key.startswith("azure") else "bedrock"
    found = read_rows({"gpt-5": chat(), key: chat(provider)})
    assert list(found) == ["openai"]


def test_thinking_at_zero_is_billed_as_output():
    assert only(output_cost_per_reasoning_token=0.0).price.reasoning is None
    found = only(output_cost_per_reasoning_token=2e-06)
    assert found.price.reasoning == 2_000_000_000


@pytest.mark.parametrize(
    ("provider", "key", "known"),
    [
        ("volcengine", "deepseek-v3", False),
        ("openai", "omni-moderation", True),
        ("ollama", "ollama/llama3", True),
        ("openrouter", "openrouter/acme/large:free", True),
    ],
)
def test_row_of_zeros_is_free_only_where_that_can_be(provider, key, known):
    zeros = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    search = {"search_context_cost_per_query": {"search_context_size_medium": 0.035}}
    mode = "moderation" if "moderation" in key else "chat"
    found = read_rows({key: chat(provider, **zeros, **search, mode=mode)})
    (model,) = found[provider].models.values()
    assert (model.price is not None) == known


def test_passed_date_of_deprecation_marks_a_model():
    assert only(deprecation_date="2026-11-19").deprecated
    assert not only(deprecation_date="2026-12-11").deprecated
    assert not only(deprecation_date="soon").deprecated


@pytest.mark.parametrize("bad", [-1e-06, True, "NaN", 5, [], {}, None, 1e300], ids=str)
def test_absurd_price_is_no_price(bad):
    found = only(input_cost_per_token=bad, output_cost_per_token=bad)
    assert found.price is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b"{}", b'{"sample_spec": {}}', b'{"a": 1}', b'{"a":' * 50_000],
)
def test_other_shape_is_refused_in_words(raw):
    with pytest.raises(FeedError) as caught:
        litellm.read(raw, date=DAY)
    assert "LiteLLM" in caught.value.message


def test_bad_rows_leave_the_good_ones():
    rows = {"a": chat(), "b": chat(), "\u202ec": chat(), "d": 5, "e": chat(7)}
    with pytest.raises(FeedError, match="2 of 5"):
        read_rows(rows)
    found = read_rows({**rows, "f": chat()})
    assert set(found["openai"].models) == {"a", "b", "f"}
