"""The whole kit on one page: it renders, stays small and keeps to the policy."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
STATIC = Path("static")
PAGES = (
    "/",
    "/edit/",
    "/delete/",
    "/once/",
    "/account/password/change/",
)
ACCOUNT = (
    "/account/login/",
    "/account/password/reset/",
    "/account/password/reset/done/",
    "/account/password/reset/key/1-x/",
    "/account/password/reset/key/done/",
)


def compressed(name: str) -> float:
    return len(gzip.compress((STATIC / name).read_bytes(), 9)) / 1024


@pytest.mark.parametrize(
    ("name", "limit"),
    [("css/app.css", 18), ("js/console.js", 8), ("js/htmx.js", 23), ("icons.svg", 5)],
)
def test_static_files_keep_their_budget(name: str, limit: float) -> None:
    assert compressed(name) <= limit


def check_page(body: str) -> None:
    assert " style=" not in body
    assert not re.search(r"<script(?![^>]*src=)", body)
    assert len(re.findall(r"<h1[ >]", body)) == 1
    assert 'href="#content"' in body
    assert 'id="content"' in body
    ids = re.findall(r' id="([^"]+)"', body)
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("url", PAGES)
def test_pages_have_one_heading_landmarks_and_nothing_inline(
    owner: Client, url: str
) -> None:
    response = owner.get(url)
    assert response.status_code == 200
    check_page(response.content.decode())


@pytest.mark.parametrize("url", ACCOUNT)
def test_pages_before_sign_in_are_ours(site: object, client: Client, url: str) -> None:
    response = client.get(url, follow=True)
    assert response.status_code == 200
    check_page(response.content.decode())


def test_the_policy_is_strict(owner: Client) -> None:
    policy = owner.get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_whole_kit_fits_the_page_budget(owner: Client) -> None:
    page = len(gzip.compress(owner.get("/").content, 9)) / 1024
    files = ("css/app.css", "js/console.js", "js/htmx.js", "icons.svg")
    assert page <= 12
    assert page + sum(compressed(name) for name in files) <= 65


def test_htmx_is_told_what_to_swap(owner: Client) -> None:
    body = owner.get("/").content.decode()
    for setting in ('"allowEval":false', '"selfRequestsOnly":true', '"code":"422"'):
        assert setting in body
