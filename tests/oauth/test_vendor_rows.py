"""Prove each row of the reference on vendors' sign-ins, 8.1 to 8.7, by its name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth.vendors.base import Grant, Progress, Reply, TokenRefusedError
from oauth.vendors.copilot import plan_of
from oauth.vendors.registry import vendor_of
from tests.oauth.way import grant_of, way
from tests.vendors.issuer import NOW_S, fields, jwt
from tests.vendors.issuer_shapes import COPILOT_TOKEN, values_of

COPILOT, CODEX, CLAUDE = (vendor_of(each) for each in ("copilot", "codex", "claude"))
PUBLIC = values_of("copilot")
GHE = values_of("copilot", domain="ghe.example.com")
GRANT = Grant(access_token="gho_1")


def standing(step: str, **values: Any) -> Progress:
    return Progress(step=step, values={"verifier": "v" * 43, **values}, grant=GRANT)


# 8.1 GitHub Copilot


def test_8_1_client_id_of_github_and_of_a_company() -> None:
    assert COPILOT.ask(PUBLIC, standing("device")).form == {
        "client_id": "Iv1.b507a08c87ecfe98", "scope": "read:user",
    }  # fmt: skip
    form = COPILOT.ask(GHE, standing("device")).form
    assert form is not None
    assert form["client_id"] == "Ov23li8tweQw6odWQebz"


def test_8_1_device_code_and_poll_addresses() -> None:
    device = COPILOT.ask(PUBLIC, standing("device"))
    poll = COPILOT.ask(PUBLIC, standing("poll", device_code="d"))
    assert device.url == "https://github.com/login/device/code"
    assert poll.url == "https://github.com/login/oauth/access_token"
    assert device.headers["accept"] == "application/json"
    assert poll.form is not None
    assert poll.form["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"


@pytest.mark.parametrize(
    "word",
    [
        "expired_token", "access_denied", "incorrect_device_code",
        "device_flow_disabled", "unsupported_grant_type",
    ],
)  # fmt: skip
def test_8_1_poll_errors_come_with_200(word: str) -> None:
    with way("copilot") as road:
        waiting = road.device()
        road.issuer.say(word, status=200)
        with pytest.raises(TokenRefusedError) as refusal:
            road.steps(waiting)
        assert (refusal.value.code, refusal.value.is_final) == (word, True)


def test_8_1_slow_down_takes_the_interval_told_when_it_is_longer() -> None:
    with way("copilot") as road:
        waiting = road.device()
        road.issuer.say("slow_down", status=200, interval=30)
        assert road.steps(waiting).wait_s == 30


def test_8_1_user_and_emails_when_the_email_is_empty() -> None:
    with way("copilot") as road:
        waiting = road.device()
        road.issuer.approve()
        grant = grant_of(road.steps(waiting))
        assert (grant.subject, grant.label) == ("7", "me@example.com")
        assert road.issuer.paths()[-3:] == [
            "GET /user", "GET /user/emails", "GET /copilot_internal/v2/token",
        ]  # fmt: skip


def test_8_1_token_exchange_keeps_the_token_of_github() -> None:
    with way("copilot") as road:
        waiting = road.device()
        road.issuer.approve()
        grant = grant_of(road.steps(waiting))
        assert grant.refresh_token == "gho_1"
        assert (grant.access_token, grant.expires_in_s) == (COPILOT_TOKEN, 1500)
        assert grant.plan == "Business"
        assert road.issuer.last.headers["authorization"] == "token gho_1"


@pytest.mark.parametrize(
    ("status", "word"), [(401, "invalid_grant"), (403, "no_subscription")]
)
def test_8_1_exchange_errors(status: int, word: str) -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        COPILOT.read_grant(status, {}, b'{"message": "no"}', now_s=NOW_S)
    assert (refusal.value.code, refusal.value.is_final) == (word, True)


@pytest.mark.parametrize(
    ("told", "life"),
    [({"expires_at": NOW_S + 900}, 900), ({"refresh_in": 1200}, 1260), ({}, 1500)],
)
def test_8_1_refresh_two_minutes_ahead_of_any_kind_of_expiry(
    told: dict[str, Any], life: int
) -> None:
    body = json.dumps({"token": "t", **told}).encode()
    assert COPILOT.read_grant(200, {}, body, now_s=NOW_S).expires_in_s == life
    assert COPILOT.lead_s == 120


@pytest.mark.parametrize(
    ("told", "base"),
    [
        ("https://api.enterprise.githubcopilot.com", "https://api.enterprise.githubcopilot.com"),
        ("https://evil.example", "https://api.githubcopilot.com"),
        ("http://api.githubcopilot.com", "https://api.githubcopilot.com"),
        ("https://me@api.githubcopilot.com", "https://api.githubcopilot.com"),
        (None, "https://api.githubcopilot.com"),
    ],
)  # fmt: skip
def test_8_1_api_base_is_the_dynamic_endpoint_or_the_default(
    told: Any, base: str
) -> None:
    body = json.dumps({"token": "t", "endpoints": {"api": told}}).encode()
    grant = COPILOT.read_grant(200, {}, body, now_s=NOW_S)
    assert COPILOT.serving(PUBLIC, grant.extra).base_url == base


def test_8_1_ghe_uses_its_own_hosts_and_the_token_directly() -> None:
    device = COPILOT.ask(GHE, standing("device"))
    assert device.url == "https://ghe.example.com/login/device/code"
    user = COPILOT.ask(GHE, standing("copilot"))
    assert user.url == "https://ghe.example.com/api/v3/user"
    reply = Reply(status=200, body=b"{}")
    grant = grant_of(COPILOT.advance(GHE, standing("copilot"), reply, now_s=NOW_S))
    assert (grant.access_token, grant.refresh_token) == ("gho_1", None)
    assert COPILOT.serving(GHE, grant.extra).base_url == (
        "https://copilot-api.ghe.example.com"
    )


@pytest.mark.parametrize(
    ("sku", "plan"),
    [
        ("copilot_enterprise_seat", "Enterprise"), ("copilot_for_business", "Business"),
        ("pro_plus_monthly", "Pro+"), ("monthly_individual", "Pro"),
        ("copilot_pro", "Pro"), ("free_limited", "Free"), ("educational", "Free"),
        ("", "Free"), ("something_new", "something_new"),
    ],
)  # fmt: skip
def test_8_1_sku_in_the_token(sku: str, plan: str) -> None:
    assert plan_of(f"tid=1;exp=2;sku={sku};8kp=1") == plan


# 8.2 OpenAI Codex


def test_8_2_authorize() -> None:
    with way("codex") as road:
        url = CODEX.authorize_url(values_of("codex"), road.randoms)
        sent = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        assert url.startswith("https://auth.openai.com/oauth/authorize?")
        assert sent["client_id"] == "app_EMoamEEZ73f0CkXaXp7hrann"
        assert sent["scope"] == "openid profile email offline_access"
        assert sent["code_challenge_method"] == "S256"
        assert sent["id_token_add_organizations"] == "true"
        assert sent["codex_cli_simplified_flow"] == "true"
        assert sent["originator"] == "codex_cli_rs"
        assert sent["redirect_uri"] == "http://localhost:1455/auth/callback"
        assert sent["state"] == road.randoms.state
        assert road.randoms.verifier not in url


def test_8_2_refresh_is_a_form_with_its_scope() -> None:
    ask = CODEX.refresh(values_of("codex"), "r", {})
    assert ask.url == "https://auth.openai.com/oauth/token"
    assert ask.form is not None
    assert ask.form["scope"] == "openid profile email"


@pytest.mark.parametrize(
    "claims",
    [
        {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-9"}},
        {"https://api.openai.com/auth.chatgpt_account_id": "acc-9"},
        {"chatgpt_account_id": "acc-9"}, {"organizations": [{"id": "acc-9"}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["id_token", "access_token"])
def test_8_2_account_id_from_any_claim(claims: dict[str, Any], where: str) -> None:
    body = {"access_token": "a", where: jwt(claims)}
    grant = CODEX.read_grant(200, {}, json.dumps(body).encode(), now_s=NOW_S)
    assert grant.extra == {"account_id": "acc-9"}
    assert CODEX.serving(values_of("codex"), grant.extra).headers == {
        "chatgpt-account-id": "acc-9"
    }


def test_8_2_plan_user_and_email() -> None:
    with way("codex") as road:
        grant = grant_of(road.steps(road.browser()))
        assert (grant.plan, grant.subject) == ("plus", "user-1")
        assert grant.label == "me@example.com"


def test_8_2_device_404_is_switched_off_and_403_waits() -> None:
    with way("codex") as road:
        waiting = road.device()
        assert road.steps(waiting).wait_s == 5
        assert waiting.shown is not None
        assert waiting.shown.expires_at_s == NOW_S + 900
        road.issuer.on("POST", "/deviceauth/usercode", {}, status=404)
        with pytest.raises(TokenRefusedError) as refusal:
            road.device()
        assert refusal.value.code == "device_flow_disabled"


def test_8_2_device_code_is_exchanged_at_its_own_redirect() -> None:
    with way("codex") as road:
        waiting = road.device()
        road.issuer.approve()
        grant_of(road.steps(waiting))
        sent = fields(road.issuer.last)
        assert sent["redirect_uri"] == "https://auth.openai.com/deviceauth/callback"
        assert sent["code_verifier"] == "made-there"


# 8.3 Claude


def test_8_3_authorize_scopes_and_redirect() -> None:
    with way("claude") as road:
        url = CLAUDE.authorize_url(values_of("claude"), road.randoms)
        sent = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        assert url.startswith("https://claude.ai/oauth/authorize?")
        assert (sent["code"], sent["response_type"]) == ("true", "code")
        assert sent["client_id"] == "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
        assert sent["redirect_uri"] == "http://localhost:54545/callback"
        assert "user:inference" in sent["scope"].split()


def test_8_3_token_and_refresh_are_json() -> None:
    with way("claude") as road:
        grant = grant_of(road.steps(road.browser()))
        sent = road.issuer.last.json()
        assert sent["state"] == road.randoms.state
        assert (grant.subject, grant.label) == ("acc-1", "me@example.com")
        assert grant.extra == {"organization": "Home", "organization_id": "org-1"}
        assert grant.refresh_token is not None
        road.refresh(grant.refresh_token)
        assert road.issuer.last.json()["scope"] == road.settings["scope"]


def test_8_3_api_header() -> None:
    headers = CLAUDE.serving(values_of("claude"), {}).headers
    assert headers == {"anthropic-beta": "oauth-2025-04-20"}


def test_8_3_setup_token() -> None:
    grant = CLAUDE.read_import(" sk-ant-oat01-abc\n", now_s=NOW_S)
    assert grant.access_token == "sk-ant-oat01-abc"
    assert (grant.refresh_token, grant.expires_in_s) == (None, None)
    with pytest.raises(TokenRefusedError, match="sk-ant-oat01-"):
        CLAUDE.read_import("sk-ant-api03-planted", now_s=NOW_S)
