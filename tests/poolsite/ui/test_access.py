"""Nobody passes by default; roles open doors one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from poolsite.models import User
from tests.poolsite.ui.conftest import HTMX

pytestmark = pytest.mark.django_db
SignIn = Callable[[str], Client]


def test_strangers_are_sent_to_sign_in(site: object, client: Client) -> None:
    response = client.get("/overview/")
    assert response["Location"] == "/account/login/?next=/overview/"


def test_an_expired_session_leaves_the_page_not_the_fragment(
    site: object, client: Client
) -> None:
    shown = {"HX-Current-URL": "http://testserver/requests/?q=a"}
    response = client.get("/overview/", headers={**HTMX, **shown})
    assert response["HX-Redirect"] == ("/account/login/?next=%2Frequests%2F%3Fq%3Da")


def test_a_viewer_may_look(sign_in: SignIn) -> None:
    assert sign_in("viewer").get("/").status_code == 200


def test_a_viewer_may_not_post_to_a_view_that_says_nothing(sign_in: SignIn) -> None:
    response = sign_in("viewer").post("/change/")
    assert response.status_code == 403
    assert b"<strong>operator</strong>" in response.content


def test_an_operator_may_post(sign_in: SignIn) -> None:
    assert sign_in("operator").post("/change/").status_code == 200


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("operator", 403), ("owner", 200)]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_guarded_view_asks_for_its_role(
    sign_in: SignIn, role: str, status: int, method: str
) -> None:
    response = getattr(sign_in(role), method)("/owners/")
    assert response.status_code == status
    if status == 403:
        assert b"<strong>owner</strong>" in response.content


def test_a_person_without_a_role_may_only_look(site: object, client: Client) -> None:
    client.force_login(User.objects.create_user("new@example.com"))
    assert client.get("/").status_code == 200
    assert client.post("/change/").status_code == 403


def test_a_viewer_may_change_the_own_password(sign_in: SignIn) -> None:
    response = sign_in("viewer").post("/account/password/change/", {})
    assert response.status_code != 403


def test_the_sidebar_lists_only_screens_that_exist(sign_in: SignIn) -> None:
    body = sign_in("owner").get("/").content.decode()
    assert 'href="/providers/"' in body
    assert "Routing" not in body.split('aria-label="Administration"')[0]


def test_the_sidebar_hides_what_a_role_may_not_open(sign_in: SignIn) -> None:
    assert b'href="/users/"' in sign_in("owner").get("/").content
    assert b'href="/users/"' not in sign_in("viewer").get("/").content


def test_the_sidebar_marks_the_page_shown(sign_in: SignIn) -> None:
    body = sign_in("owner").get("/keys/").content.decode()
    assert '<a href="/keys/" aria-current="page"' in body
    assert body.count('aria-current="page" data-go') == 1
