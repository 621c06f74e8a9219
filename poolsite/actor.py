"""Who does something: a person, a token, the command line or the product."""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.models import User


@dataclass(frozen=True)
class Actor:
    """The one an audit event names.

    Shapes:  ``source`` is console | api | cli | system; ``ip`` is blank off the net.
    """

    label: str
    source: str
    user: User | None = None
    ip: str = ""


SYSTEM = Actor(label="system", source="system")
CLI = Actor(label="command line", source="cli")


def person(user: User, *, source: str = "console", ip: str = "") -> Actor:
    """Return the actor for a signed-in person."""
    return Actor(label=user.email, source=source, user=user, ip=ip)
