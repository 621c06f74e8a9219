"""Models through the API: find, refresh, compare, apply, switch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from poolsite.models import AuditEvent
from providers.models import Provider
from tests.factories import make_models, make_provider
from tests.providers.api.conftest import Api
from tests.vendors import lists
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on("GET", "/v1/models", lists.openai("gpt-4o", "m/2"))
        yield running


@pytest.fixture
def acme(vendor: Vendor) -> Provider:
    return make_provider("acme", base_url=f"{vendor.root}/v1", allow_private=True)


def test_a_list_is_fetched_compared_and_applied(
    operator: Api, acme: Provider, vendor: Vendor
) -> None:
    status, body = operator("POST", "/providers/acme/models-refresh")
    assert (status, body["listed"], body["shape"]) == (200, 2, "openai")
    assert [(each["kind"], each["id"]) for each in body["changes"]] == [
        ("new", "gpt-4o"),
        ("new", "m/2"),
    ]
    assert not acme.models.exists()
    assert AuditEvent.objects.filter(action="model.list").count() == 1
    sent = {"kinds": ["new"], "models": ["m/2"]}
    assert operator("POST", "/providers/acme/models-apply", sent)[1]["new"] == 1
    event = AuditEvent.objects.get(action="model.discover")
    assert event.after == {"new": 1, "models": ["m/2"]}
    left = operator("GET", "/providers/acme/models-changes")[1]["changes"]
    assert [each["id"] for each in left] == ["gpt-4o"]
    vendor.on("GET", "/v1/models", Reply({}, status=503))
    body = operator("POST", "/providers/acme/models-refresh")[1]
    assert "503" in body["error"]
    assert body["listed"] == 2


def test_sync_adds_what_is_new(operator: Api, acme: Provider, vendor: Vendor) -> None:
    rows = operator("POST", "/providers/acme/models-sync")[1]
    assert [row["id"] for row in rows] == ["gpt-4o", "m/2"]
    vendor.on("GET", "/v1/models", Reply({}, status=401))
    status, body = operator("POST", "/providers/acme/models-sync")
    assert (status, "Nothing changed" in body["error"]["message"]) == (422, True)


def test_models_are_found_by_what_they_can_do(operator: Api, acme: Provider) -> None:
    operator("POST", "/providers/acme/models-sync")
    found = operator("GET", "/models?capability=vision")[1]
    assert [row["id"] for row in found["models"]] == ["gpt-4o"]
    assert found["models"][0]["providers"] == ["acme"]
    assert (found["total"], found["after"]) == (1, "")
    assert operator("GET", "/models?capability=flying")[0] == 422
    one = operator("GET", "/models/detail?id=gpt-4o")[1]
    evidence = one["providers"][0]["evidence"]
    assert evidence["vision"] == {"value": True, "source": "catalogue"}
    assert operator("GET", "/models/detail?id=nothing")[0] == 404


def test_models_are_switched_everywhere_or_at_one(operator: Api) -> None:
    for slug in ("one", "two"):
        make_models(make_provider(slug), "a/b")
    sent = {"models": ["a/b", "unknown"]}
    assert operator("POST", "/models/disable", sent)[1] == {"found": 2, "changed": 2}
    sent["provider"] = "two"  # type: ignore[assignment] # a JSON object
    assert operator("POST", "/models/enable", sent)[1] == {"found": 1, "changed": 1}


def test_an_allowlist_is_tried_before_it_is_set(operator: Api, acme: Provider) -> None:
    make_models(acme, "gpt-a", "gpt-b", "other")
    path = "/providers/acme/models-matching?patterns=GPT-*,nothing"
    assert operator("GET", path)[1] == ["gpt-a", "gpt-b"]
    sent = {"model_access": "only", "models_allowed": ["gpt-*"]}
    assert operator("PATCH", "/providers/acme", sent)[0] == 200


def test_a_viewer_applies_nothing(viewer: Api, acme: Provider) -> None:
    assert viewer("GET", "/models")[0] == 200
    for path in ("/providers/acme/models-refresh", "/providers/acme/models-apply"):
        assert viewer("POST", path, {})[0] == 403
    assert viewer("POST", "/models/disable", {"models": ["x"]})[0] == 403
