"""Keep what is remembered of subjects, and know at once whom none of it concerns.

Most routes of a large pool never failed. To find that out by six names each costs more
than everything else that is looked at; the numbers of a provider and a model suffice.
"""

from __future__ import annotations

from providers.routing.remembered import State
from providers.routing.subjects import parse
from providers.routing.types import RouteLike


class States(dict[str, State]):
    """States by subject.

    Shapes:  whom they may concern only grows while anything is remembered at all: a
             route too many is looked at in full, never one too few.
    """

    __slots__ = ("_is_general", "_models", "_providers")

    def __init__(self) -> None:
        super().__init__()
        self._providers: set[int] = set()
        self._models: set[int] = set()
        self._is_general = False

    def __setitem__(self, subject: str, state: State) -> None:
        """Remember a state, and whom it may concern."""
        if not self:
            self._providers.clear()
            self._models.clear()
            self._is_general = False
        super().__setitem__(subject, state)
        parts = parse(subject)
        if parts is not None and parts.provider_id is not None:
            self._providers.add(parts.provider_id)
        elif parts is not None and parts.model_id is not None:
            self._models.add(parts.model_id)
        else:
            self._is_general = True

    def may_concern(self, route: RouteLike) -> bool:
        """Tell whether any state could be about a route; no = none is."""
        return (
            route.provider.id in self._providers
            or route.model.id in self._models
            or self._is_general
        )
