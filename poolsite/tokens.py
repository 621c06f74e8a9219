"""API tokens: a digest, scopes, an expiry; the text is shown once.

A token acts for the person who made it, within its scopes, and stops when that
person is switched off.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from poolsite import audit
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns
from poolsite.crypto import Peppers
from poolsite.models import ApiToken, User

_CLOCK = SystemClock()
ADMIN: Final = "admin"
READ: Final = "read"
METRICS: Final = "metrics"
SCOPES: Final = (ADMIN, READ, METRICS)
_PREFIX: Final = "pa"
_SEEN_EVERY: Final = timedelta(minutes=1)


class TokenError(ValueError):
    """A token is refused; ``field`` names the input, the message says why."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def create_token(
    actor: Actor,
    *,
    user: User,
    name: str,
    scopes: list[str],
    expires_at: datetime | None = None,
    clock: Clock = _CLOCK,
) -> tuple[ApiToken, str]:
    """Make a token; the text is returned once and stored nowhere.

    Errors:  TokenError for a blank name, one in use, an unknown scope, or an expiry
             in the past.
    """
    if not scopes or set(scopes) - set(SCOPES):
        raise TokenError(f"Scopes are {', '.join(SCOPES)}.", field="scopes")
    if expires_at is not None and expires_at <= clock.now():
        raise TokenError("The expiry lies in the past.", field="expires_at")
    name = name.strip()
    _check_name(name, user)
    public_id = secrets.token_hex(8)
    text = f"{_PREFIX}_{public_id}_{secrets.token_urlsafe(32)}"
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(text)
    token = ApiToken.objects.create(
        name=name,
        public_id=public_id,
        digest=digest,
        pepper_id=pepper_id,
        scopes=sorted(set(scopes)),
        user=user,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    audit.record(actor, "api_token.create", token, after={"scopes": token.scopes})
    return token, text


@one_change
def revoke_token(actor: Actor, token: ApiToken, *, clock: Clock = _CLOCK) -> None:
    """Revoke a token for good; doing it twice changes nothing."""
    token.refresh_from_db()
    if token.revoked_at is not None:
        return
    token.revoked_at = clock.now()
    token.save(update_fields=["revoked_at"])
    audit.record(actor, "api_token.revoke", token)


def find_token(text: str, *, clock: Clock = _CLOCK) -> ApiToken | None:
    """Return the live token this text is, or None.

    Cost: one query; a second one at most once a minute to note its use.
    """
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != _PREFIX:
        return None
    token = (
        ApiToken.objects.select_related("user")
        .filter(public_id=parts[1], revoked_at=None, user__is_active=True)
        .first()
    )
    now = clock.now()
    if token is None or (token.expires_at and token.expires_at <= now):
        return None
    peppers = Peppers(settings.ROOTS.peppers)
    if not peppers.matches(text, pepper_id=token.pepper_id, digest=token.digest):
        return None
    if token.last_used_at is None or now - token.last_used_at > _SEEN_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def _check_name(name: str, user: User) -> None:
    if not name:
        raise TokenError("The token needs a name.", field="name")
    try:
        check_columns(ApiToken(name=name), ["name"])
    except ColumnError as exc:
        raise TokenError(str(exc), field="name") from exc
    if ApiToken.objects.filter(name=name, user=user, revoked_at=None).exists():
        raise TokenError(f"A token named {name} exists already.", field="name")
