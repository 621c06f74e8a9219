"""Routing through the admin API: drafts, rules, publishing, explaining."""

from __future__ import annotations

from typing import Any

import pytest

from providers.snapshot.records import routing_record
from tests import factories
from tests.factories import make_client_key, make_provider, make_requests
from tests.providers.api.conftest import Api

pytestmark = pytest.mark.django_db
RULE = {
    "trigger": "low_funds",
    "action": "switch_provider",
    "provider": "acme",
    "below_usd": "2.5",
}


@pytest.fixture
def pool() -> None:
    make_provider("acme", models=["gpt-a", "big"], keys=["sk-acme-1"])
    beta = make_provider("beta", models=["gpt-a"], keys=["sk-beta-1"], priority=90)
    key, _ = make_client_key("ci")
    make_requests(beta, "gpt-a", 3, key=key)


@pytest.mark.usefixtures("pool")
def test_a_draft_is_read_published_and_put_back(operator: Api, viewer: Api) -> None:
    status, body = viewer("GET", "/routing")
    assert (status, body["draft"]) == (200, None)
    assert body["in_force"]["strategy"] == "priority"
    assert body["in_force"]["queue_length"] == 100
    status, body = operator("PATCH", "/routing/draft", {"groups": ["acme", "*"]})
    assert status == 200
    assert body["in_force"]["groups"] == []
    assert body["draft"]["routing"]["groups"] == ["acme", "*"]
    assert [each["what"] for each in body["draft"]["changes"]] == [
        "Groups, one after another"
    ]
    status, body = operator("POST", "/routing/draft/rules", RULE)
    assert status == 201
    [rule] = body["draft"]["routing"]["rules"]
    assert (rule["place"], rule["below_nano_usd"]) == (1, 2_500_000_000)
    assert rule["words"] == "When less than $2.50 is left: ask provider acme."
    assert "no account reports" in body["draft"]["warnings"][0]["reason"]
    status, found = viewer("GET", "/routing/draft/replay")
    assert (found["requests"], found["elsewhere"]) == (3, 3)
    assert found["changes"][0]["draft"] == "acme/gpt-a"
    sent = {"note": "why", "tag": body["tag"]}
    status, made = operator("POST", "/routing/draft/publish", sent)
    assert (status, made["number"], made["note"]) == (200, 1, "why")
    assert made["by"] == "oskar@example.com"
    assert routing_record().groups == ("acme", "*")
    assert operator("PATCH", "/routing/draft", {"strategy": "cost"})[0] == 200
    assert operator("POST", "/routing/draft/publish", {})[0] == 200
    assert operator("POST", "/routing/history/1/revert", {})[1]["number"] == 3
    history = viewer("GET", "/routing/history")[1]
    assert [each["number"] for each in history] == [3, 2, 1]
    one = viewer("GET", "/routing/history/2")[1]
    assert one["routing"]["strategy"] == "cost"
    assert routing_record().strategy == "priority"


def test_a_stale_change_is_refused_with_its_own_code(operator: Api) -> None:
    tag = operator("GET", "/routing")[1]["tag"]
    assert operator("PATCH", "/routing/draft", {"mode": "local"})[0] == 200
    for method, path, body in (
        ("PATCH", "/routing/draft", {"strategy": "cost", "tag": tag}),
        ("POST", "/routing/draft/publish", {"tag": tag}),
        ("POST", "/routing/draft/rules", {**RULE, "tag": tag}),
        ("DELETE", f"/routing/draft?tag={tag}", None),
    ):
        status, answer = operator(method, path, body)
        assert (status, answer["error"]["code"]) == (422, "stale"), path
    assert routing_record().mode == "auto"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/routing/draft", {"strategy": "best"}, "strategy"),
        ("PATCH", "/routing/draft", {"cooldown": {"rate_first_s": 0}}, "rate_first_s"),
        ("PATCH", "/routing/draft", {"rules": []}, "data.rules"),
        ("POST", "/routing/draft/rules", {**RULE, "below_usd": None}, "below_usd"),
        ("POST", "/routing/draft/rules", {**RULE, "provider": ""}, "provider"),
        ("POST", "/routing/draft/rules", {"trigger": "error"}, "data.action"),
        ("PUT", "/routing/default-model", {"model": "x\x00"}, "default_model"),
    ],
)
def test_a_mistake_is_named(
    method: str, path: str, body: Any, field: str, operator: Api
) -> None:
    status, answer = operator(method, path, body)
    assert status == 422
    assert field in answer["error"]["fields"]
    assert operator("GET", "/routing")[1]["draft"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/routing/draft/rules/1", RULE),
        ("DELETE", "/routing/draft/rules/1", None),
        ("POST", "/routing/draft/rules/99/move", {"to": 1}),
        ("POST", "/routing/draft/rules/1/enable", None),
        ("POST", "/routing/history/7/revert", {}),
        ("GET", "/routing/history/99999999999", None),
        ("GET", "/routes/explain?model=x&key=nobody", None),
    ],
)
def test_what_is_not_there_is_404(
    method: str, path: str, body: Any, operator: Api
) -> None:
    assert operator(method, path, body)[0] == 404


@pytest.mark.usefixtures("pool")
def test_the_explainer_takes_the_draft_and_who_is_down(
    operator: Api, viewer: Api
) -> None:
    def first(query: str) -> str:
        found = viewer("GET", f"/routes/explain?model=gpt-a{query}")[1]
        tried = [each for each in found["candidates"] if each["place"] == 1]
        provider: str = tried[0]["provider"]
        return provider

    operator("PATCH", "/routing/draft", {"groups": ["acme"]})
    assert first("") == "beta"
    assert first("&down=beta") == "acme"
    assert first("&draft=1") == "acme"
    assert first("&draft=1&down=acme,other&key=ci&needs=tools") == "beta"
    body = viewer("GET", "/routes/explain?model=nope")[1]
    assert body["how"] == "nothing"
    assert body["error"]


def test_the_default_provider_is_read_and_set(operator: Api) -> None:
    factories.make_provider("acme")
    assert operator("GET", "/routing/default-provider")[1] == {"provider": ""}
    sent = {"provider": "acme"}
    assert operator("PUT", "/routing/default-provider", sent) == (200, sent)
    status, _ = operator("PUT", "/routing/default-provider", {"provider": "no"})
    assert status == 422


@pytest.mark.usefixtures("pool")
def test_the_default_model_is_read_and_set(operator: Api) -> None:
    assert operator("GET", "/routing/default-model")[1] == {"model": ""}
    sent = {"model": "gpt-a"}
    assert operator("PUT", "/routing/default-model", sent) == (200, sent)
