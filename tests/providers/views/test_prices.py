"""The pricing screens: what is in force and why, overrides, what has no price."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from poolsite.actor import CLI
from pricing import services
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from providers.models import Provider, ProviderModel
from tests.factories import make_client_key, make_models, make_provider, make_requests

pytestmark = pytest.mark.django_db
USD = 10**9
BUDGET_BYTES = 90 * 1024
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "مرحبا",
    "{{ 7|add:7 }}",
)


@pytest.fixture
def acme() -> Provider:
    return make_provider(
        "acme", models=["gpt-5-mini", "made-up-model", "gpt-5.9-mini"], keys=["sk-a"]
    )


def body_of(client: Client, url: str, **values: Any) -> str:
    answer = client.get(url, values)
    assert answer.status_code == 200, url
    return answer.content.decode()


# The list


def test_every_model_is_listed_with_its_price_and_source(
    as_viktor: Client, acme: Provider
) -> None:
    services.set_price(CLI, "gpt-5.9-*", PriceSpec(input=USD, output=2 * USD))
    body = body_of(as_viktor, "/pricing/")
    assert "gpt-5-mini" in body
    assert "$0.25" in body
    assert "Price book" in body
    assert "By pattern" in body
    assert "Unpriced" in body
    assert "Set price</a>" not in body  # a viewer only looks


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("custom", {"gpt-5.9-mini"}),
        ("book", {"gpt-5-mini"}),
        ("unknown", {"made-up-model"}),
        ("local", set()),
    ],
)
def test_the_list_narrows_by_source(
    source: str, listed: set[str], as_olivia: Client, acme: Provider
) -> None:
    services.set_price(CLI, "gpt-5.9-*", PriceSpec(input=USD, output=2 * USD))
    body = body_of(as_olivia, "/pricing/", source=source)
    found = {row.model_id for row in acme.models.all() if f">{row.model_id}<" in body}
    assert found == listed


def test_the_list_narrows_by_provider_and_text(
    as_olivia: Client, acme: Provider
) -> None:
    make_provider("other", models=["gpt-5-mini", "zebra"])
    body = body_of(as_olivia, "/pricing/", provider="other", q="ZEB")
    assert ">zebra<" in body
    assert ">gpt-5-mini<" not in body
    empty = body_of(as_olivia, "/pricing/", q="nothing-like-it")
    assert "Nothing matches these filters" in empty


def test_traffic_without_a_price_is_pinned_on_top(
    as_olivia: Client, acme: Provider
) -> None:
    make_requests(acme, "made-up-model", 3)
    body = body_of(as_olivia, "/pricing/")
    assert body.index("Used without a known price") < body.index('id="prices"')
    assert "/pricing/overrides/add/?model=made-up-model&amp;provider=acme" in body
    services.set_price(CLI, "made-up-model", PriceSpec(input=USD, output=USD))
    assert "Used without a known price" not in body_of(as_olivia, "/pricing/")


def test_five_thousand_models_stay_within_the_budgets(
    as_olivia: Client, acme: Provider
) -> None:
    ProviderModel.objects.bulk_create(
        ProviderModel(
            provider=acme,
            model_id=f"vendor/some-long-model-name-{number:05}-preview",
            created_at=timezone.now(),
        )
        for number in range(5_000)
    )
    make_requests(acme, "made-up-model", 2)
    services.set_price(CLI, "gpt-5-mini", PriceSpec(input=USD, output=USD))
    as_olivia.get("/audit/")  # the first request of a process looks for a first run
    for url in ("/pricing/", "/pricing/?page=70", "/pricing/?source=unknown"):
        with CaptureQueriesContext(connection) as queries:
            answer = as_olivia.get(url)
        assert answer.status_code == 200
        assert len(queries) <= 12, "\n".join(each["sql"][:150] for each in queries)
        assert len(answer.content) <= BUDGET_BYTES, url
    assert "page 70 of 101" in body_of(as_olivia, "/pricing/", page=70)


@pytest.mark.parametrize("number", ["0", "x", "99999999999", "-1", "7"])
def test_a_page_that_is_none_is_the_nearest(
    number: str, as_olivia: Client, acme: Provider
) -> None:
    assert ">gpt-5-mini<" in body_of(as_olivia, "/pricing/", page=number)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_only_text(
    name: str, as_olivia: Client, acme: Provider
) -> None:
    make_models(acme, name)
    services.set_price(
        CLI, name, PriceSpec(input=1, output=1), provider_slug="acme", reason=name
    )
    make_requests(acme, name, 1)
    row = CustomPrice.objects.get()
    pages = (
        body_of(as_olivia, "/pricing/"),
        body_of(as_olivia, "/pricing/model/", provider="acme", model=name),
        body_of(as_olivia, "/pricing/overrides/"),
        body_of(as_olivia, "/pricing/overrides/add/", provider="acme", model=name),
        body_of(as_olivia, f"/pricing/overrides/{row.pk}/"),
        body_of(as_olivia, f"/pricing/overrides/{row.pk}/remove/"),
    )
    for body in pages:
        assert "<script>alert" not in body
        assert "<img src=x" not in body


# One price


def test_the_detail_says_what_it_means_and_where_it_is_from(
    as_viktor: Client, acme: Provider
) -> None:
    services.set_price(
        CLI,
        "gpt-5-mini",
        PriceSpec(
            input=3 * USD,
            output=15 * USD,
            per_image=40_000 * USD,
            long_threshold=200_000,
            long_input=6 * USD,
            batch_input=USD,
        ),
    )
    services.set_price(CLI, "gpt-5-mini", PriceSpec(input=2 * USD, output=25 * USD))
    body = body_of(as_viktor, "/pricing/model/", provider="acme", model="gpt-5-mini")
    assert "$0.0450" in body  # 10 k in + 1 k out
    assert "10 k in + 1 k out" in body
    assert "set by hand for this model, whoever serves it" in body
    assert "Without your own price" in body
    assert body.count('data-label="From">set by hand') == 2  # its versions
    assert "$0.04 per image" in body


def test_the_detail_of_a_model_nobody_serves_is_not_there(
    as_olivia: Client, acme: Provider
) -> None:
    answer = as_olivia.get("/pricing/model/", {"provider": "acme", "model": "nope"})
    assert answer.status_code == 404


# The banner


@pytest.mark.parametrize("url", ["/", "/usage/"])
def test_a_banner_says_that_traffic_has_no_price(
    url: str, as_viktor: Client, acme: Provider
) -> None:
    key, _ = make_client_key("ci")
    make_requests(acme, "gpt-5-mini", 1, key=key)
    assert "Cost unknown" not in body_of(as_viktor, url)
    make_requests(acme, "made-up-model", 2, key=key)
    body = body_of(as_viktor, url)
    assert "Cost unknown" in body
    assert "/pricing/?source=unknown" in body


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("allow", "Allowed; their cost is unknown"),
        ("default", "Only with the"),
        ("block", "Refused"),
    ],
)
def test_a_keys_policy_for_unpriced_models_is_set_and_shown(
    policy: str, words: str, as_olivia: Client
) -> None:
    key, _ = make_client_key("ci")
    sent = {
        "name": "ci",
        "model_access": "all",
        "expiry": "never",
        "time_zone": "UTC",
        "window": "month",
        "hard": "1",
        "unpriced": policy,
    }
    assert as_olivia.post(f"/keys/{key.pk}/edit/", sent).status_code == 302
    key.refresh_from_db()
    assert key.unpriced == policy
    assert words in body_of(as_olivia, f"/keys/{key.pk}/")
    # A form that does not know of it leaves it alone.
    del sent["unpriced"]
    assert as_olivia.post(f"/keys/{key.pk}/edit/", sent).status_code == 302
    key.refresh_from_db()
    assert key.unpriced == policy


def test_every_pricing_page_keeps_its_budgets(
    as_olivia: Client, acme: Provider
) -> None:
    make_requests(acme, "made-up-model", 1)
    for number in range(60):
        services.set_price(CLI, f"m-{number}", PriceSpec(input=USD, output=USD))
    services.set_price(CLI, "gpt-5-mini", PriceSpec(input=USD, output=USD))
    row = CustomPrice.objects.get(model="gpt-5-mini")
    as_olivia.get("/audit/")  # the first request of a process looks for a first run
    for url in (
        "/pricing/",
        "/pricing/model/?provider=acme&model=gpt-5-mini",
        "/pricing/overrides/",
        "/pricing/overrides/add/?provider=acme&model=gpt-5-mini",
        f"/pricing/overrides/{row.pk}/",
        f"/pricing/overrides/{row.pk}/remove/",
    ):
        with CaptureQueriesContext(connection) as queries:
            answer = as_olivia.get(url)
        assert answer.status_code == 200, url
        assert len(queries) <= 12, (url, "\n".join(q["sql"][:150] for q in queries))
        body = answer.content.decode()
        assert len(answer.content) <= BUDGET_BYTES, url
        assert " style=" not in body
        assert body.count("<h1") == 1, url


def test_a_filter_no_column_holds_matches_nothing(
    as_olivia: Client, acme: Provider
) -> None:
    assert "Nothing matches" in body_of(as_olivia, "/pricing/?q=%00")
    assert as_olivia.get("/pricing/model/?provider=acme&model=%00").status_code == 404
    body_of(as_olivia, "/pricing/overrides/?q=%00")
    body_of(as_olivia, "/pricing/overrides/add/?provider=%00&model=%00")
    sent = {"unit": "million", "model": "a\0b", "input": "1", "output": "1"}
    assert as_olivia.post("/pricing/overrides/add/", sent).status_code == 422
