"""Google Antigravity: a Google sign-in for Code Assist with two scopes more."""

from __future__ import annotations

from typing import Final

from oauth.vendors.base import Knob
from oauth.vendors.codeassist import (
    AUTHORIZE_URL,
    SCOPES,
    TOKEN_URL,
    USER_URL,
    CodeAssistVendor,
)

_SCOPES: Final = (
    f"{SCOPES} https://www.googleapis.com/auth/cclog"
    " https://www.googleapis.com/auth/experimentsandconfigs"
)


class Antigravity(CodeAssistVendor):
    """Sign-ins for Antigravity's backend."""

    id = "antigravity"
    name = "Google Antigravity"
    catalogue_ids = ("google-antigravity",)
    knobs = (
        Knob(name="client_id", is_required=True),
        Knob(name="client_secret", is_secret=True, is_required=True),
        Knob(name="scope", default=_SCOPES),
        Knob(name="project"),
        Knob(name="authorize_url", default=AUTHORIZE_URL),
        Knob(name="token_url", default=TOKEN_URL),
        Knob(name="user_url", default=USER_URL),
        Knob(name="redirect_url", default="http://localhost:51121/oauth-callback"),
        Knob(name="code_url", default="https://cloudcode-pa.googleapis.com"),
    )
