"""Which family a model id belongs to, and what is known about families.

Families carry what holds for a model nobody listed: how many bytes make a token, what
its tier usually costs, which price follows from another one. Everything is data in
``book/families.json``. A family never prices a version it does not know.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from poolsite.money import (
    ceil_div,
    per_million_nano_from_usd,
    per_million_nano_from_usd_per_unit,
)
from pricing.cost import PriceSpec

_SPLIT: Final = re.compile(r"[-_.:@/ ]+")
_SIZE: Final = re.compile(r"\d+x?\d*b")

# Ids of models that are not billed like their family's chat models, whatever they are
# called; open weights under a vendor's name have no price of that vendor.
_OTHER_KINDS: Final = frozenset(
    (
        "embedding",
        "embeddings",
        "embed",
        "tts",
        "stt",
        "whisper",
        "transcribe",
        "image",
        "imagen",
        "images",
        "dall",
        "veo",
        "sora",
        "video",
        "audio",
        "realtime",
        "live",
        "moderation",
        "rerank",
        "reranker",
        "guard",
        "ocr",
        "asr",
        "speech",
        "music",
        "robotics",
        "oss",
    )
)


class Family(msgspec.Struct, frozen=True):
    """Hold what is known of a family.

    Shapes:  without tiers nothing is guessed; ``default_tier`` is for an id that names
             the family and nothing else.
    Units:   ``bytes_per_1000_tokens`` of UTF-8 text; tier prices are USD per million
             tokens as decimal text: input, output, cache read.
    """

    keywords: tuple[str, ...]
    bytes_per_1000_tokens: int
    image_tokens: int
    tiers: dict[str, tuple[str, str, str]] = {}
    default_tier: str = ""


class Rule(msgspec.Struct, frozen=True):
    """Hold which prices follow from the input price, as a vendor publishes it.

    Shapes:  for models whose name, its words joined by hyphens, holds ``words``.
    Units:   percent of the input price; ``per_tool_call`` in USD a call, decimal text.
    """

    words: str
    cache_read_percent: int | None = None
    cache_write_percent: int | None = None
    cache_write_1h_percent: int | None = None
    per_tool_call: str | None = None


class FamilyDefault(msgspec.Struct, frozen=True):
    """Hold what is assumed of a model of no known family."""

    bytes_per_1000_tokens: int
    image_tokens: int


class FamilyBook(msgspec.Struct, frozen=True):
    """Hold the whole data file."""

    source: str
    date: str
    unit: str
    default: FamilyDefault
    families: dict[str, Family]
    rules: tuple[Rule, ...]


@cache
def family_book() -> FamilyBook:
    """Load the data file once."""
    raw = files("pricing.book").joinpath("families.json").read_bytes()
    return msgspec.json.decode(raw, type=FamilyBook)


@lru_cache(maxsize=4096)
def family_of(model: str) -> str | None:
    """Return the family a model id belongs to, None when no keyword fits.

    Shapes:  a keyword counts where it starts a word of the id (``qwen3`` is qwen,
             ``gpt-4o`` is gpt); two-character ones (``o3``) only as a whole word.
             The family named last in the id wins: ``meta/llama`` and
             ``openai/o3`` are llama and o-series, whoever hosts them.
    """
    found: str | None = None
    for word in words_of(model):
        for name, family in family_book().families.items():
            if any(_is_named(word, keyword) for keyword in family.keywords):
                found = name
    return found


def tier_of(model: str) -> tuple[str, str] | None:
    """Return family and tier of an id that says nothing else, None for every other.

    Shapes:  every word must be the family's or make up one of its tiers: a word nobody
             knows may name a dearer model, a number a newer one. Sizes (``70b``) are
             tiers, versions never.
    """
    name = family_of(model)
    if name is None or is_other_kind(model):
        return None
    family = family_book().families[name]
    rest = [word for word in words_of(model) if word not in family.keywords]
    if any(map(_is_version, rest)):
        return None
    tier = "-".join(rest) or family.default_tier
    return (name, tier) if tier in family.tiers else None


def tier_price(family: str, tier: str) -> PriceSpec:
    """Return what a tier usually costs."""
    texts = family_book().families[family].tiers[tier]
    rates = [per_million_nano_from_usd(text, exact=True) for text in texts]
    return PriceSpec(input=rates[0], output=rates[1], cache_read=rates[2])


def completed(model: str, price: PriceSpec) -> tuple[PriceSpec, tuple[str, ...]]:
    """Add what follows from the input price by the vendor's own rule.

    Shapes:  returns the price and the columns that were added. What a source states is
             never changed, a free model stays as it is, and without a rule an unknown
             price stays unknown.
    """
    rule = _rule_for(model)
    if rule is None or not price.input:
        return price, ()
    follows = {
        "cache_read": _percent(price.input, rule.cache_read_percent),
        "cache_write": _percent(price.input, rule.cache_write_percent),
        "cache_write_1h": _percent(price.input, rule.cache_write_1h_percent),
        "long_cache_read": _percent(price.long_input, rule.cache_read_percent),
        "long_cache_write": _percent(price.long_input, rule.cache_write_percent),
        "long_cache_write_1h": _percent(price.long_input, rule.cache_write_1h_percent),
        "per_tool_call": _each(rule.per_tool_call),
    }
    added = {
        name: value
        for name, value in follows.items()
        if value is not None and getattr(price, name) is None
    }
    if not added:
        return price, ()
    return msgspec.structs.replace(price, **added), tuple(added)


def is_other_kind(model: str) -> bool:
    """Tell whether an id names something that is not billed like a chat model."""
    return not _OTHER_KINDS.isdisjoint(words_of(model))


def words_of(model: str) -> list[str]:
    """Split an id into its lower-case words."""
    return [word for word in _SPLIT.split(model.lower()) if word]


def _is_named(word: str, keyword: str) -> bool:
    """Tell whether a word of an id carries a keyword."""
    return word == keyword or (len(keyword) > 2 and word.startswith(keyword))


def _rule_for(model: str) -> Rule | None:
    """Return the rule of the model that a path, a host or a region may stand before."""
    words = f"-{'-'.join(words_of(model))}-"
    for rule in family_book().rules:
        if f"-{rule.words}-" in words:
            return rule
    return None


def _is_version(word: str) -> bool:
    """Tell a word with a number that is no size."""
    has_digit = any(sign.isdigit() for sign in word)
    return has_digit and _SIZE.fullmatch(word) is None


def _percent(rate: int | None, percent: int | None) -> int | None:
    """Return a share of a rate, None where either is not known."""
    if rate is None or percent is None:
        return None
    return ceil_div(rate * percent, 100)


@cache
def _each(text: str | None) -> int | None:
    return None if text is None else per_million_nano_from_usd_per_unit(text)
