"""The public sources through the API: the twin of the screen."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.models import AuditEvent, Job
from pricing.models import Feed
from tests.providers.api.conftest import Api
from tests.providers.views.test_feeds import make_feed

pytestmark = pytest.mark.django_db


def test_sources_are_listed_with_their_state(viewer: Api) -> None:
    make_feed(last_error="It answered 500 instead of a list.")
    status, body = viewer("GET", "/feeds")
    assert status == 200
    assert body["automatic"] is False
    assert body["embedded"]["models"] > 0
    by_name = {each["name"]: each for each in body["feeds"]}
    assert list(by_name) == ["models_dev", "litellm", "openrouter"]
    assert by_name["models_dev"]["state"] == "failing"
    assert by_name["models_dev"]["held"] == 3
    assert by_name["litellm"]["state"] == "never"
    assert viewer("GET", "/feeds/litellm")[1] == by_name["litellm"]


def test_setting_changes_only_what_is_sent(operator: Api) -> None:
    url = "https://mirror.example.com/x"
    status, body = operator("PATCH", "/feeds/litellm", {"url": url})
    assert (status, body["url"], body["enabled"]) == (200, url, True)
    status, body = operator("PATCH", "/feeds/litellm", {"enabled": False})
    assert (status, body["url"], body["enabled"]) == (200, url, False)
    assert AuditEvent.objects.filter(action="feed.set").count() == 2


def test_address_that_may_not_be_asked_is_refused_at_its_field(operator: Api) -> None:
    body = {"url": "http://127.0.0.1:1/x"}
    status, answer = operator("PATCH", "/feeds/litellm", body)
    assert status == 422
    assert "url" in answer["error"]["fields"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/feeds/nobody", None),
        ("GET", "/feeds/nobody/lines", None),
        ("PATCH", "/feeds/nobody", {"enabled": True}),
        ("POST", "/feeds/nobody/refresh", None),
        ("DELETE", "/feeds/nobody/listing", None),
        ("POST", "/feeds/nobody/decisions", {"decision": "accept", "keys": ["x"]}),
    ],
)
def test_unknown_source_is_not_found(
    operator: Api, method: str, path: str, body: Any
) -> None:
    assert operator(method, path, body)[0] == 404


def test_refresh_answers_with_its_job(operator: Api) -> None:
    status, body = operator("POST", "/feeds/litellm/refresh")
    assert status == 202
    assert Job.objects.get(pk=body["job"]).args == {"feed": "litellm"}
    assert operator("POST", "/feeds/refresh")[0] == 202


def test_held_prices_are_listed_and_decided(operator: Api) -> None:
    make_feed()
    lines = operator("GET", "/feeds/models_dev/lines?held=true&q=m-1")[1]["lines"]
    assert [(line["model"], line["after"]) for line in lines] == [("m-1", 10**11)]
    body = {"decision": "accept", "keys": [lines[0]["key"]]}
    status, answer = operator("POST", "/feeds/models_dev/decisions", body)
    assert (status, answer) == (200, {"decided": 1, "held": 2})
    assert operator("GET", "/feeds/models_dev/lines")[1]["matching"] == 3


def test_clearing_forgets_the_listing(operator: Api) -> None:
    make_feed()
    assert operator("DELETE", "/feeds/models_dev/listing")[0] == 204
    assert Feed.objects.get().listing is None


def test_viewer_changes_nothing(viewer: Api) -> None:
    make_feed()
    for method, path, body in (
        ("PATCH", "/feeds/models_dev", {"enabled": False}),
        ("POST", "/feeds/models_dev/refresh", None),
        ("DELETE", "/feeds/models_dev/listing", None),
    ):
        assert viewer(method, path, body)[0] == 403
    assert Feed.objects.get().listing
