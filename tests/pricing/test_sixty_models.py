"""Prove 60 listed prices against figures typed by hand: nothing read, nothing made.

The draw ranks a vendor's models by a hash of the seed and their id, so that a model
more in the listing changes it by one model at most.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from pricing.book.loader import embedded_listing
from pricing.matcher import Matcher

SEED = 4
EACH = 6

# USD per million tokens: input, output, cache read, cache write of five minutes. None
# is not listed: such tokens are billed at the input price. Rows marked * are of the
# product's own specified list of August 2026 (where its zero for a cache write says
# that nothing is taken on top), or a dated id of a model there.
TYPED: dict[str, dict[str, tuple[str, str, str | None, str | None]]] = {
    "openai": {
        "gpt-5.3-codex-spark": ("1.75", "14", "0.175", None),  # *
        "gpt-5.4": ("2.5", "15", "0.25", None),  # *
        "gpt-5.2-pro-2025-12-11": ("21", "168", "2.1", None),  # *
        "gpt-4-vision-preview": ("10", "30", None, None),
        "gpt-4o-audio-preview": ("2.5", "10", None, None),
        "gpt-5-pro": ("15", "120", "1.5", None),  # *
    },
    "anthropic": {
        "claude-3-5-haiku-latest": ("0.8", "4", "0.08", "1"),  # *
        "claude-haiku-4-5": ("1", "5", "0.1", "1.25"),  # *
        "claude-3-opus-20240229": ("15", "75", "1.875", "18.75"),  # *
        "claude-sonnet-5": ("3", "15", "0.3", "3.75"),  # *
        "claude-opus-4-6-20260205": ("5", "25", "0.5", "6.25"),  # *
        # Older than the cache; the family's rule gives what it would cost.
        "claude-2": ("8", "24", "0.8", "10"),
    },
    "google": {
        "gemini-2.5-flash-lite": ("0.1", "0.4", "0.01", None),  # *
        "gemini-3.8-flash": ("0.75", "3.75", "0.075", None),
        "gemini-3.6-flash": ("1.5", "7.5", "0.15", None),  # *
        "gemini-robotics-er-2-preview": ("1", "5", "0.1", None),
        "gemini-3.5-flash-lite": ("0.3", "2.5", "0.03", None),  # *
        "gemini-3.1-pro-preview": ("2", "12", "0.2", None),  # *
    },
    "mistral": {
        "mistral-medium-2312": ("2.7", "8.1", None, None),
        "mistral-large-2411": ("2", "6", None, None),
        "devstral-latest": ("0.4", "2", "0.04", None),
        "mistral-large-4": ("0.7", "2.1", "0.07", None),
        "mistral-7b": ("0.25", "0.25", None, None),
        "devstral-medium-latest": ("0.4", "2", "0.04", None),
    },
    "deepseek": {
        "deepseek-r1": ("0.55", "2.19", "0.14", None),
        "deepseek-v3.1": ("0.55", "1.67", "0.055", None),  # *
        "deepseek-v4-flash-0731": ("0.44", "1.32", "0.014", None),  # *
        "deepseek-v3.2": ("0.28", "0.42", "0.028", None),  # *
        "deepseek-v4-flash-vision-exp": ("0.3", "1.2", "0.006", None),
        "deepseek-v3": ("0.28", "1.11", "0.028", None),  # *
    },
    "xai": {
        "grok-4.20-multi-agent-beta-latest": ("1.25", "2.5", "0.2", None),
        "grok-2-vision-1212": ("2", "10", None, None),
        "grok-4.6": ("2", "6", "0.5", None),  # *
        "grok-3-mini": ("0.25", "0.5", "0.075", None),  # *
        "grok-4.20-experimental-beta-latest": ("1.25", "2.5", "0.2", None),
        "grok-4.3-latest": ("1.25", "2.5", "0.2", None),  # *
    },
    "moonshot": {
        "kimi-k2.6": ("0.95", "4", "0.16", None),  # *
        "kimi-k3.1-pro-highspeed": ("4", "20", "0.2", "4"),
        "kimi-k3.1-pro": ("2", "10", "0.2", "2"),
        "kimi-k2.7-code": ("0.95", "4", "0.19", None),  # *
        "k3": ("3", "15", "0.3", None),  # *
        "kimi-k3": ("3", "15", "0.3", None),  # *
    },
    "zai": {
        "glm-5-code": ("1.2", "5", "0.3", None),
        "glm-4.5-x": ("2.2", "8.9", "0.45", None),
        "glm-5": ("1", "3.2", "0.2", None),  # *
        "glm-5.3-flash": ("0.15", "0.5", "0.03", None),
        "glm-4.7": ("0.6", "2.2", "0.11", None),  # *
        "glm-4.6v": ("0.3", "0.9", "0.05", None),
    },
    "minimax-intl": {
        "MiniMax-M2.5-highspeed": ("0.6", "2.4", "0.03", "0.375"),
        "MiniMax-M2.1": ("0.27", "0.95", "0.03", None),  # *
        "MiniMax-M3.1-Flash": ("0.15", "0.6", "0.015", None),
        "MiniMax-M3": ("0.3", "1.2", "0.06", None),  # *
        "minimax-01": ("0.2", "1.1", None, None),
        "MiniMax-M2": ("0.27", "0.95", "0.03", None),  # *
    },
    "qwen-intl": {
        "qwen-vl-max": ("0.8", "3.2", None, None),
        "qwen3-coder-plus-2025-07-22": ("0.65", "3.25", "0.13", None),  # *
        "qwen3.8-omni-flash": ("0.15", "0.47", "0.016", None),
        "qwen3-coder-plus": ("0.65", "3.25", "0.13", None),  # *
        "qwen2-5-omni-7b": ("0.1", "0.4", None, None),
        "qwen-mt-plus": ("2.46", "7.37", None, None),
    },
}
COLUMNS = ("input", "output", "cache_read", "cache_write")
# Where a maker also serves what others made, its own begin with this.
OWN = {"google": "gemini", "zai": "glm"}


def drawn(vendor: str) -> list[str]:
    """Return the vendor's six chat models with a price that the seed chose."""
    pool = [
        model.id
        for model in embedded_listing().providers[vendor].models.values()
        if model.kind == "chat"
        and not model.deprecated
        and model.price is not None
        and model.price.input
        and model.price.output
        and model.id.lower().startswith(OWN.get(vendor, ""))
        and not model.id.startswith("ft:")
    ]
    return sorted(pool, key=lambda name: _rank(f"{SEED}:{vendor}/{name}"))[:EACH]


def _rank(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_sixty_models_of_ten_vendors_are_typed_here() -> None:
    assert len(TYPED) == 10
    assert sum(map(len, TYPED.values())) == 60


@pytest.mark.parametrize("vendor", TYPED)
def test_the_seed_draws_the_models_typed_here(vendor: str) -> None:
    assert sorted(drawn(vendor)) == sorted(TYPED[vendor])


@pytest.mark.parametrize(
    ("vendor", "model"), [(vendor, name) for vendor in TYPED for name in TYPED[vendor]]
)
def test_a_listed_price_is_the_typed_one_to_the_nano(vendor: str, model: str) -> None:
    found = Matcher().match("any-slug", model, listing_id=vendor)
    assert (found.source, found.key) == ("book", f"{vendor}/{model}")
    for column, typed in zip(COLUMNS, TYPED[vendor][model], strict=True):
        nano = None if typed is None else int(Decimal(typed) * 1_000_000_000)
        assert getattr(found.price, column) == nano, column
