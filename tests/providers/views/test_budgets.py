"""Budgets in the console: the tree, the form for every scope, more for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from poolsite.actor import CLI
from tests.factories import make_client_key, make_provider, make_request, try_at
from usage import services
from usage.models import Budget, ClientKey

pytestmark = pytest.mark.django_db
TERMS = {"budget_usd": "5", "window": "day", "time_zone": "Asia/Kathmandu", "hard": "1"}


@pytest.mark.parametrize(
    ("whose", "values", "stored"),
    [
        ("pool", {}, ("pool", "", "")),
        ("key", {"key": "ci"}, ("key", "", "")),
        ("agent:", {}, ("agent", "", "")),
        ("agent:one", {"value": "bot"}, ("agent", "one", "bot")),
        ("session:", {}, ("session", "", "")),
        ("session:agent", {"value": "bot"}, ("session", "agent", "bot")),
        ("session:provider", {"value": "acme"}, ("session", "provider", "acme")),
        ("session:one", {"value": "bot:a:1"}, ("session", "one", "bot:a:1")),
    ],
)
def test_a_budget_of_every_scope_is_set(
    as_oskar: Client, whose: str, values: dict[str, str], stored: tuple[str, ...]
) -> None:
    make_client_key("ci")
    answer = as_oskar.post("/keys/budgets/add/", {**TERMS, "whose": whose, **values})
    assert answer.status_code == 302
    row = Budget.objects.get()
    assert (row.scope, row.applies_to, row.scope_value) == stored
    assert (row.amount_nano_usd, row.time_zone) == (5 * 10**9, "Asia/Kathmandu")
    assert as_oskar.get("/keys/budgets/").status_code == 200


def test_a_teams_budget_is_set(as_oskar: Client) -> None:
    team = services.create_team(CLI, slug="red", name="<b>Red</b>")
    sent = {**TERMS, "whose": "team", "team": team.pk}
    assert as_oskar.post("/keys/budgets/add/", sent).status_code == 302
    assert Budget.objects.get().team == team
    page = as_oskar.get("/keys/budgets/").content.decode()
    assert "&lt;b&gt;Red" in page
    assert "<b>Red" not in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"whose": "team"}, "needs a team"),
        ({"whose": "key"}, "needs a key"),
        ({"whose": "key", "key": "nobody"}, "No live key has this name"),
        ({"whose": "session:agent"}, "Name whom the rule is for"),
        ({"whose": "pool", "budget_usd": ""}, "required"),
        ({"whose": "pool", "warn_usd": "6"}, "at most what the budget allows"),
        ({"whose": "galaxy"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_named(
    as_oskar: Client, values: dict[str, str], said: str
) -> None:
    answer = as_oskar.post("/keys/budgets/add/", {**TERMS, **values})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Budget.objects.exists()


def test_a_budget_is_changed_raised_and_removed(as_oskar: Client) -> None:
    key, _ = make_client_key("ci", budget_usd="5", window="total")
    root = f"/keys/budgets/{Budget.objects.get().pk}/"
    form = as_oskar.get(root).context["form"]
    assert (form["budget_usd"].value(), form["window"].value()) == ("5", "total")
    assert as_oskar.post(root, {**TERMS, "budget_usd": "7"}).status_code == 302
    until = datetime.now(UTC) + timedelta(hours=5)
    sent = {"extra_usd": "3", "until": f"{until:%Y-%m-%dT%H:%M}"}
    assert as_oskar.post(f"{root}increase/", sent).status_code == 302
    row = Budget.objects.get()
    assert (row.amount_nano_usd, row.extra_nano_usd) == (7 * 10**9, 3 * 10**9)
    assert "of $10" in as_oskar.get(f"/keys/{key.pk}/").content.decode()
    refused = as_oskar.post(f"{root}increase/", {"extra_usd": "3", "until": ""})
    assert refused.status_code == 422
    assert "Say until when." in refused.content.decode()
    field = refused.context["form"]["until"].as_field_group()
    assert "optional" not in field
    assert "required" not in field  # an emptied amount needs no date
    assert as_oskar.post(f"{root}increase/", {"extra_usd": ""}).status_code == 302
    assert Budget.objects.get().extra_nano_usd == 0
    assert as_oskar.get(f"{root}remove/").status_code == 200
    assert Budget.objects.exists()
    assert as_oskar.post(f"{root}remove/").status_code == 302
    assert not Budget.objects.exists()


def test_viewers_change_no_budgets(as_viktor: Client) -> None:
    make_client_key("ci", budget_usd="5")
    root = f"/keys/budgets/{Budget.objects.get().pk}/"
    for url in ("/keys/budgets/add/", root, f"{root}increase/", f"{root}remove/"):
        assert as_viktor.post(url, TERMS).status_code == 403, url
    assert as_viktor.get("/keys/budgets/").status_code == 200


@pytest.mark.parametrize("page", ["use", "limits"])
def test_use_of_a_key_within_twelve_queries(
    as_oskar: Client, django_assert_max_num_queries: Any, page: str
) -> None:
    provider = make_provider("acme", models=["m"], keys=["sk-acme-1"])
    key, _ = make_client_key("ci", rpm=5, tpm=9)
    limits: dict[str, Any] = {"tpd": 10_000, "window_requests": 3, "window_s": 3600}
    services.update_key(CLI, key, **limits)
    key = ClientKey.objects.get(pk=key.pk)
    now = datetime.now(UTC)
    make_request(key, try_at(provider, "m"), at=now, session="bot:a:1", agent="bot")
    as_oskar.get("/keys/")
    with django_assert_max_num_queries(12):
        answer = as_oskar.get(f"/keys/{key.pk}/{page}/")
    body = answer.content.decode()
    assert "4 left" in body
    if page == "use":
        assert "bot:a:1" in body


def test_the_preview_counts_what_a_rule_matches(as_oskar: Client) -> None:
    make_provider("acme", models=["gpt-a", "gpt-b", "other"], keys=["sk-acme-1"])
    sent = {"model_access": "only", "models_allowed": "gpt-*"}
    body = as_oskar.post("/keys/preview/", sent).content.decode()
    assert "2 of 3 models" in body
    assert "gpt-a" in body
    body = as_oskar.post(
        "/keys/preview/",
        {**sent, "provider_access": "only", "providers_allowed": "eu-*"},
    ).content.decode()
    assert "0 of 3 models" in body
