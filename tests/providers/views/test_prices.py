"""The pricing screens: what is in force and why, overrides, what has no price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from poolsite.actor import CLI
from poolsite.models import AuditEvent
from pricing import services
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from providers.models import Provider, ProviderModel
from providers.snapshot.prices import PriceTable
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


def post(client: Client, url: str = "/pricing/overrides/add/", **values: Any) -> Any:
    return client.post(url, {"unit": "million", **values})


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


def test_a_worked_example_is_exact(as_olivia: Client, acme: Provider) -> None:
    answer = post(
        as_olivia,
        "/pricing/overrides/add/?preview=1",
        model="made-up-model",
        input="3",
        output="15",
    )
    # The form is posted by the script, which gets the piece alone.
    piece = as_olivia.post(
        "/pricing/overrides/add/?preview=1",
        {"unit": "million", "model": "made-*", "input": "3", "output": "15"},
        headers={"HX-Request": "true"},
    ).content.decode()
    assert answer.status_code == 200
    assert "<html" not in piece
    assert '10 k in + 1 k out = <span class="num">$0.0450</span>' in piece
    assert "1 model of this pool" in piece
    assert "acme/made-up-model" in piece
    assert not CustomPrice.objects.exists()


# Overrides


def test_a_price_is_set_in_any_unit(as_oskar: Client, acme: Provider) -> None:
    for unit, text in (
        ("million", "2.5"),
        ("thousand", "0.0025"),
        ("one", "0.0000025"),
    ):
        answer = post(
            as_oskar, model=f"m-{unit}", unit=unit, input=text, output=text,
            cache_write_1h=text, per_image="0.04", reasoning=text,
        )  # fmt: skip
        assert answer.status_code == 302, answer.content.decode()[-3000:]
        row = CustomPrice.objects.get(model=f"m-{unit}")
        version = row.version
        assert version.input == version.cache_write_1h == 2_500_000_000
        assert version.reasoning == 2_500_000_000
        assert version.per_image == 40_000 * USD
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor_label) == ("price.set", "oskar@example.com")


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"input": "$3"}, "input", "currency sign"),
        ({"input": "1,5"}, "input", "Write a point"),
        ({"input": "3e-6"}, "input", "without an exponent"),
        ({"input": "-1"}, "input", "not negative"),
        ({"input": "three"}, "input", "plain decimal number"),
        ({"input": "0.0000000001"}, "input", "finer than one nano-dollar"),
        ({"input": "3" * 26}, "input", "plain decimal number"),
        ({"input": "NaN"}, "input", "plain decimal number"),
        ({"input": ""}, "input", "an input and an output price"),
        ({"long_input": "3"}, "long_threshold", "from how many tokens"),
        ({"valid_from": "2026-02-02T00:00", "valid_to": "2026-02-01T00:00"},
         "valid_to", "ends before it begins"),
        ({"model": ""}, "model", "required"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_at_its_field_and_nothing_is_lost(
    values: dict[str, str],
    field: str,
    words: str,
    as_olivia: Client,
    acme: Provider,
) -> None:
    sent = {"model": "my-model", "input": "3", "output": "15", "reason": "a contract"}
    answer = post(as_olivia, **{**sent, **values})
    assert answer.status_code == 422
    errors = answer.context["form"].errors
    assert words in str(errors[field]), errors
    assert "a contract" in answer.content.decode()
    assert 'value="15"' in answer.content.decode()
    assert not CustomPrice.objects.exists()


@pytest.mark.parametrize(
    ("unit", "text", "hint"),
    [
        ("one", "0.25", "per million tokens entered as a price per token"),
        ("thousand", "0.25", "per million tokens entered as a price per thousand"),
        ("million", "25", "between cents and dollars"),
        ("million", "0.00000025", "per token entered as a price per million tokens"),
    ],
)
def test_a_price_a_hundred_times_off_asks_again(
    unit: str, text: str, hint: str, as_olivia: Client, acme: Provider
) -> None:
    # gpt-5-mini costs 0.25 per million, says the book.
    sent = {"model": "gpt-5-mini", "unit": unit, "input": text, "output": "2"}
    if unit != "million":
        sent["output"] = "0.000002" if unit == "one" else "0.002"
    asked = as_olivia.post("/pricing/overrides/add/", sent)
    body = asked.content.decode()
    assert asked.status_code == 422
    assert hint in body
    assert "$0.25 per million tokens the price book says" in body
    assert "Yes, this is the price" in body
    assert not CustomPrice.objects.exists()
    answer = as_olivia.post("/pricing/overrides/add/", {**sent, "confirmed": "on"})
    assert answer.status_code == 302
    assert CustomPrice.objects.count() == 1


def test_a_future_price_waits_beside_the_one_in_force(
    as_olivia: Client, acme: Provider
) -> None:
    post(as_olivia, model="gpt-5-mini", input="0.2", output="1")
    later = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    answer = post(
        as_olivia, model="gpt-5-mini", input="0.1", output="1", valid_from=later
    )
    assert answer.status_code == 302
    price = PriceTable.load().look(acme, "gpt-5-mini").price
    assert price is not None
    assert price.input == 200_000_000
    body = body_of(as_olivia, "/pricing/overrides/")
    assert "In force" in body
    assert "Not yet" in body


def test_an_override_is_edited_and_removed(as_olivia: Client, acme: Provider) -> None:
    post(as_olivia, model="gpt-5-mini", provider="acme", input="0.2", output="1")
    row = CustomPrice.objects.get()
    url = f"/pricing/overrides/{row.pk}/"
    assert 'value="0.2"' in body_of(as_olivia, url)
    answer = post(as_olivia, url, input="0.3", output="1", reason="new contract")
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.version.input, row.reason) == (300_000_000, "new contract")
    assert (row.model, row.provider_slug) == ("gpt-5-mini", "acme")
    assert "Remove the price of" in body_of(as_olivia, f"{url}remove/")
    assert as_olivia.post(f"{url}remove/").status_code == 302
    row.refresh_from_db()
    assert row.deleted_at is not None
    assert as_olivia.get(url).status_code == 404
    assert "Built-in prices apply" in body_of(as_olivia, "/pricing/overrides/")


def test_the_default_prices_only_what_nothing_else_does(
    as_olivia: Client, acme: Provider
) -> None:
    answer = post(as_olivia, model="@default", input="10", output="30")
    assert answer.status_code == 302
    table = PriceTable.load()
    assert table.look(acme, "made-up-model").source == "default"
    assert table.look(acme, "gpt-5-mini").source == "book"
    assert "unknown models" in body_of(as_olivia, "/pricing/overrides/")
    assert ">made-up-model<" in body_of(as_olivia, "/pricing/", source="default")


def test_a_viewer_sets_no_price(as_viktor: Client, acme: Provider) -> None:
    assert as_viktor.get("/pricing/overrides/add/").status_code == 403
    assert post(as_viktor, model="m", input="1", output="1").status_code == 403
    assert not CustomPrice.objects.exists()


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
