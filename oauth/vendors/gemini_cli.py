"""Gemini CLI: a Google sign-in for Code Assist."""

from __future__ import annotations

from oauth.vendors.base import Knob
from oauth.vendors.codeassist import (
    AUTHORIZE_URL,
    SCOPES,
    TOKEN_URL,
    USER_URL,
    CodeAssistVendor,
)


class GeminiCli(CodeAssistVendor):
    """Sign-ins for Gemini CLI's backend."""

    id = "gemini_cli"
    name = "Gemini CLI"
    catalogue_ids = ("google-gemini-cli",)
    knobs = (
        Knob(name="client_id", is_required=True),
        Knob(name="client_secret", is_secret=True, is_required=True),
        Knob(name="scope", default=SCOPES),
        Knob(name="project"),
        Knob(name="authorize_url", default=AUTHORIZE_URL),
        Knob(name="token_url", default=TOKEN_URL),
        Knob(name="user_url", default=USER_URL),
        Knob(name="redirect_url", default="http://localhost:8085/oauth2callback"),
        Knob(name="code_url", default="https://cloudcode-pa.googleapis.com"),
    )
