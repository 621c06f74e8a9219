"""Lead every vendor through the same flows against the fake issuer."""

from __future__ import annotations

import pytest

from oauth import client
from oauth.vendors.base import TokenRefusedError
from oauth.vendors.registry import VENDORS, vendors_for
from tests.oauth.way import grant_of, way
from tests.vendors.server import Reply

DEVICE = [each.id for each in VENDORS.values() if "device" in each.methods]
PKCE = [each.id for each in VENDORS.values() if "pkce" in each.methods]
ROTATING = ["codex", "claude", "kimi", "xai", "qwen", "generic"]
PLACES = {"copilot": "/copilot_internal/v2/token"}


def extra_of(root: str, vendor_id: str) -> dict[str, str]:
    if vendor_id in {"xai", "generic"}:
        return {"token_url": f"{root}/token"}
    return {"device_id": "d-1"}


@pytest.mark.parametrize("vendor_id", DEVICE)
def test_device_sign_in_waits_for_the_person_and_ends_with_tokens(
    vendor_id: str,
) -> None:
    with way(vendor_id) as road:
        waiting = road.device()
        shown = waiting.shown
        assert shown is not None
        assert (shown.user_code, waiting.wait_s) == ("ABCD-1234", 5)
        assert shown.verification_url.startswith(("http://127.0.0.1", "https://"))
        still = road.steps(waiting)
        assert (still.step, still.wait_s, still.is_done) == ("poll", 5, False)
        road.issuer.approve()
        grant = grant_of(road.steps(still))
        assert grant.access_token
        assert grant.refresh_token


@pytest.mark.parametrize("vendor_id", DEVICE)
def test_slow_down_makes_every_later_poll_slower(vendor_id: str) -> None:
    with way(vendor_id) as road:
        waiting = road.device()
        road.issuer.say("slow_down")
        slower = road.steps(waiting)
        assert slower.wait_s == (8 if vendor_id == "qwen" else 10)
        road.issuer.say("authorization_pending")
        assert road.steps(slower).wait_s == slower.wait_s


@pytest.mark.parametrize("vendor_id", DEVICE)
@pytest.mark.parametrize("word", ["access_denied", "expired_token"])
def test_denied_and_expired_codes_end_the_sign_in(vendor_id: str, word: str) -> None:
    with way(vendor_id) as road:
        waiting = road.device()
        road.issuer.say(word)
        with pytest.raises(TokenRefusedError) as refusal:
            road.steps(waiting)
        assert (refusal.value.code, refusal.value.is_final) == (word, True)


@pytest.mark.parametrize("vendor_id", DEVICE)
@pytest.mark.parametrize("status", [429, 500])
def test_trouble_while_polling_does_not_end_the_sign_in(
    vendor_id: str, status: int
) -> None:
    with way(vendor_id) as road:
        waiting = road.device()
        road.issuer.script.append(
            Reply({}, status=status, headers={"retry-after": "17"})
        )
        with pytest.raises(TokenRefusedError) as refusal:
            road.steps(waiting)
        assert not refusal.value.is_final
        assert refusal.value.retry_after_s == 17
        road.issuer.approve()
        assert road.steps(waiting).is_done


@pytest.mark.parametrize("vendor_id", PKCE)
def test_browser_sign_in_proves_its_key_and_its_code_works_once(
    vendor_id: str,
) -> None:
    with way(vendor_id) as road:
        exchange = road.browser()
        grant = grant_of(road.steps(exchange))
        assert grant.access_token == "access-1"
        with pytest.raises(TokenRefusedError) as refusal:
            road.steps(exchange)
        assert refusal.value.is_final
        sent = [each for each in road.issuer.asked if each.path == "/token"]
        assert all(road.randoms.verifier in each.body.decode() for each in sent)
        assert not any(each.query for each in sent)


@pytest.mark.parametrize("vendor_id", PKCE)
def test_code_of_another_key_is_refused(vendor_id: str) -> None:
    with way(vendor_id) as road:
        code = road.issuer.code_for("another-challenge")
        begun = road.vendor.start_exchange(road.settings, road.randoms, code)
        with pytest.raises(TokenRefusedError) as refusal:
            road.steps(begun)
        assert (refusal.value.code, refusal.value.is_final) == ("invalid_grant", True)


@pytest.mark.parametrize("vendor_id", ROTATING)
def test_refresh_token_works_once_and_the_next_one_comes_with_it(
    vendor_id: str,
) -> None:
    with way(vendor_id) as road:
        road.issuer.seed("old")
        extra = extra_of(road.issuer.root, vendor_id)
        first = road.refresh("old", **extra)
        assert first.refresh_token
        assert first.expires_in_s == 3600
        with pytest.raises(TokenRefusedError) as refusal:
            road.refresh("old", **extra)
        assert refusal.value.is_final
        assert road.refresh(first.refresh_token, **extra).access_token == "access-2"


