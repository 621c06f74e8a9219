"""Settings, people, tokens and the audit trail in the console."""

from __future__ import annotations

import pytest
from django.test import Client

from poolsite.models import ApiToken, AuditEvent, User
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def test_an_owner_adds_a_person_who_can_sign_in(as_olivia: Client) -> None:
    sent = {"email": "new@example.com", "password": PASSWORD, "role": "viewer"}
    answer = as_olivia.post("/users/add/", sent, follow=True)
    assert "new@example.com was added." in answer.content.decode()
    login = {"login": "new@example.com", "password": PASSWORD}
    assert Client().post("/accounts/login/", login).status_code == 302


def test_mistakes_about_people_are_named(as_olivia: Client) -> None:
    sent = {"email": "olivia@example.com", "password": PASSWORD, "role": "viewer"}
    answer = as_olivia.post("/users/add/", sent)
    assert answer.status_code == 422
    assert "exists already" in answer.content.decode()
    assert PASSWORD not in answer.content.decode()


def test_an_operator_changes_no_people(as_oskar: Client, viktor: User) -> None:
    assert as_oskar.get("/users/add/").status_code == 403
    url = f"/users/{viktor.pk}/role/"
    assert as_oskar.post(url, {"role": "owner"}).status_code == 403
    assert as_oskar.post(f"/users/{viktor.pk}/disable/").status_code == 403
    assert "role-form" not in as_oskar.get("/users/").content.decode()


def test_roles_change_except_for_oneself(
    as_olivia: Client, olivia: User, viktor: User
) -> None:
    as_olivia.post(f"/users/{viktor.pk}/role/", {"role": "operator"})
    assert viktor.groups.get().name == "operator"
    answer = as_olivia.post(
        f"/users/{olivia.pk}/role/", {"role": "viewer"}, follow=True
    )
    assert "cannot change your own role" in answer.content.decode()
    answer = as_olivia.post(f"/users/{viktor.pk}/role/", {"role": "king"}, follow=True)
    assert "Choose one of the roles" in answer.content.decode()


def test_a_person_is_switched_off_after_a_question(
    as_olivia: Client, viktor: User
) -> None:
    url = f"/users/{viktor.pk}/disable/"
    assert b"Switch viktor@example.com off?" in as_olivia.get(url).content
    as_olivia.post(url)
    viktor.refresh_from_db()
    assert not viktor.is_active
    as_olivia.post(f"/users/{viktor.pk}/enable/")
    viktor.refresh_from_db()
    assert viktor.is_active


def test_a_token_is_shown_once_and_can_be_revoked(as_olivia: Client) -> None:
    answer = as_olivia.post("/settings/tokens/", {"name": "ci", "scopes": ["read"]})
    assert "no-store" in answer["Cache-Control"]
    text = answer.context["secret"]
    assert text in answer.content.decode()
    assert text not in as_olivia.get("/settings/").content.decode()
    token = ApiToken.objects.get()
    assert (
        b"Revoke ci?" in as_olivia.get(f"/settings/tokens/{token.pk}/revoke/").content
    )
    as_olivia.post(f"/settings/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at


def test_a_token_needs_a_scope(as_olivia: Client) -> None:
    answer = as_olivia.post("/settings/tokens/", {"name": "ci"})
    assert answer.status_code == 422


def test_everybody_has_own_preferences(as_viktor: Client, viktor: User) -> None:
    sent = {
        "name": "Viktor",
        "time_zone": "Asia/Tokyo",
        "theme": "dark",
        "density": "comfortable",
    }
    assert as_viktor.post("/settings/profile/", sent).status_code == 302
    viktor.refresh_from_db()
    assert (viktor.time_zone, viktor.theme) == ("Asia/Tokyo", "dark")
    assert not viktor.shortcuts
    assert 'data-theme="dark"' in as_viktor.get("/").content.decode()


def test_a_time_zone_nobody_knows_is_refused(as_viktor: Client) -> None:
    sent = {"time_zone": "Mars/Base", "theme": "dark", "density": "compact"}
    assert as_viktor.post("/settings/profile/", sent).status_code == 422


def test_stored_secrets_are_checked_beside_the_page(as_viktor: Client) -> None:
    piece = as_viktor.get("/settings/secrets/", headers={"HX-Request": "true"})
    assert b"can be read" in piece.content
    assert b"<html" not in piece.content
    assert b"<html" in as_viktor.get("/settings/secrets/").content


def test_the_audit_trail_is_filtered_and_paged(as_olivia: Client) -> None:
    for number in range(60):
        sent = {
            "email": f"p{number}@example.com",
            "password": PASSWORD,
            "role": "viewer",
        }
        as_olivia.post("/users/add/", sent)
    page = as_olivia.get("/audit/?action=user.create").content.decode()
    assert page.count("user.create</td>") == 50
    assert 'rel="next"' in page
    nothing = as_olivia.get("/audit/?actor=nobody").content.decode()
    assert "No event matches." in nothing
    assert AuditEvent.objects.count() >= 60


def test_a_damaged_cursor_is_a_sentence_and_not_a_crash(as_olivia: Client) -> None:
    for url in ("/audit/", "/requests/", "/keys/"):
        answer = as_olivia.get(url, {"cursor": "nonsense"})
        assert answer.status_code == 400, url
        assert b"damaged" in answer.content
