"""Prove who may call the admin API, and that its refusals have one shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from poolsite import people, tokens
from poolsite.actor import SYSTEM
from poolsite.models import ApiToken, User
from providers.api.urls import api as ninja_api
from tests.providers.api.conftest import ROOT, Api

pytestmark = pytest.mark.django_db


def operations() -> list[tuple[str, str]]:
    """Every (method, path) of the API, its parameters filled in."""
    found = []
    for path, methods in ninja_api.get_openapi_schema()["paths"].items():
        filled = path.removeprefix(ROOT)
        for name in ("slug", "model_id", "name", "model", "switch"):
            filled = filled.replace("{" + name + "}", "enable")
        for name in (
            "user_id",
            "key_id",
            "token_id",
            "budget_id",
            "account_id",
            "run_id",
            "job_id",
            "price_id",
            "alert_id",
            "channel_id",
            "statement_id",
            "view_id",
            "export_id",
            "place",
            "number",
        ):
            filled = filled.replace("{" + name + "}", "1")
        filled = filled.replace("{request_id}", str(UUID(int=1)))
        found += [(method.upper(), filled) for method in methods]
    return sorted(found)


def test_openapi_document_builds_and_names_every_route(owner: Api) -> None:
    status, document = owner("GET", "/openapi.json")
    assert status == 200
    assert document["info"]["title"] == "Provider Pool admin API"
    assert len(operations()) > 50


@pytest.mark.parametrize(("method", "path"), operations())
def test_stranger_gets_401_in_the_one_shape(
    method: str, path: str, olivia: User
) -> None:
    status, body = Api()(method, path, {})
    assert (status, body["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "path"), operations())
def test_cookie_alone_opens_nothing(method: str, path: str, as_olivia: Client) -> None:
    answer = as_olivia.generic(method, ROOT + path, "{}", "application/json")
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), operations())
def test_viewer_and_reading_token_change_nothing(
    method: str, path: str, viewer: Api, olivia: User, api_of: Callable[..., Api]
) -> None:
    if method == "GET":
        return
    reading = api_of(olivia, "read")
    for api in (viewer, reading):
        status, body = api(method, path, {})
        assert (status, body["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), operations())
def test_metrics_token_reads_nothing_here(
    method: str, path: str, olivia: User, api_of: Callable[..., Api]
) -> None:
    assert api_of(olivia, "metrics")(method, path, {})[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"email": "a@b.co", "password": "x", "role": "owner"}),
        ("PUT", "/users/1/role", {"role": "owner"}),
        ("PUT", "/users/1/password", {"password": "correct horse battery"}),
        ("POST", "/users/1/disable", {}),
        ("POST", "/tokens", {"name": "x", "scopes": ["admin"]}),
    ],
)
def test_operator_is_kept_from_people_and_tokens(
    method: str, path: str, body: Any, operator: Api
) -> None:
    assert operator(method, path, body)[0] == 403


@pytest.mark.parametrize("bad", ["", "pa_", "pa_x_y", "pp_" + "a" * 58, "Zm9v", "pa__"])
def test_text_that_is_no_token_is_a_stranger(bad: str, olivia: User) -> None:
    assert Api(bad or "x")("GET", "/providers")[0] == 401


def test_revoked_expired_and_orphaned_tokens_stop(
    olivia: User, oskar: User, api_of: Callable[..., Api]
) -> None:
    revoked, expired, orphan = api_of(olivia), api_of(olivia), api_of(oskar)
    rows = ApiToken.objects.order_by("pk")
    tokens.revoke_token(SYSTEM, rows[0])
    past = timezone.now() - timedelta(seconds=1)
    ApiToken.objects.filter(pk=rows[1].pk).update(expires_at=past)
    people.set_active(SYSTEM, user=oskar, active=False)
    for api in (revoked, expired, orphan):
        assert api("GET", "/providers")[0] == 401


def test_unknown_path_and_thing_are_404_in_the_one_shape(owner: Api) -> None:
    status, body = owner("GET", "/providers/nope")
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert owner("DELETE", "/prices/nope")[0] == 404


def test_api_answers_401_before_anybody_exists(db: None) -> None:
    assert Api("pa_x_y")("GET", "/providers")[0] == 401


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 10_000]
)
def test_body_that_is_no_object_is_422_or_400(raw: bytes, owner: Api) -> None:
    status, body = owner("POST", "/providers", raw)
    assert status in (400, 422)
    assert set(body) == {"error"}


def test_unknown_field_is_refused_and_named(owner: Api) -> None:
    status, body = owner("POST", "/providers", {"id": "a", "bse_url": "x"})
    assert status == 422
    assert "bse_url" in str(body["error"]["fields"])


def test_refusal_never_repeats_what_was_sent(owner: Api) -> None:
    owner("POST", "/providers", {"id": "acme", "base_url": "https://a.example.com"})
    secret = "sk-canary-" + "x" * 5000
    status, body = owner("POST", "/providers/acme/keys", {"secret": secret})
    assert status == 422
    assert "canary" not in str(body)
    status, body = owner("POST", "/users", {"email": 1, "password": "canary", "r": 1})
    assert status == 422
    assert "canary" not in str(body)


def exempt_views() -> set[str]:
    found = set()

    def walk(patterns: list[Any], prefix: str) -> None:
        for each in patterns:
            path = prefix + str(each.pattern)
            if isinstance(each, URLResolver):
                walk(each.url_patterns, path)
            elif getattr(each.callback, "csrf_exempt", False):
                found.add(path)

    walk(get_resolver().url_patterns, "/")
    return found


def test_only_the_api_is_exempt_from_csrf() -> None:
    exempt = exempt_views()
    assert exempt
    assert all(path.startswith(f"{ROOT}/") for path in exempt)
