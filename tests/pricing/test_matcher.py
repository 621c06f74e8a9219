"""Prove where a price comes from, in which order, and what is never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book.loader import embedded_book
from pricing.cost import PriceSpec
from pricing.matcher import SOURCES, CustomRule, Matcher
from tests.pricing.listed import index, listing, spec

CHEAP = PriceSpec(input=1, output=2)
OTHER = PriceSpec(input=3, output=4)
THIRD = PriceSpec(input=5, output=6)
FREE = PriceSpec(input=0, output=0)

LISTED = listing(
    openai={
        "gpt-4o": spec(2.5, 10),
        "gpt-4o-mini": spec(0.15, 0.6),
        "gpt-3.5-turbo": spec(0.5, 1.5),
        "gpt-4": spec(30, 60),
        "gpt-5": spec(1.25, 10),
        "gpt-5.5": spec(5, 30),
        "gpt-5.1-codex-max": spec(1.25, 10),
        "o3": spec(2, 8),
        "ft:gpt-4o-mini-2024-07-18": spec(0.3, 1.2),
        "text-embedding-9": spec(0.02),
    },
    anthropic={
        "claude-opus-4": spec(15, 75),
        "claude-opus-4-5": spec(5, 25),
        "claude-sonnet-4-5": spec(3, 15),
        "claude-sonnet-4-20250514": spec(3, 15),
        "claude-3-5-sonnet-20241022": spec(3, 15),
        "claude-3-5-sonnet-20240620": spec(3, 15),
    },
    google={
        "gemini-2.5-pro": spec(1.25, 10),
        "gemini-2.5-flash-lite": spec(0.1, 0.4),
        "gemini-3-pro-preview": spec(2, 12),
        "gemini-2.0-flash": spec(0.1, 0.4),
    },
    deepseek={"deepseek-v3": spec(0.28, 1.11), "deepseek-v3.1": spec(0.55, 1.67)},
    llama={"llama-3.3-70b": spec(0.8, 0.8)},
    mistral={"mistral-medium": spec(2.7, 8.1), "mistral-medium-3.1": spec(0.4, 2)},
    cohere={"command-r-plus": spec(2.5, 10)},
    openrouter={"anthropic/claude-opus-4.5": spec(6, 30), "z/small:free": spec(0, 0)},
    bedrock={"us.anthropic.claude-opus-4-5-20251101-v1:0": spec(5.5, 27.5)},
)


def matcher(*rules: CustomRule, **more) -> Matcher:
    return Matcher(rules, index=index(LISTED), **more)


@pytest.mark.parametrize("model", sorted(embedded_book().models))
def test_every_price_kept_by_hand_is_matched_by_its_own_id(model):
    match = Matcher().match("p", model)
    assert match.source == "book"
    assert match.key.rpartition("/")[2].lower() == model
    hand = embedded_book().models[model].price
    for column in ("input", "output", "cache_read", "cache_write"):
        assert getattr(match.price, column) == getattr(hand, column)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("azure/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gpt-35-turbo", "openai/gpt-3.5-turbo"),
        ("GPT_4o", "openai/gpt-4o"),
        (" gpt-4o ", "openai/gpt-4o"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-2031-08-06", "openai/gpt-4o"),
        ("claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4-5[1m]", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4@20250514", "anthropic/claude-sonnet-4-20250514"),
        ("claude-opus-4-5@default", "anthropic/claude-opus-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4-5"),
        ("anthropic/claude-opus-4.5:thinking", "anthropic/claude-opus-4-5"),
        ("claude-opus-4-5-thinking", "anthropic/claude-opus-4-5"),
        ("claude-3-5-sonnet-latest", "anthropic/claude-3-5-sonnet-20241022"),
        ("gpt-5-high", "openai/gpt-5"),
        ("gpt-5(xhigh)", "openai/gpt-5"),
        ("gpt-5.1-codex-max-xhigh", "openai/gpt-5.1-codex-max"),
        ("mistral-medium", "mistral/mistral-medium"),
        ("mistral-medium-3.1-medium", "mistral/mistral-medium-3.1"),
        ("accounts/fireworks/models/deepseek-v3", "deepseek/deepseek-v3"),
        ("accounts/fireworks/models/deepseek-v3p1", "deepseek/deepseek-v3.1"),
        ("models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gemini-2.5-flash-lite-preview-09-2025", "google/gemini-2.5-flash-lite"),
        ("gemini-2.0-flash-001", "google/gemini-2.0-flash"),
        ("gemini-3-pro", "google/gemini-3-pro-preview"),
        ("command-r-plus-08-2024", "cohere/command-r-plus"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "openai/ft:gpt-4o-mini-2024-07-18"),
    ],
)
def test_an_id_is_read_from_plain_to_bare(model, key):
    match = matcher().match("p", model)
    assert (match.source, match.key) == ("book", key)


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-9",
        "claude-opus-4-1",
        "claude-opus-4-9",
        "claude-3-7-sonnet-20250219",
        "gpt-7",
        "gpt-5.7",
        "gpt-5.5-pro",
        "gpt-5-titan",
        "gpt-4-32k",
        "gpt-4-0613",
        "gpt-4o-audio-preview",
        "gpt-4o-mini-tts",
        "o3-pro",
        "o3-deep-research",
        "gemini-4-pro",
        "deepseek-v9",
        "deepseek-v3-0324",
        "grok-4-fast-reasoning",
        "qwen2.5-72b-instruct",
        "llama-3.3-8b-instruct",
        "ft:gpt-4o:org::id",
        "gpt-4o.ft-0a1b2c",
        "arn:aws:bedrock:us-east-1:1:provisioned-model/abcdef",
        "anthropic/claude-opus-4.5:nitro",
        "foo-bar",
        "whisper-1",
        "gpt-oss-120b",
        "",
    ],
)
def test_what_nobody_lists_is_unpriced_and_not_an_older_model(model):
    match = matcher().match("p", model)
    assert (match.source, match.price) == ("unknown", None)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("claude-opus", "claude:opus"),
        ("gemini-flash", "gemini:flash"),
        ("qwen-max-latest", "qwen:max"),
        ("anthropic/claude-haiku", "claude:haiku"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama/llama-3.3-70b"),
        ("deepseek-v3.1-fp8", "deepseek/deepseek-v3.1"),
        ("vendor/anything-9:free", ":free"),
    ],
)
def test_a_guess_says_that_it_is_one(model, key):
    match = matcher().match("p", model)
    assert (match.source, match.key) == ("heuristic", key)
    assert match.price is not None


def test_free_variants_cost_nothing_and_the_paid_one_s_price_does_not_apply():
    match = matcher().match("p", "anthropic/claude-opus-4.5:free")
    assert (match.price, match.source) == (FREE, "heuristic")
    stated = matcher().match("o", "z/small:free", listing_id="openrouter")
    assert (stated.price, stated.source) == (FREE, "book")
    assert matcher().match("p", "gpt-4o:free").source == "unknown"


def test_the_guess_derives_claude_s_cache_writes_and_says_so():
    match = matcher().match("p", "claude-opus")
    assert match.price.cache_write * 4 == match.price.input * 5
    assert match.price.cache_write_1h == match.price.input * 2
    assert "cache_write" in match.derived
    assert matcher().match("p", "qwen-max").price.cache_write is None


def test_sources_are_asked_in_the_order_of_the_docs():
    own = CustomRule("gpt-4o", CHEAP, "acme", version_id=1)
    anywhere = CustomRule("gpt-4o", OTHER, version_id=2)
    pattern = CustomRule("gpt-*", THIRD, is_pattern=True, version_id=3)
    default = CustomRule("*", CHEAP, version_id=4)
    live = {"stated": spec(8, 8)}

    def source(*rules: CustomRule, model: str = "gpt-4o", **more) -> str:
        table = matcher(*rules, default=default)
        return table.match("acme", model, listing_id="openai", **more).source

    assert source(pattern, anywhere, own, **live) == "custom_provider"
    assert source(pattern, anywhere, **live) == "custom_model"
    assert source(pattern, **live) == "custom_pattern"
    assert source(**live) == "live"
    assert source(**live, is_local=True) == "live"
    assert source(is_local=True) == "local"
    assert source() == "book"
    assert source(model="claude-opus") == "heuristic"
    assert source(model="gpt-7") == "default"
    assert matcher().match("acme", "gpt-7").source == "unknown"
    assert SOURCES == (
        "custom_provider", "custom_model", "custom_pattern", "live", "local", "book",
        "heuristic", "default", "unknown",
    )  # fmt: skip


def test_a_person_s_price_carries_its_version():
    own = CustomRule("gpt-4o", CHEAP, "acme", version_id=1)
    found = matcher(own).match("acme", "gpt-4o")
    assert (found.price, found.version_id) == (CHEAP, 1)
    assert matcher(own).match("other", "gpt-4o").source == "book"


def test_removing_a_custom_price_restores_the_book():
    assert matcher().match("acme", "gpt-4o").source == "book"


def test_a_provider_is_billed_by_its_own_listing_before_the_maker_s():
    table = matcher()
    model = "us.anthropic.claude-opus-4-5-20251101-v1:0"
    own = table.match("aws", model, listing_id="bedrock")
    assert own.key == f"bedrock/{model}"
    assert own.price.input == 5_500_000_000
    made = table.match("mine", model)
    assert (made.key, made.price.input) == ("anthropic/claude-opus-4-5", 5_000_000_000)


def test_a_provider_s_own_public_list_is_its_live_price():
    live = listing("openrouter", openrouter={"anthropic/claude-opus-4.5": spec(7, 35)})
    table = Matcher(index=index(live, LISTED))
    found = table.match("or", "anthropic/claude-opus-4.5", listing_id="openrouter")
    assert (found.source, found.origin, found.price.input) == (
        "live",
        "openrouter",
        7_000_000_000,
    )
    assert found.url == "https://openrouter.example/list"
    assert found.date == "2026-11-01"


def test_a_listed_model_without_a_price_is_billed_at_the_maker_s():
    listed = listing(groq={"gpt-4o": None}, openai={"gpt-4o": spec(1, 2)})
    table = Matcher(index=index(listed))
    assert table.match("g", "gpt-4o", listing_id="groq").key == "openai/gpt-4o"


def test_a_custom_price_fits_other_spellings_of_its_model_and_no_other_model():
    table = matcher(CustomRule("claude-sonnet-4.5", CHEAP))
    for model in ("claude-sonnet-4-5", "anthropic/Claude-Sonnet-4.5-20250929"):
        assert table.match("p", model).source == "custom_model"
    assert table.match("p", "claude-sonnet-4-20250514").source == "book"
    tuned = matcher(CustomRule("gpt-4o", CHEAP)).match("p", "ft:gpt-4o:org::id")
    assert tuned.source == "unknown"


def test_the_more_telling_pattern_wins():
    rules = [
        CustomRule("*", CHEAP, is_pattern=True),
        CustomRule("gpt-5*", OTHER, is_pattern=True),
        CustomRule("*", THIRD, "acme", is_pattern=True),
    ]
    table = matcher(*rules)
    assert table.match("p", "openai/gpt-5-pro").price == OTHER
    assert table.match("p", "anything").price == CHEAP
    assert table.match("acme", "gpt-5").price == THIRD


def test_a_default_prices_only_what_nothing_else_does():
    table = matcher(default=CustomRule("*", CHEAP, version_id=9))
    assert table.match("p", "gpt-4o").source == "book"
    found = table.match("p", "foo-bar")
    assert (found.price, found.source, found.version_id) == (CHEAP, "default", 9)


def test_a_local_model_is_free_unless_somebody_priced_it():
    table = matcher(CustomRule("llama-3.3-70b", CHEAP))
    assert table.match("ollama", "gpt-4o", is_local=True).price == FREE
    found = table.match("ollama", "llama-3.3-70b", is_local=True)
    assert found.source == "custom_model"


def test_the_listings_lend_their_limits():
    limits = Matcher().limits("openai", "gpt-4o-2024-08-06")
    assert (limits.context_window, limits.max_output) == (128_000, 16_384)
    assert Matcher().limits("", "gpt-4o").max_output == 16_384
    unknown = Matcher().limits("", "foo-bar")
    assert (unknown.context_window, unknown.max_output) == (None, None)


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text):
    assert matcher_of_all.match("p", text, listing_id="openrouter").source in SOURCES


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "/" * 5_000, "-" * 5_000, "gpt-4o-" * 99]
)
def test_an_absurd_id_is_answered_at_once(text):
    assert matcher_of_all.match("p", text).source == "unknown"


matcher_of_all = matcher()
