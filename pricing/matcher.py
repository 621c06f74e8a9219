"""Find the price of an upstream model among everything that states one.

Runs when the snapshot is built, never on the request path. An id is written in many
ways (vendor prefixes, dates, regions, dots or hyphens, effort suffixes); the matcher
tries the plainest reading first and says how it got to its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from poolsite.money import ceil_div, per_million_nano_from_usd
from pricing.book.loader import Book, BookModel, embedded_book
from pricing.cost import PriceSpec
from pricing.families import (
    Family,
    family_book,
    family_of,
    is_other_kind,
    tier_of,
    words_of,
)

CUSTOM_PROVIDER: Final = "custom_provider"
CUSTOM_MODEL: Final = "custom_model"
CUSTOM_PATTERN: Final = "custom_pattern"
LOCAL: Final = "local"
BOOK: Final = "book"
HEURISTIC: Final = "heuristic"
DEFAULT: Final = "default"
UNKNOWN: Final = "unknown"

SOURCES: Final = (
    CUSTOM_PROVIDER,
    CUSTOM_MODEL,
    CUSTOM_PATTERN,
    LOCAL,
    BOOK,
    HEURISTIC,
    DEFAULT,
    UNKNOWN,
)
"""Where a price may come from, the first that has one wins."""

_FREE: Final = PriceSpec(input=0, output=0)

_SPACES: Final = re.compile(r"[\s_]+")
_HYPHENS: Final = re.compile(r"-{2,}")
_REGION: Final = re.compile(
    r"^(?:(?:us|eu|apac|jp|au|ca|global|us-gov)\.)?"
    r"(?:anthropic|meta|mistral|amazon|cohere|deepseek|openai|qwen|moonshot|minimax|"
    r"google|zai)\."
)
_DATE: Final = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-20\d\d)$")
_VERSION: Final = re.compile(r"(?:[:-]v\d+)?(?::\d+)?$")
_CHANNEL: Final = re.compile(r"(?:-latest|-preview|:latest|:beta|:thinking|:extended)$")
_EFFORT: Final = re.compile(r"-(?:minimal|low|medium|high|xhigh)$")

# A longer id is the same model only if what follows does not name another one.
_OTHER_TIER: Final = frozenset(
    (
        "pro",
        "mini",
        "nano",
        "max",
        "plus",
        "lite",
        "flash",
        "ultra",
        "fast",
        "turbo",
        "highspeed",
        "lightning",
        "search",
        "32k",
        "vl",
        "coder",
        "code",
        "codex",
        "distill",
        "omni",
        "air",
        "deep",
        "research",
    )
)


class CustomRule(msgspec.Struct, frozen=True):
    """Hold a price a person set.

    Shapes:  a blank ``provider_slug`` means any provider; ``is_pattern`` reads
             ``model`` as a glob.
    """

    model: str
    price: PriceSpec
    provider_slug: str = ""
    is_pattern: bool = False
    version_id: int | None = None


class Match(msgspec.Struct, frozen=True):
    """Hold the price found, and how.

    Shapes:  ``source`` is one of ``SOURCES``; ``key`` the entry that matched (a book
             id, a rule's model, ``family:tier``), blank for unknown. ``version_id``
             is set for rules that already have a version row.
    """

    price: PriceSpec | None
    source: str
    key: str = ""
    version_id: int | None = None


class Matcher:
    """Match many models against one set of rules and one book."""

    def __init__(
        self,
        rules: Iterable[CustomRule] = (),
        *,
        book: Book | None = None,
        default: CustomRule | None = None,
    ) -> None:
        self._exact: dict[tuple[str, str], CustomRule] = {}
        self._plain: dict[tuple[str, str], CustomRule] = {}
        patterns: list[CustomRule] = []
        for rule in rules:
            if rule.is_pattern:
                patterns.append(rule)
                continue
            self._exact[rule.provider_slug, rule.model.strip().lower()] = rule
            self._plain.setdefault((rule.provider_slug, _fold(rule.model)), rule)
        # A provider's own pattern goes first, then the one with more letters in it.
        self._patterns = sorted(
            patterns,
            key=lambda rule: (
                not rule.provider_slug,
                -_letters(rule.model),
                rule.model,
            ),
        )
        self._models = (book or embedded_book()).models
        self._folded = {_fold(key): key for key in self._models}
        self._default = default

    def match(
        self, provider_slug: str, model_id: str, *, is_local: bool = False
    ) -> Match:
        """Return the price of one model at one provider.

        Shapes:  ``is_local`` is a provider on the owner's own machines: what no rule
                 prices is free there, whatever the book says of the name.
        """
        rule = self._custom(provider_slug, model_id)
        if rule is not None:
            return rule
        if is_local:
            return Match(_FREE, LOCAL, LOCAL)
        # OpenRouter's zero-priced variants: list prices of the paid one do not apply.
        if not model_id.strip().lower().endswith(":free"):
            key = self.book_key(model_id)
            if key is not None:
                return Match(self._models[key].price, BOOK, key)
            guess = heuristic(model_id)
            if guess is not None:
                return guess
        if self._default is not None:
            default = self._default
            return Match(default.price, DEFAULT, DEFAULT, default.version_id)
        return Match(None, UNKNOWN)

    def entry(self, model_id: str) -> BookModel | None:
        """Return the book's entry, for limits no model list stated."""
        key = self.book_key(model_id)
        return None if key is None else self._models[key]

    def book_key(self, model_id: str) -> str | None:
        """Return the book's entry for an id.

        Shapes:  exact first; then every reading of the id from plain to bare, dots
                 and hyphens alike; then the longest entry the id begins with; then
                 entries that begin with the id, if they all cost the same.
        """
        if model_id in self._models:
            return model_id
        readings = list(dict.fromkeys(_readings(model_id)))
        for reading in readings:
            key = self._folded.get(reading)
            if key is not None:
                return key
        for reading in readings:
            key = self._longest_prefix(reading)
            if key is not None:
                return key
        for reading in readings:
            key = self._common_prefix(reading)
            if key is not None:
                return key
        return None

    def _custom(self, provider_slug: str, model_id: str) -> Match | None:
        """Return a person's price: this provider's, then anyone's, then by pattern."""
        exact = model_id.strip().lower()
        scopes = [(provider_slug, CUSTOM_PROVIDER)] if provider_slug else []
        for slug, source in [*scopes, ("", CUSTOM_MODEL)]:
            rule = self._exact.get((slug, exact)) or self._reading(slug, model_id)
            if rule is not None:
                return Match(rule.price, source, rule.model, rule.version_id)
        names = (exact, exact.rpartition("/")[2])
        for rule in self._patterns:
            if rule.provider_slug not in ("", provider_slug):
                continue
            if any(fnmatchcase(name, rule.model.strip().lower()) for name in names):
                return Match(rule.price, CUSTOM_PATTERN, rule.model, rule.version_id)
        return None

    def _reading(self, slug: str, model_id: str) -> CustomRule | None:
        """Return the rule that names the same model in another spelling."""
        for reading in _readings(model_id):
            rule = self._plain.get((slug, reading))
            if rule is not None:
                return rule
        return None

    def _longest_prefix(self, reading: str) -> str | None:
        """Return the longest entry that an id continues without leaving the model."""
        best: str | None = None
        for folded, key in self._folded.items():
            if len(folded) >= len(reading) or not reading.startswith(folded):
                continue
            longer = best is None or len(folded) > len(_fold(best))
            if longer and _continues(folded, reading[len(folded) :]):
                best = key
        return best

    def _common_prefix(self, reading: str) -> str | None:
        """Return an entry for an id that is cut short, if its reading is certain."""
        if "-" not in reading:
            return None
        keys = [
            key
            for folded, key in self._folded.items()
            if folded.startswith(reading + "-")
        ]
        prices = {self._models[key].price for key in keys}
        return keys[0] if len(prices) == 1 else None


def heuristic(model_id: str) -> Match | None:
    """Guess a price by family and tier; None where even that would be invented.

    Shapes:  ``key`` is ``family:tier``. Embeddings, speech, images and the like are
             not guessed: they are not billed as chat.
    """
    name = family_of(model_id)
    if name is None or is_other_kind(model_id):
        return None
    family = family_book().families[name]
    tier = tier_of(family, model_id)
    return Match(_tier_price(family, tier), HEURISTIC, f"{name}:{tier}")


def _tier_price(family: Family, tier: str) -> PriceSpec:
    """Return a tier's price; cache writes follow from the input where a family says."""
    rates = [per_million_nano_from_usd(text, exact=True) for text in family.tiers[tier]]
    return PriceSpec(
        input=rates[0],
        output=rates[1],
        cache_read=rates[2],
        cache_write=_percent(rates[0], family.cache_write_percent),
        cache_write_1h=_percent(rates[0], family.cache_write_1h_percent),
    )


def _percent(rate: int, percent: int | None) -> int | None:
    """Return a share of a rate, None where no share is known."""
    return None if percent is None else ceil_div(rate * percent, 100)


def _readings(model_id: str) -> Iterator[str]:
    """Yield the ways to read an id, from as written to bare, dots as hyphens.

    Source:  vendor paths (``accounts/fireworks/models/x``), Bedrock regions and
             versions (``us.anthropic.x-v1:0``), Vertex dates (``x@20250514``),
             effort suffixes some clients add for their logs.
    """
    text = _HYPHENS.sub("-", _SPACES.sub("-", model_id.strip().lower()))
    for part in dict.fromkeys((text, text.rpartition("/")[2])):
        for start in dict.fromkeys((part, _REGION.sub("", part))):
            yield from _shortened(start)


def _shortened(text: str) -> Iterator[str]:
    """Yield an id and what is left of it as endings are cut off, one after another."""
    yield _fold(text)
    changed = True
    while changed:
        changed = False
        for ending in (_VERSION, _DATE, _CHANNEL, _EFFORT):
            cut = ending.sub("", text).rstrip("-:")
            if cut and cut != text:
                text = cut
                changed = True
                yield _fold(text)


def _fold(text: str) -> str:
    """Return an id with every separator the same."""
    plain = _HYPHENS.sub("-", _SPACES.sub("-", text.strip().lower()))
    # Azure's names may not hold a dot.
    plain = plain.replace("gpt-35-", "gpt-3.5-")
    return plain.replace(".", "-").replace(":", "-").replace("@", "-")


def _continues(folded: str, rest: str) -> bool:
    """Tell whether an id that goes on after an entry still names the same model.

    A version digit right after it (``gpt-5`` and ``gpt-5-7``) or a tier's name
    (``gpt-5`` and ``gpt-5-pro``) makes it another one.
    """
    if not rest.startswith("-"):
        return False
    words = words_of(rest)
    if not words or not _OTHER_TIER.isdisjoint(words) or is_other_kind(rest):
        return False
    return not (words[0].isdigit() and len(words[0]) <= 2)


def _letters(pattern: str) -> int:
    """Count what a pattern says outright."""
    return sum(sign not in "*?[]" for sign in pattern)
