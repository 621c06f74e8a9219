"""The words of routing: a route is one way to serve a request.

Pure data over the snapshot's records; the rooms of the proxy wrap a route with what
they need to send it.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from providers.snapshot.types import CredentialRecord, ModelRecord, ProviderRecord

Found = Literal["alias", "model", "provider", "variant", "default", "auto", "nothing"]
"""By which step of design 4 a name was found; auto = from the shortlist."""

Mark: TypeAlias = tuple[int, int, str, int]
"""A route by its numbers: provider, model, kind of credential, credential."""


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


Offers: TypeAlias = tuple[Offer, ...]


def mark_of(route: RouteLike) -> Mark:
    """Return what names a route across snapshots and processes."""
    credential = route.credential
    if credential is None:
        return route.provider.id, route.model.id, "", 0
    return route.provider.id, route.model.id, credential.kind, credential.id


class Group(msgspec.Struct, frozen=True, gc=False):
    """Routes nobody prefers over one another, and how they share the work.

    Shapes:  ``weights`` are cumulative, so the last one is their sum. ``stride`` is
             the step of the rotation: without a common divisor with the sum, so that
             each place comes once in a round, and large, so that weights interleave.
    """

    routes: tuple[Route, ...]
    weights: tuple[int, ...]
    stride: int


class Way(msgspec.Struct, frozen=True, gc=False):
    """How one request wants its routes chosen.

    Shapes:  ``strategy`` and ``mode`` are words of ``providers.routing.strategies``.
             ``prefer`` are provider slugs that go first, ``exclude`` slugs or
             ``provider/model`` that are left out.
    """

    strategy: str = "priority"
    mode: str = "auto"
    prefer: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
