"""The catalogue, trials and verifications through the admin API and the command line."""

from __future__ import annotations

import pytest

from providers.models import Provider
from tests import factories
from tests.providers.api.conftest import Api
from tests.vendors import verify as shapes
from tests.vendors.server import Vendor
from tests.vendors.verify import CHAT, KEY

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(operator: Api) -> Api:
    return operator


def test_catalogue_is_listed_and_filtered(api: Api) -> None:
    status, rows = api("GET", "/catalogue?q=openrouter")
    assert status == 200
    assert "openrouter" in {row["id"] for row in rows}
    assert {"environment", "placeholders", "capabilities"} <= rows[0].keys()


def test_new_provider_is_tried_and_not_stored(api: Api) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        sent = {"base_url": f"{vendor.root}/v1", "api_key": KEY, "allow_private": True}
        status, found = api("POST", "/catalogue/test", sent)
        assert status == 200
        assert found["ok"] is True
        assert found["stage"] == "authentication"
        assert found["stages"][-1]["outcome"] == "skipped"
        assert "1 token" in found["cost"]
        paid = api("POST", "/catalogue/test", {**sent, "with_call": True})[1]
        assert {each["outcome"] for each in paid["stages"]} == {"ok"}
        bad = api("POST", "/catalogue/test", {**sent, "api_key": "sk-bad-0123456789"})
    assert (bad[1]["ok"], bad[1]["status_code"]) == (False, 401)
    assert KEY not in str(found) + str(bad)
    assert not Provider.objects.exists()


def test_candidate_is_verified_from_a_pasted_endpoint(api: Api) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        sent = {"base_url": vendor.root + CHAT, "api_key": KEY, "allow_private": True}
        status, found = api("POST", "/providers/verify", sent)
        assert status == 200
        assert {
            "base_url", "model", "detected_format", "recommended_api_format",
            "candidate_formats", "resolution_source", "recommended_base_url",
            "responses_only", "chat_error", "responses_status", "probes",
        } <= found.keys()  # fmt: skip
        assert found["recommended_base_url"] == f"{vendor.root}/v1"
        assert set(found["probes"]["chat"]) >= {
            "url", "status_code", "reachable", "error",
        }  # fmt: skip
    assert KEY not in str(found)


@pytest.mark.parametrize(
    "sent",
    [
        {"base_url": ""},
        {"base_url": "ftp://x"},
        {"base_url": "https://x.example", "skip_tls_verify": True},
        {"base_url": "https://x.example", "api_key": "a b"},
        {"base_url": "https://x.example", "surprise": 1},
    ],
)
def test_senseless_candidate_is_refused(api: Api, sent: dict[str, object]) -> None:
    assert api("POST", "/providers/verify", sent)[0] == 422


def test_stored_provider_is_verified_and_applied(api: Api) -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        factories.make_provider(
            base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY]
        )
        status, found = api("POST", "/providers/acme/verify", {})
        assert status == 200
        assert found["applied"] is False
        assert "api_format" in {each["name"] for each in found["changes"]}
        assert Provider.objects.get().api_format == "openai"
        done = api("POST", "/providers/acme/verify/apply")
        assert done[0] == 200
        assert Provider.objects.get().api_format == "anthropic"
        again = api("POST", "/providers/acme/verify", {"apply": True})[1]
    assert again["changes"] == []
    assert again["applied"] is False


def test_stored_provider_is_tested_with_its_outcomes(api: Api) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        factories.make_provider(
            base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY]
        )
        status, found = api("POST", "/providers/acme/test")
    assert status == 200
    assert found["ok"] is True
    assert [each["outcome"] for each in found["stages"]][:3] == ["ok"] * 3


def test_viewers_spend_nothing(viewer: Api) -> None:
    sent = {"base_url": "https://x.example"}
    factories.make_provider()
    for path in ("/catalogue/test", "/providers/verify"):
        assert viewer("POST", path, sent)[0] == 403
    for path in ("/providers/acme/verify", "/providers/acme/verify/apply"):
        assert viewer("POST", path, {})[0] == 403
    assert viewer("GET", "/catalogue?q=openai")[0] == 200
