"""OpenAI Codex: a ChatGPT plan, by browser or by a device code of its own kind.

Refresh tokens are single use here. The device's answer is a code with its proof key,
which is then exchanged like a browser's.

Source: reference seeds 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import (
    Ask,
    DeviceCode,
    Grant,
    Knob,
    Method,
    Progress,
    Reply,
    Serving,
    VendorSettings,
)
from oauth.vendors.standard import Standard

_ISSUER: Final = "https://auth.openai.com"
_AUTH: Final = "https://api.openai.com/auth"
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
_WAIT_CODES: Final = frozenset({"", "pending", "authorization_pending", "slow_down"})


class Codex(Standard):
    """Sign-ins for the Codex backend of ChatGPT."""

    id = "codex"
    name = "OpenAI Codex (ChatGPT)"
    catalogue_ids = ("openai-codex",)
    methods: tuple[Method, ...] = ("pkce", "device", "import")
    lead_s = 300
    knobs = (
        Knob(name="client_id", default="app_EMoamEEZ73f0CkXaXp7hrann"),
        Knob(name="scope", default="openid profile email offline_access"),
        Knob(name="authorize_url", default=f"{_ISSUER}/oauth/authorize"),
        Knob(name="token_url", default=f"{_ISSUER}/oauth/token"),
        Knob(name="redirect_url", default="http://localhost:1455/auth/callback"),
        Knob(name="device_url", default=f"{_ISSUER}/api/accounts/deviceauth"),
        Knob(name="device_page_url", default=f"{_ISSUER}/codex/device"),
        Knob(name="device_redirect_url", default=f"{_ISSUER}/deviceauth/callback"),
    )
    authorize_extra = {
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "originator": "codex_cli_rs",
    }

    def device_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask for a code to type elsewhere."""
        return Ask(
            url=f"{settings['device_url']}/usercode",
            headers=self.headers({}),
            json={"client_id": settings["client_id"]},
        )

    def device_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        """Read the code; 404 says that this way in is switched off."""
        data = answers.parse(reply.body)
        if reply.status == _NOT_FOUND:
            raise answers.refused("device_flow_disabled", is_final=True)
        found = answers.token(data.get("device_auth_id"))
        user_code = answers.text(data.get("user_code") or data.get("usercode"), 40)
        if reply.status != _OK or not found or not user_code:
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        life = answers.whole(data.get("expires_in"), least=1)
        if life is None:
            life = answers.seconds_left(data.get("expires_at"), now_s)
        pace = answers.whole(data.get("interval"), least=1) or self.poll_s
        shown = DeviceCode(
            user_code=user_code,
            verification_url=settings["device_page_url"],
            expires_at_s=round(now_s) + min(life or self.longest_s, self.longest_s),
            interval_s=min(pace, 120),
        )
        values = {"device_auth_id": found, "user_code": user_code}
        return Progress(
            step="poll", values=values, wait_s=shown.interval_s, shown=shown
        )

    def poll_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask whether the code was typed."""
        names = ("device_auth_id", "user_code")
        return Ask(
            url=f"{settings['device_url']}/token",
            headers=self.headers({}),
            json={name: progress.values[name] for name in names},
        )

    def poll_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        """Read the code to exchange; 403 and 404 mean that nobody typed it yet."""
        data = answers.parse(reply.body)
        word = answers.error_code(data)
        is_early = reply.status in {_FORBIDDEN, _NOT_FOUND}
        if word in _WAIT_CODES - {""} or (is_early and word not in answers.FINAL_CODES):
            return self.waited(progress, is_slower=word == "slow_down", data=data)
        code = answers.token(data.get("authorization_code"))
        verifier = answers.token(data.get("code_verifier"))
        if reply.status != _OK or not code or not verifier:
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        values = {
            "code": code,
            "verifier": verifier,
            "redirect_url": settings["device_redirect_url"],
        }
        return Progress(step="exchange", values=values)

    def refresh(
        self, settings: VendorSettings, refresh_token: str, extra: Mapping[str, Any]
    ) -> Ask:
        """Return the request that gets a new access token."""
        form = {
            "grant_type": "refresh_token",
            "client_id": settings["client_id"],
            "refresh_token": refresh_token,
            "scope": "openid profile email",
        }
        return Ask(url=settings["token_url"], headers=self.headers({}), form=form)

    def read_tokens(self, data: Mapping[str, Any], now_s: float) -> Grant:
        """Read tokens, and the account and plan their claims name."""
        return _with_owner(
            answers.grant_of(data, now_s=now_s), data.get("id_token"), now_s
        )

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read the auth.json of a signed-in Codex."""
        data = tokenfiles.load(text)
        if data.get("auth_mode") == "apikey":
            raise tokenfiles.broken(
                "This file holds an API key: add it to OpenAI as a key."
            )
        tokens = answers.part(data, "tokens")
        grant = tokenfiles.flat(tokens or data, now_s)
        grant = _with_owner(grant, tokens.get("id_token"), now_s)
        told = answers.text(tokens.get("account_id"))
        if told:
            grant = replace(grant, extra={**grant.extra, "account_id": told})
        return grant

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return the account's header; the envelope adds the others."""
        account = str(extra.get("account_id") or "")
        return Serving(headers={"chatgpt-account-id": account} if account else {})


def _with_owner(grant: Grant, id_token: Any, now_s: float) -> Grant:
    access = answers.claims(grant.access_token)
    owner = answers.claims(id_token)
    account = _account_of(owner) or _account_of(access)
    told = {**answers.part(access, _AUTH), **answers.part(owner, _AUTH)}
    email = owner.get("email") or answers.part(
        access, "https://api.openai.com/profile"
    ).get("email")
    life = grant.expires_in_s
    if life is None:
        life = answers.seconds_left(access.get("exp"), now_s)
    return replace(
        grant,
        expires_in_s=life,
        subject=answers.text(told.get("chatgpt_user_id")) or grant.subject,
        label=answers.text(email),
        plan=answers.text(told.get("chatgpt_plan_type"), 60),
        extra={"account_id": account} if account else {},
    )


def _account_of(said: Mapping[str, Any]) -> str:
    """Return the account's id from whichever claim holds it."""
    rows = said.get("organizations") or answers.part(said, _AUTH).get("organizations")
    first = rows[0] if isinstance(rows, list) and rows else {}
    places = (
        answers.part(said, _AUTH).get("chatgpt_account_id"),
        said.get(f"{_AUTH}.chatgpt_account_id"),
        said.get("chatgpt_account_id"),
        first.get("id") if isinstance(first, dict) else None,
    )
    return next((found for each in places if (found := answers.text(each))), "")
