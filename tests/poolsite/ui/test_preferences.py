"""Looks are kept by the server, so the first paint is already right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from poolsite.models import User
from tests.poolsite.ui.conftest import HTMX

pytestmark = pytest.mark.django_db


def test_the_theme_is_kept_for_the_person(
    owner: Client, people: dict[str, User]
) -> None:
    owner.post("/preferences/", {"theme": "dark"})
    people["owner"].refresh_from_db()
    assert people["owner"].theme == "dark"
    assert b'<html lang="en" data-theme="dark"' in owner.get("/").content


def test_the_system_theme_leaves_the_choice_to_the_browser(owner: Client) -> None:
    assert b"data-theme=" not in owner.get("/").content.split(b">")[1]


def test_a_stranger_keeps_the_theme_in_a_cookie(site: object, client: Client) -> None:
    response = client.post(
        "/preferences/", {"theme": "dark", "next": "/account/login/"}
    )
    assert response["Location"] == "/account/login/"
    assert b'data-theme="dark"' in client.get("/account/login/").content


def test_a_viewer_may_choose_too(sign_in: Callable[[str], Client]) -> None:
    assert (
        sign_in("viewer").post("/preferences/", {"theme": "light"}).status_code == 302
    )


def test_the_sidebar_stays_collapsed(owner: Client) -> None:
    owner.post("/preferences/", {"sidebar": "collapsed"})
    assert b'data-sidebar="collapsed"' in owner.get("/").content


def test_scripts_get_no_page_back(owner: Client) -> None:
    response = owner.post("/preferences/", {"theme": "dark"}, headers=HTMX)
    assert response.status_code == 204


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "x:y", ""]
)
def test_it_never_leads_off_the_site(owner: Client, target: str) -> None:
    response = owner.post("/preferences/", {"theme": "dark", "next": target})
    assert response["Location"] == "/"


def test_nonsense_is_ignored(owner: Client, people: dict[str, User]) -> None:
    owner.post("/preferences/", {"theme": "pink", "density": "x", "sidebar": "y"})
    people["owner"].refresh_from_db()
    assert people["owner"].theme == "system"
