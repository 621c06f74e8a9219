"""Every page answers: empty, full, and with names meant to break it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from poolsite.actor import SYSTEM
from providers.services import models, routing, routing_rules
from providers.snapshot.types import RuleRecord
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_models,
    make_provider,
    make_request,
    make_requests,
    ship,
    try_at,
)

pytestmark = pytest.mark.django_db
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "n" * 120,
    "‮مرحبا بالعالم",
    "{{ 7|add:7 }} {% now 'Y' %}",
)
EMPTY = (
    "/",
    "/usage/",
    "/providers/",
    "/providers/add/",
    "/routing/",
    "/routing/draft/",
    "/routing/history/",
    "/routing/aliases/",
    "/routing/simulate/",
    "/keys/",
    "/requests/",
    "/keys/add/",
    "/models/",
    "/routing/cooldowns/",
    "/routing/health/",
)
GROUND = (
    "/settings/", "/settings/profile/", "/settings/tokens/", "/users/", "/users/add/", "/audit/",
    "/settings/kept/", "/settings/kept/usage.Request/", "/models/schedule/",
)  # fmt: skip


@pytest.fixture
def world() -> dict[str, Any]:
    """One provider that served, one that failed, one key, some requests."""
    good = make_provider("acme", models=["gpt-5-mini", "made-up-model"], keys=["sk-a"])
    bad = make_provider("down", models=["gpt-5-mini"], keys=["sk-b"], priority=90)
    rule = RuleRecord(trigger="error", action="switch_provider", provider="acme")
    routing_rules.add_rule(SYSTEM, rule)
    routing.publish(SYSTEM)
    routing.change_settings(SYSTEM, {"strategy": "cost"})
    models.set_alias(SYSTEM, "fast", ["gpt-5-mini"])
    key, text = make_client_key("ci", budget_usd="5", rpm=60)
    ids = make_requests(good, "gpt-5-mini", 3, key=key)
    fallback = make_request(
        key, failed_at(bad, "gpt-5-mini"), try_at(good, "gpt-5-mini", start_ms=320)
    )
    unpriced = make_request(key, try_at(good, "made-up-model"))
    refused = make_request(key, error_code="budget_exceeded")
    return {
        "provider": good,
        "key": key,
        "text": text,
        "requests": ids,
        "fallback": fallback,
        "unpriced": unpriced,
        "refused": refused,
    }


def pages(world: dict[str, Any]) -> list[str]:
    key = world["key"].pk
    return [
        "/", "/?range=1h", "/?range=7d", "/providers/", "/providers/add/",
        "/providers/add/?catalogue=openai", "/providers/add/?catalogue=custom",
        "/providers/acme/", "/providers/acme/edit/", "/providers/acme/keys/add/",
        "/models/", "/models/?capability=tools", "/models/detail/?id=gpt-5-mini",
        "/providers/acme/models/changes/", "/providers/acme/models/access/",
        "/providers/acme/models/add/", "/providers/acme/remove/", "/keys/", "/keys/add/",
        f"/keys/{key}/", f"/keys/{key}/edit/", f"/keys/{key}/rotate/", f"/keys/{key}/revoke/",
        f"/keys/{key}/use/", f"/keys/{key}/limits/", "/keys/budgets/", "/keys/budgets/add/",
        "/routing/", "/routing/draft/", "/routing/draft/replay/", "/routing/history/",
        "/routing/history/1/", "/routing/rules/add/", "/routing/rules/1/",
        "/routing/aliases/", "/routing/aliases/add/", "/routing/simulate/?model=fast",
        "/routing/default-model/",
        "/usage/", "/usage/?by=session&range=24h", "/usage/?by=model&range=90d",
        "/requests/", "/requests/?status=4xx", "/requests/?key=ci&model=gpt-5-mini&provider=acme",
        f"/requests/{world['fallback']}/", f"/requests/{world['unpriced']}/",
        f"/requests/{world['refused']}/",
    ]  # fmt: skip


@pytest.mark.parametrize("url", EMPTY + GROUND)
def test_a_page_without_rows_answers(as_olivia: Client, url: str) -> None:
    response = as_olivia.get(url)
    assert response.status_code == 200
    assert response.content.count(b"<h1") == 1


def test_every_page_answers_within_twelve_queries(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    as_olivia.get("/routing/simulate/?model=fast")  # prepares the pool
    as_olivia.get("/audit/")  # the first request of a process looks for a first run
    for url in pages(world) + list(GROUND):
        with CaptureQueriesContext(connection) as queries:
            response = as_olivia.get(url)
        assert response.status_code == 200, url
        listed = "\n".join(each["sql"][:200] for each in queries)
        assert len(queries) <= 12, f"{url}: {len(queries)}\n{listed}"
        body = response.content.decode()
        assert " style=" not in body, url
        if "<html" in body:  # a piece has no heading of its own
            assert body.count("<h1") == 1, url


def test_queries_do_not_grow_with_rows(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    urls = [
        "/",
        "/usage/",
        "/usage/?by=key&range=24h",
        "/providers/",
        "/providers/acme/",
        "/models/",
        "/keys/",
        "/requests/",
    ]

    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            as_olivia.get(url)
        return len(queries)

    as_olivia.get("/audit/")
    before = [count(url) for url in urls]
    for number in range(12):
        other = make_provider(f"more-{number}", models=["m"], keys=[f"sk-{number}"])
        key, _ = make_client_key(f"key-{number}", budget_usd="1")
        make_requests(other, "m", 4, key=key)
        make_request(key, failed_at(other, "m"), try_at(other, "m"))
    make_models(world["provider"], *(f"model-{number}" for number in range(80)))
    # A list that fills its page asks less: it need not look further back.
    after = [count(url) for url in urls]
    assert all(now <= then for now, then in zip(after, before, strict=True)), after


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_text(as_olivia: Client, name: str) -> None:
    provider = make_provider("acme", name=name, models=["m"], keys=["sk-a"])
    key, _ = make_client_key(name)
    found = make_request(
        key,
        failed_at(provider, "m", reason=name, error="server_error"),
        try_at(provider, "m"),
        asked=name,
        agent=name,
        session=name,
    )
    for url in ("/", "/providers/", "/providers/acme/", "/keys/", f"/keys/{key.pk}/",
                f"/keys/{key.pk}/revoke/", "/providers/acme/remove/",
                "/requests/", f"/requests/{found}/", "/audit/"):  # fmt: skip
        body = as_olivia.get(url).content.decode()
        assert "<script>alert" not in body, url
        assert "<img src=x" not in body, url


def test_a_tick_without_news_sends_nothing(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    body = as_olivia.get("/").content.decode()
    version = body.partition("&amp;v=")[2].partition('"')[0]
    answer = as_olivia.get(f"/?v={version}", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "HX-Request" in answer["Vary"]
    make_requests(world["provider"], "gpt-5-mini", 1)
    answer = as_olivia.get(f"/?v={version}", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert b"<html" not in answer.content


def test_pieces_come_alone_and_vary(as_olivia: Client, world: dict[str, Any]) -> None:
    for url in ("/providers/?q=ac", "/providers/add/?q=o", "/keys/?q=c", "/requests/",
                "/providers/acme/?q=gpt"):  # fmt: skip
        piece = as_olivia.get(url, headers={"HX-Request": "true"})
        assert b"<html" not in piece.content, url
        assert "HX-Request" in piece["Vary"], url
        assert b"<html" in as_olivia.get(url).content, url


def test_nobody_sees_a_page_without_signing_in(
    client: Client, olivia: Any, world: dict[str, Any]
) -> None:
    for url in pages(world) + list(GROUND):
        assert client.get(url).status_code == 302, url


def test_a_viewer_sees_pages_without_controls(
    as_viktor: Client, world: dict[str, Any]
) -> None:
    key = world["key"].pk
    for url in ("/", "/providers/", "/providers/acme/", "/keys/", f"/keys/{key}/",
                "/requests/", f"/requests/{world['fallback']}/", "/settings/", "/audit/"):  # fmt: skip
        body = as_viktor.get(url).content.decode()
        main = body.partition('<main id="content"')[2].partition("</main>")[0]
        assert main, url
        assert 'class="btn btn-primary"' not in main, url
        assert 'formaction="' not in main, url
        assert "/edit/" not in main, url
        assert "Delete" not in main, url


MUTATIONS: tuple[Callable[[int], str], ...] = (
    lambda key: "/providers/add/",
    lambda key: "/providers/acme/edit/",
    lambda key: "/providers/acme/test/",
    lambda key: "/providers/acme/enable/",
    lambda key: "/providers/acme/disable/",
    lambda key: "/providers/acme/remove/",
    lambda key: "/providers/acme/sync/",
    lambda key: "/providers/acme/keys/add/",
    lambda key: "/providers/acme/keys/1/disable/",
    lambda key: "/providers/acme/models/add/",
    lambda key: "/providers/acme/models/1/disable/",
    lambda key: "/keys/add/",
    lambda key: f"/keys/{key}/edit/",
    lambda key: f"/keys/{key}/rotate/",
    lambda key: f"/keys/{key}/revoke/",
    lambda key: "/setup/provider/",
    lambda key: "/setup/key/",
    lambda key: "/setup/test/send/",
    lambda key: "/settings/tokens/",
    lambda key: "/users/add/",
)


def test_a_viewer_changes_nothing(as_viktor: Client, world: dict[str, Any]) -> None:
    for url_of in MUTATIONS:
        url = url_of(world["key"].pk)
        assert as_viktor.post(url).status_code == 403, url


def test_a_poll_of_the_log_asks_for_news_only(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    body = as_olivia.get("/requests/?live=1").content.decode()
    assert 'hx-trigger="every 2s"' in body
    newest = world["refused"]
    headers = {"HX-Request": "true"}
    same = as_olivia.get(f"/requests/?live=1&v={newest}", headers=headers)
    assert same.status_code == 204


def test_old_pages_of_the_log_are_reached(as_olivia: Client) -> None:
    provider = make_provider(models=["m"])
    make_requests(provider, "m", 120)
    seen = 0
    url = "/requests/"
    for _ in range(3):
        body = as_olivia.get(url).content.decode()
        seen += body.count('<tr id="r-')
        url = "/requests/" + body.partition('rel="next" href="')[2].partition('"')[
            0
        ].replace("&amp;", "&")
    assert seen == 120


def test_what_is_typed_becomes_the_address(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    answer = as_olivia.get("/requests/?q=status:4xx+key:ci+gpt-5-mini")
    assert answer["Location"] == "/requests/?status=4xx&key=ci&model=gpt-5-mini"
    answer = as_olivia.get(f"/requests/?q={world['fallback']}")
    assert answer["Location"] == f"/requests/{world['fallback']}/"


def test_a_request_explains_its_route_and_its_bill(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    body = as_olivia.get(f"/requests/{world['fallback']}/").content.decode()
    assert "The service is temporarily overloaded." in body
    assert "went on to the next provider." in body
    assert "Served the client." in body
    # 1,200 in at $0.25 and 340 out at $2 per million
    assert "0.000980000 USD" in body
    assert "Price version" in body
    assert "price book" in body


def test_an_unpriced_request_never_shows_zero(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    body = as_olivia.get(f"/requests/{world['unpriced']}/").content.decode()
    main = body.partition('<main id="content"')[2]
    assert "unpriced" in main.lower()
    assert "$0.00" not in main


def test_an_unknown_request_is_missing_with_a_reason(as_olivia: Client) -> None:
    answer = as_olivia.get("/requests/0198f2a4-77c1-7b2e-9d41-5b0c2f1e9c41/")
    assert answer.status_code == 404
    assert b"retention" in answer.content


def test_a_full_budget_and_a_dead_provider_need_attention(as_olivia: Client) -> None:
    make_provider("nokey", name="No key here")
    body = as_olivia.get("/").content.decode()
    assert "No key here" in body
    assert "Add a key" in body


def test_the_checklist_goes_when_all_is_done(
    as_olivia: Client, world: dict[str, Any]
) -> None:
    assert "First steps" not in as_olivia.get("/").content.decode()


def test_the_checklist_greets_a_new_pool(as_olivia: Client) -> None:
    assert "First steps" in as_olivia.get("/").content.decode()


def test_many_providers_in_one_chart_are_seven_and_others(as_olivia: Client) -> None:
    calls = []
    for number in range(9):
        provider = make_provider(
            f"p{number}", models=["gpt-5-mini"], keys=[f"k{number}"]
        )
        calls.append(call(None, try_at(provider, "gpt-5-mini")))
    ship(*calls)
    assert "2 others" in as_olivia.get("/").content.decode()
