"""People: roles, the sign-in adapter, and the viewer's time zone."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from poolsite.models import User

OWNER = "owner"
OPERATOR = "operator"
VIEWER = "viewer"
ROLES = (OWNER, OPERATOR, VIEWER)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # ships no types
    """Close public sign-up: people are invited or made by the owner."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False


class UserZoneMiddleware:
    """Render times in the signed-in person's own zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Switch the zone for this answer."""
        zone = getattr(request.user, "time_zone", "UTC")
        try:
            timezone.activate(zoneinfo.ZoneInfo(zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            timezone.deactivate()  # "America" is a directory of zones, for one
        return self.get_response(request)


def role_of(user: User) -> str:
    """Return the person's role; without one they may only look.

    Cost: one query the first time, then kept on the object for the request.
    """
    cached: str | None = getattr(user, "_pool_role", None)
    if cached is None:
        names = set(user.groups.values_list("name", flat=True))
        cached = next((role for role in ROLES if role in names), VIEWER)
        user._pool_role = cached  # type: ignore[attr-defined] # a per-request memo
    return cached


def set_role(user: User, role: str) -> None:
    """Give the person exactly one role.

    Errors: ValueError when the role is not one of ROLES.
    """
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}")
    groups = [Group.objects.get_or_create(name=role)[0]]
    user.groups.set(groups)
    user._pool_role = role  # type: ignore[attr-defined] # keep the memo right
