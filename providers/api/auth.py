"""Who may call the admin API: a token with a scope, and the role behind it."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from poolsite.accounts import OPERATOR, OWNER, role_of
from poolsite.actor import Actor, person
from poolsite.models import ApiToken
from poolsite.tokens import ADMIN, READ, find_token

_SAFE = ("GET", "HEAD", "OPTIONS")


class TokenAuth(HttpBearer):
    """Accept ``Authorization: Bearer pa_…``; cookies are never looked at."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """Return the token; 403 when its scope does not cover the method."""
        found = find_token(token)
        if found is None:
            return None
        wanted = {READ, ADMIN} if request.method in _SAFE else {ADMIN}
        if not wanted & set(found.scopes):
            raise HttpError(403, f"This token lacks the scope {sorted(wanted)[0]}.")
        if request.method not in _SAFE and role_of(found.user) not in (OWNER, OPERATOR):
            raise HttpError(403, "The person behind this token may only look.")
        return found


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor an authenticated API request acts as."""
    token: ApiToken = request.auth  # type: ignore[attr-defined] # set by ninja
    ip = request.META.get("REMOTE_ADDR", "") or ""
    return person(token.user, source="api", ip=ip)


def require_owner(request: HttpRequest) -> None:
    """Refuse with 403 unless the person behind the token is an owner."""
    token: ApiToken = request.auth  # type: ignore[attr-defined] # set by ninja
    if role_of(token.user) != OWNER:
        raise HttpError(403, "Only an owner may do this.")
