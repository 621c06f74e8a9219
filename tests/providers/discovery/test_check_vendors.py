"""Each row of the connection tester, by the name of its provider."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.secret_type import Secret
from providers.discovery import check
from providers.discovery.asking import Candidate
from providers.discovery.questions import AWS_AUTH_CODES, region_cure
from providers.formats.bedrock_converse.names import model_path
from tests.vendors import verify as shapes
from tests.vendors.server import Vendor
from tests.vendors.verify import KEY

CONVERSE = model_path("amazon.nova-micro-v1:0", "converse")


def look(
    vendor: Vendor, path: str, secret: str = KEY, **values: Any
) -> check.CheckResult:
    known = {"allow_private": True, "api_format": "openai", **values}
    candidate = Candidate(vendor.root + path, **known)
    found = check.check_candidate(candidate, Secret(secret) if secret else None)
    assert KEY not in str(found)
    return found


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param("/v1", "/v1/models", id="openai"),
        pytest.param("/v1", "/v1/models", id="mistral"),
        pytest.param("/openai/v1", "/openai/v1/models", id="groq"),
        pytest.param("", "/models", id="deepseek"),
    ],
)
def test_bearer_vendor_lists_its_models(path: str, asked: str) -> None:
    with Vendor() as vendor:
        vendor.on("GET", asked, shapes.guarded(shapes.openai_models("m")))
        found = look(vendor, path)
        assert vendor.last.headers["authorization"] == f"Bearer {KEY}"
    assert found.verdict == {
        "ok": True, "stage": "authentication", "status_code": 200, "message": "",
    }  # fmt: skip
    assert found.models == ["m"]


def test_openai_compatible_sends_its_extra_headers() -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", shapes.openai_models("m"))
        look(vendor, "/v1", headers=(("http-referer", "https://me.example"),))
        assert vendor.last.headers["http-referer"] == "https://me.example"


@pytest.mark.parametrize("url", ["", "ftp://x", "x.example.com/v1"])
def test_openai_compatible_needs_a_base_url(url: str) -> None:
    found = check.check_candidate(Candidate(url, "openai"), Secret(KEY))
    assert found.verdict["stage"] == "connectivity"
    assert found.verdict["status_code"] is None
    assert found.error


def test_anthropic_is_asked_with_its_version() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        found = look(vendor, "/v1", api_format="anthropic")
        assert vendor.last.headers["x-api-key"] == KEY
        assert vendor.last.headers["anthropic-version"] == "2023-06-01"
        assert "authorization" not in vendor.last.headers
    assert found.ok


@pytest.mark.parametrize("status", [400, 401, 403])
def test_google_means_the_key_by_400_too(status: int) -> None:
    with Vendor() as vendor:
        reply = shapes.google_error(status, "INVALID_ARGUMENT", "API key not valid.")
        vendor.on("GET", "/v1beta/models", reply)
        found = look(vendor, "/v1beta", api_format="google")
        assert vendor.last.headers["x-goog-api-key"] == KEY
        assert vendor.last.query == {}
    assert found.verdict["stage"] == "authentication"
    assert found.verdict["status_code"] == status


def test_google_lists_its_models() -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1beta/models", shapes.google_models("gemini-x"))
        assert look(vendor, "/v1beta", api_format="google").models == ["gemini-x"]


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "project"),
        ({"project": "p"}, "location"),
        ({"project": "p", "location": "US-Central1"}, "lower case"),
    ],
)
def test_vertex_needs_project_and_location(
    options: dict[str, str], missing: str
) -> None:
    with Vendor() as vendor:
        found = look(vendor, "", api_format="vertex", options=options)
        assert vendor.asked == []
    assert missing in found.error
    assert found.verdict["stage"] == "input"


def test_vertex_lists_the_publishers_models() -> None:
    with Vendor() as vendor:
        path = "/v1beta1/publishers/google/models"
        vendor.on("GET", path, {"publisherModels": []})
        options = {"project": "p", "location": "us-central1"}
        look(vendor, "", api_format="vertex", options=options)
        assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("secret", "header", "sent"),
    [
        (KEY, "api-key", KEY),
        ("eyJa.eyJb.c", "authorization", "Bearer eyJa.eyJb.c"),
    ],
    ids=["azure-api-key", "azure-entra"],
)
def test_azure_takes_a_key_or_a_token(secret: str, header: str, sent: str) -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/openai/models", shapes.openai_models("gpt-x"))
        options = {"api_version": "2024-10-21"}
        found = look(vendor, "", secret, api_format="azure", options=options)
        assert vendor.last.headers[header] == sent
        assert vendor.last.query == {"api-version": "2024-10-21"}
    assert found.ok


@pytest.mark.parametrize("code", sorted(AWS_AUTH_CODES))
def test_bedrock_knows_the_codes_that_mean_the_credential(code: str) -> None:
    with Vendor() as vendor:
        vendor.on("POST", CONVERSE, shapes.aws_error(400, code))
        found = look(vendor, "", api_format="bedrock")
    assert found.verdict["stage"] == "authentication"
    assert code in found.error


def test_bedrock_accepts_a_credential_whose_empty_call_is_refused() -> None:
    with Vendor() as vendor:
        refusal = shapes.aws_error(400, "ValidationException", "messages is empty")
        vendor.on("POST", CONVERSE, refusal)
        found = look(vendor, "", api_format="bedrock")
        assert vendor.last.headers["authorization"] == f"Bearer {KEY}"
        assert vendor.last.json() == {"messages": []}
    assert found.ok
    assert found.models == []


def test_bedrock_is_not_proven_by_a_strangers_404() -> None:
    with Vendor() as vendor:
        found = look(vendor, "", api_format="bedrock")
    assert not found.ok


def test_bedrock_signs_where_it_can() -> None:
    def sign(method: str, url: str, body: bytes, secret: str) -> dict[str, str]:
        assert (method, secret) == ("POST", "AKIA:s3cret")
        return {"authorization": "AWS4-HMAC-SHA256 x"}

    with Vendor() as vendor:
        vendor.on("POST", CONVERSE, shapes.aws_error(400, "ValidationException"))
        candidate = Candidate(
            vendor.root, "bedrock", allow_private=True, auth_scheme="sigv4"
        )
        found = check.check_candidate(candidate, Secret("AKIA:s3cret"), sign=sign)
        sent = vendor.last
    assert found.ok
    assert sent.headers["authorization"] == "AWS4-HMAC-SHA256 x"
    assert b"s3cret" not in sent.body


@pytest.mark.parametrize(
    ("status", "stage"),
    [(401, "authentication"), (403, "authentication"), (404, "provider"),
     (429, "provider"), (500, "provider")],
)  # fmt: skip
def test_status_is_put_to_its_stage(status: int, stage: str) -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", shapes.openai_error(status, f"No {KEY}"))
        found = look(vendor, "/v1")
    verdict = found.verdict
    assert (verdict["stage"], verdict["status_code"]) == (stage, status)
    assert found.failure is not None
    assert found.failure.cure


def test_missing_key_fails_at_authentication_with_a_message() -> None:
    with Vendor() as vendor:
        found = look(vendor, "/v1", "")
        assert vendor.asked == []
    assert found.verdict == {
        "ok": False,
        "stage": "authentication",
        "status_code": None,
        "message": found.error,
    }


def test_refused_key_names_the_sites_whose_keys_differ() -> None:
    site = Candidate("https://api.moonshot.cn/v1", "openai")
    assert "api.moonshot.ai" in region_cure(site)


def test_html_with_200_is_no_list() -> None:
    with Vendor() as vendor:
        vendor.on("GET", "/v1/models", shapes.page)
        found = look(vendor, "/v1")
    assert found.verdict["stage"] == "provider"


def test_hostile_error_text_is_one_short_line() -> None:
    with Vendor() as vendor:
        text = "<b>\u202e\x1b[31m\n" + "x" * 5000
        vendor.on("GET", "/v1/models", shapes.openai_error(500, text))
        error = look(vendor, "/v1").error
    assert error.isprintable()
    assert len(error) < 300