@pytest.mark.parametrize("vendor_id", ["copilot", "gemini_cli", "antigravity"])
def test_refresh_without_a_new_refresh_token_says_none(vendor_id: str) -> None:
    with way(vendor_id) as road:
        road.issuer.seed("old")
        road.issuer.issued = 1
        assert road.refresh("old").refresh_token is None
        assert road.refresh("old").access_token


@pytest.mark.parametrize("vendor_id", list(VENDORS))
@pytest.mark.parametrize(("status", "wait"), [(429, 30), (503, 30)])
def test_refresh_trouble_keeps_the_token(
    vendor_id: str, status: int, wait: int
) -> None:
    with way(vendor_id) as road:
        road.issuer.seed("old")
        road.issuer.fail(status, retry_after=str(wait))
        extra = extra_of(road.issuer.root, vendor_id)
        with pytest.raises(TokenRefusedError) as refusal:
            road.refresh("old", **extra)
        assert not refusal.value.is_final
        assert refusal.value.retry_after_s == wait
        assert road.refresh("old", **extra).access_token


@pytest.mark.parametrize("vendor_id", list(VENDORS))
def test_refresh_refused_for_good_is_final(vendor_id: str) -> None:
    with way(vendor_id) as road:
        extra = extra_of(road.issuer.root, vendor_id)
        with pytest.raises(TokenRefusedError) as refusal:
            road.refresh("never-issued", **extra)
        assert (refusal.value.code, refusal.value.is_final) == ("invalid_grant", True)


@pytest.mark.parametrize("vendor_id", list(VENDORS))
@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>login</html>", b"[1]", b"[" * 5000, b'{"access_token": 7}',
        b'{"access_token": "two words", "token": "a b"}', b'{"access_token": ""}',
    ],
)  # fmt: skip
def test_odd_token_answers_are_no_reason_to_give_up(
    vendor_id: str, body: bytes
) -> None:
    for status in (200, 400, 404):
        with pytest.raises(TokenRefusedError) as refusal:
            VENDORS[vendor_id].read_grant(status, {}, body, now_s=0)
        assert not refusal.value.is_final
        assert body.decode()[:20] not in str(refusal.value) or not body


@pytest.mark.parametrize("vendor_id", list(VENDORS))
def test_silence_of_the_vendor_leaves_the_outcome_open(vendor_id: str) -> None:
    with way(vendor_id, read_timeout_s=0.15) as road:
        extra = extra_of(road.issuer.root, vendor_id)
        ask = road.vendor.refresh(road.settings, "old", extra)
        path = PLACES.get(vendor_id, "/token")
        road.issuer.on(ask.method, path, Reply({}, delay_s=0.4))
        with pytest.raises(TokenRefusedError) as late:
            client.send(road.http, road.settings, ask)
        assert (late.value.code, late.value.is_final) == ("no_answer", False)


def test_private_address_nobody_allowed_is_never_asked() -> None:
    with way("kimi") as road:
        gone = road.vendor.refresh(road.settings, "old", {})
    with way("kimi") as other:
        with pytest.raises(TokenRefusedError) as refused:
            client.send(other.http, other.settings, gone)
        assert (refused.value.code, refused.value.is_final) == ("address_refused", True)


@pytest.mark.parametrize("vendor_id", list(VENDORS))
def test_text_of_every_struct_hides_its_secrets(vendor_id: str) -> None:
    with way(vendor_id) as road:
        extra = extra_of(road.issuer.root, vendor_id)
        ask = road.vendor.refresh(road.settings, "planted-refresh", extra)
        shown = f"{ask} {road.settings!r} {road.randoms!r}"
        assert "planted" not in shown
        assert road.randoms.verifier not in shown
        assert "planted-refresh" not in ask.url


@pytest.mark.parametrize("vendor_id", list(VENDORS))
def test_required_headers_of_served_models_hold_no_secret(vendor_id: str) -> None:
    with way(vendor_id) as road:
        serving = road.vendor.serving(road.settings, {"account_id": "acc-1"})
        assert "authorization" not in serving.headers
        assert not serving.base_url or serving.base_url.startswith("https://")


def test_catalogue_entries_find_their_vendors() -> None:
    assert [each.id for each in vendors_for("openai-codex")] == ["codex", "generic"]
    assert [each.id for each in vendors_for("somebody")] == ["generic"]
    assert [each.id for each in VENDORS.values() if each.is_template] == ["qwen"]
