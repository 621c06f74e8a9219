"""What is kept: the switch, the days, and a prompt shown to those who may see it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from poolsite.actor import SYSTEM
from poolsite.models import AuditEvent
from providers.services import bodies
from providers.snapshot.records import (
    KEY_COLUMNS,
    client_key_record,
    settings_record,
)
from tests.factories import make_client_key, make_provider, make_request, try_at
from tests.usage.bodies.store import store
from usage.models import ClientKey, Request, RequestBody
from usage.retention import selectors, services, sweep

pytestmark = pytest.mark.django_db
PAGE = "/settings/kept/"
HOSTILE = '<script>alert(1)</script> "&amp; ‮'


@pytest.fixture
def request_id() -> UUID:
    provider = make_provider("acme", models=["m"], keys=["sk-1"])
    key, _ = make_client_key("ci")
    return UUID(str(make_request(key, try_at(provider, "m"))))


def test_page_shows_days_within_twelve_queries(
    as_viktor: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    as_viktor.get("/audit/")
    with django_assert_max_num_queries(12):
        body = as_viktor.get(PAGE).content.decode()
    assert "Not kept, whatever client keys ask for" in body
    assert "usage.RequestBody" in body
    assert PAGE + "usage.Request/" not in body
    assert "<form" not in body.partition("<main")[2].partition("</main>")[0]


def test_owner_switches_recording_and_workers_hear_of_it(as_olivia: Client) -> None:
    assert settings_record().keep_bodies is False
    data = {"is_on": "on", "keep_kb": "8"}
    assert as_olivia.post(PAGE + "bodies/", data).status_code == 302
    found = settings_record()
    assert (found.keep_bodies, found.body_keep_bytes) == (True, 8 * 1024)
    event = AuditEvent.objects.get(action="request_bodies.set")
    assert event.after == {"is_on": True, "keep_kb": 8}
    assert as_olivia.post(PAGE + "bodies/", {"keep_kb": "8"}).status_code == 302
    assert settings_record().keep_bodies is False


@pytest.mark.parametrize("size", ["0", "1025", "", "many"])
def test_sizes_out_of_bounds_are_refused(as_olivia: Client, size: str) -> None:
    answer = as_olivia.post(PAGE + "bodies/", {"is_on": "on", "keep_kb": size})
    assert answer.status_code == 422
    assert bodies.recording().is_on is False


@pytest.mark.parametrize("path", ["bodies/", "bodies/forget/", "usage.Request/"])
def test_only_owners_change_what_is_kept(
    as_oskar: Client, as_viktor: Client, path: str
) -> None:
    for client in (as_oskar, as_viktor):
        assert client.post(PAGE + path, {"keep_kb": "8"}).status_code == 403


def test_owner_sets_days_within_bounds(as_olivia: Client) -> None:
    where = PAGE + "usage.Request/"
    assert "At least 7" in as_olivia.get(where).content.decode()
    assert as_olivia.post(where, {"days": "6"}).status_code == 422
    assert as_olivia.post(where, {"days": "10"}).status_code == 302
    assert selectors.days_of()["usage.Request"] == 10
    assert as_olivia.post(where, {"days": ""}).status_code == 302
    assert selectors.days_of()["usage.Request"] == 90
    for table in ("poolsite.AuditEvent", "nobody"):
        assert as_olivia.get(f"{PAGE}{table}/").status_code == 404


# One request


def test_prompt_is_shown_behind_a_button_and_the_look_is_audited(
    as_oskar: Client, request_id: UUID
) -> None:
    store(request_id, f'{{"content": "{HOSTILE}"}}'.encode(), None)
    page = as_oskar.get(f"/requests/{request_id}/").content.decode()
    assert "Show prompt and answer" in page
    assert "alert(1)" not in page
    answer = as_oskar.post(f"/requests/{request_id}/bodies/")
    body = answer.content.decode()
    assert "&lt;script&gt;alert(1)" in body
    assert "<script>alert" not in body
    assert "Nothing reached the client" in body
    assert "no-store" in answer["Cache-Control"]
    event = AuditEvent.objects.get(action="request_bodies.view")
    assert event.object_id == str(request_id)


def test_json_is_laid_out_and_streams_stay_as_they_are(
    as_oskar: Client, request_id: UUID
) -> None:
    store(request_id, b'{"model":"m","n":1.10}', b"data: {}\n\ndata: [DONE]\n\n")
    body = as_oskar.post(f"/requests/{request_id}/bodies/").content.decode()
    assert "&quot;model&quot;: &quot;m&quot;,\n" in body
    assert "1.10" in body
    assert "data: {}\n\ndata: [DONE]" in body


@pytest.mark.parametrize(
    "asked",
    [
        b"[" * 30_000,
        b"[" * 900 + b"[" + b"1," * 10_000 + b"1]" + b"]" * 900,
        b"\xff\x00\x1b[31m not text",
        b'{"a": "' + b"[" * 1_000 + b'"',
    ],
    ids=["open", "deep", "bytes", "brackets"],
)
def test_hostile_bodies_are_shown_no_longer_than_they_are(
    as_oskar: Client, request_id: UUID, asked: bytes
) -> None:
    store(request_id, asked, None)
    answer = as_oskar.post(f"/requests/{request_id}/bodies/")
    assert answer.status_code == 200
    assert len(answer.content) < len(asked) + 40_000


def test_viewers_hear_that_it_is_kept_and_do_not_see_it(
    as_viktor: Client, request_id: UUID
) -> None:
    store(request_id)
    body = as_viktor.get(f"/requests/{request_id}/").content.decode()
    assert "operators and owners may look" in body
    assert as_viktor.post(f"/requests/{request_id}/bodies/").status_code == 403
    assert as_viktor.get(f"/requests/{request_id}/bodies/").status_code in (403, 405)
    assert not AuditEvent.objects.filter(action="request_bodies.view").exists()


def test_looking_is_no_get_and_what_is_gone_says_so(
    as_oskar: Client, request_id: UUID
) -> None:
    where = f"/requests/{request_id}/bodies/"
    assert as_oskar.get(where).status_code == 405
    answer = as_oskar.post(where, follow=True)
    assert "Nothing is kept of this request any more" in answer.content.decode()
    assert as_oskar.post(f"/requests/{UUID(int=1)}/bodies/").status_code == 404
    assert "Bodies are not recorded" in answer.content.decode()


def test_no_list_export_or_raw_fact_holds_a_body(
    as_olivia: Client, request_id: UUID
) -> None:
    store(request_id, b"the planted words", b"the planted words")
    for path in (
        "/requests/", "/requests/?q=planted", "/requests/?format=csv",
        f"/requests/{request_id}/", "/audit/", "/usage/?format=csv",
    ):  # fmt: skip
        answer = as_olivia.get(path, follow=True)
        content = b"".join(answer) if answer.streaming else answer.content
        assert b"the planted words" not in content, path


def test_one_and_all_are_forgotten_after_asking(
    as_olivia: Client, request_id: UUID
) -> None:
    store(request_id)
    store(UUID(int=7))
    where = f"/requests/{request_id}/bodies/forget/"
    assert "Remove this prompt" in as_olivia.get(where).content.decode()
    assert RequestBody.objects.count() == 2
    assert as_olivia.post(where).status_code == 302
    assert [row.pk for row in RequestBody.objects.all()] == [UUID(int=7)]
    assert as_olivia.get(where).status_code == 404
    assert as_olivia.post(PAGE + "bodies/forget/").status_code == 302
    assert not RequestBody.objects.exists()
    assert AuditEvent.objects.filter(action="request_bodies.forget").count() == 2
    assert Request.objects.filter(id=request_id).exists()


# Retention


def test_bodies_go_after_a_week_and_never_outlive_their_calls() -> None:
    now = timezone.now()
    for number, days in enumerate((1, 6, 8, 20)):
        store(UUID(int=number), at=now - timedelta(days=days))
    sweep.run()
    assert RequestBody.objects.count() == 2
    services.set_days(SYSTEM, "usage.RequestBody", 60)
    services.set_days(SYSTEM, "usage.Request", 7)
    assert selectors.days_of()["usage.RequestBody"] == 7


def test_key_that_asks_for_it_says_so_to_the_workers() -> None:
    make_client_key("plain")
    make_client_key("logged", log_level="bodies")
    rows = ClientKey.objects.order_by("name").values(*KEY_COLUMNS)
    found = {row["name"]: client_key_record(row, ()).keeps_bodies for row in rows}
    assert found == {"logged": True, "plain": False}
