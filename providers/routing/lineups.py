"""Line up the routes of one request.

The one function behind live routing and all that explains, simulates or replays it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from providers.routing import strategies
from providers.routing.order import Lineup, Measure, Order, weight_of
from providers.routing.pulse import Pulse
from providers.routing.types import Mark, Route, Way

_UNTOLD: Final = 0.5
"""A quota nobody told of counts as half full: neither a promise nor a warning."""


class Findable(Protocol):
    """What a name leads to, as far as lining up needs it."""

    def order(self, strategy: str, mode: str) -> Order:
        """Return the order of a strategy and mode."""


def line_up(
    found: Findable,
    way: Way,
    turn: int,
    *,
    pulse: Pulse,
    now: float,
    kept: Mark | None = None,
) -> Lineup:
    """Return the routes of a request in the order in which they shall be tried.

    Shapes:  ``turn`` is the number of the request among those of its name; ``kept`` is
             the route its session stays with. What the client prefers goes before it.
    Units:   ``now`` monotonic seconds.
    Cost:    a microsecond or two; nothing is copied and nobody is judged yet.
    """
    order = found.order(way.strategy, way.mode)
    first: tuple[Route, ...] = ()
    if kept is not None and not way.prefer:
        route = order.find(kept)
        if route is not None:
            first = (route,)
    measure = _measure(order.dynamic, pulse, now) if order.dynamic else None
    return Lineup(order, turn, measure=measure, first=first, prefer=way.prefer)


def _measure(dynamic: str, pulse: Pulse, now: float) -> Measure:
    """Return what makes one of two equals the better one: less of it."""
    pulse.is_wanted = True
    if dynamic == strategies.LATENCY:
        return _by_latency(pulse)
    if dynamic == strategies.LEAST_BUSY:
        return _by_calls(pulse)
    return _by_quota(pulse, now)


def _by_latency(pulse: Pulse) -> Callable[[Route], float]:
    def measure(route: Route) -> float:
        latency = pulse.latency(route)
        return math.inf if latency is None else latency

    return measure


def _by_calls(pulse: Pulse) -> Callable[[Route], float]:
    def measure(route: Route) -> float:
        return pulse.busy(route) / weight_of(route)

    return measure


def _by_quota(pulse: Pulse, now: float) -> Callable[[Route], float]:
    def measure(route: Route) -> float:
        funds = None if route.credential is None else route.credential.funds_nano_usd
        if funds is not None and funds <= 0:
            return 1.0
        left = pulse.remaining(route, now)
        return -(_UNTOLD if left is None else left)

    return measure
