"""The form of a price: any unit, clear mistakes, asked again, for a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from poolsite.models import AuditEvent
from pricing.models import CustomPrice
from providers.models import Provider
from providers.snapshot.prices import PriceTable
from tests.factories import make_provider

pytestmark = pytest.mark.django_db
USD = 10**9


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
