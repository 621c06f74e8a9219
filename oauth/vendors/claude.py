"""Claude: a Pro, Max or Team plan, by browser with a pasted code, or by setup token.

Source: reference seeds 8.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import (
    Ask,
    Grant,
    Knob,
    Method,
    Progress,
    Serving,
    VendorSettings,
)
from oauth.vendors.standard import Standard

_SETUP_PREFIX: Final = "sk-ant-oat01-"
_SCOPE: Final = (
    "user:profile user:inference user:sessions:claude_code user:mcp_servers "
    "user:file_upload"
)
_BETA: Final = "oauth-2025-04-20"


class Claude(Standard):
    """Sign-ins for Claude subscriptions."""

    id = "claude"
    name = "Claude subscription"
    catalogue_ids = ("claude-oauth",)
    methods: tuple[Method, ...] = ("pkce", "import")
    # Tokens live some eight hours.
    lead_s = 3_600
    sends_json = True
    authorize_extra = {"code": "true"}
    knobs = (
        Knob(name="client_id", default="9d1c250a-e61b-44d9-88ed-5944d1962f5e"),
        Knob(name="scope", default=_SCOPE),
        Knob(name="authorize_url", default="https://claude.ai/oauth/authorize"),
        Knob(name="token_url", default="https://platform.claude.com/v1/oauth/token"),
        Knob(name="redirect_url", default="http://localhost:54545/callback"),
    )

    def exchange_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask for the tokens of a code; this vendor wants the state again."""
        ask = super().exchange_ask(settings, progress)
        return replace(ask, json={**ask.json, "state": progress.values["state"]})

    def refresh(
        self, settings: VendorSettings, refresh_token: str, extra: Mapping[str, Any]
    ) -> Ask:
        """Return the request that gets a new access token."""
        ask = super().refresh(settings, refresh_token, extra)
        return replace(ask, json={**ask.json, "scope": settings["scope"]})

    def read_tokens(self, data: Mapping[str, Any], now_s: float) -> Grant:
        """Read tokens, and the person and organisation told beside them."""
        grant = answers.grant_of(data, now_s=now_s)
        owner = answers.part(data, "account")
        house = answers.part(data, "organization")
        extra = {
            name: found
            for name, key in (("organization", "name"), ("organization_id", "uuid"))
            if (found := answers.text(house.get(key)))
        }
        return replace(
            grant,
            subject=answers.text(owner.get("uuid")),
            label=answers.text(owner.get("email_address")),
            extra=extra,
        )

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read .credentials.json, or a pasted setup token, which lives a year."""
        if not tokenfiles.is_file(text):
            found = tokenfiles.bare(text, prefixes=(_SETUP_PREFIX,))
            return Grant(access_token=found, scopes=("user:inference",))
        data = tokenfiles.load(text)
        row = answers.part(data, "claudeAiOauth") or answers.part(
            data, "claude.ai_oauth"
        )
        grant = tokenfiles.flat(row or data, now_s)
        return replace(grant, plan=answers.text(row.get("subscriptionType"), 60))

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return the header a subscription's token needs."""
        return Serving(headers={"anthropic-beta": _BETA})
