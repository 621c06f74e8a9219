"""Creating, changing, rotating and revoking client keys in the console."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from poolsite.models import AuditEvent
from tests.factories import make_client_key, make_provider, make_request, try_at
from usage.models import Budget, BudgetWindow, ClientKey

pytestmark = pytest.mark.django_db
TEXT = re.compile(r"pp_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")
VALUES = {
    "name": "ci",
    "model_access": "only",
    "models_allowed": "gpt-*\nclaude-haiku",
    "expiry": "90",
    "expires_at": "",
    "budget_usd": "12.5",
    "window": "week",
    "time_zone": "Europe/Berlin",
    "hard": "0",
    "rpm": "60",
    "tpm": "100000",
    "concurrency": "4",
    "unpriced": "block",
    "warn_usd": "10",
    "tpd": "5000000",
    "window_requests": "20",
    "window_s": "3600",
    "assumed_output_tokens": "512",
    "provider_access": "only",
    "providers_allowed": "eu-*",
    "ip_allow": "10.0.0.0/8\n2001:db8::/32",
    "tags": "ci\nnightly",
    "default_mode": "local",
    "default_strategy": "cost",
    "overrides_allowed": ["mode", "prefer"],
    "log_level": "bodies",
}


def test_the_text_of_a_key_is_shown_exactly_once(as_oskar: Client) -> None:
    answer = as_oskar.post("/keys/add/", VALUES)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    found = TEXT.search(answer.content.decode())
    assert found
    key = ClientKey.objects.get()
    pages = ("/keys/", f"/keys/{key.pk}/", f"/keys/{key.pk}/edit/", "/audit/", "/")
    for url in pages:
        assert found[0] not in as_oskar.get(url).content.decode(), url
    assert AuditEvent.objects.filter(action="client_key.create").count() == 1
    assert key.owner
    assert key.owner.email == "oskar@example.com"


def test_every_value_entered_is_there_to_edit(as_oskar: Client) -> None:
    as_oskar.post("/keys/add/", VALUES)
    key = ClientKey.objects.get()
    form = as_oskar.get(f"/keys/{key.pk}/edit/").context["form"]
    shown = {name: str(form[name].value()) for name in form.fields}
    assert shown.pop("expiry") == "date"
    assert shown.pop("expires_at").startswith(f"{key.expires_at:%Y-%m-%d}")
    assert shown.pop("models_allowed") == "gpt-*\nclaude-haiku"
    assert shown.pop("team") == "None"
    assert shown.pop("owner") == str(key.owner_id)
    kept = {name: str(value) for name, value in VALUES.items() if name in shown}
    assert shown == {**kept, "budget_usd": "12.50"}


def test_the_form_opened_and_saved_changes_nothing(as_oskar: Client) -> None:
    as_oskar.post("/keys/add/", VALUES)
    key = ClientKey.objects.get()
    form = as_oskar.get(f"/keys/{key.pk}/edit/").context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value()}
    assert as_oskar.post(f"/keys/{key.pk}/edit/", sent).status_code == 302
    again = ClientKey.objects.get()
    assert again.expires_at
    assert key.expires_at
    assert abs(again.expires_at - key.expires_at) < timedelta(minutes=1)
    assert Budget.objects.get().amount_nano_usd == 12_500_000_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "required"),
        ({"models_allowed": ""}, "Name at least one model"),
        ({"expiry": "date"}, "Choose the date"),
        ({"expiry": "date", "expires_at": "2020-01-01T00:00"}, "lies in the past"),
        ({"budget_usd": "-1"}, "greater than or equal to 0"),
        ({"budget_usd": "many"}, "Enter a number"),
        ({"rpm": "0"}, "greater than or equal to 1"),
        ({"name": "taken"}, "exists already"),
        ({"warn_usd": "13"}, "at most what the budget allows"),
        ({"providers_allowed": ""}, "Name at least one provider"),
        ({"ip_allow": "10.0.0.300"}, "neither an address nor a network"),
        ({"window_s": ""}, "needs its requests and its seconds"),
        ({"default_mode": "sideways"}, "Select a valid choice"),
        ({"overrides_allowed": "everything"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_made(
    as_oskar: Client, changes: dict[str, str], said: str
) -> None:
    make_client_key("taken")
    answer = as_oskar.post("/keys/add/", {**VALUES, **changes})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert ClientKey.objects.count() == 1
    assert not Budget.objects.exists()


def test_never_is_a_choice_and_not_the_default(as_oskar: Client) -> None:
    form = as_oskar.get("/keys/add/").context["form"]
    assert form["expiry"].value() == "365"
    as_oskar.post("/keys/add/", {**VALUES, "expiry": "never"})
    assert ClientKey.objects.get().expires_at is None


def test_a_budget_can_be_taken_away(as_oskar: Client) -> None:
    key, _ = make_client_key(budget_usd="5")
    as_oskar.post(f"/keys/{key.pk}/edit/", {**VALUES, "budget_usd": ""})
    assert not Budget.objects.exists()


def test_a_budget_below_the_spending_is_said(as_oskar: Client) -> None:
    key, _ = make_client_key(budget_usd="5", window="total")
    budget = Budget.objects.get()
    BudgetWindow.objects.create(
        budget=budget,
        window_id="total",
        spent_nano_usd=4_000_000_000,
        updated_at=datetime.now(UTC),
    )
    sent = {**VALUES, "budget_usd": "1", "window": "total", "hard": "1", "warn_usd": ""}
    answer = as_oskar.post(f"/keys/{key.pk}/edit/", sent, follow=True)
    body = answer.content.decode()
    assert "below what the key has spent" in body
    assert "Over budget" in body
    assert "Over budget" in as_oskar.get("/").content.decode()


def test_a_rotated_key_has_a_new_text_and_the_old_one_a_grace(
    as_oskar: Client,
) -> None:
    key, old = make_client_key()
    answer = as_oskar.post(f"/keys/{key.pk}/rotate/", {"grace": "24h"})
    found = TEXT.search(answer.content.decode())
    assert found
    assert found[0] != old
    assert "no-store" in answer["Cache-Control"]
    page = as_oskar.get(f"/keys/{key.pk}/").content.decode()
    assert "The old text still works" in page


def test_a_revoked_key_stays_to_be_read_and_is_not_to_be_changed(
    as_oskar: Client,
) -> None:
    key, _ = make_client_key("gone")
    assert b"Revoke gone?" in as_oskar.get(f"/keys/{key.pk}/revoke/").content
    as_oskar.post(f"/keys/{key.pk}/revoke/")
    page = as_oskar.get(f"/keys/{key.pk}/").content.decode()
    assert "Revoked" in page
    assert "/rotate/" not in page
    for part in ("edit", "rotate", "revoke"):
        assert as_oskar.post(f"/keys/{key.pk}/{part}/").status_code == 404
    assert "gone" not in as_oskar.get("/keys/").content.decode().partition("<main")[2]
    assert "gone" in as_oskar.get("/keys/?show=ended").content.decode()


def test_a_key_is_found_by_name_and_by_its_start(as_oskar: Client) -> None:
    key, text = make_client_key("needle")
    make_client_key("hay")
    for asked in ("need", text[:7], f"pp_{key.public_id[:4]}…{key.last4}"):
        body = as_oskar.get("/keys/", {"q": asked}).content.decode()
        assert "needle" in body
        assert ">hay<" not in body


def test_the_last_use_and_the_month_are_shown(as_oskar: Client) -> None:
    provider = make_provider(models=["gpt-5-mini"])
    key, _ = make_client_key()
    make_request(key, try_at(provider, "gpt-5-mini"))
    row = as_oskar.get("/keys/").context["page"].rows[0]
    assert row.month.requests == 1
    assert row.used_at
