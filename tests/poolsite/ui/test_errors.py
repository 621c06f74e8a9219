"""Errors say what is wrong and what helps, as a page and as one line."""

from __future__ import annotations

import logging

import pytest
from django.core.exceptions import BadRequest
from django.test import Client, RequestFactory

from poolsite.ui import errors
from tests.poolsite.ui.conftest import HTMX

pytestmark = pytest.mark.django_db


def test_a_wrong_address_is_404(owner: Client) -> None:
    response = owner.get("/nowhere/")
    assert response.status_code == 404
    assert b"The address may be mistyped" in response.content


def test_a_missing_row_names_what_is_missing(owner: Client) -> None:
    response = owner.get("/person/999999999/")
    assert response.status_code == 404
    assert b"There is no such person." in response.content


def test_htmx_gets_one_line_instead_of_a_page(owner: Client) -> None:
    response = owner.get("/person/999999999/", headers=HTMX)
    assert response.status_code == 404
    assert response.content.startswith(b"<p data-problem>There is no such person.")


def test_a_damaged_request_says_so(site: object, rf: RequestFactory) -> None:
    response = errors.bad_request(rf.get("/"), BadRequest("The link is damaged."))
    assert response.status_code == 400
    assert b"The link is damaged." in response.content


def test_texts_of_other_libraries_are_not_shown(
    site: object, rf: RequestFactory
) -> None:
    response = errors.bad_request(rf.get("/"), ValueError("secret sk-123"))
    assert b"sk-123" not in response.content


def test_an_expired_form_keeps_the_text(site: object) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/account/login/", {})
    assert response.status_code == 403
    assert b"your text is still there" in response.content


def test_a_server_error_needs_no_database_and_names_its_log_line(
    site: object,
    rf: RequestFactory,
    caplog: pytest.LogCaptureFixture,
    django_assert_num_queries: object,
) -> None:
    with caplog.at_level(logging.ERROR), django_assert_num_queries(0):  # type: ignore[operator]
        response = errors.server_error(rf.get("/boom/"))
    assert response.status_code == 500
    error_id = caplog.messages[0].split()[2]
    assert f"<code>{error_id}</code>".encode() in response.content
