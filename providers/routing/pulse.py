"""What is felt of each route at this moment: how fast, how busy, how much is left.

Dynamic strategies compare two routes by it. All of it is in memory and of this process;
what is not known stays None and is never taken for zero.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.routing.types import Mark, RouteLike, mark_of

ALPHA: Final = 0.3
_FAILED: Final = 2.0
_SLOWEST_S: Final = 3600.0
_MOST_ROUTES: Final = 20_000


class Beat(msgspec.Struct, gc=False):
    """What is known of one route.

    Shapes:  ``remaining`` is the part of its quota that is left, 0 to 1.
    Units:   ``latency_s`` seconds; ``remaining_until`` monotonic seconds, after which
             the quota has begun anew and nothing is known of it.
    """

    busy: int = 0
    latency_s: float | None = None
    remaining: float | None = None
    remaining_until: float = 0.0


class Pulse:
    """The live figures of one process, by route.

    Shapes:  ``is_wanted`` turns True with the first request whose routes are compared
             by it; until then nobody need tell it anything.
    Cost:  every member one dictionary read; at most 20,000 routes are remembered.
    """

    __slots__ = ("_beats", "is_wanted")

    def __init__(self) -> None:
        self._beats: dict[Mark, Beat] = {}
        self.is_wanted = False

    def __len__(self) -> int:
        return len(self._beats)

    def begin(self, route: RouteLike) -> None:
        """Count a call that is about to be sent."""
        self._beat(route).busy += 1

    def end(self, route: RouteLike) -> None:
        """Count it as over."""
        beat = self._beats.get(mark_of(route))
        if beat is not None and beat.busy > 0:
            beat.busy -= 1

    def served(self, route: RouteLike, seconds: float) -> None:
        """Learn how long an answer took: a moving mean; the first one counts whole."""
        seconds = min(max(seconds, 0.0), _SLOWEST_S)
        beat = self._beat(route)
        old = beat.latency_s
        beat.latency_s = (
            seconds if old is None else ALPHA * seconds + (1.0 - ALPHA) * old
        )

    def failed(self, route: RouteLike) -> None:
        """Learn that a route failed: it counts as twice as slow as it was."""
        beat = self._beats.get(mark_of(route))
        if beat is not None and beat.latency_s is not None:
            beat.latency_s = min(beat.latency_s * _FAILED, _SLOWEST_S)

    def quota(self, route: RouteLike, remaining: float | None, *, until: float) -> None:
        """Note how much of its quota a vendor says is left.

        Shapes:  0 to 1; None = it said nothing, which changes nothing.
        Units:   ``until`` monotonic seconds of the quota's reset.
        """
        if remaining is not None:
            beat = self._beat(route)
            beat.remaining = min(max(remaining, 0.0), 1.0)
            beat.remaining_until = until

    def latency(self, route: RouteLike) -> float | None:
        """Return the moving mean of its latency in seconds, None when unknown."""
        beat = self._beats.get(mark_of(route))
        return None if beat is None else beat.latency_s

    def busy(self, route: RouteLike) -> int:
        """Return how many of our calls it works on."""
        beat = self._beats.get(mark_of(route))
        return 0 if beat is None else beat.busy

    def remaining(self, route: RouteLike, now: float) -> float | None:
        """Return the part of its quota that is left, None when unknown or outdated.

        Units:   ``now`` monotonic seconds.
        """
        beat = self._beats.get(mark_of(route))
        if beat is None or beat.remaining is None or now >= beat.remaining_until:
            return None
        return beat.remaining

    def _beat(self, route: RouteLike) -> Beat:
        mark = mark_of(route)
        beat = self._beats.get(mark)
        if beat is None:
            if len(self._beats) >= _MOST_ROUTES:
                self._forget()
            beat = self._beats[mark] = Beat()
        return beat

    def _forget(self) -> None:
        """Make room: drop the older half of the routes that work on nothing."""
        idle = [mark for mark, beat in self._beats.items() if not beat.busy]
        for mark in idle[: max(1, len(idle) // 2)]:
            del self._beats[mark]
