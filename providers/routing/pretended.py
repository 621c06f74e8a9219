"""Look at health as it would be if some providers, models or keys were down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from providers.routing.health import Cooling
from providers.routing.types import RouteLike

PRETENDED: Final = "pretended"
R = TypeVar("R", bound=RouteLike)


class Looked(Protocol):
    """A health view, as far as it is only looked at."""

    def cooling(self, route: RouteLike) -> Cooling | None:
        """Return what keeps a route from being tried now."""

    def least_bad(self, routes: Iterable[R]) -> R | None:
        """Choose whom to try although all of them are cooling."""


class Pretended:
    """A health view with some more of them cooling.

    Shapes:  ``down`` are provider slugs, ``provider/model``, or masks of credentials.
    """

    def __init__(self, health: Looked, down: frozenset[str]) -> None:
        self._health = health
        self._down = down

    def cooling(self, route: RouteLike) -> Cooling | None:
        """Return what keeps a route from being tried, pretence first."""
        slug, credential = route.provider.slug, route.credential
        names = {slug, f"{slug}/{route.model.model_id}"}
        if credential is not None:
            names |= {credential.mask or credential.label, credential.label}
        if not self._down.isdisjoint(names - {""}):
            return Cooling(PRETENDED, None)
        return self._health.cooling(route)

    def least_bad(self, routes: Iterable[R]) -> R | None:
        """Choose among those who really are there; of the others the first."""
        listed = list(routes)
        real = [each for each in listed if self.cooling(each) is None]
        return self._health.least_bad(real or listed)
