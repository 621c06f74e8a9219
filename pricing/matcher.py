"""Find the price of an upstream model among everything that states one.

Runs when the snapshot is built, never on the request path. What people set comes first,
then what the provider itself says, then what is publicly listed; a guess comes last, is
marked as one, and is never made of a version nobody lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from pricing.book.index import Found, PriceIndex, embedded_index
from pricing.cost import PriceSpec
from pricing.families import completed, tier_of, tier_price
from pricing.readings import (
    bare,
    fold,
    is_fine_tuned,
    is_free_variant,
    readings,
)

CUSTOM_PROVIDER: Final = "custom_provider"
CUSTOM_MODEL: Final = "custom_model"
CUSTOM_PATTERN: Final = "custom_pattern"
LOCAL: Final = "local"
LIVE: Final = "live"
BOOK: Final = "book"
HEURISTIC: Final = "heuristic"
DEFAULT: Final = "default"
UNKNOWN: Final = "unknown"

SOURCES: Final = (
    CUSTOM_PROVIDER,
    CUSTOM_MODEL,
    CUSTOM_PATTERN,
    LIVE,
    LOCAL,
    BOOK,
    HEURISTIC,
    DEFAULT,
    UNKNOWN,
)
"""Where a price may come from, the first that has one wins."""

FREE_VARIANT: Final = ":free"
_FREE: Final = PriceSpec(input=0, output=0)


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

    Shapes:  ``source`` is one of ``SOURCES``; ``key`` the entry that matched: a listed
             model as ``provider/id``, a rule's model, ``family:tier``, blank for
             unknown. ``version_id`` is set for rules that already have a version row.
             ``origin`` names who states the price, at ``url``, of which ``date``;
             ``derived`` the columns that follow from others by a vendor's rule.
    """

    price: PriceSpec | None
    source: str
    key: str = ""
    version_id: int | None = None
    origin: str = ""
    url: str = ""
    date: str = ""
    derived: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """Hold what is listed of a model beside its price, in tokens; None = not known."""

    context_window: int | None = None
    max_output: int | None = None


class Matcher:
    """Match many models against one set of rules and one index of listings."""

    def __init__(
        self,
        rules: Iterable[CustomRule] = (),
        *,
        index: PriceIndex | None = None,
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
            self._plain.setdefault((rule.provider_slug, fold(rule.model)), rule)
        # A provider's own pattern goes first, then the one with more letters in it.
        self._patterns = sorted(
            patterns,
            key=lambda rule: (
                not rule.provider_slug,
                -_letters(rule.model),
                rule.model,
            ),
        )
        self._index = embedded_index() if index is None else index
        self._default = default

    def match(
        self,
        provider_slug: str,
        model_id: str,
        *,
        listing_id: str = "",
        is_local: bool = False,
        stated: PriceSpec | None = None,
    ) -> Match:
        """Return the price of one model at one provider.

        Shapes:  ``listing_id`` is the provider's id in the listings, blank for one they
                 do not know. ``is_local`` is a provider on the owner's own machines:
                 what it states no price for is free there, whatever is listed of the
                 name. ``stated`` is what its own model list says it charges.
        """
        rule = self._custom(provider_slug, model_id)
        if rule is not None:
            return rule
        if stated is not None:
            key = f"{provider_slug}/{model_id}"
            return _completed(Match(stated, LIVE, key, origin=provider_slug), model_id)
        if is_local:
            return Match(_FREE, LOCAL, LOCAL)
        found = self._listed(listing_id, model_id) or heuristic(model_id)
        if found is not None:
            return found
        if self._default is not None:
            default = self._default
            return Match(default.price, DEFAULT, DEFAULT, default.version_id)
        return Match(None, UNKNOWN)

    def limits(self, listing_id: str, model_id: str) -> Limits:
        """Return a model's listed limits, for what no model list stated.

        Shapes:  the provider's own entry, else the maker's: a host may allow less, but
                 nobody more than the model can.
        """
        own = self._index.find(listing_id, model_id)
        made = self._index.generic(model_id) if _lacks_limits(own) else None
        entries = [each.model for each in (own, made) if each is not None]
        return Limits(
            _first(each.context_window for each in entries),
            _first(each.max_output for each in entries),
        )

    def _listed(self, listing_id: str, model_id: str) -> Match | None:
        """Return what is publicly listed: of this provider, then of the maker."""
        own = self._index.find(listing_id, model_id)
        if own is not None and own.model.price is not None:
            return _match(own, LIVE if own.is_own else BOOK)
        if is_free_variant(model_id):
            # By OpenRouter's convention; the paid one's list price does not apply.
            return Match(_FREE, HEURISTIC, FREE_VARIANT)
        made = self._index.generic(model_id)
        if made is not None:
            return _match(made, BOOK)
        if is_fine_tuned(model_id):
            return None
        guess = self._index.guess(model_id)
        return None if guess is None else _match(guess, HEURISTIC)

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
        if not self._plain:
            return None
        for reading in readings(model_id):
            rule = self._plain.get((slug, reading))
            if rule is not None:
                return rule
        return None


def heuristic(model_id: str) -> Match | None:
    """Guess a price by family and tier; None where even that would be invented.

    Shapes:  ``key`` is ``family:tier``. Only an id that names a family and nothing but
             its tier is guessed: no version, no word that nobody knows, no embeddings,
             speech, images and the like, no model somebody trained further.
    """
    if is_fine_tuned(model_id):
        return None
    found = tier_of(bare(model_id))
    if found is None:
        return None
    match = Match(tier_price(*found), HEURISTIC, ":".join(found))
    return _completed(match, found[0])


def _match(found: Found, source: str) -> Match:
    match = Match(
        found.model.price,
        source,
        found.key,
        origin=found.model.origin or found.source,
        url=found.url,
        date=found.date,
    )
    return _completed(match, found.model.id)


def _completed(match: Match, model_id: str) -> Match:
    """Add the columns that follow from the input price."""
    if match.price is None:
        return match
    price, derived = completed(model_id, match.price)
    if not derived:
        return match
    return msgspec.structs.replace(match, price=price, derived=derived)


def _lacks_limits(found: Found | None) -> bool:
    return found is None or None in (found.model.context_window, found.model.max_output)


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _letters(pattern: str) -> int:
    """Count what a pattern says outright."""
    return sum(sign not in "*?[]" for sign in pattern)
