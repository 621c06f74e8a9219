"""Which family a model id belongs to, and what is known about families.

Families carry what holds for a model nobody listed yet: how many bytes make a token and
what its tier usually costs. Everything is data in ``book/families.json``.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import msgspec

_SPLIT: Final = re.compile(r"[-_.:@/ ]+")
_VERSIONED: Final = re.compile(r"[-_:@/ ]+")
_LETTERS: Final = re.compile(r"^[a-z]+")

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

    Units:   ``bytes_per_1000_tokens`` of UTF-8 text; tier prices are USD per million
             tokens as decimal text: input, output, cache read.
    """

    keywords: tuple[str, ...]
    default_tier: str
    bytes_per_1000_tokens: int
    image_tokens: int
    tiers: dict[str, tuple[str, str, str]]
    cache_write_percent: int | None = None
    cache_write_1h_percent: int | None = None


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


def tier_of(family: Family, model: str) -> str:
    """Return the tier of a family an id names, its default tier otherwise.

    Shapes:  a tier fits when all its words are words of the id; among several the
             longest wins, so ``5-mini`` beats ``mini`` and ``5``.
    """
    present: set[str] = set()
    for word in _VERSIONED.split(model.lower()):
        # "qwen3" and "llama3.3" carry their version in the name's own word; a tier "4"
        # is generation 4, so "4.5" is read as 4 and never as 5.
        for text in (word, _LETTERS.sub("", word, count=1)):
            present |= {text, text.partition(".")[0]}
    best = family.default_tier
    best_size = 0
    for tier in family.tiers:
        if all(word in present for word in tier.split("-")) and len(tier) > best_size:
            best, best_size = tier, len(tier)
    return best


def is_other_kind(model: str) -> bool:
    """Tell whether an id names something that is not billed like a chat model."""
    return not _OTHER_KINDS.isdisjoint(words_of(model))


def words_of(model: str) -> list[str]:
    """Split an id into its lower-case words."""
    return [word for word in _SPLIT.split(model.lower()) if word]


def _is_named(word: str, keyword: str) -> bool:
    """Tell whether a word of an id carries a keyword."""
    return word == keyword or (len(keyword) > 2 and word.startswith(keyword))
