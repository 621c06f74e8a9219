"""Sign what a webhook is sent, so that its receiver can tell it is ours."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

SIGNATURE: Final = "x-pool-signature"
EVENT_ID: Final = "x-pool-event-id"
SHORTEST_SECRET: Final = 16
_PREFIX: Final = "whsec_"


def new_secret() -> str:
    """Make a signing secret of 256 bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Return the value of the signature header.

    Shapes:  ``t=<unix seconds>,v1=<hex>``, HMAC-SHA256 over ``t``, a dot and the body.
    Errors:  ValueError for a secret too short to protect anything; an empty one would
             be a key everybody has.
    """
    if len(secret) < SHORTEST_SECRET:
        raise ValueError("The signing secret is too short.")
    text = f"{at_s}.".encode() + body
    made = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={made}"
