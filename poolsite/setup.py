"""The first run: a one-time token opens the setup wizard, nothing else does.

The token is printed where the product was started; its digest is a row. As long as
nobody exists, every page leads to the wizard; afterwards the wizard is gone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from poolsite import audit
from poolsite.actor import SYSTEM, Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import OneTimeToken, User

KIND = "setup"
LIFETIME = timedelta(minutes=30)
_CLOCK = SystemClock()
# The API answers strangers itself; a redirect would hide its 401.
_OPEN_PATHS = ("/setup/", "/static/", "/healthz", "/readyz", "/api/")


def is_first_run() -> bool:
    """Say whether nobody exists yet; one query."""
    return not User.objects.exists()


class SetupError(ValueError):
    """The first run is over; the message says what to do instead."""


@one_change
def new_token(actor: Actor = SYSTEM, *, clock: Clock = _CLOCK) -> str:
    """Make a setup token; the ones before it stop working.

    Errors: SetupError when somebody exists already.
    """
    if not is_first_run():
        raise SetupError("The pool is set up already; sign in instead.")
    OneTimeToken.objects.filter(kind=KIND, used_at=None).delete()
    token = secrets.token_urlsafe(24)
    now = clock.now()
    row = OneTimeToken.objects.create(
        kind=KIND, digest=_digest(token), created_at=now, expires_at=now + LIFETIME
    )
    audit.record(actor, "setup.token", row, clock=clock)
    return token


def token_is_valid(token: str, *, clock: Clock = _CLOCK) -> bool:
    """Say whether this token opens the wizard now; one query."""
    return OneTimeToken.objects.filter(
        kind=KIND, digest=_digest(token), used_at=None, expires_at__gt=clock.now()
    ).exists()


def use_token(token: str, *, clock: Clock = _CLOCK) -> bool:
    """Spend the token; False when it is wrong, old or was spent before.

    Of two who spend it at the same moment one gets True. Inside the caller's
    transaction it is unspent again when that fails.
    """
    now = clock.now()
    spent = OneTimeToken.objects.filter(
        kind=KIND, digest=_digest(token), used_at=None, expires_at__gt=now
    ).update(used_at=now)
    return spent == 1


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class FirstRunMiddleware:
    """Lead every page to the wizard until somebody exists."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._done = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Redirect to the wizard on a fresh installation.

        Cost: one query a request until the first person exists, none after.
        """
        if not self._done:
            self._done = not is_first_run()
        if not self._done and not request.path.startswith(_OPEN_PATHS):
            return HttpResponseRedirect("/setup/")
        return self.get_response(request)
