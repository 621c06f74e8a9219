"""Walk the routes of a name in the order in which one request shall try them.

An ``Order`` is the same for all requests; ``Turns`` says whose turn it is among equals,
and a ``Lineup`` is what one request walks. Nothing is copied: a request looks at the
first few of what may be a thousand.

Dynamic strategies compare two equals drawn at random and take the better one. The other
stays in hand and meets the next one drawn, so that a walk to the end meets everybody.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Final, TypeAlias, overload

from providers.routing.types import Group, Mark, Route, mark_of

IsUsable: TypeAlias = Callable[[Route], bool]
Measure: TypeAlias = Callable[[Route], float]

_GOLDEN: Final = 0.6180339887
_MOST_NAMES: Final = 4096
_MOST_PREFERENCES: Final = 64
_EXPLORE_EVERY: Final = 16
_MASK: Final = (1 << 64) - 1
_LATENCY: Final = "latency"


class Order:
    """Groups of equals, best group first, for one name, strategy and mode.

    Shapes:  ``dynamic`` names the strategy that compares equals by their pulse, blank
             where they take turns. ``left_out`` are routes the mode rules out.
    """

    __slots__ = ("_marks", "_preferred", "dynamic", "groups", "left_out", "size")

    def __init__(
        self,
        groups: tuple[Group, ...],
        dynamic: str = "",
        left_out: tuple[Route, ...] = (),
    ) -> None:
        self.groups = groups
        self.dynamic = dynamic
        self.left_out = left_out
        self.size = sum(len(group.routes) for group in groups)
        self._marks: dict[Mark, tuple[int, Route]] | None = None
        self._preferred: dict[tuple[str, ...], Order] = {}

    def find(self, mark: Mark) -> Route | None:
        """Return the route with these numbers, None when it is not in here.

        Cost:    a dictionary read, but for the first time in a snapshot.
        """
        found = self._by_mark().get(mark)
        return None if found is None else found[1]

    def tier(self, mark: Mark) -> int | None:
        """Return the place of the group a route is in, None when it is not in here."""
        found = self._by_mark().get(mark)
        return None if found is None else found[0]

    def _by_mark(self) -> dict[Mark, tuple[int, Route]]:
        if self._marks is None:
            self._marks = {
                mark_of(route): (tier, route)
                for tier, group in enumerate(self.groups)
                for route in group.routes
            }
        return self._marks

    def only(self, slugs: tuple[str, ...]) -> Order:
        """Return the part of some providers, in the same order."""
        known = self._preferred.get(slugs)
        if known is None:
            groups = [_part(group, slugs) for group in self.groups]
            kept = tuple(group for group in groups if group is not None)
            if len(self._preferred) >= _MOST_PREFERENCES:
                self._preferred.clear()
            known = self._preferred[slugs] = Order(kept, self.dynamic)
        return known


class Turns:
    """Remember for each name whose turn it is among equals.

    Deterministic: the same calls give the same order. A forgotten name starts over.
    """

    __slots__ = ("_turns",)

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}

    def take(self, name: str) -> int:
        """Return the number of a name's request and count it."""
        turns = self._turns
        turn = turns.get(name)
        if turn is None:
            if len(turns) >= _MOST_NAMES:
                turns.clear()
            turn = 0
        turns[name] = turn + 1
        return turn

    def peek(self, name: str) -> int:
        """Return the number the next request of a name will get."""
        return self._turns.get(name, 0)


