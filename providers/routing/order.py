"""Put offers into the order in which they shall be tried.

Higher priority first: the provider's, then the credential's. Several credentials of a
provider are routes of their own. Routes of equal priority share the work by weight;
``Turns`` says whose turn it is. A strategy that orders otherwise is another function
from offers to groups.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import Final

from providers.routing.types import Group, Offer, Rotated, Route
from providers.snapshot.types import CredentialRecord

_GOLDEN: Final = 0.6180339887
_MOST_NAMES: Final = 4096


def groups_of(offers: Iterable[Offer]) -> tuple[Group, ...]:
    """Expand offers into routes and gather those of equal priority, best first."""
    routes = [route for offer in offers for route in _routes(offer)]
    routes.sort(key=_rank)
    return tuple(_group(tuple(same)) for _, same in groupby(routes, key=_priority))


class Turns:
    """Remember for each name whose turn it is among equals.

    Deterministic: the same calls give the same order. A forgotten name starts over.
    """

    __slots__ = ("_turns",)

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}

    def order(self, name: str, groups: tuple[Group, ...]) -> Sequence[Route]:
        """Return the routes for the next request of a name.

        Cost:    below a microsecond where nobody shares; nothing is copied.
        """
        if all(len(group.routes) == 1 for group in groups):
            return Rotated(groups, (0,) * len(groups))
        turns = self._turns
        if len(turns) >= _MOST_NAMES:
            turns.clear()
        turn = turns.get(name, 0)
        turns[name] = turn + 1
        return Rotated(groups, tuple(_start(group, turn) for group in groups))


def _routes(offer: Offer) -> list[Route]:
    provider, model = offer.provider, offer.model
    if provider.credentials:
        return [Route(provider, model, each) for each in provider.credentials]
    return [] if provider.needs_key else [Route(provider, model)]


def _priority(route: Route) -> tuple[int, int]:
    credential = route.credential
    return route.provider.priority, 50 if credential is None else credential.priority


def _rank(route: Route) -> tuple[int, int, int, int]:
    """Sort by priority; equals by id, so that each process orders them alike."""
    provider, credential = _priority(route)
    number = 0 if route.credential is None else route.credential.id
    return -provider, -credential, route.provider.id, number


def _group(routes: tuple[Route, ...]) -> Group:
    weights = tuple(accumulate(_weight(route) for route in routes))
    return Group(routes, weights, _stride(weights[-1]))


def _weight(route: Route) -> int:
    credential: CredentialRecord | None = route.credential
    own = 1 if credential is None else max(1, credential.weight)
    return own * max(1, route.provider.weight)


def _stride(total: int) -> int:
    """Find a step near the golden section that meets every place once a round."""
    step = max(1, round(total * _GOLDEN))
    while math.gcd(step, total) != 1:
        step += 1
    return step


def _start(group: Group, turn: int) -> int:
    if len(group.routes) == 1:
        return 0
    total = group.weights[-1]
    return bisect_right(group.weights, turn * group.stride % total)
