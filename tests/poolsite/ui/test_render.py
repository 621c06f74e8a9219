"""Page or fragment is decided once, and every answer says what it varies on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.test import Client

from tests.poolsite.ui.conftest import HTMX

pytestmark = pytest.mark.django_db
GOOD = {
    "name": "Anthropic",
    "base_url": "https://api.example.com",
    "region": "eu",
    "access": "all",
}


def test_a_plain_request_gets_the_whole_page(owner: Client) -> None:
    assert owner.get("/").content.startswith(b"<!doctype html>")


def test_htmx_gets_the_piece_alone(owner: Client) -> None:
    body = owner.get("/", headers=HTMX).content
    assert b"<!doctype" not in body
    assert body.startswith(b'<div id="piece">')


@pytest.mark.parametrize(
    "header", [{"HX-Boosted": "true"}, {"HX-History-Restore-Request": "true"}]
)
def test_boost_and_back_get_the_whole_page(
    owner: Client, header: Mapping[str, str]
) -> None:
    body = owner.get("/", headers={**HTMX, **header}).content
    assert body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_every_answer_varies_on_htmx(owner: Client, headers: Mapping[str, str]) -> None:
    vary = owner.get("/", headers=headers)["Vary"]
    for name in ("HX-Request", "HX-Boosted", "HX-History-Restore-Request"):
        assert name in vary


def test_a_form_with_mistakes_is_422_and_keeps_what_was_typed(owner: Client) -> None:
    response = owner.post("/edit/", {**GOOD, "base_url": "nonsense", "name": "Kept"})
    body = response.content.decode()
    assert response.status_code == 422
    assert 'value="Kept"' in body
    assert "Enter a valid URL." in body


def test_a_form_with_mistakes_swaps_for_htmx(owner: Client) -> None:
    response = owner.post("/edit/", {"name": ""}, headers=HTMX)
    assert response.status_code == 422
    assert b"<!doctype" not in response.content


def test_success_redirects_and_says_so(owner: Client) -> None:
    response = owner.post("/edit/", GOOD, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert b"Provider saved" in response.content


def test_success_for_htmx_is_a_client_redirect(owner: Client) -> None:
    response = owner.post("/edit/", GOOD, headers=HTMX)
    assert response["HX-Redirect"] == "/"


def test_a_waiting_toast_travels_with_the_next_piece(owner: Client) -> None:
    owner.post("/edit/", GOOD)
    body = owner.get("/", headers=HTMX).content.decode()
    assert 'hx-swap-oob="beforeend"' in body
    assert "Provider saved" in body


def test_deleting_asks_first_and_needs_no_scripts(owner: Client) -> None:
    page = owner.get("/delete/").content.decode()
    assert "<h1" in page
    assert 'action="/delete/"' in page
    assert "3 routing rules refer to it." in page


def test_the_question_is_a_dialog_for_htmx(owner: Client) -> None:
    body = owner.get("/delete/", headers=HTMX).content
    assert body.startswith(b"<form")


def test_a_wrongly_typed_name_asks_again(owner: Client) -> None:
    response = owner.post("/delete/", {"confirm_name": "openai"})
    assert response.status_code == 200
    assert b"Delete Anthropic?" in response.content


def test_the_right_name_deletes(owner: Client) -> None:
    response = owner.post("/delete/", {"confirm_name": "anthropic"})
    assert response.status_code == 302


def test_a_secret_shown_once_is_not_cached(owner: Client) -> None:
    response = owner.get("/once/")
    assert "no-store" in response["Cache-Control"]
    assert b"pp_ab12cd34" in response.content


def test_a_poll_without_news_gets_204(owner: Client) -> None:
    assert owner.get("/poll/?v=7", headers=HTMX).status_code == 204
    assert owner.get("/poll/?v=6", headers=HTMX).status_code == 286
    assert owner.get("/poll/?v=7").status_code == 200