class Lineup(Sequence[Route]):
    """The routes of one request in their order.

    Shapes:  ``first`` are routes that go before all others, as a session or a client
             wishes; each route is met once all the same.
    """

    __slots__ = ("_first", "_measure", "_order", "_turn")

    def __init__(
        self,
        order: Order,
        turn: int,
        *,
        measure: Measure | None = None,
        first: tuple[Route, ...] = (),
        prefer: tuple[str, ...] = (),
    ) -> None:
        self._order = order
        self._turn = turn
        self._measure = measure
        if prefer:
            # Credentials of a preferred provider take turns among themselves too.
            first += tuple(Lineup(order.only(prefer), turn, measure=measure))
        self._first = first

    @property
    def order(self) -> Order:
        """The order it follows."""
        return self._order

    @property
    def moved_up(self) -> int:
        """Count the routes that were put before the others."""
        return len({mark_of(route) for route in self._first})

    def walk(self, is_usable: IsUsable | None = None) -> Iterator[Route]:
        """Yield each route once, the best first.

        Shapes:  ``is_usable`` says whom a comparison of equals need not consider: they
                 are yielded when they are drawn.
        """
        if not self._first:
            return self._rest(is_usable)
        return self._all(is_usable)

    def __len__(self) -> int:
        return self._order.size

    def __iter__(self) -> Iterator[Route]:
        return self.walk()

    @overload
    def __getitem__(self, index: int) -> Route: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Route]: ...

    def __getitem__(self, index: int | slice) -> Route | Sequence[Route]:
        if index == 0:
            for route in self:
                return route
        return tuple(self)[index]

    def _all(self, is_usable: IsUsable | None) -> Iterator[Route]:
        seen: set[Mark] = set()
        for route in chain(self._first, self._rest(is_usable)):
            mark = mark_of(route)
            if mark not in seen:
                seen.add(mark)
                yield route

    def _rest(self, is_usable: IsUsable | None) -> Iterator[Route]:
        turn, measure = self._turn, self._measure
        is_compared = measure is not None and bool(self._order.dynamic)
        for group in self._order.groups:
            routes = group.routes
            size = len(routes)
            if size == 1:
                yield routes[0]
            elif is_compared and measure is not None:
                explores = (
                    self._order.dynamic == _LATENCY
                    and turn % _EXPLORE_EVERY == _EXPLORE_EVERY - 1
                )
                drawn = _shuffled(routes, turn)
                yield from _duels(drawn, measure, is_usable, explores=explores)
            else:
                start = _start(group, turn)
                for place in range(start, size):
                    yield routes[place]
                for place in range(start):
                    yield routes[place]


def shared(routes: tuple[Route, ...]) -> Group:
    """Make equals share the work by weight, the heavy ones spread over a round."""
    own = [weight_of(route) for route in routes]
    if len(set(own)) == 1:
        # Neighbours follow one another: what one request looked at, the next finds near.
        return ring(routes)
    weights = tuple(accumulate(own))
    return Group(routes, weights, _stride(weights[-1]))


def ring(routes: tuple[Route, ...]) -> Group:
    """Make equals follow one another, each once a round."""
    return Group(routes, tuple(range(1, len(routes) + 1)), 1)


def weight_of(route: Route) -> int:
    """Return the share of a route: its credential's weight times its provider's."""
    credential = route.credential
    own = 1 if credential is None else max(1, credential.weight)
    return own * max(1, route.provider.weight)


def _part(group: Group, slugs: tuple[str, ...]) -> Group | None:
    routes = tuple(each for each in group.routes if each.provider.slug in slugs)
    if not routes:
        return None
    return ring(routes) if group.stride == 1 else shared(routes)


def _duels(
    drawn: Iterator[Route],
    measure: Measure,
    is_usable: IsUsable | None,
    *,
    explores: bool,
) -> Iterator[Route]:
    """Yield the better of two usable routes, again and again.

    Shapes:  ``explores`` lets the worse one win the first time: who was slow once, or
             was never asked, would not be asked again otherwise.
    """
    hand: Route | None = None
    held = 0.0
    for route in drawn:
        if is_usable is not None and not is_usable(route):
            yield route
            continue
        value = measure(route)
        if hand is None:
            hand, held = route, value
        elif (value < held) is not explores:
            yield route
            explores = False
        else:
            yield hand
            hand, held, explores = route, value, False
    if hand is not None:
        yield hand


def _shuffled(routes: tuple[Route, ...], turn: int) -> Iterator[Route]:
    """Yield routes from a place and in steps that look random, each once."""
    size = len(routes)
    mixed = _mixed(turn)
    place = mixed % size
    step = 1 + (mixed >> 32) % (size - 1)
    while math.gcd(step, size) != 1:
        step = step % size + 1
    for _ in range(size):
        yield routes[place]
        place = (place + step) % size


def _mixed(number: int) -> int:
    """Spread a small number over 64 bits; neighbours come out far apart.

    Source:  the finaliser of SplitMix64.
    """
    mixed = (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


def _stride(total: int) -> int:
    """Find a step near the golden section that meets every place once a round."""
    step = max(1, round(total * _GOLDEN))
    while math.gcd(step, total) != 1:
        step += 1
    return step


def _start(group: Group, turn: int) -> int:
    total = group.weights[-1]
    drawn = turn * group.stride % total
    # Without weights the number drawn is the place itself.
    is_even = total == len(group.routes)
    return drawn if is_even else bisect_right(group.weights, drawn)
