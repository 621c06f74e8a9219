"""Who may call the admin API: a token with a scope, and the role behind it."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from poolsite.accounts import OPERATOR, OWNER, role_of
from poolsite.actor import Actor, person
from poolsite.models import ApiToken, User
from poolsite.tokens import ADMIN, READ, find_token

_SAFE = ("GET", "HEAD", "OPTIONS")


class TokenAuth(HttpBearer):
    """Accept ``Authorization: Bearer pa_…``; cookies are never looked at."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """Return the token; 403 when its scope or its person's role is not enough."""
        found = find_token(token)
        if found is None:
            return None
        wanted = {READ, ADMIN} if request.method in _SAFE else {ADMIN}
        if not wanted & set(found.scopes):
            scope = READ if request.method in _SAFE else ADMIN
            raise HttpError(403, f"This token lacks the scope {scope}.")
        may_change = role_of(found.user) in (OWNER, OPERATOR)
        if request.method not in _SAFE and not may_change:
            raise HttpError(403, "The person behind this token may only look.")
        return found


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor an authenticated API request acts as."""
    ip = request.META.get("REMOTE_ADDR", "") or ""
    return person(user_of(request), source="api", ip=ip[:45])


def user_of(request: HttpRequest) -> User:
    """Return the person behind an authenticated API request."""
    token: ApiToken = request.auth  # type: ignore[attr-defined] # set by ninja
    return token.user


def require_owner(request: HttpRequest) -> None:
    """Refuse with 403 unless the person behind the token is an owner."""
    if role_of(user_of(request)) != OWNER:
        raise HttpError(403, "Only an owner may do this.")
