"""Accounts in the console and in the admin API: told, not told, not readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from poolsite.actor import SYSTEM
from poolsite.models import User
from poolsite.tokens import create_token
from providers.models import Provider
from providers.services import account_status
from tests.factories import make_provider
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
SECRET = "sk-account-1-abcd"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on(
            "GET",
            "/api/monitor/usage/quota/limit",
            {
                "success": True,
                "data": {
                    "level": HOSTILE,
                    "limits": [
                        {
                            "type": "TOKENS_LIMIT",
                            "unit": 3,
                            "percentage": 95,
                            "nextResetTime": 1795392000000,
                        }
                    ],
                },
            },
        )
        yield running


@pytest.fixture
def provider(vendor: Vendor) -> Provider:
    return make_provider(
        "plan",
        catalogue_id="zhipu",
        base_url=vendor.root,
        allow_private=True,
        keys=[SECRET],
    )


def text(answer: Any) -> str:
    page: str = answer.content.decode()
    assert SECRET not in page
    assert HOSTILE not in page
    return page


def test_account_that_was_not_asked_says_so(
    as_oskar: Client, provider: Provider
) -> None:
    page = text(as_oskar.get("/providers/plan/account/"))
    assert "The vendor was not asked yet." in page
    assert "not reported" in text(as_oskar.get("/providers/"))
    assert "not reported" in text(as_oskar.get("/providers/plan/"))


def test_check_shows_the_window_everywhere(
    as_oskar: Client, provider: Provider
) -> None:
    answer = as_oskar.post("/providers/plan/account/check/")
    assert answer.status_code == 302
    page = text(as_oskar.get(answer["Location"]))
    assert "1 of 1 accounts reported." in page
    assert "5-hour window" in page
    assert "decides whether it can go on" in page
    for path in ("/providers/", "/providers/plan/"):
        assert "5 %" in text(as_oskar.get(path))
    overview = text(as_oskar.get("/"))
    assert "5 % left on the account." in overview


def test_unreadable_vendor_is_explained_beside_old_figures(
    as_oskar: Client, provider: Provider, vendor: Vendor
) -> None:
    account_status.refresh(provider)
    vendor.on("GET", "/api/monitor/usage/quota/limit", Reply({}, status=401))
    as_oskar.post("/providers/plan/account/check/")
    page = text(as_oskar.get("/providers/plan/account/"))
    assert "The vendor refused the key (401)." in page
    assert "5-hour window" in page


def test_vendor_without_figures_points_to_the_own_counts(as_oskar: Client) -> None:
    make_provider("groq", catalogue_id="groq", keys=["sk-groq-1-abcd"])
    page = as_oskar.get("/providers/groq/account/").content.decode()
    assert "tells a key nothing about its account" in page


def test_viewer_may_look_but_not_ask(as_viktor: Client, provider: Provider) -> None:
    page = text(as_viktor.get("/providers/plan/account/"))
    assert "Check now" not in page
    assert as_viktor.post("/providers/plan/account/check/").status_code == 403


def test_pages_stay_within_twelve_queries(
    as_oskar: Client, provider: Provider, django_assert_max_num_queries: Any
) -> None:
    account_status.refresh(provider)
    for path in ("/providers/", "/providers/plan/", "/providers/plan/account/", "/"):
        with django_assert_max_num_queries(12):
            assert as_oskar.get(path).status_code == 200


def test_api_tells_and_asks(olivia: User, provider: Provider) -> None:
    _, token = create_token(SYSTEM, user=olivia, name="t", scopes=["admin"])
    client = Client(headers={"authorization": f"Bearer {token}"})
    path = "/api/admin/v1/providers/plan/account-status"
    assert client.get(path).json() == []
    (row,) = client.post(path).json()
    assert (row["left"], row["unit"], row["kind"]) == ("5", "percent", "quota")
    assert client.get("/api/admin/v1/account-status").json() == [row]
