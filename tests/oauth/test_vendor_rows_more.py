"""Prove the rows 8.4 to 8.7 of the reference by name, and the token files of 9.1."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth.vendors.base import Grant, Progress, Reply, TokenRefusedError
from oauth.vendors.registry import vendor_of
from tests.oauth.way import grant_of, way
from tests.vendors.issuer import NOW_S, fields
from tests.vendors.issuer_shapes import CODEX_ID_TOKEN, values_of

GOOGLE = ["gemini_cli", "antigravity"]
FREE_TIER = {"allowedTiers": [{"id": "free-tier", "isDefault": True}]}
PAID_TIER = {"allowedTiers": [{"id": "standard-tier", "isDefault": True}]}
LOAD, ONBOARD = "/v1internal:loadCodeAssist", "/v1internal:onboardUser"


# 8.4 Gemini CLI and Antigravity


@pytest.mark.parametrize("vendor_id", GOOGLE)
def test_8_4_client_id_and_secret_are_the_operators(vendor_id: str) -> None:
    knobs = {knob.name: knob for knob in vendor_of(vendor_id).knobs}
    for name in ("client_id", "client_secret"):
        assert knobs[name].is_required
        assert knobs[name].default == ""
    assert knobs["client_secret"].is_secret


@pytest.mark.parametrize(
    ("vendor_id", "redirect", "scopes"),
    [
        ("gemini_cli", "http://localhost:8085/oauth2callback", 3),
        ("antigravity", "http://localhost:51121/oauth-callback", 5),
    ],
)
def test_8_4_authorize_scopes_and_redirect(
    vendor_id: str, redirect: str, scopes: int
) -> None:
    with way(vendor_id) as road:
        url = road.vendor.authorize_url(values_of(vendor_id), road.randoms)
        sent = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        assert url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
        assert (sent["access_type"], sent["prompt"]) == ("offline", "consent")
        assert sent["redirect_uri"] == redirect
        assert len(sent["scope"].split()) == scopes


@pytest.mark.parametrize("vendor_id", GOOGLE)
def test_8_4_user_info_project_and_paid_tier_first(vendor_id: str) -> None:
    with way(vendor_id) as road:
        grant = grant_of(road.steps(road.browser()))
        assert (grant.subject, grant.label) == ("g-1", "me@example.com")
        assert (grant.plan, grant.extra) == ("Pro", {"project": "found-1"})
        body = road.issuer.last.json()
        assert body["metadata"]["pluginType"] == "GEMINI"
        assert "cloudaicompanionProject" not in body


def test_8_4_project_as_an_object_is_read() -> None:
    with way("gemini_cli") as road:
        found = {"currentTier": {"id": "x"}, "cloudaicompanionProject": {"id": "p-2"}}
        road.issuer.on("POST", LOAD, found)
        assert grant_of(road.steps(road.browser())).extra == {"project": "p-2"}


def test_8_4_operators_project_is_used_and_a_number_is_none() -> None:
    with way("gemini_cli", project="mine") as road:
        road.issuer.on("POST", LOAD, {"currentTier": {"id": "x"}})
        assert grant_of(road.steps(road.browser())).extra == {"project": "mine"}
    with way("gemini_cli", project="12345") as road:
        road.issuer.on("POST", LOAD, {"currentTier": {"id": "x"}})
        with pytest.raises(TokenRefusedError, match="needs a project") as refusal:
            road.steps(road.browser())
        assert refusal.value.code == "project_required"


def test_8_4_onboarding_of_the_free_tier_sends_no_project_and_is_polled() -> None:
    with way("gemini_cli", project="mine") as road:
        road.issuer.on("POST", LOAD, FREE_TIER)
        road.issuer.on("POST", ONBOARD, {"name": "operations/1"})
        waiting = road.steps(road.browser())
        assert (waiting.step, waiting.wait_s) == ("onboard", 5)
        body = road.issuer.last.json()
        assert body["tierId"] == "free-tier"
        assert "cloudaicompanionProject" not in body
        done = {"done": True, "response": {"cloudaicompanionProject": {"id": "made"}}}
        road.issuer.on("POST", ONBOARD, done)
        assert grant_of(road.steps(waiting)).extra == {"project": "made"}


def test_8_4_onboarding_of_other_tiers_sends_the_project() -> None:
    with way("antigravity", project="mine") as road:
        road.issuer.on("POST", LOAD, PAID_TIER)
        road.issuer.on("POST", ONBOARD, {"done": True, "response": {}})
        assert grant_of(road.steps(road.browser())).extra == {"project": "mine"}
        body = road.issuer.last.json()
        assert body["cloudaicompanionProject"] == "mine"
        assert body["metadata"]["duetProject"] == "mine"


def test_8_4_onboarding_that_never_ends_is_given_up() -> None:
    vendor, settings = vendor_of("gemini_cli"), values_of("gemini_cli")
    progress = Progress(
        step="onboard",
        values={"tier": "free-tier", "tries": 0},
        grant=Grant(access_token="a"),
    )
    reply = Reply(status=200, body=b"{}")
    for _ in range(11):
        progress = vendor.advance(settings, progress, reply, now_s=NOW_S)
    with pytest.raises(TokenRefusedError) as refusal:
        vendor.advance(settings, progress, reply, now_s=NOW_S)
    assert refusal.value.is_final


@pytest.mark.parametrize(
    "reason",
    [
        "DASHER_USER", "INELIGIBLE_ACCOUNT", "NON_USER_ACCOUNT", "RESTRICTED_AGE",
        "RESTRICTED_NETWORK", "UNKNOWN", "UNKNOWN_LOCATION", "UNSUPPORTED_LOCATION",
        "VALIDATION_REQUIRED",
    ],
)  # fmt: skip
def test_8_4_ineligible_reason_is_told(reason: str) -> None:
    row = {"reasonCode": reason, "reasonMessage": "Not here."}
    row["validationUrl"] = "https://accounts.google.com/check"
    with way("gemini_cli") as road:
        road.issuer.on("POST", LOAD, {"ineligibleTiers": [row]})
        with pytest.raises(TokenRefusedError, match="Not here") as refusal:
            road.steps(road.browser())
        assert (refusal.value.code, refusal.value.is_final) == (reason.lower(), True)
        is_shown = "https://accounts.google.com/check" in str(refusal.value)
        assert is_shown is (reason == "VALIDATION_REQUIRED")


# 8.5 Qwen


def test_8_5_device_code_with_a_proof_key() -> None:
    with way("qwen") as road:
        waiting = road.device()
        sent = fields(road.issuer.last)
        assert sent["client_id"] == "f0304373b74a44d2b584a3fb70ca9e56"
        assert sent["code_challenge_method"] == "S256"
        assert waiting.shown is not None
        assert waiting.shown.expires_at_s == NOW_S + 300
        road.steps(waiting)
        assert fields(road.issuer.last)["code_verifier"] == road.randoms.verifier


def test_8_5_slow_down_is_half_as_long_again_up_to_ten_seconds() -> None:
    with way("qwen") as road:
        waiting, paces = road.device(), []
        for _ in range(3):
            road.issuer.say("slow_down")
            waiting = road.steps(waiting)
            paces.append(waiting.wait_s)
        assert paces == [8, 10, 10]


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("dashscope.aliyuncs.com", "https://dashscope.aliyuncs.com/v1"),
        ("evil.example", "https://portal.qwen.ai/v1"),
        ("evil.example/.qwen.ai", "https://portal.qwen.ai/v1"),
        (None, "https://portal.qwen.ai/v1"),
    ],
)
def test_8_5_resource_url_is_the_base(host: Any, base: str) -> None:
    vendor = vendor_of("qwen")
    body = json.dumps({"access_token": "a", "resource_url": host}).encode()
    extra = vendor.read_grant(200, {}, body, now_s=NOW_S).extra
    serving = vendor.serving(values_of("qwen"), extra)
    assert serving.base_url == base
    assert serving.headers["x-dashscope-authtype"] == "qwen-oauth"


# 8.6 Kimi


def test_8_6_every_request_names_the_same_device() -> None:
    vendor = vendor_of("kimi")
    settings = values_of("kimi")
    with way("kimi") as road:
        waiting = road.device()
        road.issuer.approve()
        grant = grant_of(road.steps(waiting))
        seen = {each.headers["x-msh-device-id"] for each in road.issuer.asked}
        assert seen == {grant.extra["device_id"]}
        refresh = vendor.refresh(settings, "r", grant.extra)
        assert refresh.url == "https://auth.kimi.com/api/oauth/token"
        assert {refresh.headers["x-msh-device-id"]} == seen
        assert refresh.headers["x-msh-platform"] == "provider-pool"
        serving = vendor.serving(settings, grant.extra)
        assert {serving.headers["x-msh-device-id"]} == seen
    assert fields(road.issuer.asked[0])["client_id"] == (
        "17e5f671-d194-4dfb-9706-5516cb48c098"
    )


# 8.7 xAI


def test_8_7_endpoints_are_discovered_and_kept() -> None:
    with way("xai") as road:
        waiting = road.device()
        assert road.issuer.paths() == [
            "GET /.well-known/openid-configuration", "POST /device",
        ]  # fmt: skip
        sent = fields(road.issuer.last)
        assert sent["client_id"] == "b1a00492-073a-47ea-816f-4c329264a828"
        assert "grok-cli:access" in sent["scope"].split()
        road.issuer.approve()
        grant = grant_of(road.steps(waiting))
        assert grant.extra == {"token_url": f"{road.issuer.root}/token"}


@pytest.mark.parametrize(
    ("token_url", "is_taken"),
    [
        ("https://auth.x.ai/oauth2/token", True), ("https://x.ai/token", True),
        ("https://evil.example/token", False), ("http://auth.x.ai/token", False),
        ("https://evilx.ai/token", False), ("https://[::1/token", False), (None, False),
    ],
)  # fmt: skip
def test_8_7_discovered_endpoints_must_be_the_issuers(
    token_url: Any, is_taken: bool
) -> None:
    vendor, settings = vendor_of("xai"), values_of("xai")
    found = {
        "device_authorization_endpoint": "https://auth.x.ai/device",
        "token_endpoint": token_url,
    }
    reply = Reply(status=200, body=json.dumps(found).encode())
    begun = Progress(step="discover", values={"verifier": "v"})
    if is_taken:
        assert vendor.advance(settings, begun, reply, now_s=NOW_S).step == "device"
    else:
        with pytest.raises(TokenRefusedError, match="discovery_refused"):
            vendor.advance(settings, begun, reply, now_s=NOW_S)
        with pytest.raises(TokenRefusedError):
            vendor.refresh(settings, "r", {"token_url": token_url})


# 9.1 token files


@pytest.mark.parametrize(
    ("vendor_id", "data", "access", "life"),
    [
        ("codex", {"auth_mode": "chatgpt", "tokens": {"id_token": CODEX_ID_TOKEN, "access_token": "a", "refresh_token": "r", "account_id": "acc-2"}}, "a", None),
        ("claude", {"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": (NOW_S + 60) * 1000, "scopes": ["x"], "subscriptionType": "max"}}, "a", 60),
        ("claude", {"claude.ai_oauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": "2026-01-01T00:01:00Z"}}, "a", 60),
        ("gemini_cli", {"access_token": "a", "refresh_token": "r", "expiry_date": (NOW_S + 60) * 1000}, "a", 60),
        ("copilot", {"github.com": {"oauth_token": "r", "user": "me"}}, "r", 0),
        ("copilot", {"x.example": {"oauth_token": "q"}, "github.com:Iv1": {"oauth_token": "r"}}, "r", 0),
        ("qwen", {"access_token": "a", "refresh_token": "r", "resource_url": "portal.qwen.ai"}, "a", None),
        ("xai", {"https://auth.x.ai::b1": {"key": "a", "refresh_token": "r", "expires_at": NOW_S + 60}}, "a", 60),
    ],
)  # fmt: skip
def test_9_1_token_file_is_read(
    vendor_id: str, data: dict[str, Any], access: str, life: int | None
) -> None:
    grant = vendor_of(vendor_id).read_import(json.dumps(data), now_s=NOW_S)
    assert (grant.access_token, grant.refresh_token) == (access, "r")
    assert grant.expires_in_s == life
    if vendor_id == "codex":
        assert (grant.extra, grant.plan) == ({"account_id": "acc-2"}, "plus")


@pytest.mark.parametrize(
    "vendor_id", ["codex", "claude", "gemini_cli", "copilot", "kimi", "xai", "qwen"]
)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{\n"planted": tru', "Line 2"), ("[1]", "one JSON object"), ("{}", "no"),
        ('{"tokens": 7, "access_token": 7, "planted": 1}', "no"), ("{" * 5000, "."),
        ('{"a":' * 9000 + "1" + "}" * 9000, "."), ("{" + " " * 300_000, "too long"),
    ],
)  # fmt: skip
def test_9_1_broken_token_file_names_its_line_and_shows_nothing(
    vendor_id: str, text: str, why: str
) -> None:
    with pytest.raises(TokenRefusedError, match=why) as refusal:
        vendor_of(vendor_id).read_import(text, now_s=NOW_S)
    assert "planted" not in str(refusal.value)


def test_9_1_api_key_mode_is_no_sign_in() -> None:
    text = '{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-planted"}'
    with pytest.raises(TokenRefusedError, match="API key"):
        vendor_of("codex").read_import(text, now_s=NOW_S)
