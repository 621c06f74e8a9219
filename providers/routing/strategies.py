"""Arrange what a name leads to into groups of equals, for one strategy and mode.

What comes first, in this order: the targets of an alias as they are listed; the ordered
groups of the routing (free, paid ...); then the strategy:

=============  ======================================================================
priority       higher priority first, the provider's, then its nearness to the
               model's own dialect, then the credential's; equals by weight
cost           cheapest first, unknown prices last; equals as under priority
round_robin    all in turn, whatever their priority and weight
weighted       all by weight, whatever their priority
latency        higher priority first; of two equals drawn at random the faster
least_busy     the same, the one with fewer calls under way for its weight
quota_aware    the same, the one with more of its quota left
=============  ======================================================================

This is done once for a name in a snapshot; what a request costs is in ``order``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, Final

from providers.routing import families
from providers.routing.order import Order, ring, shared
from providers.routing.types import Group, Offer, Offers, Route
from providers.snapshot.types import ProviderRecord, RoutingRecord

PRIORITY: Final = "priority"
COST: Final = "cost"
LATENCY: Final = "latency"
ROUND_ROBIN: Final = "round_robin"
WEIGHTED: Final = "weighted"
LEAST_BUSY: Final = "least_busy"
QUOTA_AWARE: Final = "quota_aware"
STRATEGIES: Final = (
    PRIORITY,
    COST,
    LATENCY,
    ROUND_ROBIN,
    WEIGHTED,
    LEAST_BUSY,
    QUOTA_AWARE,
)
DYNAMIC: Final = frozenset({LATENCY, LEAST_BUSY, QUOTA_AWARE})

AUTO: Final = "auto"
CLOUD: Final = "cloud"
LOCAL: Final = "local"
MODES: Final = (AUTO, CLOUD, LOCAL)

_SYNONYMS: Final = {"quota": QUOTA_AWARE}
_NO_PRIORITY: Final = 50


def known_strategy(word: str) -> str | None:
    """Return a strategy by any word it was ever stored under, None when unknown."""
    word = _SYNONYMS.get(word, word)
    return word if word in STRATEGIES else None


def arrange(
    targets: Sequence[Offers], *, strategy: str, mode: str, routing: RoutingRecord
) -> Order:
    """Return the order of everything the targets offer.

    Shapes:  ``left_out`` of the order are the routes that the mode rules out.
    Cost:    some 3 us a route; a thousand routes in a few milliseconds.
    """
    groups: list[Group] = []
    left_out: list[Route] = []
    for offers in targets:
        kept = [offer for offer in offers if is_in(mode, offer.provider)]
        if len(kept) < len(offers):
            kept_ids = {offer.model.id for offer in kept}
            left_out += _routes(o for o in offers if o.model.id not in kept_ids)
        for part in _parts(kept, routing.groups):
            groups += _strategic(part, strategy, routing)
    is_dynamic = strategy in DYNAMIC
    return Order(tuple(groups), strategy if is_dynamic else "", tuple(left_out))


def is_in(mode: str, provider: ProviderRecord) -> bool:
    """Tell whether a mode lets a provider serve."""
    if mode == LOCAL:
        return families.is_local(provider)
    return mode != CLOUD or not families.is_local(provider)


def _routes(offers: Iterable[Offer]) -> list[Route]:
    found: list[Route] = []
    for offer in offers:
        provider, model = offer.provider, offer.model
        if provider.credentials:
            found += [Route(provider, model, each) for each in provider.credentials]
        elif not provider.needs_key:
            found.append(Route(provider, model))
    return found


def _parts(offers: list[Offer], words: tuple[str, ...]) -> list[list[Offer]]:
    """Part offers by the ordered groups of the routing; strangers to all come last.

    Of several groups that fit, the most particular counts: a glob, then free, then
    official, then paid.
    """
    if not words:
        return [offers]
    last = words.index(families.OTHER) if families.OTHER in words else len(words)
    parts: list[list[Offer]] = [[] for _ in range(len(words) + 1)]
    for offer in offers:
        parts[_part_of(offer, words, last)].append(offer)
    return [part for part in parts if part]


def _part_of(offer: Offer, words: tuple[str, ...], last: int) -> int:
    slug = offer.provider.slug
    for place, word in enumerate(words):
        if word not in families.GROUPS and fnmatchcase(slug, word):
            return place
    price = offer.model.price
    fits = {
        families.FREE: families.is_free(offer),
        families.OFFICIAL: offer.provider.catalogue in families.VENDORS,
        families.PAID: price is not None and not families.is_free(offer),
    }
    for word, is_so in fits.items():
        if is_so and word in words:
            return words.index(word)
    return last


def _strategic(
    offers: list[Offer], strategy: str, routing: RoutingRecord
) -> list[Group]:
    routes = sorted(_routes(offers), key=_number)
    if not routes:
        return []
    if strategy == ROUND_ROBIN:
        return [ring(tuple(routes))]
    if strategy == WEIGHTED:
        return [shared(tuple(routes))]
    if strategy in DYNAMIC:
        return _grouped(routes, _priority, ring)
    by_priority = _with_affinity if routing.format_affinity else _priority
    if strategy == COST:
        return _grouped(routes, _priced(by_priority), shared)
    return _grouped(routes, by_priority, shared)


def _grouped(
    routes: list[Route],
    rank: Callable[[Route], tuple[Any, ...]],
    made: Callable[[tuple[Route, ...]], Group],
) -> list[Group]:
    """Sort by rank; equals stay in the order of their ids, alike in each process."""
    routes.sort(key=rank)
    return [made(tuple(same)) for _, same in groupby(routes, key=rank)]


def _number(route: Route) -> tuple[int, int, int]:
    credential = route.credential
    own = 0 if credential is None else credential.id
    return route.provider.id, route.model.id, own


def _priority(route: Route) -> tuple[int, ...]:
    credential = route.credential
    own = _NO_PRIORITY if credential is None else credential.priority
    return -route.provider.priority, 0, -own


def _with_affinity(route: Route) -> tuple[int, ...]:
    provider, _, own = _priority(route)
    return provider, -families.affinity(route.provider, route.model), own


def _priced(
    by_priority: Callable[[Route], tuple[int, ...]],
) -> Callable[[Route], tuple[Any, ...]]:
    def rank(route: Route) -> tuple[Any, ...]:
        return families.price_rank(route.model), by_priority(route)

    return rank
