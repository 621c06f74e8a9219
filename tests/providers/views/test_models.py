"""The models' screens: the list, one model, what a sync changes, the allowlist."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils.http import urlencode

from poolsite.actor import SYSTEM
from poolsite.clock import SystemClock
from poolsite.models import AuditEvent
from providers.models import Fact, ModelList, Provider, ProviderModel
from providers.services import discovery, models
from tests.factories import make_client_key, make_models, make_provider, make_requests
from tests.vendors import lists
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>/x?y=1&z"
# The whole page before its files; those are the same on every page.
MOST_BYTES = 24 * 1024


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on("GET", "/v1/models", lists.openai("m-1", "m-2"))
        yield running


@pytest.fixture
def provider(vendor: Vendor) -> Provider:
    url = f"{vendor.root}/v1"
    return make_provider("acme", base_url=url, allow_private=True, keys=["sk-a-1234"])


def listed(client: Client, **query: str) -> list[str]:
    page = client.get("/models/", query)
    assert page.status_code == 200
    return [row["model"].model_id for row in page.context["rows"]]


def put(row: ProviderModel, **values: Any) -> None:
    ProviderModel.objects.filter(pk=row.pk).update(**values)


# The list


@pytest.fixture
def world() -> dict[str, ProviderModel]:
    one = make_provider("one", keys=["sk-1"])
    two = make_provider("two", keys=["sk-2"], enabled=False)
    big, small, _ = make_models(one, "gpt-4o", "gpt-4o-mini", "house")
    other = make_models(two, "gpt-4o")[0]
    put(big, context_window=128_000, capabilities={"tools": True, "vision": True})
    put(small, probe_ok=False, probe_at=SystemClock().now(), probe_note="no such model")
    put(other, evidence={"tools": False}, probe_ok=True, probe_at=SystemClock().now())
    return {"big": big, "small": small, "other": other}


def test_a_model_is_one_row_however_many_serve_it(
    as_oskar: Client, world: dict[str, ProviderModel]
) -> None:
    page = as_oskar.get("/models/")
    rows = {row["model"].model_id: row for row in page.context["rows"]}
    assert list(rows) == ["gpt-4o", "gpt-4o-mini", "house"]
    assert len(rows["gpt-4o"]["model"].offers) == 2
    assert rows["gpt-4o"]["state"] == "healthy"
    body = page.content.decode()
    assert "Unpriced" in body
    assert 'href="/models/"' in body


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "MINI"}, ["gpt-4o-mini"]),
        ({"provider": "two"}, ["gpt-4o"]),
        ({"capability": "vision"}, ["gpt-4o"]),
        ({"capability": "tools"}, ["gpt-4o"]),
        ({"capability": "tools", "provider": "two"}, []),
        ({"capability": "no such word"}, ["gpt-4o", "gpt-4o-mini", "house"]),
        ({"context": "100000"}, ["gpt-4o"]),
        ({"probe": "failed"}, ["gpt-4o-mini"]),
        ({"probe": "ok"}, ["gpt-4o"]),
        ({"price": "0.2"}, ["gpt-4o-mini"]),
        ({"price": "100"}, ["gpt-4o", "gpt-4o-mini"]),
        ({"price": "nonsense"}, ["gpt-4o", "gpt-4o-mini", "house"]),
        ({"state": "off"}, []),
        ({"q": "a\x00b"}, []),
    ],
    ids=str,
)
def test_filters_narrow_the_list(
    as_oskar: Client,
    world: dict[str, ProviderModel],
    query: dict[str, str],
    found: list[str],
) -> None:
    assert listed(as_oskar, **query) == found


def test_pages_follow_each_other_without_a_gap(as_oskar: Client) -> None:
    make_models(make_provider("many"), *(f"m-{n:03}" for n in range(120)))
    seen: list[str] = []
    query = ""
    for _ in range(3):
        page = as_oskar.get(f"/models/{query}")
        seen += [row["model"].model_id for row in page.context["rows"]]
        query = page.context["next"]
    assert seen == [f"m-{n:03}" for n in range(120)]
    assert query == ""


def test_chosen_models_are_switched_at_every_provider(
    as_oskar: Client, world: dict[str, ProviderModel]
) -> None:
    sent = {"model": ["gpt-4o", "house"], "here": "/models/?q=o"}
    answer = as_oskar.post("/models/all/disable/", sent)
    assert answer["Location"] == "/models/?q=o"
    off = ProviderModel.objects.filter(enabled=False).order_by("pk")
    assert [row.model_id for row in off] == ["gpt-4o", "house", "gpt-4o"]
    assert AuditEvent.objects.filter(action="model.disable").count() == 1
    as_oskar.post("/models/all/enable/", {"only": "gpt-4o", "provider": "two"})
    world["other"].refresh_from_db()
    assert world["other"].enabled
    world["big"].refresh_from_db()
    assert not world["big"].enabled


def test_chosen_models_go_to_the_screen_of_probes(
    as_oskar: Client, world: dict[str, ProviderModel]
) -> None:
    answer = as_oskar.post("/models/all/probe/", {"model": ["gpt-4o"]})
    ids = f"{world['big'].pk}%2C{world['other'].pk}"
    assert answer["Location"] == f"/models/probe/?ids={ids}"
    assert as_oskar.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("here", ["https://evil.example/", "//evil.example", "/keys/"])
def test_switching_leads_back_to_this_screen_only(
    as_oskar: Client, world: dict[str, ProviderModel], here: str
) -> None:
    answer = as_oskar.post("/models/all/disable/", {"only": "house", "here": here})
    assert answer["Location"] == "/models/"


def test_a_viewer_looks_and_switches_nothing(
    as_viktor: Client, world: dict[str, ProviderModel], provider: Provider
) -> None:
    assert "formaction" not in as_viktor.get("/models/").content.decode()
    for path in (
        "/models/all/disable/",
        "/providers/acme/models/changes/",
        "/providers/acme/models/access/",
        "/providers/acme/sync/",
    ):
        assert as_viktor.post(path, {"only": "house"}).status_code == 403


@pytest.fixture
def crowd() -> Provider:
    """5,000 models at two providers, with facts."""
    first = make_provider("first", keys=["sk-1"])
    names = [f"vendor-{n % 40}/model-{n:04}-instruct-with-a-name" for n in range(5000)]
    for each in (first, make_provider("second", keys=["sk-2"])):
        for start in range(0, 5000, 500):
            make_models(each, *names[start : start + 500])
    ProviderModel.objects.update(
        context_window=128_000,
        max_output_tokens=8192,
        capabilities={"tools": True, "vision": True, "json_schema": True, "chat": True},
    )
    return first


@pytest.mark.long
def test_price_nobody_can_read_is_named(as_viktor: Client) -> None:
    make_provider("acme", models=["m-1"])
    page = as_viktor.get("/models/", {"price": "<b>1,5"}, headers=HTMX).content.decode()
    assert "write “&lt;b&gt;1,5” as a plain number of USD" in page
    assert "m-1" in page
    whole = as_viktor.get("/models/", {"price": "0.5"}).content.decode()
    assert "Not filtered by price" not in whole


@pytest.mark.parametrize("query", ["", "?q=model-1", "?capability=tools", "?price=1"])
def test_five_thousand_models_stay_within_the_budget(
    as_oskar: Client, crowd: Provider, django_assert_max_num_queries: Any, query: str
) -> None:
    as_oskar.get("/audit/")
    with django_assert_max_num_queries(12):
        page = as_oskar.get(f"/models/{query}")
    assert page.status_code == 200
    assert len(gzip.compress(page.content)) < MOST_BYTES


# One model


def test_a_model_page_says_who_serves_it_and_who_says_what(
    as_oskar: Client,
    world: dict[str, ProviderModel],
    django_assert_max_num_queries: Any,
) -> None:
    big = world["big"]
    entry = {"id": "gpt-4o", "context_window": 64_000, "lacks": ["audio"]}
    ModelList.objects.create(provider=big.provider, entries=[entry])
    models.set_alias(SYSTEM, "smart", ["gpt-4o"])
    now = SystemClock().now()
    key = f"{big.provider_id}:gpt-4o"
    Fact.objects.create(kind="refusal", key=key, payload={"fields": ["top_k"]}, at=now)
    client_key, _ = make_client_key("ci")
    make_requests(big.provider, "gpt-4o", 2, key=client_key)
    as_oskar.get("/audit/")
    with django_assert_max_num_queries(12):
        page = as_oskar.get("/models/detail/", {"id": "gpt-4o"})
    served = {each.offer.row.provider.slug: each for each in page.context["served"]}
    assert served["one"].context.source == "declared"
    assert served["one"].capabilities["audio"] == (False, "declared")
    assert served["one"].capabilities["vision"].source == "catalogue"
    assert served["two"].capabilities["tools"] == (False, "probed")
    assert served["one"].refused == ["top_k"]
    body = page.content.decode()
    assert "smart" in body
    assert "top_k" in body
    assert "lite_native" in body
    assert page.context["found"].month.requests == 2
    assert page.context["found"].versions


def test_an_id_may_hold_anything(as_oskar: Client) -> None:
    make_models(make_provider("acme"), HOSTILE, "org/sub/model", "{{ 7|add:7 }}")
    for name in (HOSTILE, "org/sub/model", "{{ 7|add:7 }}"):
        page = as_oskar.get(f"/models/detail/?{urlencode({'id': name})}")
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()
    assert "<script>alert" not in as_oskar.get("/models/").content.decode()


def test_an_unknown_model_is_not_found(as_oskar: Client) -> None:
    assert as_oskar.get("/models/detail/?id=nothing").status_code == 404
    assert as_oskar.get("/models/detail/").status_code == 404


# What a sync changes


def test_sync_shows_what_is_different_and_applies_what_is_chosen(
    as_oskar: Client, provider: Provider
) -> None:
    answer = as_oskar.post("/providers/acme/sync/")
    assert answer["Location"] == "/providers/acme/models/changes/"
    assert not provider.models.exists()
    body = as_oskar.get("/providers/acme/models/changes/").content.decode()
    assert body.count('name="line"') == 2
    as_oskar.post("/providers/acme/models/changes/", {"line": ["m-2", "evil"]})
    assert [row.model_id for row in provider.models.all()] == ["m-2"]
    as_oskar.post("/providers/acme/models/changes/", {"all": "every"})
    assert provider.models.count() == 2
    answer = as_oskar.post("/providers/acme/sync/", follow=True)
    assert "2 models listed, nothing new." in answer.content.decode()


def test_a_failed_sync_keeps_the_old_list_and_says_how_old_it_is(
    as_oskar: Client, provider: Provider, vendor: Vendor
) -> None:
    as_oskar.post("/providers/acme/sync/")
    vendor.on("GET", "/v1/models", Reply({}, status=500))
    page = as_oskar.post("/providers/acme/sync/", follow=True).content.decode()
    assert "Nothing changed. The provider answered 500" in page
    page = as_oskar.get("/providers/acme/models/changes/").content.decode()
    assert "The last fetch failed" in page
    assert page.count('name="line"') == 2


def test_nothing_chosen_changes_nothing(as_oskar: Client, provider: Provider) -> None:
    as_oskar.post("/providers/acme/sync/")
    page = as_oskar.post("/providers/acme/models/changes/", follow=True)
    assert "Nothing was chosen." in page.content.decode()
    assert not provider.models.exists()


def test_three_hundred_models_stay_within_the_budget(
    as_oskar: Client,
    provider: Provider,
    vendor: Vendor,
    django_assert_max_num_queries: Any,
) -> None:
    names = [f"vendor-{n % 20}/some-model-{n:03}-instruct" for n in range(300)]
    vendor.on("GET", "/v1/models", lists.openai(*names))
    as_oskar.get("/audit/")
    as_oskar.post("/providers/acme/sync/")
    with django_assert_max_num_queries(12):
        page = as_oskar.get("/providers/acme/models/changes/")
    assert page.content.count(b'name="line"') == 300
    assert len(gzip.compress(page.content)) < MOST_BYTES
    as_oskar.post("/providers/acme/models/changes/", {"line": names})
    assert provider.models.count() == 300
    with django_assert_max_num_queries(12):
        page = as_oskar.get("/models/")
    assert len(gzip.compress(page.content)) < MOST_BYTES
    with django_assert_max_num_queries(12):
        as_oskar.get("/providers/acme/")


def test_hostile_lists_are_escaped(
    as_oskar: Client, provider: Provider, vendor: Vendor
) -> None:
    body = lists.openai(HOSTILE)
    body["data"][0] |= {"name": "<img src=x onerror=alert(1)>\u202e"}
    vendor.on("GET", "/v1/models", body)
    as_oskar.post("/providers/acme/sync/")
    page = as_oskar.get("/providers/acme/models/changes/").content.decode()
    assert "<script>alert" not in page
    as_oskar.post("/providers/acme/models/changes/", {"all": "every"})
    page = as_oskar.get("/models/detail/", {"id": HOSTILE}).content.decode()
    assert "<img src=x" not in page


# The allowlist


def test_the_allowlist_shows_what_it_matches_before_it_is_saved(
    as_oskar: Client, provider: Provider
) -> None:
    make_models(provider, "gpt-a", "gpt-b", "other")
    sent = {"model_access": "only", "models_allowed": "GPT-*", "preview": "1"}
    page = as_oskar.post("/providers/acme/models/access/", sent)
    assert (page.status_code, page.context["matching"]) == (200, 2)
    piece = as_oskar.post("/providers/acme/models/access/", sent, headers=HTMX)
    assert b"<html" not in piece.content
    assert b"<strong>2</strong> of 3 models match" in piece.content
    provider.refresh_from_db()
    assert provider.model_access == "all"
    del sent["preview"]
    assert as_oskar.post("/providers/acme/models/access/", sent).status_code == 302
    provider.refresh_from_db()
    assert (provider.model_access, provider.models_allowed) == ("only", ["GPT-*"])


def test_an_empty_allowlist_is_never_all(as_oskar: Client, provider: Provider) -> None:
    sent = {"model_access": "only", "models_allowed": " "}
    page = as_oskar.post("/providers/acme/models/access/", sent)
    assert page.status_code == 422
    assert "Name at least one model or pattern." in page.content.decode()
    provider.refresh_from_db()
    assert provider.model_access == "all"


def test_what_the_allowlist_keeps_out_is_said_on_the_page_of_changes(
    as_oskar: Client, provider: Provider
) -> None:
    sent = {"model_access": "only", "models_allowed": "m-1"}
    as_oskar.post("/providers/acme/models/access/", sent)
    provider.refresh_from_db()
    discovery.refresh(provider)
    page = as_oskar.get("/providers/acme/models/changes/").content.decode()
    assert "1 are kept out by" in page
    assert page.count('name="line"') == 1
