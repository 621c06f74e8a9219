"""The admin API of prices: in force, set by people, asked again, missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from pricing.models import CustomPrice
from providers.models import Provider
from tests.factories import make_provider, make_requests
from tests.providers.api.conftest import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(db: None) -> Provider:
    return make_provider("acme", models=["gpt-5-mini", "vendor/made-up"], keys=["sk-a"])


def test_effective_prices_are_listed_with_their_source(
    viewer: Api, acme: Provider
) -> None:
    status, body = viewer("GET", "/effective-prices")
    assert status == 200
    assert (body["total"], body["page"], body["pages"]) == (2, 1, 1)
    known, unknown = body["prices"]
    assert (known["model"], known["input"], known["source"]) == (
        "gpt-5-mini", "0.25", "book",
    )  # fmt: skip
    assert (unknown["model"], unknown["input"], unknown["source"]) == (
        "vendor/made-up", None, "unknown",
    )  # fmt: skip
    status, body = viewer("GET", "/effective-prices?source=unknown&size=1")
    assert [row["model"] for row in body["prices"]] == ["vendor/made-up"]
    assert viewer("GET", "/effective-prices?source=nope")[0] == 422


def test_one_price_says_what_it_means(operator: Api, acme: Provider) -> None:
    body = {"input": "3", "output": "15", "provider": "acme", "reason": "contract"}
    assert operator("PUT", "/prices/vendor/made-up", body)[0] == 200
    status, found = operator("GET", "/effective-prices/acme/vendor/made-up")
    assert (status, found["source"]) == (200, "custom_provider")
    assert found["price_version"] == CustomPrice.objects.get().version_id
    assert found["examples"][0] == {
        "what": "10 k in + 1 k out", "cost_nano_usd": 45_000_000,
    }  # fmt: skip
    assert operator("GET", "/effective-prices/acme/nope")[0] == 404


@pytest.mark.parametrize(
    ("unit", "text"), [("million", "2.5"), ("thousand", "0.0025"), ("one", "0.0000025")]
)
def test_a_price_is_set_in_any_unit(unit: str, text: str, operator: Api) -> None:
    body: dict[str, Any] = {
        "unit": unit, "input": text, "output": text, "cache_write_1h": text,
        "batch_input": text, "per_image": "0.04",
        "long_threshold": 200_000, "long_input": text,
    }  # fmt: skip
    status, [row] = operator("PUT", "/prices/m", body)
    assert status == 200
    assert row["input"] == row["cache_write_1h"] == row["batch_input"] == "2.5"
    assert (row["per_image"], row["long_threshold"]) == ("0.04", 200_000)


def test_a_slip_is_asked_about_until_it_is_confirmed(
    operator: Api, acme: Provider
) -> None:
    body = {"input": "250", "output": "2"}
    status, answer = operator("PUT", "/prices/gpt-5-mini", body)
    assert (status, answer["error"]["code"]) == (422, "price_unconfirmed")
    assert "$0.25 per million tokens the price book says" in answer["error"]["message"]
    assert set(answer["error"]["fields"]) == {"input"}
    assert not CustomPrice.objects.exists()
    assert operator("PUT", "/prices/gpt-5-mini", {**body, "confirm": True})[0] == 200


def test_a_slip_is_seen_for_a_model_nobody_serves_yet(operator: Api) -> None:
    body = {"input": "250000", "output": "2000000"}
    status, answer = operator("PUT", "/prices/gpt-5-mini", body)
    assert (status, answer["error"]["code"]) == (422, "price_unconfirmed")


def test_a_pattern_is_held_to_the_nearest_model_it_covers(operator: Api) -> None:
    make_provider("acme", models=["gpt-5-nano", "gpt-4"])
    assert operator("PUT", "/prices/gpt-*", {"input": "30", "output": "60"})[0] == 200
    body = {"input": "30000", "output": "60"}
    assert operator("PUT", "/prices/gpt-*", body)[0] == 422


def test_a_price_holds_for_a_time(operator: Api, acme: Provider) -> None:
    later = timezone.now() + timedelta(days=1)
    body = {"input": 1, "output": 1, "valid_from": later.isoformat(), "reason": "soon"}
    status, [row] = operator("PUT", "/prices/vendor/made-up", body)
    assert (status, row["state"], row["reason"]) == (200, "waiting", "soon")
    found = operator("GET", "/effective-prices/acme/vendor/made-up")[1]
    assert found["source"] == "unknown"
    assert operator("DELETE", "/prices/vendor/made-up")[0] == 204
    assert operator("DELETE", "/prices/vendor/made-up")[0] == 404
    body["valid_to"] = timezone.now().isoformat()
    status, answer = operator("PUT", "/prices/vendor/made-up", body)
    assert (status, list(answer["error"]["fields"])) == (422, ["valid_to"])


@pytest.mark.parametrize(
    "body",
    [
        {"input": "1"}, {"input": "-1", "output": "1"}, {"input": "x", "output": "1"},
        {"input": "1", "output": "1", "unit": "dozen"},
        {"input": "0.0000000001", "output": "1"}, {"input": "1", "output": "1", "x": 1},
        {"input": "1", "output": "1", "valid_from": "2026-01-01T00:00:00"},
        {"input": "0." + "1" * 30, "output": "1", "unit": "thousand"},
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused(body: dict[str, Any], operator: Api) -> None:
    status, answer = operator("PUT", "/prices/m", body)
    assert (status, answer["error"]["code"]) == (422, "invalid")
    assert not CustomPrice.objects.exists()


def test_unpriced_traffic_is_listed_until_it_has_a_price(
    operator: Api, acme: Provider
) -> None:
    make_requests(acme, "vendor/made-up", 3)
    make_requests(acme, "gpt-5-mini", 1)
    status, [row] = operator("GET", "/unpriced-traffic")
    assert status == 200
    assert (row["model"], row["provider"], row["calls"]) == (
        "vendor/made-up", "acme", 3,
    )  # fmt: skip
    operator("PUT", "/prices/vendor/*", {"input": "1", "output": "1"})
    operator("PUT", "/prices/made-up", {"input": "1", "output": "1"})
    assert operator("GET", "/unpriced-traffic") == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/prices/a%00b", 422),
        ("DELETE", "/prices/a%00b", 404),
        ("GET", "/effective-prices?q=%00", 200),
        ("GET", "/effective-prices/acme/%00", 404),
    ],
)
def test_a_name_no_column_holds_is_nobodys(
    method: str, path: str, status: int, operator: Api, acme: Provider
) -> None:
    body = {"input": "1", "output": "1"} if method == "PUT" else None
    assert operator(method, path, body)[0] == status
    odd = {"input": "1", "output": "1", "provider": "a\0"}
    assert operator("PUT", "/prices/m", odd)[0] == 404


def test_one_of_several_prices_is_changed_and_removed(
    operator: Api, acme: Provider
) -> None:
    operator("PUT", "/prices/m", {"input": 1, "output": 1})
    later = (timezone.now() + timedelta(days=1)).isoformat()
    operator("PUT", "/prices/m", {"input": 2, "output": 2, "valid_from": later})
    now, then = operator("GET", "/prices")[1]
    body = {"input": 3, "output": 3, "valid_from": later, "reason": "agreed"}
    status, rows = operator("PUT", f"/price-overrides/{then['id']}", body)
    assert (status, [row["input"] for row in rows]) == (200, ["1", "3"])
    status, answer = operator("PUT", f"/price-overrides/{now['id']}", body)
    assert (status, list(answer["error"]["fields"])) == (422, ["valid_from"])
    far = {"input": "2000", "output": 1}
    status, answer = operator("PUT", f"/price-overrides/{now['id']}", far)
    assert (status, answer["error"]["code"]) == (422, "price_unconfirmed")
    assert operator("DELETE", f"/price-overrides/{then['id']}")[0] == 204
    assert operator("DELETE", f"/price-overrides/{then['id']}")[0] == 404
    assert [row["id"] for row in operator("GET", "/prices")[1]] == [now["id"]]
