"""Lay each vendor's own addresses and shapes over the fake issuer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oauth.vendors.base import VendorSettings
from oauth.vendors.registry import vendor_of
from tests.vendors.issuer import NOW_S, Issuer, fields, jwt
from tests.vendors.server import Asked, Reply

CODEX_ID_TOKEN = jwt(
    {
        "sub": "auth0|1",
        "email": "me@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": "acc-1",
            "chatgpt_plan_type": "plus",
            "chatgpt_user_id": "user-1",
        },
    }
)
COPILOT_TOKEN = "tid=1;exp=1767227100;sku=copilot_for_business_seat;8kp=1"


def values_of(vendor_id: str, **values: str) -> VendorSettings:
    """Return a vendor's settings with these over the defaults."""
    knobs = {knob.name: knob.default for knob in vendor_of(vendor_id).knobs}
    return VendorSettings(values={**knobs, **values})


def lay_out(vendor_id: str, issuer: Issuer) -> dict[str, str]:
    """Lay a vendor's endpoints down and return the settings that lead to them."""
    return _LAYOUTS[vendor_id](issuer)


def _plain(issuer: Issuer) -> dict[str, str]:
    issuer.on("POST", "/device", issuer.device)
    issuer.on("POST", "/token", issuer.token)
    return {
        "device_url": f"{issuer.root}/device",
        "token_url": f"{issuer.root}/token",
        "authorize_url": f"{issuer.root}/authorize",
    }


def _copilot(issuer: Issuer) -> dict[str, str]:
    """GitHub answers errors with 200, and its tokens never expire."""
    issuer.rotates = False

    def poll(asked: Asked) -> Reply:
        reply = issuer.token(asked)
        body = reply.body
        if isinstance(body, dict) and "access_token" in body:
            body = {
                "access_token": "gho_1",
                "token_type": "bearer",
                "scope": "read:user",
            }
            return Reply(body)
        status = 200 if reply.status == 400 else reply.status
        return Reply(body, status=status, headers=reply.headers)

    def exchange(asked: Asked) -> Reply:
        if issuer.troubles:
            return issuer.troubles.popleft()
        known = {f"token {each}" for each in {"gho_1", *issuer.live}}
        if asked.headers.get("authorization") not in known:
            return Reply({"message": "Bad credentials"}, status=401)
        issuer.refreshes += 1
        return Reply(
            {
                "token": COPILOT_TOKEN,
                "expires_at": NOW_S + 1500,
                "refresh_in": 1200,
                "endpoints": {"api": "https://api.business.githubcopilot.com"},
            }
        )

    issuer.on("POST", "/login/device/code", issuer.device)
    issuer.on("POST", "/login/oauth/access_token", poll)
    issuer.on("GET", "/user", {"id": 7, "login": "me", "email": None})
    issuer.on(
        "GET",
        "/user/emails",
        [{"email": "b@x.y"}, {"email": "me@example.com", "primary": True}],
    )
    issuer.on("GET", "/copilot_internal/v2/token", exchange)
    return {"web_url": issuer.root, "api_url": issuer.root}


def _codex(issuer: Issuer) -> dict[str, str]:
    """A device code whose answer is a code to exchange; 403 until then."""
    issuer.more = {"id_token": CODEX_ID_TOKEN}

    def usercode(asked: Asked) -> Reply:
        return Reply(
            {"device_auth_id": "dev-1", "usercode": "ABCD-1234", "interval": "5"}
        )

    def poll(asked: Asked) -> Reply:
        if issuer.script:
            return issuer.script.popleft()
        if fields(asked).get("device_auth_id") != "dev-1":
            return Reply({"error": "expired_token"}, status=400)
        if not issuer.is_approved:
            return Reply({}, status=403)
        issuer.challenges["dev-code"] = ""
        return Reply(
            {
                "authorization_code": "dev-code",
                "code_verifier": "made-there",
                "code_challenge": "x",
            }
        )

    issuer.on("POST", "/deviceauth/usercode", usercode)
    issuer.on("POST", "/deviceauth/token", poll)
    return {**_plain(issuer), "device_url": f"{issuer.root}/deviceauth"}


def _claude(issuer: Issuer) -> dict[str, str]:
    """JSON both ways, with the person beside the tokens."""
    issuer.more = {
        "account": {"uuid": "acc-1", "email_address": "me@example.com"},
        "organization": {"uuid": "org-1", "name": "Home"},
        "scope": "user:profile user:inference",
    }

    def token(asked: Asked) -> Reply:
        if "json" not in asked.headers["content-type"]:
            return Reply({"error": "invalid_request"}, status=400)
        return issuer.token(asked)

    return {**_plain(issuer), **_on_token(issuer, token)}


def _google(issuer: Issuer) -> dict[str, str]:
    """No new refresh token; a project is found or made afterwards."""
    issuer.rotates = False

    def token(asked: Asked) -> Reply:
        if fields(asked).get("client_secret") != "planted":
            return Reply({"error": "invalid_client"}, status=401)
        return issuer.token(asked)

    issuer.on("GET", "/userinfo", {"id": "g-1", "email": "me@example.com"})
    issuer.on(
        "POST",
        "/v1internal:loadCodeAssist",
        {
            "currentTier": {"id": "standard-tier", "name": "Standard"},
            "paidTier": {"id": "g1-pro", "name": "Pro"},
            "cloudaicompanionProject": "found-1",
        },
    )
    return {
        **_plain(issuer),
        **_on_token(issuer, token),
        "client_id": "id-1",
        "client_secret": "planted",
        "user_url": f"{issuer.root}/userinfo",
        "code_url": issuer.root,
    }


def _kimi(issuer: Issuer) -> dict[str, str]:
    """Every request names the device."""

    def guarded(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            if not asked.headers.get("x-msh-device-id"):
                return Reply({"error": "invalid_request"}, status=400)
            return answer(asked)

        return reply

    found = _plain(issuer)
    issuer.on("POST", "/device", guarded(issuer.device))
    return {**found, **_on_token(issuer, guarded(issuer.token))}


def _discovered(issuer: Issuer) -> dict[str, str]:
    _plain(issuer)
    issuer.on(
        "GET",
        "/.well-known/openid-configuration",
        {
            "issuer": issuer.root,
            "device_authorization_endpoint": f"{issuer.root}/device",
            "token_endpoint": f"{issuer.root}/token",
        },
    )
    return {"issuer_url": issuer.root}


def _generic(issuer: Issuer) -> dict[str, str]:
    return {
        **_discovered(issuer),
        "client_id": "id-1",
        "authorize_url": f"{issuer.root}/authorize",
    }


def _qwen(issuer: Issuer) -> dict[str, str]:
    issuer.more = {"resource_url": "portal.qwen.ai"}
    return _plain(issuer)


def _on_token(issuer: Issuer, answer: Any) -> dict[str, str]:
    issuer.on("POST", "/token", answer)
    return {"token_url": f"{issuer.root}/token"}


_LAYOUTS: dict[str, Callable[[Issuer], dict[str, str]]] = {
    "copilot": _copilot,
    "codex": _codex,
    "claude": _claude,
    "gemini_cli": _google,
    "antigravity": _google,
    "kimi": _kimi,
    "xai": _discovered,
    "qwen": _qwen,
    "generic": _generic,
}
