"""The words of routing: a route is one way to serve a request.

Pure data over the snapshot's records; the rooms of the proxy wrap a route with what
they need to send it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, overload

import msgspec

from providers.snapshot.types import CredentialRecord, ModelRecord, ProviderRecord

Found = Literal["alias", "model", "provider", "variant", "default", "nothing"]
"""By which step of design 4 a name was found."""


class RouteLike(Protocol):
    """Whatever names a provider, its model and a secret: a route or a candidate."""

    @property
    def provider(self) -> ProviderRecord:
        """The provider that would serve."""

    @property
    def model(self) -> ModelRecord:
        """Its model."""

    @property
    def credential(self) -> CredentialRecord | None:
        """The secret to use; None for a provider that needs none."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """Name who would serve, with which model and which secret.

    Shapes:  ``credential`` is None for a provider that needs none.
    """

    provider: ProviderRecord
    model: ModelRecord
    credential: CredentialRecord | None = None


class Offer(msgspec.Struct, frozen=True, gc=False):
    """Pair a model with the provider that serves it."""

    provider: ProviderRecord
    model: ModelRecord


class Group(msgspec.Struct, frozen=True, gc=False):
    """Routes nobody prefers over one another, and how they share the work.

    Shapes:  ``weights`` are cumulative, so the last one is their sum. ``stride`` is
             the step of the rotation: without a common divisor with the sum, so that
             each place comes once in a round, and large, so that weights interleave.
    """

    routes: tuple[Route, ...]
    weights: tuple[int, ...]
    stride: int


class Rotated(Sequence[Route]):
    """Show groups of routes in order, each beginning at its own place.

    Nothing is copied: a request looks at the first few of what may be a thousand.
    """

    __slots__ = ("_groups", "_length", "_starts")

    def __init__(self, groups: tuple[Group, ...], starts: tuple[int, ...]) -> None:
        self._groups = groups
        self._starts = starts
        self._length = sum(len(group.routes) for group in groups)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Route]:
        for group, start in zip(self._groups, self._starts, strict=True):
            yield from group.routes[start:]
            yield from group.routes[:start]

    @overload
    def __getitem__(self, index: int) -> Route: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Route]: ...

    def __getitem__(self, index: int | slice) -> Route | Sequence[Route]:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = index + self._length if index < 0 else index
        for group, start in zip(self._groups, self._starts, strict=True):
            size = len(group.routes)
            if 0 <= place < size:
                return group.routes[(start + place) % size]
            place -= size
        raise IndexError(index)
