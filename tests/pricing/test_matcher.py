from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book.loader import embedded_book
from pricing.cost import PriceSpec
from pricing.families import family_book, family_of, tier_of
from pricing.matcher import SOURCES, CustomRule, Matcher

CHEAP = PriceSpec(input=1, output=2)
OTHER = PriceSpec(input=3, output=4)
THIRD = PriceSpec(input=5, output=6)


@pytest.mark.parametrize("model", sorted(embedded_book().models))
def test_every_book_entry_matches_itself(model):
    match = Matcher().match("openai", model)
    assert (match.source, match.key) == ("book", model)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("azure/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("GPT_4o", "gpt-4o"),
        (" gpt-4o ", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic/claude-opus-4.5:thinking", "claude-opus-4-5"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("gpt-5-high", "gpt-5"),
        ("gpt-5.1-codex-max-xhigh", "gpt-5.1-codex-max"),
        ("accounts/fireworks/models/deepseek-v3", "deepseek-v3"),
        ("deepseek-v3-0324", "deepseek-v3"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite"),
        ("gemini-3-pro", "gemini-3-pro-preview"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b"),
        ("command-r-plus-08-2024", "command-r-plus"),
    ],
)
def test_an_id_is_read_from_plain_to_bare(model, key):
    match = Matcher().match("p", model)
    assert (match.source, match.key) == ("book", key)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("claude-opus-4-9", "claude:opus"),
        ("gpt-5.7", "gpt:5"),
        ("gpt-5.5-pro", "gpt:5-pro"),
        ("gpt-4.5-preview", "gpt:4"),
        ("gpt-4-32k", "gpt:4"),
        ("grok-4-fast-reasoning", "grok:4"),
        ("qwen2.5-72b-instruct", "qwen:plus"),
        ("llama3.1:405b", "llama:405b"),
        ("o3-deep-research", "o-series:default"),
        ("claude-3-7-sonnet-20250219", "claude:sonnet"),
    ],
)
def test_another_version_or_tier_is_guessed_by_family_and_says_so(model, key):
    match = Matcher().match("p", model)
    assert (match.source, match.key) == ("heuristic", key)
    assert match.price is not None


@pytest.mark.parametrize(
    "model",
    [
        "foo-bar",
        "text-embedding-3-small",
        "gpt-image-1",
        "gpt-4o-mini-tts",
        "gpt-4o-audio-preview",
        "whisper-1",
        "gpt-oss-120b",
        "anthropic/claude-sonnet-4.5:free",
        "gemini-embedding-001",
        "",
    ],
)
def test_what_is_not_known_is_unknown_and_not_zero(model):
    match = Matcher().match("p", model)
    assert match.source == "unknown"
    assert match.price is None


def test_the_claude_guess_derives_its_cache_writes():
    price = Matcher().match("p", "claude-opus-9").price
    assert price.cache_write * 4 == price.input * 5
    assert price.cache_write_1h == price.input * 2
    assert Matcher().match("p", "grok-9").price.cache_write is None


def test_sources_are_asked_in_order():
    provider = CustomRule("gpt-4o", CHEAP, "acme", version_id=1)
    anywhere = CustomRule("gpt-4o", OTHER, version_id=2)
    pattern = CustomRule("gpt-*", THIRD, is_pattern=True, version_id=3)
    matcher = Matcher([pattern, anywhere, provider])
    found = matcher.match("acme", "gpt-4o")
    assert (found.price, found.source, found.version_id) == (
        CHEAP,
        "custom_provider",
        1,
    )
    found = matcher.match("other", "gpt-4o")
    assert (found.price, found.source, found.version_id) == (OTHER, "custom_model", 2)
    found = matcher.match("other", "gpt-4.1")
    assert (found.price, found.source, found.version_id) == (THIRD, "custom_pattern", 3)
    assert matcher.match("other", "claude-opus-5").source == "book"
    assert set(SOURCES) >= {"custom_provider", "book", "heuristic", "default"}


def test_removing_a_custom_price_restores_the_book():
    assert Matcher([]).match("acme", "gpt-4o").source == "book"


def test_a_custom_price_fits_other_spellings_of_its_model():
    matcher = Matcher([CustomRule("claude-sonnet-4.5", CHEAP)])
    for model in ("claude-sonnet-4-5", "anthropic/Claude-Sonnet-4.5-20250929"):
        assert matcher.match("p", model).source == "custom_model"
    assert matcher.match("p", "claude-sonnet-4").source == "book"


def test_the_more_telling_pattern_wins():
    rules = [
        CustomRule("*", CHEAP, is_pattern=True),
        CustomRule("gpt-5*", OTHER, is_pattern=True),
        CustomRule("*", THIRD, "acme", is_pattern=True),
    ]
    matcher = Matcher(rules)
    assert matcher.match("p", "openai/gpt-5-pro").price == OTHER
    assert matcher.match("p", "anything").price == CHEAP
    assert matcher.match("acme", "gpt-5").price == THIRD


def test_a_default_prices_only_what_nothing_else_does():
    default = CustomRule("default", CHEAP, version_id=9)
    matcher = Matcher(default=default)
    assert matcher.match("p", "gpt-4o").source == "book"
    found = matcher.match("p", "foo-bar")
    assert (found.price, found.source, found.version_id) == (CHEAP, "default", 9)


def test_a_local_model_is_free_unless_somebody_priced_it():
    matcher = Matcher([CustomRule("llama-3.3-70b", CHEAP)])
    assert matcher.match("ollama", "gpt-4o", is_local=True).price == PriceSpec(
        input=0, output=0
    )
    found = matcher.match("ollama", "llama-3.3-70b", is_local=True)
    assert found.source == "custom_model"


def test_the_book_lends_its_limits():
    assert Matcher().entry("gpt-4o-2024-08-06").max_output == 16_384
    assert Matcher().entry("foo") is None


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text):
    assert Matcher().match("p", text).source in SOURCES


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


def test_the_longest_tier_wins():
    gpt = family_book().families["gpt"]
    assert tier_of(gpt, "gpt-5-mini-2025") == "5-mini"
    assert tier_of(gpt, "gpt-mini") == "mini"
    assert tier_of(gpt, "gpt-99") == "4o"
