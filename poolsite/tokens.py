"""API tokens: a digest, scopes, an expiry; the text is shown once.

A token acts for the person who made it, within its scopes, and stops when that
person is switched off.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from poolsite import audit
from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import Peppers
from poolsite.models import ApiToken, User

_CLOCK = SystemClock()
ADMIN: Final = "admin"
READ: Final = "read"
METRICS: Final = "metrics"
SCOPES: Final = (ADMIN, READ, METRICS)
_PREFIX: Final = "pa"
_SEEN_EVERY: Final = timedelta(minutes=1)


@transaction.atomic
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

    Errors:  ValueError for a blank name or an unknown scope.
    """
    if not name.strip():
        raise ValueError("The token needs a name.")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"Scopes are {', '.join(SCOPES)}.")
    public_id = secrets.token_hex(4)
    text = f"{_PREFIX}_{public_id}_{secrets.token_urlsafe(32)}"
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(text)
    token = ApiToken.objects.create(
        name=name.strip(),
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


@transaction.atomic
def revoke_token(actor: Actor, token: ApiToken, *, clock: Clock = _CLOCK) -> None:
    """Revoke a token for good."""
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
