"""Cooldowns are listed in words and cleared; health says how everything is, and why."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from poolsite import version
from poolsite.clock import SystemClock
from poolsite.models import AuditEvent
from providers import selectors_health as health
from providers.keeper.facts import Facts
from providers.models import ApiKey, Fact, Provider, ProviderModel
from tests.factories import make_api_key, make_models, make_provider, make_requests
from tests.providers.cooling import (
    cool,
    failures,
    key_subject,
    limit_subject,
    provider_subject,
)

pytestmark = pytest.mark.django_db
LIST = "/routing/cooldowns/"
HEALTH = "/routing/health/"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def acme() -> Provider:
    return make_provider("acme", name="Acme", models=["gpt-5-mini"], tested=False)


@pytest.fixture
def key(acme: Provider) -> ApiKey:
    return make_api_key(acme, "sk-acme-0000000001", label="first")


@pytest.fixture
def model(acme: Provider) -> ProviderModel:
    return acme.models.get()


def body_of(client: Client, url: str, **query: Any) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


# The list


def test_each_kind_of_subject_is_named_in_words(
    as_olivia: Client, acme: Provider, key: ApiKey, model: ProviderModel
) -> None:
    cool(provider_subject(acme), "connect", error="no connection (refused)")
    cool(f"model:{model.pk}", "model")
    cool(key_subject(key), "auth")
    cool(limit_subject(key, model), "rate_limit", is_event=False)
    cool(f"account:{acme.pk}:org-7", "quota")
    cool("egress:-", "timeout", is_event=True)
    body = body_of(as_olivia, LIST)
    for words in (
        "gpt-5-mini at Acme", "first at Acme", "gpt-5-mini with first at Acme",
        "Account org-7 at Acme", "nobody could be reached", "no connection (refused)",
        "Needs attention", "no key is held responsible", "Too many requests",
    ):  # fmt: skip
        assert words in body
    assert "in 5 m" in body or "in 4 m" in body
    assert "3 &times; quota" in body


def test_the_list_narrows_by_reason(
    as_olivia: Client, key: ApiKey, model: ProviderModel
) -> None:
    cool(key_subject(key), "quota")
    cool(f"model:{model.pk}", "model")
    body = body_of(as_olivia, LIST, reason="quota")
    assert "first at Acme" in body
    assert "gpt-5-mini at Acme" not in body
    assert "Nothing rests for this reason" in body_of(as_olivia, LIST, reason="x")


def test_what_is_over_is_not_listed(as_olivia: Client, key: ApiKey) -> None:
    cool(key_subject(key), for_s=-1.0)
    assert "Nothing is cooling down" in body_of(as_olivia, LIST)


def test_hostile_names_and_errors_are_shown_as_text(
    as_olivia: Client, model: ProviderModel
) -> None:
    make_provider("evil", name=HOSTILE, models=["m<script>alert(1)</script>"])
    evil = ProviderModel.objects.get(provider__slug="evil")
    cool(f"model:{evil.pk}", "model", error=HOSTILE)
    cool(f"account:{evil.provider_id}:{HOSTILE}", HOSTILE[:20])
    cool("limit:1:x:y:z", "model")
    cool("provider:999999", "connect")
    body = body_of(as_olivia, LIST)
    assert "<script>alert" not in body
    assert "A removed provider" in body


def test_a_long_list_stays_within_the_budgets(
    as_olivia: Client, acme: Provider
) -> None:
    make_models(acme, *(f"model-{number}" for number in range(300)))
    for each in acme.models.all():
        cool(f"model:{each.pk}", "model", error="x" * 190)
    as_olivia.get("/audit/")
    with CaptureQueriesContext(connection) as queries:
        answer = as_olivia.get(LIST)
    assert len(queries) <= 12
    assert "The 200 that rest longest are shown" in answer.content.decode()


# Clearing


def test_one_cooldown_is_cleared_with_an_event_and_a_version(
    as_olivia: Client, key: ApiKey, model: ProviderModel
) -> None:
    ApiKey.objects.update(state=ApiKey.State.NEEDS_ATTENTION, last_error="refused")
    cool(key_subject(key), "auth")
    cool(f"model:{model.pk}", "model")
    before = version.current()
    answer = as_olivia.post(LIST + "clear/", {"subject": key_subject(key)})
    assert answer.status_code == 302
    assert [row.key for row in Fact.objects.filter(kind="cooldown")] == [
        f"model:{model.pk}"
    ]
    assert Fact.objects.get(kind="recovery").key == key_subject(key)
    assert version.current() > before
    assert AuditEvent.objects.order_by("-pk")[0].action == "cooldown.clear"
    key.refresh_from_db()
    assert (key.state, key.last_error) == ("ok", "")


def test_all_are_cleared_after_a_question(as_olivia: Client, key: ApiKey) -> None:
    cool(key_subject(key), "quota")
    assert "Clear every cooldown?" in body_of(as_olivia, LIST + "clear-all/")
    assert Fact.objects.filter(kind="cooldown").exists()
    assert as_olivia.post(LIST + "clear-all/").status_code == 302
    assert not Fact.objects.filter(kind="cooldown").exists()
    assert Fact.objects.get(kind="recovery").key == "*"
    event = AuditEvent.objects.order_by("-pk")[0]
    assert event.action == "cooldown.clear_all"


@pytest.mark.parametrize("subject", ["", "provider:1", "*", "x" * 400])
def test_what_does_not_cool_cannot_be_cleared(
    as_olivia: Client, key: ApiKey, subject: str
) -> None:
    cool(key_subject(key))
    answer = as_olivia.post(LIST + "clear/", {"subject": subject}, follow=True)
    assert "not cooling down any more" in answer.content.decode()
    assert Fact.objects.filter(kind="cooldown").exists()


def test_viewers_look_but_do_not_clear(as_viktor: Client, key: ApiKey) -> None:
    cool(key_subject(key))
    body = body_of(as_viktor, LIST)
    assert "first at Acme" in body
    assert "clear/" not in body
    for path in ("clear/", "clear-all/"):
        answer = as_viktor.post(LIST + path, {"subject": key_subject(key)})
        assert answer.status_code == 403
    assert Fact.objects.filter(kind="cooldown").exists()


# Health


def state_of(slug: str) -> tuple[str, str]:
    lines = health.provider_health(health.Signs.read(timezone.now()))
    (line,) = [line for line in lines if line.slug == slug]
    return line.state, line.title


def test_nobody_asked_is_unknown_and_served_is_healthy(
    acme: Provider, key: ApiKey
) -> None:
    assert state_of("acme") == ("unknown", "Nobody asked it lately")
    make_requests(acme, "gpt-5-mini", 2)
    assert state_of("acme") == ("healthy", "")


def test_a_resting_provider_cools_and_a_resting_part_degrades_it(
    acme: Provider, key: ApiKey, model: ProviderModel
) -> None:
    second = make_api_key(acme, "sk-acme-0000000002")
    cool(limit_subject(key, model), "rate_limit")
    assert state_of("acme") == ("degraded", "A part of it rests: Too many requests")
    cool(key_subject(key), "quota")
    cool(key_subject(second), "quota")
    assert state_of("acme")[0] == "cooling"
    Fact.objects.all().delete()
    cool("egress:-", "connect", is_event=True)
    assert state_of("acme") == ("cooling", "No connection")


def test_refused_keys_need_attention(acme: Provider, key: ApiKey) -> None:
    make_api_key(acme, "sk-acme-0000000002")
    ApiKey.objects.filter(pk=key.pk).update(state=ApiKey.State.NEEDS_ATTENTION)
    assert state_of("acme") == ("degraded", "1 of 2 keys need attention")
    ApiKey.objects.update(state=ApiKey.State.NEEDS_ATTENTION)
    assert state_of("acme") == ("needs_attention", "Every key of it needs attention")


def test_failures_add_up_and_degrade_a_model(
    tmp_path: Any, acme: Provider, key: ApiKey, model: ProviderModel
) -> None:
    facts = Facts(tmp_path, SystemClock())
    first, second = {"timeout": 2}, {"timeout": 1, "model": 4}
    facts.keep([failures(model, first), failures(model, second)])
    (line,) = health.model_health(health.Signs.read(timezone.now())).object_list
    assert (line.state, line.failures) == ("degraded", [("model", 4), ("timeout", 3)])
    assert line.error == "503 overloaded"
    assert state_of("acme") == ("degraded", "1 of its models failed within the hour")


def test_models_are_listed_in_trouble_or_all(
    as_olivia: Client, acme: Provider, key: ApiKey, model: ProviderModel
) -> None:
    make_models(acme, "other-model")
    cool(f"model:{model.pk}", "model")
    body = body_of(as_olivia, HEALTH)
    assert "gpt-5-mini" in body
    assert "The model is not served" in body
    assert "other-model" not in body
    assert "other-model" in body_of(as_olivia, HEALTH, models="all")


@pytest.mark.parametrize("query", ["", "?models=all", "?models=all&page=3"])
def test_health_of_many_stays_within_the_budgets(as_olivia: Client, query: str) -> None:
    for number in range(20):
        many = make_provider(f"p{number}", models=[f"m{n}" for n in range(10)])
        failing = many.models.first()
        assert failing is not None
        cool(f"model:{failing.pk}", "model")
    as_olivia.get("/audit/")
    with CaptureQueriesContext(connection) as queries:
        answer = as_olivia.get(HEALTH + query)
    assert answer.status_code == 200
    assert len(queries) <= 12, "\n".join(each["sql"][:150] for each in queries)
    assert len(answer.content) < 90 * 1024


def test_a_reason_or_subject_nobody_can_store_is_answered(as_oskar: Client) -> None:
    assert as_oskar.get("/routing/cooldowns/?reason=%00").status_code == 200
    sent = {"subject": "account:1:a\x00b"}
    assert as_oskar.post("/routing/cooldowns/clear/", sent).status_code == 302


def test_the_worst_providers_come_first_and_the_rest_on_pages(
    as_viktor: Client, acme: Provider
) -> None:
    for number in range(55):
        make_provider(f"p{number:02}", name=f"P{number:02}")
    cool(provider_subject(acme))
    first = body_of(as_viktor, HEALTH)
    assert "Acme" in first
    assert first.count('scope="row"') == 50
    assert "providers=2" in first
    second = body_of(as_viktor, HEALTH, providers="2")
    assert "Acme" not in second
    assert "P54" in second
    assert 'href="?models=trouble&amp;page=1&amp;providers=1"' in second
