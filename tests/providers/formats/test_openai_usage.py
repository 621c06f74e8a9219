from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from providers.formats.openai_chat.usage import read_usage


def _read(**fields):
    return read_usage(msgspec.json.encode(fields))


@pytest.mark.parametrize(
    ("fields", "usage", "flags"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
            TokenUsage(input_tokens=10, output_tokens=4),
            (),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {
                    "cached_tokens": 30,
                    "cache_write_tokens": 20,
                    "audio_tokens": 10,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": 25,
                    "audio_tokens": 5,
                    "accepted_prediction_tokens": 3,
                },
            },
            TokenUsage(
                input_tokens=40,
                cache_read_tokens=30,
                cache_write_tokens=20,
                audio_in_tokens=10,
                output_tokens=45,
                reasoning_tokens=25,
                audio_out_tokens=5,
            ),
            (),
        ),
        (  # DeepSeek
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "total_tokens": 105,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
            },
            TokenUsage(input_tokens=36, cache_read_tokens=64, output_tokens=5),
            (),
        ),
        (  # Moonshot
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "total_tokens": 105,
                "cached_tokens": 60,
            },
            TokenUsage(input_tokens=40, cache_read_tokens=60, output_tokens=5),
            (),
        ),
        (  # cached beside the prompt, known by the total
            {
                "prompt_tokens": 40,
                "completion_tokens": 5,
                "total_tokens": 105,
                "cached_tokens": 60,
            },
            TokenUsage(input_tokens=40, cache_read_tokens=60, output_tokens=5),
            ("cache_outside_prompt",),
        ),
        (  # cached beside the prompt, known because it is larger
            {"prompt_tokens": 4, "completion_tokens": 5, "cached_tokens": 60},
            TokenUsage(input_tokens=4, cache_read_tokens=60, output_tokens=5),
            ("cache_outside_prompt",),
        ),
        (  # xAI
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 34,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            TokenUsage(input_tokens=10, output_tokens=24, reasoning_tokens=20),
            ("reasoning_outside_completion",),
        ),
        (  # Gemini's compatible endpoint: thoughts only in the total
            {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 34},
            TokenUsage(input_tokens=10, output_tokens=24, reasoning_tokens=20),
            ("reasoning_outside_completion",),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 99,
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            TokenUsage(input_tokens=10, output_tokens=4, reasoning_tokens=2),
            ("total_above_parts",),
        ),
        (  # cached images: no token may be billed twice
            {
                "prompt_tokens": 100,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 90, "image_tokens": 80},
            },
            TokenUsage(
                input_tokens=0,
                cache_read_tokens=90,
                image_in_tokens=10,
                output_tokens=1,
            ),
            ("image_in:overlap",),
        ),
        (
            {"total_tokens": 7},
            TokenUsage(input_tokens=7),
            ("only_total",),
        ),
        (
            {"input_tokens": 7, "output_tokens": 2},
            TokenUsage(input_tokens=7, output_tokens=2),
            (),
        ),
        (
            {"prompt_tokens": 7.0, "completion_tokens": "2"},
            TokenUsage(input_tokens=7, output_tokens=2),
            (),
        ),
        (
            {"prompt_tokens": -7, "completion_tokens": 2},
            TokenUsage(output_tokens=2),
            ("prompt:negative",),
        ),
        (
            {"prompt_tokens": 10**12, "completion_tokens": 2},
            TokenUsage(output_tokens=2),
            ("prompt:absurd",),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": [1]},
            TokenUsage(input_tokens=5, output_tokens=2),
            (),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            TokenUsage(input_tokens=5, output_tokens=2, reasoning_tokens=2),
            ("reasoning_above_output",),
        ),
    ],
)
def test_every_vendors_counting_comes_out_disjoint(fields, usage, flags):
    read = _read(**fields)
    assert read.usage == usage
    assert read.flags == flags


@pytest.mark.parametrize(
    ("raw", "flags"),
    [
        (b"null", ("usage:type",)),
        (b"[]", ("usage:type",)),
        (b'"many"', ("usage:type",)),
        (b"{}", ("usage:empty",)),
    ],
)
def test_what_says_nothing_reads_as_not_reported(raw, flags):
    read = read_usage(raw)
    assert read.usage is None
    assert read.flags == flags


def test_a_reported_zero_stays_zero():
    read = read_usage(b'{"prompt_tokens":0,"completion_tokens":0}')
    assert read.usage is not None
    assert (read.usage.input_tokens, read.usage.output_tokens) == (0, 0)
    assert read.flags == ("usage:zero",)


def test_no_usage_at_all_has_no_flags():
    assert read_usage(None).flags == ()


@pytest.mark.parametrize(
    ("cost", "nano"),
    [
        ("0.00123", 1_230_000),
        ("1.5e-05", 15_000),
        ("0.1000000005", 100_000_000),
        ("0", 0),
        ('"0.5"', 500_000_000),
        ('{"input_tokens_cost":0.1,"total_cost":0.006}', 6_000_000),
        ("null", None),
        ("-1", None),
        ('"free"', None),
        ("[]", None),
        ("{}", None),
    ],
)
def test_a_stated_cost_is_read_from_its_text(cost, nano):
    raw = b'{"prompt_tokens":1,"completion_tokens":1,"cost":%s}' % cost.encode()
    assert read_usage(raw).vendor_cost_nano_usd == nano


def test_a_cost_with_an_own_key_adds_what_the_vendor_behind_it_bills():
    read = _read(
        prompt_tokens=1,
        cost=0.001,
        is_byok=True,
        cost_details={"upstream_inference_cost": 0.02},
    )
    assert read.vendor_cost_nano_usd == 21_000_000


numbers = st.none() | st.integers(-5, 10**7) | st.floats(0, 1e6) | st.text(max_size=3)
details = st.none() | st.dictionaries(
    st.sampled_from(
        [
            "cached_tokens",
            "cache_write_tokens",
            "audio_tokens",
            "image_tokens",
            "reasoning_tokens",
        ]
    ),
    numbers,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": numbers,
            "completion_tokens": numbers,
            "total_tokens": numbers,
            "cached_tokens": numbers,
            "reasoning_tokens": numbers,
            "prompt_tokens_details": details,
            "completion_tokens_details": details,
        },
    )
)
def test_any_usage_reads_without_a_negative_or_a_double_count(fields):
    usage = _read(**fields).usage
    if usage is None:
        return
    for name in usage.__struct_fields__:
        value = getattr(usage, name)
        assert value is None or isinstance(value, str) or value >= 0
    assert (usage.reasoning_tokens or 0) <= (
        usage.output_tokens
        if usage.output_tokens is not None
        else usage.reasoning_tokens or 0
    )


@given(
    prompt=st.integers(0, 10**6),
    cached=st.integers(0, 10**6),
    written=st.integers(0, 10**6),
    audio=st.integers(0, 10**6),
    completion=st.integers(1, 10**6),
)
def test_the_parts_of_a_prompt_add_up_to_it(prompt, cached, written, audio, completion):
    usage = _read(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details={
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": audio,
        },
    ).usage
    inside = cached + written <= prompt
    assert usage.prompt_tokens == (prompt if inside else prompt + cached + written)
